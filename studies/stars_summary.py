"""What the runs of the study of stars say together: cuts over seeds, what agents do after them, star against cheese."""

from collections.abc import Sequence
from typing import Any

from .cut_summary import summarise_cuts
from .results import RunResult, by_variant
from .statistics import each_and_over_seeds

TREATMENTS = {
    "nothing": "the trained agent",
    "tuned": "doses tuned on behaviour",
    "own features": "the star's own features taken back",
    "early stopping": "the best checkpoint on tuning levels",
    "blind": "the star hidden from sight",
}

COMMON = ("gradients", "activations", "transfer")


def summarise_stars(results: Sequence[RunResult]) -> dict[str, Any]:
    """As a study of cuts, and of every variant what star and cheese have in common, and what is left after removal."""
    summary = summarise_cuts(results)
    for name, runs in by_variant(results).items():
        summary["variants"][name] |= {"common": _common(runs), "after": _after(runs), "blind": _blind(runs)}
    return summary


def _after(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Treatment → both measures of the agent that has had it, over seeds: absolute, so that variants compare."""
    found: dict[str, Any] = {}
    for treatment in TREATMENTS:
        of_runs = [_treated(run, treatment) for run in runs]
        there = [(run.seed, values) for run, values in zip(runs, of_runs, strict=True) if values is not None]
        if there:
            found[treatment] = {
                "seeds": [seed for seed, _ in there],
                **{name: each_and_over_seeds([values[name] for _, values in there]) for name in there[0][1]},
            }
    return found


def _treated(run: RunResult, treatment: str) -> dict[str, float] | None:
    """Both goals' measures and the gap between them after a treatment meant to remove the first."""
    star, cheese = run.goals
    first = run.run.settings.world.goals[0].name
    if treatment == "nothing":
        values = {name: run.measure(name) for name in (star, cheese)}
    elif treatment == "early stopping":
        values = run.judged["early_stopping"]
    elif treatment == "blind":
        if first not in run.judged["blind"]:
            return None
        values = run.judged["blind"][first]["measures"]
    else:
        rows = [
            row
            for row in run.ablation["rows"]
            if row["name"] == f"{treatment}: remove {first}" and row["control_of"] is None
        ]
        if not rows:
            return None
        values = {name: rows[0]["measures"][name] for name in (star, cheese)}
    return {"star": values[star], "cheese": values[cheese], "gap": values[cheese] - values[star]}


def _blind(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Goal → what is left where its thing cannot be seen, over seeds; none of things that share a plane."""
    there = [run.judged["blind"] for run in runs if run.judged]
    return _merged(there) if there else {}


def _common(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Every figure of `COMMON` over seeds."""
    there = [{name: run.judged[name] for name in COMMON} for run in runs if run.judged]
    return _merged(there) if there else {}


def _merged(values: Sequence[Any]) -> Any:
    """Equal structures of numbers → the same of figures over them."""
    first = values[0]
    if isinstance(first, dict):
        return {name: _merged([of[name] for of in values if name in of]) for name in first}
    if isinstance(first, list):
        return [_merged(list(of)) for of in zip(*values, strict=False)]
    if isinstance(first, str) or first is None:
        return first
    return each_and_over_seeds(values)
