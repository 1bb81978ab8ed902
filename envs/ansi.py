"""Levels in the colours of a terminal: two characters a cell, so that cells are about square."""

import os

import numpy as np

from .ascii import render
from .frames import FLOOR, FLOOR_IN_CORNER, WALL, WALL_IN_CORNER
from .levels import Cell, Level, corner_region
from .looks import Colour, look_of
from .world import World
from .worlds.cheese_in_corner import CheeseInCorner

_RESET = "\x1b[0m"
_DARK, _LIGHT = (24, 26, 32), (255, 255, 255)


def ansi(
    level: Level, world: World | None = None, *, corner_size: int | None = None, colour: bool | None = None
) -> str:
    """Draw a level with 24-bit colour escapes, one line per row of cells; no newline at the end.

    A cell is two characters wide. Things show their symbol on their colour; where several share a cell, the last two
    show, the mouse last.

    Args:
        level: any level.
        world: whose things it holds; default cheese in the corner.
        corner_size: tint the corner region of this size; None tints nothing.
        colour: whether to colour; default unless the environment variable NO_COLOR is set (no-color.org). Without
            colour it is the text of `ascii.render`.

    Raises:
        ValueError: a thing that is none of the world's, a corner size that cannot be drawn.
    """
    world = CheeseInCorner() if world is None else world
    text = render(level, world)  # refuses what cannot be drawn
    size = len(level.walls)
    if corner_size is not None and not 1 <= corner_size <= size:
        raise ValueError(f"corner_size is {corner_size}: give 1 to the size of the maze, which is {size}")
    if colour is None:
        colour = not os.environ.get("NO_COLOR")
    if not colour:
        return text
    tinted = np.zeros((size, size), dtype=bool) if corner_size is None else corner_region(size, corner_size)
    on: dict[Cell, list[tuple[str, Colour]]] = {}
    # What lies under other things first, as in frames.
    for thing in sorted(world.things, key=lambda thing: not look_of(thing.name).ground):
        cells = level.things.get(thing.name, ())
        for cell in cells[:1] if thing.walks else cells:
            on.setdefault(cell, []).append((thing.symbol, look_of(thing.name).colour))
    on.setdefault(level.mouse, []).append(("M", look_of("mouse").colour))
    lines = []
    for row in range(size):
        line = ""
        for column in range(size):
            ground = ((FLOOR, WALL), (FLOOR_IN_CORNER, WALL_IN_CORNER))[int(tinted[row, column])][
                int(level.walls[row, column])
            ]
            match on.get((row, column), [])[-2:]:
                case []:
                    line += _painted("  ", ground)
                case [(symbol, back)]:
                    line += _painted(f"{symbol} ", back)
                case [(first, first_back), (second, second_back)]:
                    line += _painted(first, first_back) + _painted(second, second_back)
        lines.append(line + _RESET)
    return "\n".join(lines)


def _painted(text: str, back: Colour) -> str:
    if not text.strip():
        return f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m{text}"
    # Luma (ITU-R BT.601) tells which letters can be read.
    front = _DARK if 0.299 * back[0] + 0.587 * back[1] + 0.114 * back[2] > 140 else _LIGHT
    return (
        f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m\x1b[1;38;2;{front[0]};{front[1]};{front[2]}m{text}\x1b[22m"
    )
