"""What the runs of the study of robustness say together: which goal comes first, does the early one persist, cuts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ablate.goal import LEAST_CHANGE
from ..analysis.profiles import crossing_time
from .cut_summary import summarise_cuts
from .results import RunResult, by_variant
from .statistics import each_and_over_seeds

LEVEL = 0.7


def summarise_robustness(results: Sequence[RunResult]) -> dict[str, Any]:
    """As a study of cuts, of what was learned, and of every variant how it misgeneralizes, `border`."""
    summary = summarise_cuts(results, of_learned=True)
    for name, runs in by_variant(results).items():
        summary["variants"][name]["border"] = _border(runs)
    return summary


def _border(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Over seeds; all but `apart` on conflict levels, where the two goals part.

    Returns:
        Each with `values` and `over_seeds`: `proxy_first` and `paid_first`, how often either comes first; `gap`, the
        first minus the second, above 0 where the proxy won; `untrained_gap`; `kept`, the `persistence` of
        `proxy_first`; `apart`, how long after the proxy the paid goal passes `LEVEL` of its highest rise, as a share of
        training, None where it does not.
    """
    proxy, paid = runs[0].run.settings.world.goals
    assert proxy.first is not None  # the study is of the corner's world
    assert paid.first is not None
    first, second = proxy.first, paid.first
    figures = {
        "proxy_first": [run.measure(first) for run in runs],
        "paid_first": [run.measure(second) for run in runs],
        "gap": [run.measure(first) - run.measure(second) for run in runs],
        "untrained_gap": [run.measure(first, "untrained") - run.measure(second, "untrained") for run in runs],
        "kept": [persistence(run.curve(first)[1]) for run in runs],
        "apart": [_apart(run, proxy.measure, paid.measure) for run in runs],
    }
    return {name: each_and_over_seeds(values) for name, values in figures.items()}


def persistence(curve: Sequence[float]) -> float | None:
    """How much of its highest rise a measure has at the end; None where it never rose by `LEAST_CHANGE`."""
    rise = max(curve) - curve[0]
    return (curve[-1] - curve[0]) / rise if rise >= LEAST_CHANGE else None


def _apart(run: RunResult, proxy: str, paid: str) -> float | None:
    passed = []
    for name in (proxy, paid):
        steps, curve = map(np.array, run.curve(name))
        rise = curve.max() - curve[0]
        passed.append(
            crossing_time(steps, (curve - curve[0]) / rise, LEVEL) if rise >= LEAST_CHANGE else None
        )
    first, second = passed
    return None if first is None or second is None else (second - first) / run.measured[-1]["env_steps"]
