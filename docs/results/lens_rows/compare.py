"""What the cuts of one run's lenses do beside their controls, as figures; `lens_tables` tells them over seeds."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from goalcut.report.style import short

from .block import Block, Rows

_ANY = "any digit"
_COLUMNS = {
    "selectivity": "selectivity",
    "relative_norm": "‖Δ‖",
    "navigation": "navigation",
    "kl": "KL (nats)",
}
_CONTROLS = {
    "random": "random, same space",
    "single units by effect": "units by effect",
    "single units at random": "units at random",
}
"""Lens of a control of `compare` → the column that says what it reaches in the space of the cut beside it."""


def compare(saved: Mapping[str, Any], k: int) -> list[Block]:
    """Cuts within the budget by lens, then by lens and space; cuts of any length; of digits each by itself; angles."""
    budget = saved["settings"]
    within = [found for of in saved["best"].values() for found in of.values() if found is not None]
    limits = f"‖Δ‖ up to {short(budget['relative_norm'])}"
    if saved["kind"] == "maze":
        limits += f", navigation at least {short(budget['navigation'])} on tuning levels"
    held = ("selectivity", tuple(_controls(saved["methods"]).values()))
    angles: Rows = {
        f"{of['a']}, {of['b']}": {"overlap": of["overlap"], "chance": of["chance"]}
        for of in saved["angles"]
        if of["k"] == k
    }
    most = f"Most selective cut of each lens within {limits}"
    overlap = f"Mean squared cosine of the angles between the leading {k} directions; chance is {k}/d"
    blocks = [
        Block(most, _cuts(saved, within, by_space=False), *held),
        Block("The same of each space", _cuts(saved, within, by_space=True), *held),
        Block("The same of any length", _cuts(saved, saved["rows"], by_space=True), *held),
    ]
    if saved["kind"] == "digits":
        blocks.append(
            Block(
                f"What each lens's most selective cut of each digit keeps of accuracy, within {limits}",
                _digit_by_digit(saved, within),
            )
        )
    return [*blocks, Block(overlap, angles, "overlap", ("chance",), None)]


def _cuts(saved: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], *, by_space: bool) -> Rows:
    """Of every goal and lens the change most selective on tuning data, beside the controls of its space.

    Of many goals, as of digits, that of the digit which the lens removes most selectively, and the mean over digits of
    each one's best. A row stands where there was no such change as well, so that seeds without one are counted.
    """
    methods, goals = saved["methods"], list(saved["goals"])
    told_under = {goal: goal if len(goals) <= 2 else _ANY for goal in goals}
    best = _best(methods, rows, told_under)

    def spaced(method: str) -> tuple[str, int]:
        return methods[method]["space"], methods[method]["entries"]

    def cut(goal: str, *of: Any) -> dict[str, Any]:
        found = best.get((goal, *of), {})
        columns = {
            said: found.get(name)
            for name, said in _COLUMNS.items()
            if name != "navigation" or saved["kind"] != "digits"
        }
        if goal == _ANY:
            each = [best.get((digit, *of), {}).get("selectivity") for digit in goals]
            columns["mean over digits"] = None if None in each else float(np.mean(each))
        return columns

    controls = _controls(methods)
    made: Rows = {}
    for goal in dict.fromkeys(told_under.values()):
        for method, of in methods.items():
            if of["control"]:
                continue
            key = (of["lens"], spaced(method)) if by_space else (of["lens"],)
            found = best.get((goal, *key))
            made[f"remove {goal}: {method if by_space else of['lens']}"] = {
                **cut(goal, *key),
                **{
                    said: best.get((goal, lens, spaced(found["method"])), {}).get("selectivity")
                    if found
                    else None
                    for lens, said in controls.items()
                },
            }
        if not by_space:
            made[f"remove {goal}: random subspaces of any space"] = cut(goal, "random")
    return made


def _controls(methods: Mapping[str, Any]) -> dict[str, str]:
    """Those of `_CONTROLS` that were cut."""
    there = {of["lens"] for of in methods.values()}
    return {lens: said for lens, said in _CONTROLS.items() if lens in there}


def _best(
    methods: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], told_under: Mapping[str, str]
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """(goal, lens) and (goal, lens, space) → the change most selective on tuning data.

    Args:
        methods: by name.
        rows: changes to choose from.
        told_under: goal → a name that many goals may share, which has a best one too.
    """
    best: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for found in rows:
        of, goal = methods[found["method"]], found["removes"]
        lens, space = of["lens"], (of["space"], of["entries"])
        for about in dict.fromkeys((goal, told_under[goal])):
            for key in ((about, lens), (about, lens, space)):
                if key not in best or found["tuning_selectivity"] > best[key]["tuning_selectivity"]:
                    best[key] = found
    return best


def _digit_by_digit(saved: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Of every digit and lens what its most selective change keeps of accuracy beyond a guess, as shares."""
    goals: Mapping[str, str] = saved["goals"]
    best = _best(saved["methods"], rows, {goal: goal for goal in goals})
    lenses = dict.fromkeys(of["lens"] for of in saved["methods"].values())
    made: Rows = {}
    for goal in goals:
        for lens in lenses:
            kept = best.get((goal, lens), {}).get("retention", {})
            others = [kept[of] for other, of in goals.items() if other != goal and of in kept]
            made[f"remove {goal}: {lens}"] = {
                "of it": kept.get(goals[goal]),
                "of the others": float(np.mean(others)) if others else None,
                "of the worst of them": min(others, default=None),
            }
    return made
