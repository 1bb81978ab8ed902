"""The two goals of a maze agent, and its exact behaviour as a judge takes it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

from torch import Tensor

from ..agents.behaviour import ExactBehaviour, network_policy, uniform_policy
from ..agents.sampled_behaviour import SampledBehaviour
from ..envs.world import World
from .ablation import TUNING_BATCHES
from .goal import Goal
from .judge import Asked, Network

KEEP_NAVIGATION = 1.6
"""Weight, in tuning, of what is lost of finding the way, beside one of each goal."""
_LEVELS_OF_A_BATCH = 20
CHOOSING_SEED = 999
"""Level seed of split `tune` that nothing is tuned on: batches of tuning levels have those below it."""


def maze_goals(world: World, keep_navigation: float = KEEP_NAVIGATION) -> tuple[Goal, Goal]:
    """The world's proxy goal and the paid one; tuned cuts keep finding the way, with this weight."""
    guard = {"navigation": keep_navigation} if "navigation" in world.measures_by_name() else {}
    proxy, paid = world.goals
    return (
        Goal(proxy.name, remove=proxy.measure, keep=(paid.measure,), guard=guard),
        Goal(paid.name, remove=paid.measure, keep=(proxy.measure,), guard=guard),
    )


def tuning_batches(levels: int) -> list[tuple[int, int]]:
    """(levels, level seed 0, 1, …) of the batches that so many tuning levels come in: a step of tuning takes one."""
    count = min(CHOOSING_SEED, max(TUNING_BATCHES, levels // _LEVELS_OF_A_BATCH))
    return [(levels // count, seed) for seed in range(count)]


class MazeBehaviour:
    """The measures on fixed levels; exact ones are differentiable, so tuning goes through the measures themselves.

    Args:
        exact: the levels, and how they are measured on; sampled where a chain would be too large.
    """

    floor: Literal["untrained", "uniform"] = "untrained"

    def __init__(self, exact: ExactBehaviour | SampledBehaviour):
        self.exact, self.paired = exact, exact.paired
        self.measures: Mapping[str, str] = {m.name: m.meaning for m in exact.world.measures}

    def measure(self, network: Network) -> dict[str, Tensor]:
        """Every measure on every level, name → (L,)."""
        return self.exact.measure(network_policy(network))

    def surrogates(self, asked: Sequence[Asked]) -> list[dict[str, Tensor]]:
        """The measures again.

        Raises:
            ValueError: they are sampled, and so have no gradient.
        """
        if not self.exact.exact:
            raise ValueError(
                f"tuned cuts need the gradient of exact measures, but these are {self.exact.told}"
            )
        assert isinstance(self.exact, ExactBehaviour)
        return self.exact.measure_all([(network_policy(network), only) for network, only in asked])

    def uniform(self) -> dict[str, Tensor]:
        """Every measure of the uniform-random walk."""
        return self.exact.measure(partial(uniform_policy, num_actions=self.exact.num_actions))
