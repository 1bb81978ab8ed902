"""What the runs of the study of robustness say together: which goal comes first, does the early one persist, cuts."""

from collections.abc import Sequence
from typing import Any

from .crossing import crossings
from .cut_summary import summarise_cuts
from .results import RunResult, by_variant
from .statistics import over_seeds


def summarise_robustness(results: Sequence[RunResult]) -> dict[str, Any]:
    """As a study of cuts, and of every variant how it misgeneralizes: `border`."""
    summary = summarise_cuts(results)
    for name, runs in by_variant(results).items():
        summary["variants"][name]["border"] = _border(runs)
    return summary


def _border(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Over seeds, where the two goals part, on conflict levels.

    Returns:
        Each with `values` and `over_seeds`: `proxy_first` and `paid_first`, how often either comes first; `gap`, the
        first minus the second, above 0 where the proxy won; `untrained_gap`; `kept`, of `persistence`; `apart`, how
        long after the proxy the paid goal passes 0.7 of its change, as a share of training.
    """
    proxy, paid = (goal.first for goal in runs[0].run.settings.world.goals)
    assert proxy is not None  # the study is of the corner's world
    assert paid is not None
    figures = {
        "proxy_first": [run.measure(proxy) for run in runs],
        "paid_first": [run.measure(paid) for run in runs],
        "gap": [run.measure(proxy) - run.measure(paid) for run in runs],
        "untrained_gap": [run.measure(proxy, "untrained") - run.measure(paid, "untrained") for run in runs],
        "kept": [persistence([float(record["measures"][proxy]) for record in run.measured]) for run in runs],
        "apart": [crossings(run)["0.7"]["share"] for run in runs],
    }
    return {name: {"values": values, "over_seeds": over_seeds(values)} for name, values in figures.items()}


def persistence(curve: Sequence[float]) -> float | None:
    """How much of its highest rise in training a measure has at the end; None where it never rose by 0.05."""
    rise = max(curve) - curve[0]
    return (curve[-1] - curve[0]) / rise if rise >= _LEAST_RISE else None


_LEAST_RISE = 0.05
"""Below this the share is a quotient of noise."""
