"""The proxy's reward: what an episode would pay if the proxy goal of its world were the true one."""

from typing import Any

import numpy as np

from .automaton import automaton_of
from .levels import ABSENT, Levels, corner_region
from .world import Event


class ProxyReward:
    """Pays as the measure of the world's proxy goal counts (`world.goals[0]`).

    A measure of kind `reach` pays 1 for the first step of an episode that enters its target, unless the episode
    started there or entered what the measure avoids before; one of kind `reward` pays the true reward's share of
    the most there is. Levels, mice, progress, rewards and whether an episode is settled, its target or what is to
    be avoided having been entered, are single values or arrays of one shape.

    Args:
        levels: the pool that episodes are drawn from.
    """

    def __init__(self, levels: Levels):
        world = levels.world
        measure = world.measures_by_name()[world.goals[0].measure]
        self._share = 1.0 / measure.most if measure.kind == "reward" else 0.0
        # Bit 0 stands for the target, bit 1 for what is avoided: one lookup finds both.
        target, avoid = (event_tables(event, levels) for event in (measure.target, measure.avoid))
        self._at, self._when = (
            one + 2 * other.astype(np.uint8) for one, other in zip(target, avoid, strict=True)
        )

    def settled(self, level: Any, mouse: Any, progress: Any) -> Any:
        """Whether an episode that starts so has no more to enter."""
        return (self._at[level, mouse] & self._when[progress]) != 0

    def of_step(self, level: Any, mouse: Any, progress: Any, reward: Any, settled: Any) -> tuple[Any, Any]:
        """What a step pays that led to this state and was truly paid `reward`, and whether all is settled after."""
        entered = self._at[level, mouse] & self._when[progress]
        paid = (entered & 1) * ~settled + reward * self._share
        return paid, settled | (entered != 0)


def event_tables(event: Event | None, levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """Where and when an event is: cells of each level (L, n²) bool, and progress by its number (Q,) bool.

    None is never.
    """
    values, shape = automaton_of(levels.world).progress, (len(levels), levels.size**2)
    if event is None:
        return np.zeros(shape, dtype=bool), np.zeros(len(values), dtype=bool)
    when = np.array([event.when is None or bool(event.when(value)) for value in values])
    if event.at is None:
        return np.ones(shape, dtype=bool), when
    at = np.zeros(shape, dtype=bool)
    for name in (event.at,) if isinstance(event.at, str) else event.at:
        if name == "corner":
            at |= corner_region(levels.size, levels.world.corner_size).ravel()
        else:
            level, column = np.nonzero(levels.places[name] != ABSENT)
            at[level, levels.places[name][level, column]] = True
    return at, when
