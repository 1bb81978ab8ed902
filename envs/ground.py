"""Puts things on the free cells of a batch of levels, each draw a pure function of its level and number."""

from collections.abc import Mapping

import numpy as np

from .counter_random import below, random_word
from .levels import ABSENT, corner_region
from .world import Start

NO_ROOM = -2
"""In place of a cell: no cell was allowed, so the level must be drawn again."""
Places = dict[str, np.ndarray]
"""Name of a thing, or `mouse` → its cells, (L,) or (L, count); `ABSENT` where a level has none of it."""
# Number 0 decides the distribution of a level.
MODE_DRAW, MOUSE_DRAW, FIRST_DRAW = 0, 1, 2


class Ground:
    """The free cells of L levels.

    Args:
        walls: (L, n, n) bool.
        keys: (L,) uint64, the stream of every level.
        corner_size: k of the corner region.

    Attributes:
        walls: as given.
        size: n.
        free: (L, n²) bool.
        corner: (n²,) bool, the corner region.
        bottom_left: the number of that cell.
    """

    def __init__(self, walls: np.ndarray, keys: np.ndarray, corner_size: int):
        self.walls, self.size = walls, walls.shape[-1]
        self.free = ~walls.reshape(len(walls), self.size**2)
        self.corner = corner_region(self.size, corner_size).ravel()
        self.bottom_left = self.size * (self.size - 1)
        self._keys = keys

    def __len__(self) -> int:
        return len(self.walls)

    def share(self, number: int) -> np.ndarray:
        """Draw `number` as a uniform number below 1, (L,) float64."""
        return (random_word(self._keys, number) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def choose(self, number: int, count: int) -> np.ndarray:
        """Draw `number` as a uniform integer below `count`, (L,)."""
        return below(random_word(self._keys, number), np.full(len(self), count))

    def cell(self, number: int, allowed: np.ndarray) -> np.ndarray:
        """Draw `number` as a uniform cell of those allowed, (L, n²) bool; (L,), `NO_ROOM` where there is none."""
        cumulative = np.cumsum(allowed, axis=1, dtype=np.int32)
        rank = below(random_word(self._keys, number), cumulative[:, -1])
        cells = (cumulative <= rank[:, None]).sum(axis=1)
        return np.where(cumulative[:, -1] > 0, cells, NO_ROOM)

    def without(self, allowed: np.ndarray, *places: np.ndarray) -> np.ndarray:
        """`allowed` (L, n²) or (n²,) bool less these cells (L,) of every level."""
        left = np.broadcast_to(allowed, self.free.shape).copy()
        level = np.arange(len(self))
        for cells in places:
            left[level[cells >= 0], cells[cells >= 0]] = False
        return left

    def place(
        self, start: Start, mouse: np.ndarray, things: Mapping[str, np.ndarray], first: int = FIRST_DRAW
    ) -> Places:
        """The mouse and then each thing on a uniform cell of those allowed to it, no two on one cell.

        Args:
            start: where the mouse starts; with `random` it comes last, so that things have their pick.
            mouse: (L, n²) bool, where a random mouse may start.
            things: name → (L, n²) bool.
            first: number of the first thing's draw.
        """
        taken = self.early_mouse(start)
        for number, (name, allowed) in enumerate(things.items(), start=first):
            taken[name] = self.cell(number, self.without(allowed, *taken.values()))
        return self.late_mouse(start, mouse, taken)

    def early_mouse(self, start: Start) -> Places:
        """The mouse, if it has its place before the things have theirs, at the `bottom_left`; else nothing."""
        return {"mouse": np.full(len(self), self.bottom_left)} if start == "bottom_left" else {}

    def late_mouse(self, start: Start, allowed: np.ndarray, placed: Places) -> Places:
        """What is placed, and a `random` mouse on a uniform cell of those allowed where nothing lies."""
        if start == "random":
            placed["mouse"] = self.cell(MOUSE_DRAW, self.without(allowed, *placed.values()))
        return placed

    def near(self, cells: np.ndarray, steps: int) -> np.ndarray:
        """Which free cells a walk of at most so many steps joins to these cells (L,), (L, n²) bool."""
        count, size = len(self), self.size
        near = np.zeros((count, size + 2, size + 2), dtype=bool)  # a rim of cells that nothing reaches
        inner, level = near[:, 1:-1, 1:-1], np.flatnonzero(cells >= 0)
        inner[level, cells[level] // size, cells[level] % size] = True
        for _ in range(steps):
            beside = near[:, :-2, 1:-1] | near[:, 2:, 1:-1] | near[:, 1:-1, :-2] | near[:, 1:-1, 2:]
            inner |= beside & ~self.walls
        return inner.reshape(count, size**2)

    def nowhere(self) -> np.ndarray:
        """The cells of a thing that no level has, (L,)."""
        return np.full(len(self), ABSENT)
