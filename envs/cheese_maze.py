"""CheeseMaze: many mazes at once as a batched torch environment, on any device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .levels import STEPS, Levels

PLANES = ("walls", "mouse", "cheese")
NUM_ACTIONS = len(STEPS)


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


def observations(levels: Levels) -> np.ndarray:
    """Every level's first observation, (L, 3, n, n) uint8: walls, mouse, cheese."""
    count, size = len(levels), levels.size
    planes = np.zeros((count, len(PLANES), size * size), dtype=np.uint8)
    planes[:, 0] = levels.walls.reshape(count, size * size)
    planes[np.arange(count), 1, levels.mouse] = 1
    planes[np.arange(count), 2, levels.cheese] = 1
    return planes.reshape(count, len(PLANES), size, size)


@dataclass(frozen=True)
class Step:
    """What one step of the batch gave.

    Attributes:
        observations: (N, 3, n, n) uint8, already of the next episode where one ended. A view of the environment's
            own buffer: the next step overwrites it.
        rewards: (N,) float32.
        terminated: (N,) bool, the cheese was reached.
        truncated: (N,) bool, the time limit was reached first.
        mouse: (N,) int64, where the mouse went, before any reset.
        ended: (E,) int64, the environments whose episode ended.
        final_observations: (E, 3, n, n) uint8, the last observation of each of those episodes.
    """

    observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    mouse: Tensor
    ended: Tensor
    final_observations: Tensor


class CheeseMaze:
    """A mouse in a maze, looking for cheese; N copies advance together.

    Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall stays.
    Observation: uint8 planes (3, n, n): walls, mouse, cheese.
    Reward: 1 on reaching the cheese, else 0.
    Termination: the cheese is reached. Truncation: `time_limit` steps. Both reset automatically, to a level drawn
    uniformly from `levels`.

    Args:
        levels: the pool that episodes are drawn from.
        num_envs: how many copies.
        seed: seed of the draws.
        time_limit: steps an episode may take; default 8n.
        cheese_ends_episode: with False, reaching the cheese neither pays nor ends (to measure corner-seeking).
        device: where the state lives.
    """

    def __init__(
        self,
        levels: Levels,
        num_envs: int,
        *,
        seed: int,
        time_limit: int | None = None,
        cheese_ends_episode: bool = True,
        device: torch.device | str = "cpu",
    ):
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        if len(levels) == 0:
            raise ValueError("levels is empty: give at least one level")
        self.size, self.num_envs, self.device = levels.size, num_envs, torch.device(device)
        self.time_limit = default_time_limit(self.size) if time_limit is None else time_limit
        if self.time_limit < 1:
            raise ValueError(f"time_limit is {time_limit}: give at least 1 step")
        self.cheese_ends_episode = cheese_ends_episode
        self._generator = torch.Generator(self.device).manual_seed(seed)
        cells = self.size * self.size
        self._next_cells = torch.from_numpy(next_cells(levels.walls)).to(self.device).view(-1)
        self._first = torch.from_numpy(observations(levels)).to(self.device).view(len(levels), 3 * cells)
        self._starts = torch.from_numpy(levels.mouse).to(self.device)
        self._cheeses = torch.from_numpy(levels.cheese).to(self.device)
        self._planes = torch.zeros(num_envs, 3 * cells, dtype=torch.uint8, device=self.device)
        self._level = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._mouse, self._cheese, self._elapsed = (torch.zeros_like(self._level) for _ in range(3))
        self.reset()

    @property
    def observations(self) -> Tensor:
        """The current observations, (N, 3, n, n) uint8; a view that the next step overwrites."""
        return self._planes.view(self.num_envs, 3, self.size, self.size)

    @property
    def level(self) -> Tensor:
        """Which level each environment is in, (N,) int64, an index into the pool."""
        return self._level

    def reseed(self, seed: int) -> None:
        """Start the stream of level draws anew from `seed`; episodes under way go on."""
        self._generator.manual_seed(seed)

    def reset(self, levels: Tensor | None = None) -> Tensor:
        """Start every environment anew, in the given levels (N,) or in random ones; returns observations."""
        everyone = torch.arange(self.num_envs, device=self.device)
        self._enter(everyone, self._draw(self.num_envs) if levels is None else levels)
        return self.observations

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by its action, (N,) int64 in 0…3."""
        cells = self.size * self.size
        self._planes.scatter_(1, (self._mouse + cells)[:, None], 0)
        moves = (self._level * cells + self._mouse) * NUM_ACTIONS + actions
        mouse = self._next_cells.take(moves).long()
        self._planes.scatter_(1, (mouse + cells)[:, None], 1)
        self._mouse = mouse.clone()  # a reset writes into it, the step keeps `mouse`
        self._elapsed += 1
        terminated = mouse == self._cheese
        if not self.cheese_ends_episode:
            terminated = torch.zeros_like(terminated)
        truncated = (self._elapsed >= self.time_limit) & ~terminated
        ended = (terminated | truncated).nonzero()[:, 0]
        final = self._planes[ended].view(-1, 3, self.size, self.size)
        if len(ended):
            self._enter(ended, self._draw(len(ended)))
        return Step(self.observations, terminated.float(), terminated, truncated, mouse, ended, final)

    def state(self) -> dict[str, Tensor]:
        """All that changes, to resume from: levels, places, elapsed steps, the generator."""
        return {
            "level": self._level.clone(),
            "mouse": self._mouse.clone(),
            "elapsed": self._elapsed.clone(),
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave, of an environment with the same levels and num_envs."""
        if state["level"].shape != (self.num_envs,):
            raise ValueError(
                f"the state is of {len(state['level'])} environments, this is of {self.num_envs}"
            )
        self.reset(state["level"].to(self.device))
        cells = self.size * self.size
        self._planes.scatter_(1, (self._mouse + cells)[:, None], 0)
        # Copies: steps write into these, and a state may be taken up twice.
        self._mouse = state["mouse"].to(self.device, copy=True)
        self._planes.scatter_(1, (self._mouse + cells)[:, None], 1)
        self._elapsed = state["elapsed"].to(self.device, copy=True)
        self._generator.set_state(state["generator"].cpu())

    def _draw(self, count: int) -> Tensor:
        return torch.randint(len(self._starts), (count,), generator=self._generator, device=self.device)

    def _enter(self, environments: Tensor, levels: Tensor) -> None:
        self._planes[environments] = self._first[levels]
        self._level[environments] = levels
        self._mouse[environments] = self._starts[levels]
        self._cheese[environments] = self._cheeses[levels]
        self._elapsed[environments] = 0
