"""Levels as text, to read, to draw by hand and to paste into a report."""

import numpy as np

from .levels import Level

WALL, FREE, MOUSE, CHEESE, BOTH = "#", ".", "M", "C", "*"


def render(level: Level) -> str:
    """Draw a level, one line per row of cells, row 0 first; no newline at the end.

    Walls are `#`, free cells `.`, the mouse `M`, the cheese `C`, mouse and cheese on one cell `*`.

    Raises:
        ValueError: an object lies in a wall, which no symbol can show.
    """
    for name, cell in (("mouse", level.mouse), ("cheese", level.cheese)):
        if level.walls[cell]:
            raise ValueError(f"the {name} lies in the wall at {cell}: put it on a free cell")
    symbols = np.where(level.walls, WALL, FREE)
    symbols[level.cheese] = CHEESE
    symbols[level.mouse] = BOTH if level.mouse == level.cheese else MOUSE
    return "\n".join("".join(row) for row in symbols)


def parse(text: str) -> Level:
    """Read a level that `render` gave or a hand drew; any square layout of walls will do.

    Blank lines before and after, and spaces around the lines, are ignored.

    Raises:
        ValueError: no cells, not a square, an unknown symbol, or not exactly one mouse and one cheese.
    """
    rows = [line.strip() for line in text.strip().splitlines()]
    if not rows:
        raise ValueError("the level is empty: draw at least one row of cells")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows):
            raise ValueError(
                f"row {number} of the level has {len(row)} cells, but there are {len(rows)} rows: draw a square"
            )
        for column, symbol in enumerate(row, start=1):
            if symbol not in (WALL, FREE, MOUSE, CHEESE, BOTH):
                raise ValueError(
                    f"row {number}, column {column} of the level is {symbol!r}: use {WALL} wall, {FREE} free, "
                    f"{MOUSE} mouse, {CHEESE} cheese, {BOTH} mouse and cheese"
                )
    symbols = np.array([list(row) for row in rows])
    mouse = _only_cell(symbols, MOUSE, "mouse")
    cheese = _only_cell(symbols, CHEESE, "cheese")
    return Level(symbols == WALL, mouse, cheese)


def _only_cell(symbols: np.ndarray, symbol: str, name: str) -> tuple[int, int]:
    cells = np.argwhere((symbols == symbol) | (symbols == BOTH)).tolist()
    if len(cells) != 1:
        raise ValueError(
            f"the level has {len(cells) or 'no'} {name} ({symbol}, or {BOTH} for both on one cell): draw exactly one"
        )
    row, column = cells[0]
    return row, column
