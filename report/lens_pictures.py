"""What parameter eigenvectors measure, as pictures: most and least active inputs, and the gradient in the input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .inputs import dig
from .page import Exhibit
from .pictures import coloured, data_uri, data_uri_of
from .style import DIGIT_COLOURS, INK, decimal, finite, short
from .templates import render

_WALL, _FREE = (0xC5, 0xCA, 0xD3), (0xFF, 0xFF, 0xFF)
_THINGS = (INK, "#c77700", *DIGIT_COLOURS[2:], *DIGIT_COLOURS[:2])
_COLOUR_NAMES = ("black", "amber", "green", "red", "violet", "brown", "pink", "grey", "olive")
"""Colours of the mouse and of what else lies in a maze, in the order of the planes; what they are called."""


@dataclass(frozen=True)
class Shown:
    """One picture: what stands above it, its source, and what stands below."""

    above: str
    source: str
    below: str


@dataclass(frozen=True)
class Measured:
    """A line of pictures: what a direction is, what is told of it, and its pictures."""

    name: str
    said: str
    pictures: Sequence[Shown]


def measured(figures: Mapping[str, Any], planes: Sequence[str] = ()) -> list[Exhibit]:
    """A line of pictures per leading eigenvector, last that of a random direction; none where none was kept.

    Args:
        figures: of the lens `curvature`.
        planes: names of a maze's planes, in order; of digits and of game pictures none.
    """
    rows = [row for row in figures.get("measures") or [] if isinstance(row, dict)]
    drawn = [(f"eigenvector {number}", row) for number, row in enumerate(rows, start=1) if _is_pictured(row)]
    if not drawn:
        return []
    beside = figures.get("measure_random")
    if beside and _is_pictured(beside):
        drawn.append(("random direction", beside))
    lines = [Measured(name, _said(row), _pictures(row, planes)) for name, row in drawn]
    caption = (
        "What the leading eigenvectors measure: the inputs on which an output moves most when θ moves along one "
        "(u is the output's change), those on which it moves least, and the gradient of u in the most active "
        "input, amber where more of it raises u. An eigenvector is about something where its inputs are alike and "
        "a label explains more of u than it does along a random direction, the control in the last line."
    )
    key = []
    if planes:
        things = [name for name in planes if name != "walls"]
        key = [("none", f"{name}: {colour}") for name, colour in zip(things, _COLOUR_NAMES, strict=False)]
    return [Exhibit(caption, key=key, block=render("measured.html", lines=lines))]


def picture(values: Any, planes: Sequence[str] = ()) -> np.ndarray | None:
    """An input as pixels (height, width, 3) uint8; None where it is no picture.

    Args:
        values: (planes, height, width).
        planes: names of a maze's planes; without them one plane is grey and three are red, green, blue.
    """
    stack = np.asarray(values, dtype=float)
    if stack.ndim != 3 or (len(stack) not in (1, 3) and not planes):
        return None
    if not planes:
        low, high = stack.min(), max(stack.max(), stack.min() + 1e-12)
        pixels = (255 * (stack - low) / (high - low)).round().astype(np.uint8)
        return (
            np.repeat(255 - pixels, 3, 0).transpose(1, 2, 0) if len(stack) == 1 else pixels.transpose(1, 2, 0)
        )
    painted = np.full((*stack.shape[1:], 3), _FREE, dtype=np.uint8)
    named = dict(zip(planes, stack, strict=False))
    painted[named.get("walls", np.zeros(stack.shape[1:])) > 0.5] = _WALL
    things = [plane for name, plane in named.items() if name != "walls"]
    for colour, plane in reversed(list(zip(_THINGS, things, strict=False))):
        painted[plane > 0.5] = tuple(bytes.fromhex(colour.removeprefix("#")))
    return painted


def gradients(values: Any, planes: Sequence[str] = ()) -> list[tuple[str, np.ndarray]]:
    """A gradient in the input as signed images (height, width), one scale for all: of a maze each plane, else one."""
    stack = np.asarray(values, dtype=float)
    if stack.ndim != 3:
        return []
    if planes:
        return list(zip(planes, stack, strict=False))
    return [("gradient", stack.mean(0))]


def _is_pictured(row: Mapping[str, Any]) -> bool:
    return any("picture" in one for one in row.get("most") or [])


def _pictures(row: Mapping[str, Any], planes: Sequence[str]) -> list[Shown]:
    shown = []
    for end in ("most", "least"):
        for place, one in enumerate(row.get(end) or []):
            pixels = picture(one["picture"], planes) if "picture" in one else None
            if pixels is not None:
                above = f"{end} active" if not place else ""
                label = f"{one['digit']}, " if "digit" in one else ""
                shown.append(Shown(above, data_uri_of(pixels), f"{label}u {short(one.get('u'), 2)}"))
    images = gradients(row.get("image"), planes)
    largest = max((float(np.abs(image).max()) for _, image in images), default=0.0)
    for place, (name, image) in enumerate(images):
        source = data_uri_of(coloured(image, largest)) if planes else data_uri(image)
        shown.append(Shown("gradient" if not place else "", source, name if planes else ""))
    return shown


def _said(row: Mapping[str, Any]) -> str:
    """E[uᵀBu], and the label that explains most of u beside what it explains by chance."""
    told = [f"strength {short(row.get('strength'))}"]
    labels = {name: finite(share) for name, share in (row.get("labels") or {}).items()}
    known = {name: share for name, share in labels.items() if share is not None}
    if known:
        best = max(known, key=lambda name: known[name])
        chance = dig(row, "labels_null", best)
        told.append(f"{best} explains {decimal(known[best])} of u (shuffled {decimal(chance)})")
    return "; ".join(told)
