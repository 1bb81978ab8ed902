"""What runs of agents in mazes share, ours or Procgen's: a world with two goals, PPO, time counted in rollouts."""

from abc import abstractmethod
from typing import ClassVar, Literal, Protocol, TypeVar

import torch

from ..envs.world import World
from .behaviour import ExactBehaviour
from .networks import ActorCritic
from .ppo import PPOSettings
from .run_directory import RunDirectory, Settings
from .sampled_behaviour import SampledBehaviour

HeldOut = Literal["test", "tune"]
"""Levels to report on, and levels that doses are tuned on; neither is trained on."""
# The levels of split `test` that every run is reported on, and those of split `tune` that it is watched on while it
# trains: what is chosen by the curves of training was chosen on no level of a report.
REPORT_LEVEL_SEED, WATCH_LEVEL_SEED = 0, 9


class RolloutSettings(Settings, Protocol):
    """Everything needed to repeat the training of an agent in mazes."""

    @property
    def world(self) -> World:
        """The card of what is trained on: its goals, and the measures that stand for them."""
        ...

    @property
    def ppo(self) -> PPOSettings:
        """The learner's settings."""
        ...

    @property
    def seed(self) -> int:
        """Of levels, initial parameters, actions and minibatches."""
        ...

    @property
    def record(self) -> Literal["rollout", "update", "none"]:
        """What a row of the gradient log is of."""
        ...

    @property
    def device(self) -> str:
        """Where it is trained."""
        ...

    @property
    def horizon(self) -> int:
        """Steps per episode."""
        ...


R = TypeVar("R", bound=RolloutSettings)


class RolloutRun(RunDirectory[R]):
    """The files of one run of an agent in mazes; what a kind adds is where its held-out levels come from."""

    time_unit: ClassVar[str] = "rollout"

    @property
    def last_time(self) -> int:
        """Rollouts of the whole training."""
        return self.settings.ppo.rollouts

    @property
    def logged_rows(self) -> int:
        """One row per rollout, or one per update."""
        return self.settings.ppo.logged_rows(self.settings.record)

    def network(self, time: int | None = None) -> ActorCritic:
        """The network with θ after so many rollouts; None is the end of training."""
        network = super().network(time)
        assert isinstance(network, ActorCritic)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @abstractmethod
    def behaviour(
        self, levels: int, *, split: HeldOut, seed: int, device: str = "cpu"
    ) -> ExactBehaviour | SampledBehaviour:
        """The measures of the run's world on so many held-out levels of each kind.

        Args:
            levels: of each distribution that the world measures on.
            split: `test` or `tune`, which share no level with each other nor with training.
            seed: other levels of the split for every number.
            device: where policies are asked.
        """
