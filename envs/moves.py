"""Where a move leads, and what lies there."""

import numpy as np

from .automaton import Automaton
from .levels import ABSENT, NUM_ACTIONS, STEPS, Levels


def default_time_limit(size: int) -> int:
    """Steps before an episode is cut off: 8n."""
    return 8 * size


def next_cells(walls: np.ndarray) -> np.ndarray:
    """The cell that each move leads to: walls (L, n, n) give (L, n², 4) int16; a move into a wall stays."""
    count, size, _ = walls.shape
    outside = np.pad(walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    here = np.arange(size * size, dtype=np.int16)
    table = np.empty((count, size * size, NUM_ACTIONS), dtype=np.int16)
    for action, (down, right) in enumerate(STEPS):
        blocked = outside[:, 1 + down : 1 + down + size, 1 + right : 1 + right + size].reshape(
            count, size * size
        )
        table[:, :, action] = np.where(blocked, here, here + np.int16(down * size + right))
    return table


def touched_sets(levels: Levels, automaton: Automaton) -> np.ndarray:
    """Which set of acting things each cell holds, (L, n²) int16, by the automaton's numbers."""
    count = len(levels)
    sets = np.zeros((count, levels.size**2), dtype=np.int16)
    for bit, name in enumerate(automaton.acting):
        level, column = np.nonzero(levels.places[name] != ABSENT)
        # A thing takes a cell once, so no sum is lost.
        sets[level, levels.places[name][level, column]] |= np.int16(1 << bit)
    return sets


def beginnings(levels: Levels, automaton: Automaton) -> np.ndarray:
    """Progress at the start of every level, (L,) int64, a number of the automaton."""
    present = np.zeros(len(levels), dtype=np.int64)
    for bit, name in enumerate(automaton.acting):
        present |= (levels.places[name] != ABSENT).any(axis=1).astype(np.int64) << bit
    return automaton.begins[present]
