"""Levels as text, to read, to draw by hand and to paste into a report."""

from itertools import pairwise

import numpy as np

from .levels import MOVES, STEPS, Cell, Level
from .world import Thing, World
from .worlds.cheese_in_corner import CheeseInCorner

WALL, FREE, MOUSE, BOTH = "#", ".", "M", "*"
_STACKS = "123456789"
"""Stand for a cell with several things; what is on it follows below the level: `1 = C D`."""
_MOVES, _STAY = "".join(move[0] for move in MOVES), "."
"""How the way of a thing that walks is written, below the level: `G: uurr.`; its symbol marks where it starts."""


def render(level: Level, world: World | None = None) -> str:
    """Draw a level, one line per row of cells, row 0 first; no newline at the end.

    Walls are `#`, free cells `.`, the mouse `M`, things as their world has them (cheese `C`), mouse and cheese on one
    cell `*`. Other cells with more than one thing are numbered, and lines below say what is on them: `1 = C D`. Of a
    thing that walks the first cell is drawn, and a line below says how it goes on: `G: uur..`, up, up, right, and two
    steps in place.

    Args:
        level: any level.
        world: whose things it holds; default cheese in the corner.

    Raises:
        ValueError: a thing lies in a wall, is none of the world's, or walks and leaps.
    """
    symbol_of = {thing.name: thing.symbol for thing in _world(world).things}
    walking = {thing.name for thing in _world(world).things if thing.walks}
    on: dict[Cell, list[str]] = {level.mouse: [MOUSE]}
    for name, cells in level.things.items():
        if name not in symbol_of:
            raise ValueError(f"a {name} lies in the level: give the world that it is of")
        for cell in cells[:1] if name in walking else cells:
            on.setdefault(cell, []).append(symbol_of[name])
    symbols, legend = np.where(level.walls, WALL, FREE), []
    for cell in sorted(on):
        if level.walls[cell]:
            name = (
                "mouse"
                if cell == level.mouse
                else next(n for n, cells in level.things.items() if cell in cells)
            )
            raise ValueError(f"the {name} lies in the wall at {cell}: put it on a free cell")
        stack = on[cell]
        if len(stack) == 1:
            symbols[cell] = stack[0]
        elif stack == [MOUSE, "C"]:
            symbols[cell] = BOTH
        else:
            if len(legend) == len(_STACKS):
                raise ValueError(f"more than {len(_STACKS)} cells hold several things: too many to draw")
            symbols[cell] = _STACKS[len(legend)]
            legend.append(f"{symbols[cell]} = {' '.join(stack)}")
    legend += [
        f"{symbol_of[name]}: {_moves(name, cells)}" for name, cells in level.things.items() if name in walking
    ]
    return "\n".join(["".join(row) for row in symbols] + legend)


def parse(text: str, world: World | None = None) -> Level:
    """Read a level that `render` gave or a hand drew; any square layout of walls will do.

    Blank lines before and after, and spaces around the lines, are ignored. Things that share a symbol are told apart
    in reading order.

    Args:
        text: the drawing.
        world: whose things are drawn; default cheese in the corner, which wants exactly one cheese.

    Raises:
        ValueError: no cells, not a square, an unknown symbol, not exactly one mouse, or too many of a thing.
    """
    world = _world(world)
    lines = [line.strip() for line in text.strip().splitlines()]
    rows = [line for line in lines if "=" not in line and ":" not in line]
    if not rows:
        raise ValueError("the level is empty: draw at least one row of cells")
    stacks = {BOTH: [MOUSE, "C"]}
    ways = {
        symbol.strip(): way.strip() for symbol, colon, way in (line.partition(":") for line in lines) if colon
    }
    for line in lines:
        if "=" in line:
            symbol, _, what = line.partition("=")
            stacks[symbol.strip()] = what.split()
    known = {thing.symbol: _kind(thing) for thing in world.things}
    found: dict[str, list[Cell]] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows):
            raise ValueError(
                f"row {number} of the level has {len(row)} cells, but there are {len(rows)} rows: draw a square"
            )
        for column, symbol in enumerate(row, start=1):
            for one in stacks.get(symbol, [symbol]):
                if one not in (WALL, FREE, MOUSE, *known):
                    things = ", ".join(f"{symbol} {name}" for symbol, name in known.items())
                    raise ValueError(
                        f"row {number}, column {column} of the level is {one!r}: use {WALL} wall, {FREE} free, "
                        f"{MOUSE} mouse, {things}, {BOTH} mouse and cheese"
                    )
                found.setdefault(one, []).append((number - 1, column - 1))
    mice = found.pop(MOUSE, [])
    if len(mice) != 1:
        raise ValueError(
            f"the level has {len(mice) or 'no'} mouse ({MOUSE}, or {BOTH} for mouse and cheese on one cell): draw "
            f"exactly one"
        )
    walls = np.array([[symbol == WALL for symbol in row] for row in rows])
    things = _things(found, world)
    walking = [thing for thing in world.things if thing.walks and things[thing.name]]
    return Level(
        walls, mice[0], things | {thing.name: _way(thing, things[thing.name][0], ways) for thing in walking}
    )


def _moves(name: str, cells: tuple[Cell, ...]) -> str:
    letters = {(int(down), int(right)): move for move, (down, right) in zip(_MOVES, STEPS, strict=True)} | {
        (0, 0): _STAY
    }
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(cells)]
    if not set(steps) <= set(letters):
        raise ValueError(f"the {name} leaps: give it a way from cell to cell")
    return "".join(letters[step] for step in steps)


def _way(thing: Thing, start: Cell, ways: dict[str, str]) -> tuple[Cell, ...]:
    """Its cells from the start on; at the end of the drawn way it stays."""
    steps = dict(zip(_MOVES, STEPS.tolist(), strict=True)) | {_STAY: [0, 0]}
    cells = [start]
    for move in ways.get(thing.symbol, ""):
        if move not in steps:
            raise ValueError(f"the way of {thing.name} has a {move!r}: use {', '.join(steps)}")
        cells.append((cells[-1][0] + steps[move][0], cells[-1][1] + steps[move][1]))
    if len(cells) > thing.count:
        raise ValueError(
            f"the way of {thing.name} has {len(cells) - 1} moves: draw at most {thing.count - 1}"
        )
    return (*cells, *[cells[-1]] * (thing.count - len(cells)))


def _things(found: dict[str, list[Cell]], world: World) -> dict[str, tuple[Cell, ...]]:
    things: dict[str, tuple[Cell, ...]] = {}
    left = {symbol: list(cells) for symbol, cells in found.items()}
    for thing in world.things:
        cells = left.get(thing.symbol, [])
        drawn = 1 if thing.walks else thing.count  # of a way, only where it starts
        things[thing.name] = tuple(cells[:drawn])
        left[thing.symbol] = cells[drawn:]
        if thing.name in world.needed and not things[thing.name]:
            raise ValueError(f"the level has no {thing.name} ({thing.symbol}): draw exactly one")
    for thing in world.things:
        if left[thing.symbol]:
            most, name = len(found[thing.symbol]) - len(left[thing.symbol]), _kind(thing)
            raise ValueError(
                f"the level has {len(found[thing.symbol])} {name} ({thing.symbol}): draw "
                f"{'exactly one' if most == 1 else f'at most {most}'}"
            )
    return things


def _kind(thing: Thing) -> str:
    """Its name without a number."""
    return thing.name.rstrip("0123456789").rstrip("_")


def _world(world: World | None) -> World:
    return CheeseInCorner() if world is None else world
