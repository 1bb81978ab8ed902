"""What the runs of the study of methods say together: what each method reaches within a budget, over seeds."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ablate.compare import ComparedRow, compared_row
from .comparisons import compare_family
from .results import RunResult, by_variant, learned
from .statistics import each_and_over_seeds

NORM, NAVIGATION = 0.1, 0.9
"""The budget that methods are ranked within: ‖Δ‖ at most, relative, and navigation retained at least."""
NORMS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
WAYS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
NATS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
VALUES = (0.03, 0.1, 0.2, 0.3, 1.0, 3.0)
FIGURES = ("selectivity", "navigation", "relative_norm", "kl", "value_error")
Allowed = Callable[[ComparedRow], bool]


def summarise_methods(results: Sequence[RunResult]) -> dict[str, Any]:
    """Per variant: measures, and of each goal what every method reaches, within budgets of three kinds."""
    return {"variants": {name: _variant(runs) for name, runs in by_variant(results).items()}}


def family(method: str) -> str:
    """A method by any layer: which one is chosen on tuning levels like all else."""
    return method.partition(" at ")[0]


def _variant(runs: Sequence[RunResult]) -> dict[str, Any]:
    rows = {run.seed: [compared_row(row) for row in run.judged["rows"]] for run in runs}
    return {
        **learned(runs),
        "goal_names": list(runs[0].judged["goals"]),
        "methods": {goal: _goal(rows, goal) for goal in runs[0].judged["goals"]},
    }


def _goal(rows: dict[int, list[ComparedRow]], goal: str) -> dict[str, Any]:
    """Method → what it reaches in removing this goal."""
    of_goal = {seed: [row for row in there if row.removes == goal] for seed, there in rows.items()}
    names = list(dict.fromkeys(family(row.method) for there in of_goal.values() for row in there))
    found = {}
    for name in names:
        own = {seed: [row for row in there if family(row.method) == name] for seed, there in of_goal.items()}
        found[name] = {
            "activations": any(row.space != "parameters" for there in own.values() for row in there),
            "within": {
                "norm": _chosen(own, lambda row: row.relative_norm <= NORM),
                "norm and navigation": _chosen(
                    own, lambda row: row.relative_norm <= NORM and _way(row) >= NAVIGATION
                ),
                "navigation": _chosen(own, lambda row: _way(row) >= NAVIGATION),
            },
            "by_norm": [_reached(own, lambda row, most=most: row.relative_norm <= most) for most in NORMS],
            "by_layer": _by_layer(own),
            "by_navigation": [_reached(own, lambda row, least=least: _way(row) >= least) for least in WAYS],
            "by_kl": [_reached(own, lambda row, most=most: row.kl <= most) for most in NATS],
            "by_value_error": [
                _reached(own, lambda row, most=most: row.value_error is None or row.value_error <= most)
                for most in VALUES
            ],
        }
    for budget in ("norm", "norm and navigation", "navigation"):
        _compare({name: of["within"][budget] for name, of in found.items()})
    return found


def _by_layer(own: dict[int, list[ComparedRow]]) -> dict[str, Any]:
    """Layer, and the way where vectors go both ways → what edits there reach at any length; empty of parameters."""
    rows = [row for there in own.values() for row in there if row.space != "parameters"]
    ways: dict[str, Allowed] = {"": lambda row: True}
    if {row.dose < 0 for row in rows} == {True, False}:
        ways = {", subtracted": lambda row: row.dose < 0, ", added": lambda row: row.dose > 0}
    return {
        layer + way: _chosen(own, lambda row, at=layer, of=of: row.space == at and of(row))
        for layer in dict.fromkeys(row.space for row in rows)
        for way, of in ways.items()
    }


def _way(row: ComparedRow) -> float:
    """Navigation on tuning levels, where choices are made; a world without it asks for none."""
    return np.inf if row.tuning_navigation is None else row.tuning_navigation


def _best(rows: Sequence[ComparedRow], allowed: Allowed) -> ComparedRow | None:
    """The most selective change on tuning levels of those allowed; the shortest of equals."""
    there = [row for row in rows if allowed(row)]
    return max(there, key=lambda row: (row.tuning_selectivity, -row.relative_norm), default=None)


def _chosen(own: dict[int, list[ComparedRow]], allowed: Allowed) -> dict[str, Any]:
    """Of each seed the change chosen, and its figures on levels that nothing was chosen on.

    A seed where nothing is allowed counts as a change that changes nothing: selectivity 0.
    """
    best = {seed: _best(rows, allowed) for seed, rows in own.items()}
    figures = {}
    for name in FIGURES:
        figures[name] = each_and_over_seeds([_figure(row, name) for row in best.values()])
    chosen = [
        None if row is None else {"method": row.method, "k": row.k, "dose": row.dose, "recipe": row.recipe}
        for row in best.values()
    ]
    return {
        "seeds": list(own),
        "nothing_allowed": sum(row is None for row in best.values()),
        "chosen": chosen,
        "moved_in": modules_moved([row for row in best.values() if row is not None]),
        **figures,
    }


def modules_moved(rows: Sequence[ComparedRow]) -> dict[str, Any]:
    """Module → share of the parameters moved that lie there, over seeds that move any; empty where none tells."""
    counts = [row.recipe["moved in"] for row in rows if sum(row.recipe.get("moved in", {}).values())]
    modules = dict.fromkeys(module for of_seed in counts for module in of_seed)
    return {
        module: each_and_over_seeds([of_seed[module] / sum(of_seed.values()) for of_seed in counts])
        for module in modules
    }


def _figure(row: ComparedRow | None, name: str) -> float | None:
    if row is None:
        return 1.0 if name == "navigation" else 0.0
    return getattr(row, name)


def _reached(own: dict[int, list[ComparedRow]], allowed: Allowed) -> dict[str, Any]:
    """Selectivity of the best change allowed, of every seed."""
    return each_and_over_seeds([_figure(_best(rows, allowed), "selectivity") for rows in own.values()])


def _compare(methods: dict[str, dict[str, Any]]) -> None:
    """Every method's selectivity against the best one's on the same seeds, adjusted for all of them."""
    values = {name: np.array(of["selectivity"]["values"]) for name, of in methods.items()}
    leader = max(methods, key=lambda name: methods[name]["selectivity"]["over_seeds"]["iqm"][0])
    rivals = {name: of for name, of in values.items() if name != leader}
    found = compare_family(values[leader], rivals) if len(values[leader]) > 1 and rivals else {}
    for name, of in methods.items():
        of["behind_the_best"] = found[name].to_json() if name in found else None
