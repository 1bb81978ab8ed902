"""Sentences about cuts of a maze agent's goals, each beside its controls."""

from typing import Any

from ..ablate.goal import LEAST_CHANGE
from .cut_figures import at_full_dose
from .inputs import dig, most_selective, told_apart
from .maze_inputs import MazeInputs
from .style import decimal, finite, span


def best_cuts(inputs: MazeInputs) -> str:
    """The most selective cut of each goal beside the most selective of its controls."""
    parts = [part for goal in inputs.goals if (part := _best_cut(inputs, goal))]
    return _sentence(parts) if parts else "No cut has a known selectivity."


def dose_response(inputs: MazeInputs, curves: list[dict[str, Any]]) -> str:
    """What dose 1, the whole cut, leaves of either goal, by the most selective cut shown and its best control."""
    cuts = {curve.get("name"): curve for curve in curves if not curve.get("control")}
    parts = []
    for goal in inputs.goals:
        rows = [row for row in inputs.cuts if row.get("name") in cuts and row.get("removes") == goal]
        name = (most_selective(rows) or {}).get("name")
        left = _at_full_dose(inputs, cuts[name], goal) if name in cuts else None
        if left is None:
            continue
        of_it = [c for c in curves if c.get("control") and c.get("control_of") == name]
        controls = [both for c in of_it if (both := _at_full_dose(inputs, c, goal)) is not None]
        best = max(controls, key=lambda both: _clipped(both[1]) - _clipped(both[0]), default=None)
        beside = "no control" if best is None else f"its most selective control {_pair(best)}"
        remove, keep = _both(inputs, goal)
        parts.append(
            f"“{name}” leaves {decimal(left[0])} of {remove} and {decimal(left[1])} of {keep} ({beside})"
        )
    return f"At dose 1, {'; '.join(parts)}." if parts else "Retention against the dose of each cut."


def cut_mazes(inputs: MazeInputs, shown: list[str]) -> str:
    """What the most selective cut of the proxy goal shown does to which goal comes first, over all levels."""
    rows = [row for row in inputs.cuts if row.get("name") in shown]
    row = most_selective([row for row in rows if row.get("removes") == inputs.proxy.name]) or most_selective(
        rows
    )
    if row is None:
        return "What the trained agent does on these levels; no cut is shown."
    parts, changes = [], []
    for name in inputs.firsts:
        before, after = trained_beside_cuts(inputs, name), finite(dig(row, "measures", name))
        if before is None or after is None:
            continue
        changes.append(after - before)
        verb = (
            "rises"
            if changes[-1] >= LEAST_CHANGE
            else "falls"
            if changes[-1] <= -LEAST_CHANGE
            else "hardly moves"
        )
        values = [v for c in inputs.controls_of(row) if (v := finite(dig(c, "measures", name))) is not None]
        beside = f"its controls {span(values)}" if values else "no control"
        parts.append(f"{name} {verb} from {decimal(before)} to {decimal(after)} ({beside})")
    if not parts:
        return f"What the agent does on these levels before the cuts and after, such as “{row.get('name')}”."
    text = f"Over all levels, after “{row.get('name')}” {' and '.join(parts)}"
    if len(changes) == 2 and changes[0] <= -LEAST_CHANGE and changes[1] < -0.5 * changes[0]:
        text += f": most of what the {inputs.proxy.name} loses goes to neither goal"
    return text + "."


def trained_beside_cuts(inputs: MazeInputs, measure: str) -> float | None:
    """The trained agent's mean on the levels that the cuts were judged on; else as evaluated."""
    known = finite(dig(inputs.ablation, "trained", measure))
    return inputs.measure("trained", measure)["mean"] if known is None else known


def _best_cut(inputs: MazeInputs, goal: str) -> str:
    best = inputs.best_cut(goal)
    if best is None:
        return ""
    tried = sum(1 for row in inputs.cuts if row.get("removes") == goal)
    remove, keep = _both(inputs, goal)
    left = finite(dig(best, "retention", remove)), finite(dig(best, "retention", keep))
    text = (
        f"the most selective of {tried} cuts of the {goal} goal"
        if tried > 1
        else f"the cut of the {goal} goal"
    )
    text += f", “{best.get('name')}”, leaves {decimal(left[0])} of {remove} and {decimal(left[1])} of {keep}"
    control = inputs.best_control(best)
    if control is None:
        return text + ", with no control to compare"
    beside = _pair((finite(dig(control, "retention", remove)), finite(dig(control, "retention", keep))))
    if not told_apart(best, control):
        return f"{text}, which cannot be told from its most selective control ({beside})"
    return f"{text}, its most selective control {beside}"


def _at_full_dose(
    inputs: MazeInputs, curve: dict[str, Any], goal: str
) -> tuple[float | None, float | None] | None:
    """Retention of the goal to remove and of the one to keep, at the dose nearest 1."""
    row = at_full_dose(curve)
    if row is None:
        return None
    remove, keep = (finite(dig(row, "retention", measure)) for measure in _both(inputs, goal))
    return remove, keep


def _both(inputs: MazeInputs, goal: str) -> tuple[str, str]:
    """The measures of a goal, and of the other one."""
    measures = inputs.goal_measures
    return measures[goal], next(measure for name, measure in measures.items() if name != goal)


def _clipped(value: float | None) -> float:
    return min(1.0, max(0.0, value or 0.0))


def _pair(both: tuple[float | None, float | None]) -> str:
    return f"{decimal(both[0])} and {decimal(both[1])}"


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]
