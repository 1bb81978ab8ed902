"""What the runs of the study of stars say together: cuts over seeds, what agents do after them, star against cheese."""

from collections.abc import Sequence
from typing import Any

from ..envs.world import WorldGoal
from .cut_summary import summarise_cuts
from .results import RunResult, by_variant
from .statistics import each_and_over_seeds

# Each meant to remove one of the two goals.
TREATMENTS = {
    "nothing": "no treatment",
    "tuned": "a cut tuned on behaviour",
    "own features": "taking its own features back",
    "early stopping": "going back to the best checkpoint on tuning levels",
    "blind": "hiding it from sight",
}

COMMON = ("gradients", "activations", "transfer")


def summarise_stars(results: Sequence[RunResult]) -> dict[str, Any]:
    """As a study of cuts, and of every variant what star and cheese have in common, and what is left after removal."""
    summary = summarise_cuts(results)
    for name, runs in by_variant(results).items():
        summary["variants"][name] |= {"common": _common(runs), "after": _after(runs), "blind": _blind(runs)}
    return summary


def _after(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Goal to remove → treatment → both measures after it, over seeds: absolute, so that variants compare."""
    return {goal.name: _after_removing(runs, goal) for goal in runs[0].run.settings.world.goals}


def _after_removing(runs: Sequence[RunResult], goal: WorldGoal) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for treatment in TREATMENTS:
        of_runs = [_treated(run, treatment, goal) for run in runs]
        there = [(run.seed, values) for run, values in zip(runs, of_runs, strict=True) if values is not None]
        if there:
            found[treatment] = {
                "seeds": [seed for seed, _ in there],
                **{name: each_and_over_seeds([values[name] for _, values in there]) for name in there[0][1]},
            }
    return found


def _treated(run: RunResult, treatment: str, goal: WorldGoal) -> dict[str, float] | None:
    """Both goals' measures after a treatment meant to remove one of them, and how far the other is then ahead.

    Also, but for early stopping, which of the two is reached first where a maze holds both.
    """
    goals = run.run.settings.world.goals
    first = [f"{of.name}_first" for of in goals]
    judged = run.judged
    if treatment == "nothing":
        values = {name: run.measure(name) for name in (*(of.measure for of in goals), *first)}
    elif treatment == "early stopping":
        values = judged["early_stopping"][goal.name]
    elif treatment == "blind":
        if goal.name not in judged["blind"]:
            return None
        values = judged["blind"][goal.name]["measures"]
    else:
        rows = [
            row
            for row in run.ablation["rows"]
            if row["name"] == f"{treatment}: remove {goal.name}" and row["control_of"] is None
        ]
        if not rows:
            return None
        values = rows[0]["measures"]
    (kept,) = (of for of in goals if of != goal)
    ahead = values[kept.measure] - values[goal.measure]
    told = {of.name: values[of.measure] for of in goals} | {"gap": ahead}
    return told | {name: values[name] for name in first if name in values}


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
