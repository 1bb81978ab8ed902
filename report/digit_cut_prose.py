"""Sentences about cuts of a classifier's directions, each beside its controls."""

from typing import Any

from .cut_figures import at_full_dose
from .digit_inputs import DigitInputs, control_kind, digit_of, mean_of
from .inputs import most_selective, told_apart
from .style import decimal, finite


def best_of_each_kind(inputs: DigitInputs) -> list[dict[str, Any]]:
    """The most selective single direction and the most selective tuned cut; any cut where there is neither."""
    best = [most_selective(rows) for rows in (inputs.singles, inputs.tuned)]
    known = [row for row in best if row is not None]
    return known or [row for row in [most_selective(inputs.cuts)] if row is not None]


def singles(inputs: DigitInputs) -> str:
    """Whether cutting one direction takes one digit away, beside random directions of the same norm."""
    best = most_selective(inputs.singles)
    if best is None:
        return "What cutting one direction leaves of each digit."
    apart = [
        row
        for row in inputs.singles
        if (control := inputs.best_control(row)) is not None and told_apart(row, control)
    ]
    number = len(apart) or "No one"
    text = f"{number} of the {len(inputs.singles)} single directions {_is(len(apart))} more selective than every "
    text += f"control; the most selective, “{best.get('name')}”, {_leaves(inputs, best)}"
    control = inputs.best_control(best)
    return f"{text} ({_beside(inputs, control)})." if control is not None else text + "."


def all_cuts(inputs: DigitInputs) -> str:
    """The most selective cut of all beside its most selective control."""
    best = most_selective(inputs.cuts)
    if best is None:
        return "No cut has a known selectivity."
    text = f"The most selective of {len(inputs.cuts)} cuts, “{best.get('name')}”, {_leaves(inputs, best)}"
    control = inputs.best_control(best)
    if control is None:
        return f"{text}, with no control to compare."
    verdict = "" if told_apart(best, control) else "; the two cannot be told apart"
    return f"{text} ({_beside(inputs, control)}){verdict}."


def forgetting(inputs: DigitInputs) -> str:
    """What tuned cuts leave of the digit to forget and of the nine others, on average, beside the best control."""
    cuts = inputs.tuned
    means = _means(inputs, cuts)
    text = f"On average over {len(cuts)} digits, a tuned cut leaves {_pair(means)}" if len(cuts) > 1 else ""
    text = text or f"The tuned cut of digit {digit_of(cuts[0].get('removes'))} leaves {_pair(means)}"
    text += " of the digit to forget and of the nine others"
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for row in (control for cut in cuts for control in inputs.controls_of(cut)):
        by_kind.setdefault(control_kind(row), []).append(row)
    selectivity = {
        kind: mean
        for kind, rows in by_kind.items()
        if (mean := mean_of(finite(row.get("selectivity")) for row in rows)) is not None
    }
    if not selectivity:
        return text + ", with no control to compare."
    best = max(selectivity, key=lambda kind: selectivity[kind])
    return f"{text}; the most selective kind of control, {best}, {_pair(_means(inputs, by_kind[best]))}."


def dose_response(inputs: DigitInputs, curves: list[dict[str, Any]]) -> str:
    """What dose 1, the whole cut, leaves, by the most selective cut shown and its best control."""
    cuts = {curve.get("name"): curve for curve in curves if not curve.get("control")}
    best = most_selective([row for row in inputs.cuts if row.get("name") in cuts])
    whole = None if best is None else at_full_dose(cuts[best.get("name")])
    if best is None or whole is None:
        return "Retention against the dose of each cut."
    of_it = [c for c in curves if c.get("control") and c.get("control_of") == best.get("name")]
    controls = [inputs.left(full) for c in of_it if (full := at_full_dose(c)) is not None]
    known = [(remove, keep) for remove, keep in controls if remove is not None and keep is not None]
    beside = max(known, key=lambda both: both[1] - both[0], default=None)
    text = f"At dose 1, “{best.get('name')}” leaves {_pair(inputs.left(whole))} of the digit and of the nine others"
    return f"{text} ({f'its most selective control {_pair(beside)}' if beside else 'no control'})."


def _leaves(inputs: DigitInputs, row: dict[str, Any]) -> str:
    removed, kept = inputs.left(row)
    return f"leaves {decimal(removed)} of digit {digit_of(row.get('removes'))} and {decimal(kept)} of the nine others"


def _beside(inputs: DigitInputs, control: dict[str, Any]) -> str:
    return f"its most selective control, {control_kind(control)}, {_pair(inputs.left(control))}"


def _means(inputs: DigitInputs, rows: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    left = [inputs.left(row) for row in rows]
    return mean_of(removed for removed, _ in left), mean_of(kept for _, kept in left)


def _pair(both: tuple[float | None, float | None]) -> str:
    return f"{decimal(both[0])} and {decimal(both[1])}"


def _is(number: int) -> str:
    return "is" if number <= 1 else "are"
