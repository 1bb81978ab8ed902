"""Small changes of levels, each a pure function of (levels, seed), and none that spoils a level.

After jaxgmg (Farrugia-Roberts et al. 2025, arXiv 2507.03068): toggle a wall, move the mouse or a thing anywhere, or
by one step. A change is kept if each free cell can still be reached from each other, and if some walk is paid; else it
is drawn again, and a level for which none was found stays as it was.
"""

from collections.abc import Callable

import numpy as np

from .counter_random import below, random_word, stream_keys
from .first_pay import solvable
from .ground import Ground
from .levels import ABSENT, Levels
from .moves import next_cells
from .solver import connected

_STREAM = 31
_DRAWS = 32
_Change = Callable[[Levels, np.ndarray], Levels]
"""Levels and their stream keys (L,) to changed levels."""


def toggle_wall(levels: Levels, seed: int) -> Levels:
    """Build a wall in one empty cell of every level, or take one away; every cell alike, if it may be changed."""
    return _kept(_toggled, levels, _keys(levels, seed, 0))


def move_mouse(levels: Levels, seed: int) -> Levels:
    """Move the mouse of every level to a uniformly drawn empty cell."""
    return _kept(_displaced("mouse", near=False), levels, _keys(levels, seed, 1))


def move_thing(levels: Levels, seed: int, name: str) -> Levels:
    """Move a thing of every level to a uniformly drawn empty cell; one drawn cell of a thing that takes several.

    Raises:
        ValueError: the world has no such thing, or it walks.
    """
    _check_name(levels, name)
    return _kept(_displaced(name, near=False), levels, _keys(levels, seed, 2))


def step_mouse(levels: Levels, seed: int) -> Levels:
    """Move the mouse of every level to a uniformly drawn empty neighbour of its cell."""
    return _kept(_displaced("mouse", near=True), levels, _keys(levels, seed, 3))


def step_thing(levels: Levels, seed: int, name: str) -> Levels:
    """Move a thing of every level to a uniformly drawn empty neighbour of its cell.

    Raises:
        ValueError: the world has no such thing, or it walks.
    """
    _check_name(levels, name)
    return _kept(_displaced(name, near=True), levels, _keys(levels, seed, 4))


def mutated(levels: Levels, seed: int, times: int = 1) -> Levels:
    """Change every level `times` times, each time by a mutator drawn anew: a wall, or mouse or thing moved.

    Half of the draws toggle a wall; the others move the mouse or a thing, half of those by one step. A thing that walks
    stays on its way.
    """
    if times < 0:
        raise ValueError(f"times is {times}: give 0 or more")
    names = ["mouse", *(thing.name for thing in levels.world.things if not thing.walks)]
    changes = [_displaced(name, near=near) for name in names for near in (False, True)]
    changes += [_toggled] * len(changes)
    for time in range(times):
        keys = _keys(levels, seed, 5, time)
        drawn = below(random_word(keys, 0), np.full(len(levels), len(changes)))
        for change in dict.fromkeys(changes):
            mine = np.array([other is change for other in changes])[drawn]
            if mine.any():
                part = _kept(change, levels.take(mine), stream_keys(_STREAM, keys[mine]))
                levels = _with(levels, np.flatnonzero(mine), part)
    return levels


def _kept(change: _Change, levels: Levels, keys: np.ndarray) -> Levels:
    pending = np.arange(len(levels))
    for draw in range(_DRAWS):
        if not len(pending):
            break
        tried = change(levels.take(pending), stream_keys(keys[pending], draw))
        fine = connected(tried.walls)
        fine[fine] = solvable(tried.take(fine))
        levels = _with(levels, pending[fine], tried.take(fine))
        pending = pending[~fine]
    return levels


def _toggled(levels: Levels, keys: np.ndarray) -> Levels:
    ground = Ground(levels.walls, keys, levels.world.corner_size)
    cells = ground.cell(0, ~_holding(levels))
    walls = levels.walls.reshape(len(levels), -1).copy()
    there = np.flatnonzero(cells >= 0)
    walls[there, cells[there]] ^= True
    return Levels(levels.world, walls.reshape(levels.walls.shape), levels.mouse, levels.places)


def _displaced(name: str, *, near: bool) -> _Change:
    """Of `mouse` or a thing, anywhere or near."""

    def change(levels: Levels, keys: np.ndarray) -> Levels:
        ground = Ground(levels.walls, keys, levels.world.corner_size)
        rows = np.arange(len(levels))
        own = levels.mouse[:, None] if name == "mouse" else levels.places[name]
        # Which of a thing's cells: a uniform one of those that it has.
        has = own != ABSENT
        rank = below(random_word(keys, 1), np.maximum(has.sum(1), 1))
        which = (np.cumsum(has, axis=1) <= rank[:, None]).sum(1).clip(max=own.shape[1] - 1)
        here = own[rows, which]
        allowed = ground.free & ~_holding(levels)
        if near:
            neighbours = np.zeros_like(allowed)
            neighbours[rows[:, None], next_cells(levels.walls)[rows, here.clip(min=0)]] = True
            allowed &= neighbours
        cells = ground.cell(0, allowed)
        cells = np.where((cells >= 0) & (here != ABSENT), cells, here)
        if name == "mouse":
            return Levels(levels.world, levels.walls, cells, levels.places)
        places = {thing: there.copy() for thing, there in levels.places.items()}
        places[name][rows, which] = cells
        return Levels(levels.world, levels.walls, levels.mouse, places)

    return change


def _holding(levels: Levels) -> np.ndarray:
    """Which cells hold the mouse or a thing, (L, n²) bool."""
    held = np.zeros((len(levels), levels.size**2), dtype=bool)
    held[np.arange(len(levels)), levels.mouse] = True
    for cells in levels.places.values():
        level, column = np.nonzero(cells != ABSENT)
        held[level, cells[level, column]] = True
    return held


def _with(levels: Levels, where: np.ndarray, part: Levels) -> Levels:
    """The levels with those at `where` replaced."""
    walls, mouse = levels.walls.copy(), levels.mouse.copy()
    walls[where], mouse[where] = part.walls, part.mouse
    places = {name: cells.copy() for name, cells in levels.places.items()}
    for name, cells in places.items():
        cells[where] = part.places[name]
    return Levels(levels.world, walls, mouse, places)


def _keys(levels: Levels, *parts: int) -> np.ndarray:
    """A stream per level by its number in the batch: copies of one level change in different ways."""
    return stream_keys(_STREAM, *parts, np.arange(len(levels)))


def _check_name(levels: Levels, name: str) -> None:
    names = [thing.name for thing in levels.world.things if not thing.walks]
    if name not in names:
        raise ValueError(f"name is {name!r}: the world {levels.world.name!r} has {', '.join(names)}")
