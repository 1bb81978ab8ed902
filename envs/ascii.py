"""Levels as text, to read, to draw by hand and to paste into a report."""

import string
from itertools import pairwise

import numpy as np

from .levels import MOVES, STEPS, Cell, Level
from .looks import kind_of
from .world import Thing, World
from .worlds.cheese_in_corner import CheeseInCorner

WALL, FREE, MOUSE, BOTH = "#", ".", "M", "*"
_CHEESE = "C"
_STACKS = string.digits[1:] + string.ascii_lowercase + "0"
"""Stand for a cell with several things; what is on it follows below the level: `1 = C D`."""
_MOVES, _STAY = "".join(move[0] for move in MOVES), "."
"""How the way of a thing that walks is written, below the level: `G: uurr.`; its symbol marks where it starts."""


def render(level: Level, world: World | None = None) -> str:
    """Draw a level, one line per row of cells, row 0 first; no newline at the end.

    Walls are `#`, free cells `.`, the mouse `M`, things as their world has them (cheese `C`), mouse and cheese on one
    cell `*`. Other cells with more than one thing are numbered, and lines below say what is on them: `1 = C D`. So
    are things that share a symbol and whose reading order would not tell them apart, by their names: `2 = key_3`. Of a
    thing that walks the first cell is drawn, and a line below says how it goes on: `G: uur..`, up, up, right, and two
    steps in place.

    Args:
        level: any level.
        world: whose things it holds; default cheese in the corner.

    Raises:
        ValueError: a thing lies in a wall, is none of the world's, or walks and leaps.
    """
    world = _world(world)
    known = _symbols(world)
    walking = {thing.name for thing in world.things if thing.walks}
    on: dict[Cell, list[str]] = {level.mouse: [MOUSE]}
    words = _words(level, world)
    for name, cells in level.things.items():
        if name not in words:
            raise ValueError(f"a {name} lies in the level: give the world that it is of")
        for cell in cells[:1] if name in walking else cells:
            on.setdefault(cell, []).append(words[name])
    symbols, legend = np.where(level.walls, WALL, FREE), []
    free = [symbol for symbol in _STACKS if symbol not in known]
    for cell in sorted(on):
        if level.walls[cell]:
            name = next((name for name, cells in level.things.items() if cell in cells), "mouse")
            raise ValueError(f"the {name} lies in the wall at {cell}: put it on a free cell")
        stack = on[cell]
        if len(stack) == 1 and len(stack[0]) == 1:
            symbols[cell] = stack[0]
        elif stack == [MOUSE, _CHEESE] and BOTH not in known:
            symbols[cell] = BOTH
        else:
            if len(legend) == len(free):
                raise ValueError(f"more than {len(free)} cells hold several things: too many to draw")
            symbols[cell] = free[len(legend)]
            legend.append(f"{symbols[cell]} = {' '.join(stack)}")
    legend += [
        f"{words[name]}: {_moves(name, cells)}"
        for name, cells in level.things.items()
        if name in walking and len(cells) > 1
    ]
    return "\n".join(["".join(row) for row in symbols] + legend)


def parse(text: str, world: World | None = None) -> Level:
    """Read a level that `render` gave or a hand drew; any square layout of walls will do.

    Blank lines before and after, and spaces around the lines, are ignored. Things that share a symbol are told apart
    in reading order, unless a line below names them.

    Args:
        text: the drawing.
        world: whose things are drawn; default cheese in the corner, which wants exactly one cheese.

    Raises:
        ValueError: no cells, not a square, an unknown symbol, not exactly one mouse, or too many of a thing.
    """
    world = _world(world)
    known = _symbols(world)
    lines = [line.strip() for line in text.strip().splitlines()]
    ways = {symbol: way for line in lines for symbol, way in [_way_line(line)] if symbol in known}
    rows = [line for line in lines if not _is_legend(line, known) and _way_line(line)[0] not in known]
    if not rows:
        raise ValueError("the level is empty: draw at least one row of cells")
    stacks = {} if BOTH in known else {BOTH: [MOUSE, _CHEESE]}
    names = {thing.name for thing in world.things}
    for line in lines:
        if _is_legend(line, known):
            symbol, _, what = line.partition("=")
            stacks[symbol.strip()] = what.split()
            for word in what.split():
                if word not in (MOUSE, *known, *names):
                    raise ValueError(
                        f"{line!r} below the level has {word!r}: use {_choices(known, stacks=False)}"
                    )
    found: dict[str, list[Cell]] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows):
            raise ValueError(
                f"row {number} of the level has {len(row)} cells, but there are {len(rows)} rows: draw a square"
            )
        for column, symbol in enumerate(row, start=1):
            for one in stacks.get(symbol, [symbol]):
                if one not in (WALL, FREE, MOUSE, *known, *names) or (len(one) > 1 and symbol not in stacks):
                    raise ValueError(
                        f"row {number}, column {column} of the level is {one!r}: use {WALL} wall, {FREE} free, "
                        f"{_choices(known)}"
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


def _symbols(world: World) -> dict[str, str]:
    """Symbol → what kind of thing it stands for."""
    known = {thing.symbol: kind_of(thing.name)[0] for thing in world.things}
    for symbol in known:
        if len(symbol) != 1 or symbol.isspace() or symbol in (WALL, FREE, MOUSE):
            raise ValueError(
                f"a {known[symbol]} of the world {world.name!r} is drawn as {symbol!r}: give it one character that is "
                f"none of {WALL} {FREE} {MOUSE}"
            )
    return known


def _drawn(thing: Thing) -> int:
    """The most of its cells that are drawn: of a way, only where it starts."""
    return 1 if thing.walks else thing.count


def _way_line(line: str) -> tuple[str, str]:
    """Symbol and moves of a line that tells a way, `G: uurr.`; no symbol where it is none."""
    symbol, colon, way = line.partition(":")
    return (symbol.strip(), way.strip()) if colon else ("", "")


def _words(level: Level, world: World) -> dict[str, str]:
    """Thing → its symbol, or its name where reading order would take it for another."""
    given = {thing.name: set(level.things.get(thing.name, ())[: _drawn(thing)]) for thing in world.things}
    by_symbol: dict[str, list[Cell]] = {}
    for thing in world.things:
        by_symbol.setdefault(thing.symbol, []).extend(given[thing.name])
    left = {symbol: sorted(cells) for symbol, cells in by_symbol.items()}
    wrong = set()
    for thing in world.things:
        cells = left[thing.symbol]
        if set(cells[: _drawn(thing)]) != given[thing.name]:
            wrong.add(thing.symbol)
        left[thing.symbol] = cells[_drawn(thing) :]
    return {thing.name: thing.name if thing.symbol in wrong else thing.symbol for thing in world.things}


def _things(found: dict[str, list[Cell]], world: World) -> dict[str, tuple[Cell, ...]]:
    things: dict[str, tuple[Cell, ...]] = {}
    left = {symbol: list(cells) for symbol, cells in found.items()}
    for thing in world.things:
        # One letter is a symbol; longer words are names.
        named = left.get(thing.name, []) if len(thing.name) > 1 else []
        if len(named) > thing.count:
            raise ValueError(f"the level has {len(named)} of {thing.name}: draw at most {thing.count}")
        cells, room = left.get(thing.symbol, []), _drawn(thing) - len(named)
        things[thing.name] = tuple(sorted(named + cells[:room]))
        left[thing.symbol] = cells[room:]
        if thing.name in world.needed and not things[thing.name]:
            raise ValueError(f"the level has no {thing.name} ({thing.symbol}): draw exactly one")
    for thing in world.things:
        if left[thing.symbol]:
            most, name = len(found[thing.symbol]) - len(left[thing.symbol]), kind_of(thing.name)[0]
            raise ValueError(
                f"the level has {len(found[thing.symbol])} {name} ({thing.symbol}): draw "
                f"{'exactly one' if most == 1 else f'at most {most}'}"
            )
    return things


def _is_legend(line: str, known: dict[str, str]) -> bool:
    return " = " in line or ("=" in line and "=" not in known)


def _choices(known: dict[str, str], *, stacks: bool = True) -> str:
    things = [f"{MOUSE} mouse", *(f"{symbol} {kind}" for symbol, kind in known.items())]
    if stacks and known.get(_CHEESE) == "cheese" and BOTH not in known:
        things.append(f"{BOTH} mouse and cheese")
    return ", ".join(things)


def _world(world: World | None) -> World:
    return CheeseInCorner() if world is None else world
