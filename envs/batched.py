"""What a learner needs of a batched environment."""

from typing import Protocol

import torch
from torch import Tensor

from .cheese_maze import Step


class BatchedEnvironment(Protocol):
    """N copies that advance together and reset by themselves: `CheeseMaze`, `ProcgenMaze`."""

    num_envs: int
    device: torch.device

    @property
    def observations(self) -> Tensor:
        """The current observations, (N, …) uint8; the next step may overwrite them."""
        ...

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by its action, (N,) int64."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that changes, as tensors."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave."""
        ...
