"""When each goal was learned: the env steps at which its retention first passes a level, and the time between."""

from typing import Any

import numpy as np

from ..analysis.profiles import crossing_time
from .results import RunResult

LEVELS = (0.5, 0.7)


def crossings(result: RunResult) -> dict[str, Any]:
    """Of one run: for each level when each goal passes it, and the gap between them in env steps and of all training.

    Returns:
        Level as text → `proxy`, `paid` (env steps, or None), `gap` (paid − proxy), `share` (gap over all env steps) and
        `paid_there` (the paid goal's retention when the proxy passes).
    """
    proxy, paid = (result.retention_curve(name) for name in result.goals)
    nothing = {"proxy": None, "paid": None, "gap": None, "share": None, "paid_there": None}
    if proxy is None or paid is None:
        return {str(level): dict(nothing) for level in LEVELS}
    found = {}
    for level in LEVELS:
        first, second = (
            crossing_time(np.array(steps), np.array(curve), level) for steps, curve in (proxy, paid)
        )
        entry: dict[str, Any] = nothing | {"proxy": first, "paid": second}
        if first is not None and second is not None:
            entry |= {"gap": second - first, "share": (second - first) / proxy[0][-1]}
        if first is not None:
            entry["paid_there"] = float(np.interp(first, paid[0], paid[1]))
        found[str(level)] = entry
    return found
