"""Sentences about cuts, each beside its controls."""

from typing import Any

from .inputs import Inputs, dig, most_selective
from .style import GOAL_MEASURES, decimal, finite, finites, span


def best_cuts(inputs: Inputs) -> str:
    """The most selective cut of each goal beside the most selective of its controls."""
    parts = [part for goal in ("corner", "cheese") if (part := _best_cut(inputs, goal))]
    if not parts:
        return "No cut has a known selectivity."
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def dose_response(inputs: Inputs, curves: list[dict[str, Any]]) -> str:
    """What dose 1, the whole cut, leaves of either goal, by the most selective cut shown and by its controls."""
    names = {curve.get("name"): curve for curve in curves if not curve.get("control")}
    parts = []
    for goal, measure in GOAL_MEASURES.items():
        rows = [row for row in inputs.cuts if row.get("name") in names and row.get("removes") == goal]
        cut = names.get((most_selective(rows) or {}).get("name"))
        left = None if cut is None else _at_full_dose(cut, measure)
        if cut is None or left is None:
            continue
        controls = [c for c in curves if c.get("control") and c.get("control_of") == cut.get("name")]
        others = [value for c in controls if (value := _at_full_dose(c, measure)) is not None]
        beside = f"its controls {span(others)}" if others else "no control"
        parts.append(f"“{cut.get('name')}” leaves {decimal(left)} of {measure} ({beside})")
    return f"At dose 1 {' and '.join(parts)}." if parts else "Retention against the dose of each cut."


def cut_mazes(inputs: Inputs, shown: list[str]) -> str:
    """Whether any of the cuts shown lowers corner_first beyond its controls, over all evaluated levels."""
    before = inputs.measure("trained", "corner_first")["mean"]
    rows = [row for row in inputs.rows if row.get("name") in shown]
    known = [
        (value, row) for row in rows if (value := finite(dig(row, "measures", "corner_first"))) is not None
    ]
    if not known or before is None:
        return "What the trained agent does on these levels; no cut is shown."
    after, row = min(known, key=lambda pair: pair[0])
    controls = inputs.controls_of(row)
    values = [v for c in controls if (v := finite(dig(c, "measures", "corner_first"))) is not None]
    beside = f" (its controls {span(values)})" if values else " (no control)"
    text = f"“{row.get('name')}”: {decimal(before)} to {decimal(after)}{beside}"
    if after >= before:
        return f"None of these cuts lowers corner_first over all levels; the closest is {text}."
    if values and after >= min(values):
        return f"No cut lowers corner_first over all levels more than a control of it does; the lowest is {text}."
    return f"The cut that lowers corner_first most over all levels is {text}."


def _best_cut(inputs: Inputs, goal: str) -> str:
    best = inputs.best_cut(goal)
    if best is None:
        return ""
    keep, remove = GOAL_MEASURES["cheese" if goal == "corner" else "corner"], GOAL_MEASURES[goal]
    kept = best.get("retention") or {}
    text = f"the most selective cut of the {goal} goal, “{best.get('name')}”, leaves {decimal(kept.get(remove))} of "
    text += f"{remove} and {decimal(kept.get(keep))} of {keep}"
    control = most_selective(
        inputs.controls_of(best) or [c for c in inputs.controls if c.get("removes") == goal]
    )
    if control is None:
        return text + ", with no control to compare"
    kept = control.get("retention") or {}
    beside = f"{decimal(kept.get(remove))} and {decimal(kept.get(keep))}"
    low = (finites(best.get("selectivity_interval")) or [None])[0]
    high = (finites(control.get("selectivity_interval")) or [None])[-1]
    low = finite(best.get("selectivity")) if low is None else low
    high = finite(control.get("selectivity")) if high is None else high
    if low is not None and high is not None and low <= high:
        return f"{text}, which cannot be told from its most selective control ({beside})"
    return f"{text}, its most selective control {beside}"


def _at_full_dose(curve: dict[str, Any], measure: str) -> float | None:
    """Retention at the dose nearest 1."""
    values, doses = finites(dig(curve, "retention", measure)), finites(curve.get("doses"))
    known = [(abs(dose - 1), value) for dose, value in zip(doses, values, strict=False) if dose is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None
