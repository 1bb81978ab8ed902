"""A world's progress as tables, found by asking its card what follows from what."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .world import Progress, World

MOST_ACTING = 10
"""Tables have a column per set of acting things, and a row per value of progress."""
_MOST_ENTRIES = 2_000_000


@dataclass(frozen=True, eq=False)
class Automaton:
    """Q values of progress, M = 2^k sets of the k acting things, of which one cell may hold any.

    Attributes:
        progress: the Q values, the world's initial one first.
        acting: names of the things that act; bit i of a set stands for `acting[i]`.
        following: (Q, M) int64, progress after a step onto a set.
        rewards: (Q, M) float32, what that step pays.
        ends: (Q, M) bool, whether it ends the episode.
        over: (Q, M) bool, whether a mouse on a set is at an episode's end, progress being what it is now.
        shown: (Q, things) bool, which of the world's things can be seen.
        walked: (Q,) int64, which of its cells a thing that walks is on.
        status: (Q, status planes) int64, the numbers they show.
        begins: (M,) int64, progress at the start of a level that has just this set of acting things.
    """

    progress: tuple[Progress, ...]
    acting: tuple[str, ...]
    following: np.ndarray
    rewards: np.ndarray
    ends: np.ndarray
    over: np.ndarray
    shown: np.ndarray
    walked: np.ndarray
    status: np.ndarray
    begins: np.ndarray


@lru_cache(maxsize=64)
def automaton_of(world: World) -> Automaton:
    """Every progress that can be reached from those that an episode begins with, breadth first.

    Raises:
        ValueError: the world has too many acting things or too many values of progress for tables.
    """
    acting = tuple(thing.name for thing in world.things if thing.acts)
    if len(acting) > MOST_ACTING:
        raise ValueError(
            f"the world {world.name!r} has {len(acting)} things that act: give settings with at most {MOST_ACTING}"
        )
    sets = [
        frozenset(name for bit, name in enumerate(acting) if number >> bit & 1)
        for number in range(2 ** len(acting))
    ]
    needed = world.needed.intersection(acting)
    beginnings = [world.begins(present) if needed <= present else world.initial for present in sets]
    found = list(dict.fromkeys([world.initial, *beginnings]))
    numbers = {progress: number for number, progress in enumerate(found)}
    following, rewards = [], []
    for progress in found:  # grows as it goes
        arrivals = [world.arrive(progress, touched) for touched in sets]
        for after, _ in arrivals:
            if after not in numbers:
                numbers[after] = len(found)
                found.append(after)
        if len(found) * len(sets) > _MOST_ENTRIES:
            raise ValueError(
                f"the world {world.name!r} has more than {_MOST_ENTRIES // len(sets)} values of progress: give it "
                f"fewer things or shorter ways"
            )
        following.append([numbers[after] for after, _ in arrivals])
        rewards.append([reward for _, reward in arrivals])
    over = np.array([[world.over(progress, touched) for touched in sets] for progress in found])
    after = np.array(following, dtype=np.int64)
    return Automaton(
        progress=tuple(found),
        acting=acting,
        following=after,
        rewards=np.array(rewards, dtype=np.float32),
        ends=over[after, np.arange(len(sets))],
        over=over,
        shown=np.array([[thing.name in world.shown(p) for thing in world.things] for p in found], dtype=bool),
        walked=np.array([world.walked(p) for p in found], dtype=np.int64),
        status=np.array([world.status(p) for p in found], dtype=np.int64).reshape(len(found), -1),
        begins=np.array([numbers[progress] for progress in beginnings], dtype=np.int64),
    )
