"""What the things of a maze look like: shapes in a unit square, painted in layers, and their colours.

A thing is known by its name less the number at its end: `key_2` is a key. A colour in a name colours its shape
(`red_gem`, `yellow_line`), and a thing of no known kind is a plain token in a colour of its own.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .shapes import Shape, box, disc, less, polygon, union

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "yellow": (240, 180, 41),
    "red": (206, 52, 58),
    "green": (66, 148, 92),
    "blue": (52, 104, 190),
    "purple": (142, 90, 200),
    "orange": (230, 126, 34),
    "white": (250, 250, 250),
    "black": (36, 38, 46),
}
"""Words of a thing's name that are its colour."""
MOUSE_COLOUR, CHEESE_COLOUR = (92, 128, 172), (240, 180, 41)
_NUMBERED: tuple[Colour, ...] = (
    (196, 62, 110),
    (32, 138, 150),
    (214, 112, 30),
    (98, 84, 184),
    (110, 140, 40),
)
_UNKNOWN: tuple[Colour, ...] = ((150, 84, 60), (52, 132, 132), (168, 72, 140), (96, 120, 48), (72, 88, 168))
# Samples per pixel side when the outlines are drawn: soft edges.
_SAMPLES = 4
# Below this many pixels a shape cannot be told from a blot: fill the cell.
SMALLEST_SHAPE = 8


@dataclass(frozen=True)
class Look:
    """How a thing is drawn.

    Attributes:
        colour: its main colour, which fills a cell too small for shapes.
        layers: a colour and a shape each, painted one over the other.
        ground: whether it lies under other things.
    """

    colour: Colour
    layers: tuple[tuple[Colour, Shape], ...]
    ground: bool = False


def kind_of(name: str) -> tuple[str, int]:
    """A thing's name less the number at its end, and that number or 0: `key_2` gives `key`, 2."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, 0)


@lru_cache(maxsize=256)
def look_of(name: str) -> Look:
    """The look of a thing by its name; `mouse` is the mouse."""
    kind, number = kind_of(name)
    words = kind.split("_")
    colour = next((COLOURS[word] for word in words if word in COLOURS), None)
    shape = "_".join(word for word in words if word not in COLOURS)
    # `lava_across` is lava.
    for known in (shape, *words):
        if known in _LOOKS:
            return _LOOKS[known](colour, number)
    return _token(colour or _UNKNOWN[zlib.crc32(kind.encode()) % len(_UNKNOWN)])


@lru_cache(maxsize=512)
def covers(name: str, cell: int) -> tuple[tuple[Colour, np.ndarray], ...]:
    """Each layer's colour, and what share of each pixel of a cell it covers, (cell, cell) in 0…1."""
    look = look_of(name)
    if cell < SMALLEST_SHAPE:
        return ((look.colour, np.ones((cell, cell))),)
    middles = (np.arange(cell * _SAMPLES) + 0.5) / (cell * _SAMPLES)
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return tuple(
        (colour, shape(y, x).reshape(cell, _SAMPLES, cell, _SAMPLES).mean(axis=(1, 3)))
        for colour, shape in look.layers
    )


def _lighter(colour: Colour, share: float = 0.4) -> Colour:
    red, green, blue = (round(part + (255 - part) * share) for part in colour)
    return red, green, blue


def _darker(colour: Colour, share: float = 0.35) -> Colour:
    red, green, blue = (round(part * (1 - share)) for part in colour)
    return red, green, blue


def _mouse(colour: Colour | None, number: int) -> Look:
    main = colour or MOUSE_COLOUR
    return Look(main, ((main, union(disc(0.58, 0.5, 0.27), disc(0.28, 0.27, 0.15), disc(0.28, 0.73, 0.15))),))


def _cheese(colour: Colour | None, number: int) -> Look:
    main = colour or CHEESE_COLOUR
    wedge: Shape = lambda y, x: (  # noqa: E731, a shape beside its name
        (y <= 0.86) & (y >= 0.86 - 0.72 * (x - 0.06) / 0.88) & (x >= 0.06) & (x <= 0.94)
    )
    return Look(main, ((main, less(wedge, disc(0.66, 0.62, 0.08), disc(0.5, 0.82, 0.06))),))


def _dish(colour: Colour | None, number: int) -> Look:
    main = colour or (132, 164, 196)
    return Look(
        main,
        ((main, disc(0.5, 0.5, 0.48)), ((222, 233, 243), disc(0.5, 0.5, 0.41)), (main, disc(0.5, 0.5, 0.29)),
         ((208, 222, 236), disc(0.5, 0.5, 0.265))),
        ground=True,
    )  # fmt: skip


def _star(colour: Colour | None, number: int) -> Look:
    main = colour or (142, 90, 200)
    return Look(main, ((main, polygon(*_star_points(0.47))), (_lighter(main), polygon(*_star_points(0.27)))))


def _star_points(radius: float) -> list[tuple[float, float]]:
    angles = np.pi * np.arange(10) / 5
    radii = np.where(np.arange(10) % 2, 0.42, 1.0) * radius
    return [(0.53 - r * np.cos(a), 0.5 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]


def _key(colour: Colour | None, number: int) -> Look:
    main = colour or (190, 128, 20)
    bow = less(disc(0.5, 0.27, 0.2), disc(0.5, 0.25, 0.085))
    blade = union(box(0.435, 0.565, 0.42, 0.93), box(0.5, 0.75, 0.8, 0.9), box(0.5, 0.7, 0.62, 0.72))
    return Look(main, ((main, union(bow, blade)),))


def _chest(colour: Colour | None, number: int) -> Look:
    main, metal = colour or (140, 86, 46), (228, 190, 92)
    return Look(
        main,
        (
            (_darker(main), union(box(0.34, 0.86, 0.1, 0.9), box(0.22, 0.4, 0.16, 0.84))),
            (main, union(box(0.5, 0.81, 0.15, 0.85), box(0.27, 0.44, 0.2, 0.8), box(0.36, 0.44, 0.15, 0.85))),
            (metal, box(0.4, 0.62, 0.41, 0.59)),
            (_darker(main, 0.7), union(disc(0.49, 0.5, 0.045), box(0.49, 0.57, 0.475, 0.525))),
        ),
    )


def _open_chest(colour: Colour | None, number: int) -> Look:
    main, metal = colour or (140, 86, 46), (228, 190, 92)
    return Look(
        _darker(main),
        (
            (_darker(main), union(box(0.5, 0.86, 0.1, 0.9), box(0.1, 0.36, 0.16, 0.84))),
            (main, union(box(0.6, 0.81, 0.15, 0.85), box(0.15, 0.31, 0.21, 0.79))),
            (_darker(main, 0.75), box(0.36, 0.55, 0.14, 0.86)),
            (metal, box(0.6, 0.7, 0.43, 0.57)),
        ),
    )


def _guide(colour: Colour | None, number: int) -> Look:
    main = colour or (66, 148, 92)
    body = polygon((0.44, 0.4), (0.44, 0.6), (0.9, 0.82), (0.9, 0.18))
    band = (_lighter(main, 0.75), box(0.43, 0.51, 0.33, 0.67))
    return Look(main, ((main, union(body, disc(0.28, 0.5, 0.19))), band))


def _beacon(colour: Colour | None, number: int) -> Look:
    main = colour or _NUMBERED[(number - 1) % len(_NUMBERED)]
    tower = polygon((0.36, 0.38), (0.36, 0.62), (0.92, 0.76), (0.92, 0.24))
    # As many stripes as its number, up to five: told apart without colours too.
    count = min(number, 5)
    tops = 0.43 + 0.47 * np.arange(count) / max(count, 3)
    stripes = union(*(box(top, top + 0.28 / max(count, 3), 0.0, 1.0) for top in tops), disc(2, 2, 0))
    layers: list[tuple[Colour, Shape]] = [
        ((255, 206, 84), union(disc(0.22, 0.5, 0.2))),
        (main, union(tower, box(0.32, 0.4, 0.3, 0.7), box(0.07, 0.12, 0.38, 0.62))),
        ((250, 246, 240), lambda y, x: tower(y, x) & stripes(y, x)),
    ]
    return Look(main, tuple(layers))


def _lava(colour: Colour | None, number: int) -> Look:
    main = colour or (214, 70, 32)

    def wave(middle: float) -> Shape:
        # A whole period across the cell, so that neighbouring cells flow into one another.
        return lambda y, x: np.abs(y - middle - 0.07 * np.sin(2 * np.pi * x)) <= 0.055

    return Look(
        main,
        (
            (main, box(0.0, 1.0, 0.0, 1.0)),
            ((250, 160, 50), union(wave(0.25), wave(0.75))),
            (_darker(main, 0.25), union(disc(0.5, 0.3, 0.07), disc(0.52, 0.72, 0.045))),
        ),
        ground=True,
    )


def _line(colour: Colour | None, number: int) -> Look:
    main = colour or (206, 52, 58)
    bar = polygon((0.74, 0.06), (0.94, 0.26), (0.26, 0.94), (0.06, 0.74))
    edge = polygon((0.74, 0.06), (0.79, 0.11), (0.11, 0.79), (0.06, 0.74))
    return Look(main, ((main, bar), (_lighter(main), edge)))


def _gem(colour: Colour | None, number: int) -> Look:
    main = colour or (206, 52, 58)
    outline = polygon((0.14, 0.28), (0.14, 0.72), (0.38, 0.94), (0.92, 0.5), (0.38, 0.06))
    left = polygon((0.38, 0.06), (0.38, 0.34), (0.92, 0.5))
    right = polygon((0.38, 0.66), (0.38, 0.94), (0.92, 0.5))
    table = polygon((0.14, 0.28), (0.14, 0.72), (0.38, 0.66), (0.38, 0.34))
    return Look(
        main, ((main, outline), (_lighter(main), left), (_darker(main), right), (_lighter(main, 0.65), table))
    )


def _token(main: Colour) -> Look:
    square = polygon((0.5, 0.06), (0.94, 0.5), (0.5, 0.94), (0.06, 0.5))
    middle = polygon((0.5, 0.26), (0.74, 0.5), (0.5, 0.74), (0.26, 0.5))
    return Look(main, ((main, square), (_lighter(main, 0.55), middle)))


_LOOKS: dict[str, Callable[[Colour | None, int], Look]] = {
    "mouse": _mouse,
    "cheese": _cheese,
    "dish": _dish,
    "star": _star,
    "key": _key,
    "chest": _chest,
    "open_chest": _open_chest,
    "chest_open": _open_chest,
    "guide": _guide,
    "beacon": _beacon,
    "lava": _lava,
    "line": _line,
    "gem": _gem,
}
