"""Ways from stop to stop through many mazes at once, each leg a shortest path."""

import numpy as np

from .moves import next_cells
from .solver import UNREACHABLE, distances

# Mazes per block: what a step looks up stays small whatever the batch.
_BLOCK = 1024


def free_cells(walls: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """`cells` (L,) where they are free, else the first free cell: some place to measure from, where there is none."""
    free = ~walls.reshape(len(walls), walls.shape[1] * walls.shape[2])  # of no mazes at all too
    valid = (cells >= 0) & free[np.arange(len(free)), np.maximum(cells, 0)]
    return np.where(valid, cells, free.argmax(axis=1))


def route(
    walls: np.ndarray, start: np.ndarray, stops: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where a walker is that takes shortest paths from stop to stop and stays at the last.

    Of several shortest paths it takes the move that comes first in the order of the actions.

    Args:
        walls: (L, n, n) bool.
        start: (L,) free cells.
        stops: (L, K) free cells, in the order in which they are walked to.
        steps: how many.

    Returns:
        Its cells before and after every step, (L, steps + 1) int64; and the moves that its whole way takes, (L,),
        which may be more than `steps`, or `UNREACHABLE` where no path joins two stops.
    """
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(walls), _BLOCK)]
    parts = [_route(walls[block], start[block], stops[block], steps) for block in blocks]
    if not parts:
        return np.empty((0, steps + 1), dtype=np.int64), np.empty(0, dtype=np.int64)
    ways, lengths = zip(*parts, strict=True)
    return np.concatenate(ways), np.concatenate(lengths)


def _route(
    walls: np.ndarray, start: np.ndarray, stops: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    level, moves = np.arange(len(walls)), next_cells(walls)
    to_stop = np.stack([distances(walls, column) for column in stops.T], axis=1)  # (L, K, n²)
    legs = to_stop[level[:, None], np.arange(stops.shape[1]), np.column_stack([start, stops[:, :-1]])]
    length = np.where((legs == UNREACHABLE).any(axis=1), UNREACHABLE, legs.sum(axis=1))
    here, leg = start.astype(np.int64), np.zeros(len(walls), dtype=np.int64)
    way = [here]
    for _ in range(steps):
        for _ in range(stops.shape[1]):  # a stop that is reached gives way to the next
            leg = np.where((leg < stops.shape[1] - 1) & (stops[level, leg] == here), leg + 1, leg)
        beside = moves[level, here].astype(np.int64)
        nearest = beside[level, to_stop[level[:, None], leg[:, None], beside].argmin(axis=1)]
        here = np.where(stops[level, leg] == here, here, nearest)
        way.append(here)
    return np.stack(way, axis=1), length
