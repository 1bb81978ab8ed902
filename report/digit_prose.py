"""Sentences about what a classifier learned, and about how many directions its gradients have."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .digit_inputs import DigitInputs, digit_of
from .first_layer import MIXTURE, RANDOM, LayerPicture
from .inputs import dig
from .prose import WORDS, unbroken
from .style import count, decimal, duration, finite, finites, percent, short

GLOSSARY = {
    **WORDS,
    "half": "Every gradient is also kept as two, of the images with even numbers and of those with odd ones.",
    "white noise": "Rows of the same lengths that point anywhere: a figure as it is where there is nothing to see.",
    "turn": "A time at which a profile, an accuracy or a confusion enters a phase of another level.",
    "retention": "What a cut leaves of an accuracy: (cut − chance) / (trained − chance); 1 is kept, 0 is removed.",
    "selectivity": "Mean retention of the nine other digits minus that of the one to remove; 1 is a perfect cut.",
}
# The figures of the post that these counts repeat: share of the largest singular value → count, of 400 updates.
POST = {0.05: 200.0, 0.1: 92.5, 0.15: 40.0}
POST_SD = 11.6
POST_SAMPLED = 400
_LEARNED = 0.9
_NETWORKS = {"mlp": "fully connected", "cnn": "convolutional"}
_OF_SAMPLES = 300
_CHANCE = 0.05


def trained_what(inputs: DigitInputs) -> str:
    """Network, optimizer, images and seconds in one sentence."""
    settings = inputs.run.settings
    widths = ", ".join(str(width) for width in settings.hidden)
    layers = f" with hidden layers of {widths}" if widths else ""
    text = (
        f"A {_NETWORKS[settings.network]} network{layers} ({count(inputs.parameters)} parameters) was trained"
    )
    if inputs.trained_for is not None:
        text += f" for {count(inputs.trained_for)} updates in {unbroken(duration(inputs.seconds))}"
    momentum = f", momentum {short(settings.momentum)}" if settings.momentum else ""
    epochs = "1 epoch" if settings.epochs == 1 else f"{settings.epochs} epochs"
    return (
        f"{text} to tell handwritten digits apart: {settings.optimizer.upper()} with learning rate "
        f"{short(settings.learning_rate)}{momentum}, {settings.batch_size} images per update, {epochs}."
    )


def learned_what(inputs: DigitInputs) -> str:
    """Test accuracy beside the untrained network and chance, and the best and worst digit."""
    trained = inputs.accuracy("trained")["mean"]
    if trained is None:
        return "What it learned has not been measured."
    parts = [
        f"{name} {decimal(mean, 3)}"
        for name in ("untrained", "chance")
        if (mean := inputs.accuracy(name)["mean"]) is not None
    ]
    whole = inputs.measure("trained", "accuracy")["mean"] is not None
    text = f"It recognises {decimal(trained, 3)} of "
    text += "the test images" if whole else "a digit's test images on average"
    text += f" ({', '.join(parts)})" if parts else ""
    known = [
        (mean, digit_of(name)) for name in inputs.goals if (mean := inputs.measure("trained", name)["mean"])
    ]
    if not known:
        return text + "."
    (low, worst), (high, best) = min(known), max(known)
    return f"{text}; best at digit {best} ({decimal(high, 3)}), worst at {worst} ({decimal(low, 3)})."


def learning(inputs: DigitInputs) -> str:
    """Which digit was learned first and which last."""
    passed: list[tuple[float, str]] = []
    never: list[str] = []
    for name in inputs.goals:
        times, values = inputs.curve(name)
        there = [t for t, v in zip(times, values, strict=True) if t and v is not None and v >= _LEARNED]
        passed += [(there[0], digit_of(name))] if there else []
        never += [] if there else [digit_of(name)]
    if not passed:
        return f"No digit reaches an accuracy of {_LEARNED}."
    (early, first), (late, last) = min(passed), max(passed)
    text = f"Digit {first} is the first to reach an accuracy of {_LEARNED}, at update {count(early)}"
    if len(passed) > 1:
        text += f", and {last} the last, at {count(late)} of {count(inputs.trained_for)}"
    return f"{text}; {', '.join(never)} never {'does' if len(never) == 1 else 'do'}." if never else text + "."


def confusions(tables: np.ndarray) -> str:
    """The largest confusions at the end of training; `tables` are (n, 10, 10)."""
    last = tables[-1] * ~np.eye(10, dtype=bool)
    order = np.argsort(last, axis=None)[::-1][:3]
    pairs = [tuple(int(i) for i in np.unravel_index(flat, last.shape)) for flat in order]
    told = ", ".join(f"{shown} called {called} ({percent(last[shown, called])})" for shown, called in pairs)
    guess = "a guess would call every digit each other one in 10\u00a0%"
    return f"At the end the largest confusions are {told}; {guess}."


def counts(inputs: DigitInputs) -> str:
    """The count above a tenth of the largest beside the post's and the null's, and how it hangs on the threshold."""
    mean, sd = inputs.count_at("raw", "mean", 0.1), inputs.count_at("raw", "sd", 0.1)
    sampled = finite(dig(inputs.analysis, "counts", "sampled"))
    if mean is None or sampled is None:
        return "How many singular values exceed a share of the largest, against the share."
    post = POST[0.1]
    like = abs(mean - post) <= np.hypot(sd or 0, POST_SD)
    verdict = (
        f", {'as' if like else 'unlike'} in the post ({post} ± {POST_SD})" if sampled == POST_SAMPLED else ""
    )
    text = f"Of {count(sampled)} sampled updates, {decimal(mean, 1)} ± {decimal(sd, 1)} singular values exceed a tenth "
    text += f"of the largest{verdict}"
    null = inputs.count_at("raw", "null_mean", 0.1)
    if null is not None:
        fewer = "fewer than" if mean < 0.9 * null else "no fewer than"
        text += f", {fewer} the {count(null)} of white noise of the same row norms"
    low, high = (inputs.count_at("raw", "mean", share) for share in (0.05, 0.15))
    if low is not None and high is not None:
        moves = "the count is the threshold's doing" if low > 2 * high else "the threshold hardly moves it"
        text += (
            f"; {moves}: {count(low)} at 0.05 and {count(high)} at 0.15 (the post: about {POST[0.05]:g} and "
        )
        text += f"{POST[0.15]:g})"
    return text + "."


def plateau(inputs: DigitInputs) -> str:
    """Where the count stands still over a range of thresholds, beside the null there; empty where it never does."""
    means, nulls, shares = inputs.counts("raw", "mean"), inputs.counts("raw", "null_mean"), inputs.thresholds
    sampled = finite(dig(inputs.analysis, "counts", "sampled")) or 0
    for place in range(len(shares) - 1, 0, -1):
        here, before = (means[i] if i < len(means) else None for i in (place, place - 1))
        if here is None or before is None or not 1.5 <= here <= 0.9 * sampled or before > 1.05 * here:
            continue
        text = f"Between {short(shares[place - 1])} and {short(shares[place])} of the largest the count stands still, "
        text += f"at {decimal(here, 1)}"
        if place < len(nulls) and nulls[place] is not None:
            text += f" (white noise falls from {count(nulls[place - 1])} to {count(nulls[place])} there)"
        return text + "."
    return ""


def residual(inputs: DigitInputs) -> str:
    """What is left of the other updates' gradients outside the span of 300 sampled ones."""
    samples = dig(inputs.analysis, "residual", "samples") or {}
    sizes = finites(samples.get("sampled"))
    if not any(sizes):
        return "What sampled updates leave of the others."
    place = min(range(len(sizes)), key=lambda i: abs((sizes[i] or 0) - _OF_SAMPLES))

    def at(figure: str) -> float | None:
        values = finites(samples.get(figure))
        return values[place] if place < len(values) else None

    text = f"The span of {count(sizes[place])} sampled updates leaves {decimal(at('mean'))} of the energy of the "
    text += f"others' gradients, where a random span would leave {decimal(at('noise'))}"
    signal = at("signal_mean")
    if signal is None:
        return text + "."
    own = (
        "most of what is left is noise of the minibatches, as" if signal < 0.5 * (at("mean") or 0) else "and"
    )
    left = decimal(signal) if signal > 0 else "nothing measurable"
    return f"{text}; {own} it leaves {left} of their noise-free part."


def epochs(residuals: dict[str, Any]) -> str:
    """What epoch 1's directions leave of epoch 2, beside directions of epoch 2 itself."""
    ranks, first, same = (finites(residuals.get(name)) for name in ("ranks", "epoch_1", "same_epoch"))
    known = [
        (r, a, b)
        for r, a, b in zip(ranks, first, same, strict=False)
        if r and a is not None and b is not None
    ]
    if not known:
        return "What directions of epoch 1 leave of the gradients of epoch 2."
    rank, of_first, of_same = known[-1]
    widest = max(known, key=lambda entry: entry[1] - entry[2])
    gap = widest[1] - widest[2]
    verdict = (
        "Epoch 2 goes over the directions of epoch 1" if gap <= 0.1 else "Epoch 2 has directions of its own"
    )
    text = f"{verdict}: {count(rank)} directions of epoch 1 leave {decimal(of_first)} of its held-out gradients, as "
    text += f"many of its own other updates {decimal(of_same)}"
    if widest[0] == rank or gap <= 0:
        return text + "."
    return f"{text}; the gap is widest at {count(widest[0])}, {decimal(widest[1])} and {decimal(widest[2])}."


def turning(inputs: DigitInputs) -> str:
    """How many directions turn with a digit or a confusion, beside how many would by chance."""
    tested = dig(inputs.analysis, "turning") or {}
    p_values = [p for p in finites(tested.get("p_value")) if p is not None]
    if not p_values:
        return "Whether directions turn with digits was not tested."
    found = sum(p <= _CHANCE for p in p_values)
    expected, chance = finite(tested.get("found_null")), finite(tested.get("found_p"))
    told = "moves" if found == 1 else "move"
    text = (
        f"{found} of the {len(p_values)} strongest directions {told} with the accuracy of a digit or with a confusion "
        f"at p of at most {_CHANCE}"
    )
    if expected is None or chance is None:
        return f"{text}, where {decimal(_CHANCE * len(p_values), 1)} would by chance."
    verdict = "more than" if chance <= _CHANCE and found > expected else "which cannot be told from"
    return f"{text}, {verdict} the {decimal(expected, 1)} of permuted profiles (p = {short(chance)})."


def turns(tested: dict[str, Any]) -> str:
    """How many turns of profiles fall on a turn of behaviour, beside turns a little earlier or later."""
    both = finite(tested.get("coinciding")), finite(tested.get("turns"))
    null, p = finite(tested.get("coinciding_null")), finite(tested.get("coinciding_p"))
    if both[0] is None or both[1] is None:
        return "When profiles, accuracies and confusions turn."
    text = f"{count(both[0])} of the {count(both[1])} turns of these profiles fall on a turn of a digit or confusion"
    if null is None or p is None:
        return text + "."
    verdict = "more than" if p <= _CHANCE and both[0] > null else "no more than can come of"
    text += f", {verdict} the {decimal(null, 1)} of the same turns a little earlier or later (p = {short(p)})"
    covered = finite(tested.get("covered"))
    return f"{text}." if covered is None else f"{text}; {percent(covered)} of all times lie that near to one."


def pictures(drawn: Sequence[LayerPicture]) -> str:
    """How much of the first layer's part of a direction is one image, and how far θ moved along it, beside controls."""
    strongest = [picture for picture in drawn if picture.name.startswith("direction ")]
    controls = {picture.name: picture for picture in drawn if picture not in strongest}
    shares = [picture.share for picture in strongest if picture.share is not None]
    text = f"The first layer's filters in the {len(strongest)} strongest directions"
    if shares:
        text = f"One image holds {percent(min(shares))} to {percent(max(shares))} of the first layer's part of each of "
        text += f"the {len(strongest)} strongest directions"
        told = ((f"a {name}", controls[name].share) for name in (MIXTURE, RANDOM) if name in controls)
        beside = [f"{percent(share)} of {name}'s" for name, share in told if share is not None]
        text += f" ({', '.join(beside)})" if beside else ""
    moved = [(picture.moved, picture.name) for picture in strongest if picture.moved is not None]
    if not moved or RANDOM not in controls:
        return text + "."
    along, name = max(moved)
    random = decimal(controls[RANDOM].moved, 4)
    text += f"; θ moved most along {name}, {decimal(along)} of its whole way"
    return f"{text}, and {decimal(moved[0][0], 4)} along the strongest (a random direction has {random})."
