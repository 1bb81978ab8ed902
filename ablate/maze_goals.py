"""The goals of a maze agent, corner and cheese, and its exact behaviour as a judge takes it."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from ..agents.behaviour import MEASURES, ExactBehaviour, network_policy, uniform_policy
from .goal import Goal
from .judge import Network


def maze_goals(keep_navigation: float = 0.5) -> tuple[Goal, Goal]:
    """Corner-seeking and cheese-seeking; tuned cuts keep finding the way, with this weight."""
    guard = {"navigation": keep_navigation}
    return (
        Goal("corner", remove="corner_reach", keep=("cheese_from_corner",), guard=guard),
        Goal("cheese", remove="cheese_from_corner", keep=("corner_reach",), guard=guard),
    )


class MazeBehaviour:
    """The exact measures on fixed levels; they are differentiable, so tuning goes through the measures themselves.

    Args:
        exact: the levels.
    """

    measures: Mapping[str, str] = MEASURES
    paired = True
    floor: Literal["untrained", "uniform"] = "untrained"

    def __init__(self, exact: ExactBehaviour):
        self.exact = exact

    def measure(self, network: Network) -> dict[str, Tensor]:
        """Every measure on every level, name → (L,)."""
        return self.exact.measure(network_policy(network))

    def surrogate(self, network: Network) -> dict[str, Tensor]:
        """The measures again."""
        return self.measure(network)

    def uniform(self) -> dict[str, Tensor]:
        """Every measure of the uniform-random walk."""
        return self.exact.measure(uniform_policy)
