"""Levels edited in code, and counterfactual sets: one maze with the mouse, or a thing, in every place."""

from dataclasses import replace

import numpy as np

from .levels import Cell, Level, Levels
from .world import World

Place = Cell | tuple[Cell, ...] | None
"""One cell, several, or None to take a thing away."""


def moved(level: Level, mouse: Cell | None = None, **things: Place) -> Level:
    """The level with the mouse and the named things elsewhere: `moved(level, mouse=(8, 0), cheese=(0, 3))`.

    Raises:
        ValueError: a cell outside the maze or in a wall.
    """
    if mouse is not None:
        _check_free(level, "mouse", mouse)
    changed = dict(level.things)
    for name, place in things.items():
        cells = () if place is None else place if place and isinstance(place[0], tuple) else (place,)
        for cell in cells:
            _check_free(level, name, cell)  # pyright: ignore[reportArgumentType], told apart above
        changed[name] = tuple(cells)  # pyright: ignore[reportArgumentType]
    return replace(level, mouse=level.mouse if mouse is None else mouse, things=changed)


def with_wall(level: Level, *cells: Cell) -> Level:
    """The level with walls there too; what `solver.connected` says of it may change.

    Raises:
        ValueError: a cell outside the maze, or that holds something.
    """
    for cell in cells:
        _check_inside(level, "wall", cell)
        held = [name for name, places in level.things.items() if cell in places]
        if level.mouse == cell:
            held.append("mouse")
        if held:
            raise ValueError(
                f"the cell {cell} holds the {held[0]}: move it away before a wall is built there"
            )
    return replace(level, walls=_walls_with(level, cells, True))


def without_wall(level: Level, *cells: Cell) -> Level:
    """The level with these cells free.

    Raises:
        ValueError: a cell outside the maze.
    """
    for cell in cells:
        _check_inside(level, "wall", cell)
    return replace(level, walls=_walls_with(level, cells, False))


def every_mouse(level: Level, world: World) -> Levels:
    """The level with the mouse in each of its free cells, in reading order, (free cells,) levels.

    Raises:
        ValueError: the level has a thing that the world does not have.
    """
    base, cells = _copies(level, world)
    return Levels(world, base.walls, cells, base.places)


def every_place(level: Level, world: World, name: str, which: int = 0) -> Levels:
    """The level with a thing in each of its free cells, in reading order, (free cells,) levels.

    Args:
        level: any level of the world.
        world: its card.
        name: the thing; `mouse` is `every_mouse`.
        which: of a thing that takes several cells, which of them moves.

    Raises:
        ValueError: the world has no such thing, or it walks.
    """
    if name == "mouse":
        return every_mouse(level, world)
    counts = {thing.name: thing.count for thing in world.things if not thing.walks}
    if name not in counts:
        raise ValueError(
            f"name is {name!r}: the world {world.name!r} has {', '.join(counts) or 'none'} to place"
        )
    if not 0 <= which < counts[name]:
        raise ValueError(f"which is {which}: {name} takes at most {counts[name]} cells; give one from 0")
    base, cells = _copies(level, world)
    places = {thing: there.copy() for thing, there in base.places.items()}
    # A thing takes a cell once: two of a kind on one cell trade places with the one that moves.
    clash = (places[name] == cells[:, None]) & (np.arange(counts[name]) != which)
    places[name][clash] = np.broadcast_to(places[name][:, which][:, None], clash.shape)[clash]
    places[name][:, which] = cells
    return Levels(world, base.walls, base.mouse, places)


def _copies(level: Level, world: World) -> tuple[Levels, np.ndarray]:
    cells = np.flatnonzero(~level.walls.ravel())
    return Levels.of([level], world).take(np.zeros(len(cells), dtype=np.int64)), cells


def _walls_with(level: Level, cells: tuple[Cell, ...], built: bool) -> np.ndarray:
    walls = level.walls.copy()
    for cell in cells:
        walls[cell] = built
    return walls


def _check_inside(level: Level, name: str, cell: Cell) -> None:
    size = len(level.walls)
    if len(cell) != 2 or not all(0 <= place < size for place in cell):
        raise ValueError(f"{name} is {cell}: give (row, column), each from 0 to {size - 1}")


def _check_free(level: Level, name: str, cell: Cell) -> None:
    _check_inside(level, name, cell)
    if level.walls[cell]:
        raise ValueError(f"{name} is {cell}, in a wall: give a free cell")
