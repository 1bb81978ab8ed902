"""Sentences from numbers: what each figure shows, in plain English, a null result read as one."""

from typing import Any

import numpy as np

from ..ablate.goal import LEAST_CHANGE
from .inputs import Inputs, dig, direction_fields
from .style import count, decimal, finite, finites, percent, steps

# What every report's words mean.
WORDS = {
    "direction": "A unit vector in parameter space, here a left singular vector of the recorded gradients.",
    "profile": "The right singular vector of a direction: how strongly it was pushed at each time of training.",
    "centre of mass": "The mean time of a squared profile, 0 the start of training and 1 its end.",
    "cut": "Removing directions: taking back what training moved along them, wholly or by a dose.",
    "control": "The same change of parameters chosen without the idea on trial, such as random directions.",
}


def spectrum(analysis: dict[str, Any]) -> str:
    """How concentrated the gradients are, beside white noise."""
    rows = len(finites(analysis.get("singular_values")))
    above, null = finite(analysis.get("above_tenth")), finite(analysis.get("null_above_tenth"))
    if above is None:
        return f"The {rows} singular values fall as shown."
    text = f"{count(above)} of {rows} singular values exceed a tenth of the largest"
    if null is None:
        return text + "."
    text += f", against {count(null)} in white noise of the same row norms"
    if above < 0.5 * null:
        text += ": far more concentrated than noise"
    elif above < 0.9 * null:
        text += ": somewhat more concentrated than noise"
    else:
        text += ": no more concentrated than noise"
    unit, unit_null = (finite(dig(analysis, "unit", name)) for name in ("above_tenth", "null_above_tenth"))
    if unit is None:
        return text + "."
    beside = "" if unit_null is None else f" (noise {count(unit_null)})"
    return f"{text}; with rows of unit length, so that large gradients weigh no more, it is {count(unit)}{beside}."


def cross_half(analysis: dict[str, Any], halved: str) -> str:
    """How many directions both halves agree on; `halved` says of what they are halves."""
    halves = analysis["cross_half"]
    signal, null = finite(halves.get("signal_directions")), finites(halves.get("null_top"))
    top = next((value for value in finites(halves.get("eigenvalues")) if value is not None), None)
    known = [value for value in null if value is not None]
    beside = f" the largest of {len(known)} sign-flipped spectra" if known else " the null"
    floor = finite(halves.get("noise_floor"))
    against, opposed = "", finite(halves.get("negative_directions"))
    if top and floor and (opposed or -floor > top):
        size = f"{-floor / top:.3g} times the largest"
        against = f"; the most negative is {size}, so the halves push against each other"
        if opposed:
            lie = "one lies" if opposed == 1 else "ones lie"
            against = f"; {count(opposed)} negative {lie} as clearly below zero, up to {size}"
            against += ": there the halves push against each other"
    if not signal:
        return f"No eigenvalue exceeds{beside}: the halves agree on nothing that could be told from noise{against}."
    times = (
        f"; the strongest stands at {top / max(known):.3g} times that"
        if top and known and max(known) > 0
        else ""
    )
    verb = "direction stands" if signal == 1 else "directions stand"
    agree = f"{count(signal)} {verb} above{beside}, so both halves of the {halved} pushed them alike"
    return f"{agree}{times}{against}."


def profiles(inputs: Inputs[Any], shown: np.ndarray) -> str:
    """Whether the strongest directions were pushed at different times."""
    centres = [c for c in (direction_fields(inputs)["centre_of_mass"][i] for i in shown) if c is not None]
    if not centres:
        return "When the strongest directions were pushed."
    low, high = min(centres), max(centres)
    if high - low < 0.15:
        return (
            f"The {len(shown)} strongest directions were all pushed at about the same time (centres of mass "
            f"{decimal(low)} to {decimal(high)}), so time does not part them."
        )
    early = [share for share in (direction_fields(inputs)["early_share"] or []) if share is not None]
    text = (
        f"The {len(shown)} strongest directions have centres of mass from {decimal(low)} to {decimal(high)} of "
        f"training, where an even push would give 0.50"
    )
    split = finite(dig(inputs.analysis, "directions", "split_env_steps"))
    if not early or split is None:
        return text + "."
    mostly = sum(1 for i in shown if i < len(early) and early[i] > 0.5)
    spent = "1 spent most of its" if mostly == 1 else f"{mostly or 'none'} spent most of their"
    return f"{text}; {spent} energy before {steps(split)} env steps."


def modules(
    shares: dict[str, list[float | None]], centres: list[float | None], sizes: dict[str, float]
) -> str:
    """In which module the early and the late directions live, beside a random direction."""
    order = sorted((c, i) for i, c in enumerate(centres) if c is not None)
    if not order or not shares:
        return "Every direction's squared length parts among the modules as shown."
    third = max(1, len(order) // 3)
    places = []
    for part in (order[:third], order[-third:]):
        means = {
            module: _mean([share[i] for _, i in part if i < len(share)]) for module, share in shares.items()
        }
        places.append(max(means.items(), key=lambda item: item[1]))
    (early, early_share), (late, late_share) = places
    if early == late:
        text = f"The {third} earliest and the {third} latest of these directions both have their largest share in "
        text += f"{early} ({percent(early_share)} and {percent(late_share)})"
        random = f"{percent(sizes[early])} there" if early in sizes else ""
    else:
        text = f"The {third} earliest of these directions have their largest share in {early} ({percent(early_share)})"
        text += f", the {third} latest in {late} ({percent(late_share)})"
        both = early in sizes and late in sizes
        random = f"{percent(sizes[early])} and {percent(sizes[late])} there" if both else ""
    return text + (f"; a random direction would have {random}." if random else ".")


def time_and_strength(inputs: Inputs[Any]) -> str:
    """Whether late directions are stronger."""
    fields = direction_fields(inputs)
    both = zip(fields["centre_of_mass"], fields["singular_values"], strict=False)
    pairs = np.array([(c, s) for c, s in both if c is not None and s is not None]).reshape(-1, 2)
    if len(pairs) < 4:
        return "Too few directions to tell whether time and strength go together."
    ranks = np.asarray(pairs.argsort(axis=0).argsort(axis=0), dtype=float)
    rho = float(np.corrcoef(ranks, rowvar=False)[0, 1])
    chance = 2 / np.sqrt(len(pairs) - 1)
    text = f"rank correlation {decimal(rho)} over {len(pairs)} directions; chance reaches ±{decimal(chance)}"
    if abs(rho) <= chance:
        return f"Time and strength are not clearly related ({text})."
    late = "Late" if rho > 0 else "Early"
    other = "early" if rho > 0 else "late"
    return f"{late} directions are stronger than {other} ones ({text})."


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def apart(one: dict[str, float | None], other: dict[str, float | None]) -> int:
    """1 where one lies above the other and their intervals do not overlap, −1 below, 0 where they cannot be told."""
    a_mean, b_mean = one["mean"], other["mean"]
    if a_mean is None or b_mean is None:
        return 0
    margin = LEAST_CHANGE / 2  # for a measure without intervals
    a_low, a_high, b_low, b_high = (
        (mean + sign * margin) if end is None else end
        for mean, sign, end in (
            (a_mean, -1, one["low"]),
            (a_mean, 1, one["high"]),
            (b_mean, -1, other["low"]),
            (b_mean, 1, other["high"]),
        )
    )
    return 1 if a_low > b_high else -1 if a_high < b_low else 0


def unbroken(text: str) -> str:
    """The text without breaks between its words."""
    return text.replace(" ", "\u00a0")
