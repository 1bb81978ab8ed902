"""How far the first reward is, for every world alike: breadth first over mouse's place and progress.

A level is *solvable* if some walk from its start is paid. The search starts at the start alone and stops at the first
pay, so it is quick on thousands of levels, where `solver.solution` finds the best walk of one.
"""

import numpy as np

from .automaton import automaton_of
from .levels import Levels
from .moves import next_cells, touched_sets
from .solver import UNREACHABLE

# States that are marked at once: a byte each.
_MOST_MARKS = 2**26


def steps_to_pay(levels: Levels) -> np.ndarray:
    """The fewest steps that bring a positive reward, (L,) int64; `UNREACHABLE`, −1, where none does."""
    states = len(automaton_of(levels.world).progress) * levels.size**2
    at_once = max(1, _MOST_MARKS // states)
    parts = [
        _searched(levels.take(slice(begin, begin + at_once))) for begin in range(0, len(levels), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def solvable(levels: Levels) -> np.ndarray:
    """Whether some walk from the start is paid, (L,) bool."""
    return steps_to_pay(levels) != UNREACHABLE


def _searched(levels: Levels) -> np.ndarray:
    """Steps of each level, (L,); a state is (level · Q + progress) · n² + cell."""
    automaton = automaton_of(levels.world)
    count, cells, values = len(levels), levels.size**2, len(automaton.progress)
    moves, sets = next_cells(levels.walls), touched_sets(levels, automaton)
    steps = np.full(count, UNREACHABLE, dtype=np.int64)
    seen = np.zeros(count * values * cells, dtype=bool)
    frontier = np.arange(count) * values * cells + levels.mouse
    seen[frontier] = True
    taken = 0
    while len(frontier):
        taken += 1
        level, key = np.divmod(frontier, values * cells)
        progress, cell = np.divmod(key, cells)
        after = moves[level, cell].astype(np.int64)  # (states, 4)
        arrival = sets[level[:, None], after]
        paid = automaton.rewards[progress[:, None], arrival] > 0
        steps[level[paid.any(1)]] = taken
        going_on = ~automaton.ends[progress[:, None], arrival] & (steps[level] == UNREACHABLE)[:, None]
        to = ((level * values)[:, None] + automaton.following[progress[:, None], arrival]) * cells + after
        frontier = np.unique(to[going_on])
        frontier = frontier[~seen[frontier]]
        seen[frontier] = True
    return steps
