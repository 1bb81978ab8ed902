"""The shortest walks to a reward, for every world alike: breadth first over mouse's place and progress.

A level is *solvable* if some walk from its start is paid. The search starts at the start alone and stops at the first
pay, so it stays small where `StateGraph`, which knows every state, would not.
"""

import numpy as np

from .automaton import automaton_of
from .levels import NUM_ACTIONS, Level, Levels
from .moves import next_cells, touched_sets
from .solver import UNREACHABLE
from .world import World

# States that are marked at once: a byte each.
_MOST_MARKS = 2**26


def steps_to_pay(levels: Levels) -> np.ndarray:
    """The fewest steps that bring a positive reward, (L,) int64; `UNREACHABLE`, −1, where none does."""
    states = len(automaton_of(levels.world).progress) * levels.size**2
    at_once = max(1, _MOST_MARKS // states)
    parts = [
        _searched(levels.take(slice(begin, begin + at_once)))[0] for begin in range(0, len(levels), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def solvable(levels: Levels) -> np.ndarray:
    """Whether some walk from the start is paid, (L,) bool."""
    return steps_to_pay(levels) != UNREACHABLE


def walk_to_pay(level: Level, world: World) -> list[int]:
    """The actions of a shortest walk to a positive reward.

    Raises:
        ValueError: there is none.
    """
    steps, came, last = _searched(Levels.of([level], world))
    if steps[0] == UNREACHABLE:
        raise ValueError(f"no walk from the mouse at {level.mouse} is paid")
    actions, move = [], int(last[0])
    while move != UNREACHABLE:
        state, action = divmod(move, NUM_ACTIONS)
        actions.append(action)
        move = int(came[state])
    return actions[::-1]


def _searched(levels: Levels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps (L,), the move that first came to each state (flat), and the move that was paid (L,).

    A state is (level · Q + progress) · n² + cell, a move is state · 4 + action.
    """
    automaton = automaton_of(levels.world)
    count, cells, values = len(levels), levels.size**2, len(automaton.progress)
    moves, sets = next_cells(levels.walls), touched_sets(levels, automaton)
    steps, last = np.full((2, count), UNREACHABLE, dtype=np.int64)
    came = np.full(count * values * cells, UNREACHABLE, dtype=np.int64)
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
        move = frontier[:, None] * NUM_ACTIONS + np.arange(NUM_ACTIONS)
        # Backwards, so that of several the first stays.
        payers = np.repeat(level, NUM_ACTIONS)[paid.ravel()][::-1]
        steps[payers], last[payers] = taken, move[paid][::-1]
        going_on = ~automaton.ends[progress[:, None], arrival] & (steps[level] == UNREACHABLE)[:, None]
        to = (level * values)[:, None] + automaton.following[progress[:, None], arrival]
        to = to * cells + after
        new = going_on & ~seen[to]
        frontier, first = np.unique(to[new], return_index=True)
        seen[frontier], came[frontier] = True, move[new][first]
    return steps, came, last
