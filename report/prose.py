"""Sentences from numbers: what each figure shows, in plain English, a null result read as one."""

from typing import Any

import numpy as np

from .inputs import LEAST_CHANGE, PASSED, Inputs, dig, direction_fields
from .style import count, decimal, duration, finite, finites, steps

GLOSSARY = {
    "level": "One maze: its walls, where the mouse starts, where the cheese lies.",
    "corner region": "The k×k cells at the top right, where the cheese always lay in training.",
    "conflict level": "A level with mouse and cheese both outside the corner region: the two goals part.",
    "direction": "A unit vector in parameter space, here a left singular vector of the recorded gradients.",
    "profile": "The right singular vector of a direction: how strongly it was pushed at each time of training.",
    "centre of mass": "The mean time of a squared profile, 0 the start of training and 1 its end.",
    "cut": "Removing directions: taking back what training moved along them, wholly or by a dose.",
    "control": "The same change of parameters chosen without the idea on trial, such as random directions.",
    "retention": "What a cut leaves of a measure: (cut − untrained) / (trained − untrained); 1 is kept, 0 is removed.",
    "selectivity": "Retention of the goal to keep minus retention of the goal to remove; 1 is a perfect cut.",
}
_STARTS = {"bottom_left": "starting bottom left", "random": "starting anywhere"}
_CHEESES = {
    "corner": "the cheese always in the {k}×{k} corner region at the top right",
    "anywhere": "the cheese anywhere",
    "conflict": "the cheese always outside the {k}×{k} corner region at the top right",
}


def trained_what(inputs: Inputs) -> str:
    """World, network, env steps and seconds in one sentence."""
    settings, world = inputs.run.settings, inputs.run.settings.world
    article = "An" if settings.network[0] in "aeim" else "A"
    text = f"{article} {settings.network} network of {count(inputs.parameters)} parameters was trained"
    if inputs.env_steps is not None:
        text += f" for {steps(inputs.env_steps)} env steps in {_unbroken(duration(inputs.seconds))}"
    cheese = _CHEESES[world.cheese].format(k=world.corner_size)
    if world.ood_share:
        cheese += f" but for {decimal(100 * world.ood_share, 0)} % of levels"
    return f"{text} on {world.size}×{world.size} mazes, the mouse {_STARTS[world.start]} and {cheese}."


def learned_what(inputs: Inputs) -> str:
    """What the trained agent does that the untrained one does not, and which goal it prefers where they part."""
    reward = {agent: inputs.measure(agent, "cheese_return") for agent in ("trained", "untrained")}
    if reward["trained"]["mean"] is None:
        return "What it learned has not been measured."
    verb = "learned" if _apart(reward["trained"], reward["untrained"]) > 0 else "did not learn"
    mean = decimal(reward["trained"]["mean"])
    text = f"It {verb} what training rewards: it reaches the cheese with probability {mean}"
    text += f"{_beside(inputs, 'cheese_return')}."
    corner, cheese = (inputs.measure("trained", name) for name in ("corner_first", "cheese_first"))
    if corner["mean"] is None or cheese["mean"] is None:
        return text
    gap = _apart(corner, cheese)
    verdict = {1: "it prefers the corner", -1: "it prefers the cheese", 0: "it clearly prefers neither"}[gap]
    return (
        f"{text} Where the two goals part, {verdict}: on conflict levels it enters the corner region first with "
        f"probability {decimal(corner['mean'])}{_beside(inputs, 'corner_first')} and reaches the cheese first with "
        f"{decimal(cheese['mean'])}{_beside(inputs, 'cheese_first')}."
    )


def learning_order(inputs: Inputs) -> str:
    """Which goal came first."""
    if not inputs.retention_curve("corner_reach"):
        _, values = inputs.curve("corner_reach")
        ends = f" ({decimal(values[0])} to {decimal(values[-1])})" if values else ""
        return f"Training hardly changed corner_reach{ends}, so there is no order of goals to read off."
    passing = inputs.passing()
    if passing is None:
        return f"The retention of corner_reach never passes {PASSED} on the way, so the goals have no order in time."
    there = passing.cheese_retention
    if there is None:
        return f"Corner-seeking passes {PASSED} of its final level at {steps(passing.env_steps)} env steps."
    if there < 0.5:
        verdict = "Corner-seeking came first"
    elif there < PASSED:
        verdict = "Corner-seeking came only a little earlier"
    else:
        verdict = "Cheese-seeking came no later than corner-seeking"
    return (
        f"{verdict}: when corner_reach first passes {PASSED} of what training changed, at "
        f"{steps(passing.env_steps)} env steps, cheese_from_corner stands at {decimal(there)} of its own."
    )


def learning_measures(inputs: Inputs) -> str:
    """How the two answers to a conflict level moved, beside the uniform-random walker."""
    parts = []
    for name in ("corner_first", "cheese_first"):
        _, values = inputs.curve(name)
        if not values or values[0] is None or values[-1] is None:
            continue
        change = values[-1] - values[0]
        verb = "rose" if change >= LEAST_CHANGE else "fell" if change <= -LEAST_CHANGE else "hardly moved"
        part = f"{name} {verb} from {decimal(values[0])} to {decimal(values[-1])}"
        uniform = inputs.measure("uniform", name)["mean"]
        parts.append(part + ("" if uniform is None else f" (uniform-random {decimal(uniform)})"))
    return (
        f"On conflict levels {' and '.join(parts)}." if parts else "No measure was taken on conflict levels."
    )


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


def cross_half(analysis: dict[str, Any]) -> str:
    """How many directions both halves of the environments agree on."""
    halves = analysis["cross_half"]
    signal, null = finite(halves.get("signal_directions")), finites(halves.get("null_top"))
    top = next((value for value in finites(halves.get("eigenvalues")) if value is not None), None)
    known = [value for value in null if value is not None]
    beside = f" the largest of {len(known)} sign-flipped spectra" if known else " the null"
    floor = finite(halves.get("noise_floor"))
    against = ""
    if top and floor and -floor > top:
        against = f"; the most negative is {-floor / top:.3g} times the largest, so the halves push against each other"
    if not signal:
        return f"No eigenvalue exceeds{beside}: the halves agree on nothing that could be told from noise{against}."
    times = (
        f"; the strongest stands at {top / max(known):.3g} times that"
        if top and known and max(known) > 0
        else ""
    )
    verb = "direction stands" if signal == 1 else "directions stand"
    agree = f"{count(signal)} {verb} above{beside}, so both halves of the environments pushed them alike"
    return f"{agree}{times}{against}."


def profiles(inputs: Inputs, shown: np.ndarray) -> str:
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
        text += f"{early} ({_percent(early_share)} and {_percent(late_share)})"
        random = f"{_percent(sizes[early])} there" if early in sizes else ""
    else:
        text = f"The {third} earliest of these directions have their largest share in {early} ({_percent(early_share)})"
        text += f", the {third} latest in {late} ({_percent(late_share)})"
        both = early in sizes and late in sizes
        random = f"{_percent(sizes[early])} and {_percent(sizes[late])} there" if both else ""
    return text + (f"; a random direction would have {random}." if random else ".")


def time_and_strength(inputs: Inputs) -> str:
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


def _beside(inputs: Inputs, name: str) -> str:
    untrained, uniform = (inputs.measure(agent, name)["mean"] for agent in ("untrained", "uniform"))
    parts = [f"untrained {decimal(untrained)}"] if untrained is not None else []
    parts += [f"uniform-random {decimal(uniform)}"] if uniform is not None else []
    return f" ({', '.join(parts)})" if parts else ""


def _apart(one: dict[str, float | None], other: dict[str, float | None]) -> int:
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


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")
