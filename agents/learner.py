"""What training asks of a learner."""

from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from ..envs.batched import BatchedEnvironment
from .networks import ActorCritic
from .recorder import GradientRecorder


class RolloutLearner(Protocol):
    """A learner that collects a rollout and learns from it, in turns, and can be taken up again."""

    @property
    def network(self) -> ActorCritic:
        """What is being trained."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """What steps its parameters."""
        ...

    @property
    def env(self) -> BatchedEnvironment:
        """Where it acts."""
        ...

    @property
    def rollouts_done(self) -> int:
        """Rollouts collected and learned from so far."""
        ...

    @property
    def env_steps(self) -> int:
        """Env steps taken so far."""
        ...

    def collect(self) -> tuple[Any, dict[str, float]]:
        """Act for a rollout; returns it, and its metrics."""
        ...

    def learn(
        self, rollout: Any, recorder: GradientRecorder | None = None, *, record_terms: bool = False
    ) -> dict[str, float]:
        """Update on the rollout, with the recorder told of halves and rows; returns the mean losses."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that training changes, as tensors."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave."""
        ...
