"""Pairs of mazes that differ in one thing: with and without the cheese, with the way to the corner open and closed.

After Turner, Grietzer, Mini et al. 2023, "Understanding and controlling a maze-solving policy network"
(arXiv 2310.08043): a *cheese vector* is the difference of activations with and without cheese, a *top right vector*
that with the corner within reach and not.
"""

import numpy as np
import torch
from torch import Tensor

from ..envs.levels import ABSENT, Levels, corner_region
from ..envs.moves import next_cells
from ..envs.planes import observations

Pairs = tuple[Tensor, Tensor]
"""Inputs with something and without, both (N, C, n, n) float32, row by row the same but for that."""


def thing_pairs(levels: Levels, name: str, generator: np.random.Generator) -> Pairs:
    """Every level with and without a thing, the mouse on a random free cell off all things, (L, C, n, n) each.

    Raises:
        ValueError: the world has no such thing, or a level has none of it.
    """
    if name not in levels.places:
        raise ValueError(
            f"name is {name!r}: the world {levels.world.name!r} has {', '.join(levels.places) or 'none'}"
        )
    missing = (levels.places[name] == ABSENT).all(1)
    if missing.any():
        raise ValueError(
            f"level {int(missing.argmax())} has no {name} to take away: give levels that have it"
        )
    placed = _with_mouse(levels, ~levels.walls.reshape(len(levels), -1), generator)
    places = placed.places | {name: np.full_like(placed.places[name], ABSENT)}
    return _seen(placed), _seen(Levels(levels.world, placed.walls, placed.mouse, places))


def corner_pairs(levels: Levels, generator: np.random.Generator) -> Pairs:
    """Levels with the corner region open, and walled up at its entrances; the mouse on a random free cell outside it.

    Levels with a thing in an entrance are left out.

    Raises:
        ValueError: the corner region is the whole maze, or no level is left.
    """
    size = levels.size
    region = corner_region(size, levels.world.corner_size).ravel()
    if region.all():
        raise ValueError(f"corner_size is {levels.world.corner_size}, the whole maze: there is no way to it")
    free = ~levels.walls.reshape(len(levels), -1)
    from_outside = (free[:, :, None] & ~region[next_cells(levels.walls)]).any(2)
    entrances = free & region & from_outside
    held = np.zeros_like(free)
    for cells in levels.places.values():
        level, column = np.nonzero(cells != ABSENT)
        held[level, cells[level, column]] = True
    fine = np.flatnonzero(~(entrances & held).any(1) & entrances.any(1))
    if not len(fine):
        raise ValueError("every level has a thing in an entrance of the corner region: give conflict levels")
    opened = _with_mouse(levels.take(fine), (free & ~region)[fine], generator)
    walls = opened.walls | entrances[fine].reshape(-1, size, size)
    return _seen(opened), _seen(Levels(levels.world, walls, opened.mouse, opened.places))


def _with_mouse(levels: Levels, allowed: np.ndarray, generator: np.random.Generator) -> Levels:
    """The mouse on a uniform one of the allowed cells (L, n²) that hold nothing."""
    allowed = allowed.copy()
    for cells in levels.places.values():
        level, column = np.nonzero(cells != ABSENT)
        allowed[level, cells[level, column]] = False
    drawn = np.where(allowed, generator.random(allowed.shape), -1.0)
    return Levels(levels.world, levels.walls, drawn.argmax(1), levels.places)


def _seen(levels: Levels) -> Tensor:
    return torch.from_numpy(observations(levels)).float()
