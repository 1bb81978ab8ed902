"""Many mazes of one world at once as a batched torch environment, on any device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .automaton import automaton_of
from .levels import NUM_ACTIONS, Levels
from .moves import beginnings, default_time_limit, next_cells, touched_sets
from .planes import MOUSE, Painter


@dataclass(frozen=True)
class Step:
    """What one step of the batch gave.

    Attributes:
        observations: (N, C, n, n) uint8, already of the next episode where one ended. A view of the environment's
            own buffer: the next step overwrites it.
        rewards: (N,) float32.
        terminated: (N,) bool, what was reached ended the episode.
        truncated: (N,) bool, the time limit was reached first.
        mouse: (N,) int64, where the mouse went, before any reset.
        progress: (N,) int64, progress there, before any reset, a number of the world's automaton.
        ended: (E,) int64, the environments whose episode ended.
        final_observations: (E, C, n, n) uint8, the last observation of each of those episodes.
    """

    observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    mouse: Tensor
    progress: Tensor
    ended: Tensor
    final_observations: Tensor


class CheeseMaze:
    """A mouse in a maze, looking for cheese or whatever its world holds; N copies advance together.

    Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall stays.
    Observation: uint8 planes (C, n, n), as `plane_names(levels.world)` names them.
    Reward and termination: as the world says of the things that the mouse arrives on. Truncation: `time_limit` steps.
    Ended episodes reset automatically, to a level drawn uniformly from `levels`, or from the part that `draw_from`
    names.

    Args:
        levels: the pool that episodes are drawn from.
        num_envs: how many copies.
        seed: seed of the draws.
        time_limit: steps an episode may take; default 8n.
        endless: whether arrivals neither pay nor end the episode (to measure what an agent does when nothing stops
            it).
        device: where the state lives.

    Attributes:
        world: the card of what lies where, that of the levels.
        size: cells along one side of every maze, n.
    """

    num_actions = NUM_ACTIONS

    def __init__(
        self,
        levels: Levels,
        num_envs: int,
        *,
        seed: int,
        time_limit: int | None = None,
        endless: bool = False,
        device: torch.device | str = "cpu",
    ):
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: give at least 1")
        if len(levels) == 0:
            raise ValueError("levels is empty: give at least one level")
        self.world, self.size, self.num_envs = levels.world, levels.size, num_envs
        self.device = torch.device(device)
        self.time_limit = default_time_limit(self.size) if time_limit is None else time_limit
        if self.time_limit < 1:
            raise ValueError(f"time_limit is {time_limit}: give at least 1 step")
        self._generator = torch.Generator(self.device).manual_seed(seed)
        automaton = automaton_of(levels.world)
        self._sets = automaton.following.shape[1]
        self._progresses = automaton.following.shape[0] > 1
        self._following = torch.from_numpy(automaton.following).to(self.device).view(-1)
        self._rewards = torch.from_numpy(automaton.rewards).to(self.device).view(-1)
        self._ends = torch.from_numpy(automaton.ends).to(self.device).view(-1)
        if endless:
            self._rewards, self._ends = torch.zeros_like(self._rewards), torch.zeros_like(self._ends)
        self._next_cells = torch.from_numpy(next_cells(levels.walls)).to(self.device).view(-1)
        self._touched = torch.from_numpy(touched_sets(levels, automaton)).to(self.device).view(-1)
        self._starts = torch.from_numpy(levels.mouse).to(self.device)
        self._begins = torch.from_numpy(beginnings(levels, automaton)).to(self.device)
        self._painter = Painter(levels, self.device)
        everyone = torch.arange(len(levels), device=self.device)
        self._first = self._painter.paint(everyone, self._begins)
        self._mouse_plane = MOUSE * self.size**2
        self._first.scatter_(1, (self._starts + self._mouse_plane)[:, None], 1)
        self._planes = torch.zeros(num_envs, self._first.shape[1], dtype=torch.uint8, device=self.device)
        self._level = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._mouse, self._progress, self._elapsed = (torch.zeros_like(self._level) for _ in range(3))
        self._drawn = (0, len(levels))
        self.reset()

    @property
    def observations(self) -> Tensor:
        """The current observations, (N, C, n, n) uint8; a view that the next step overwrites."""
        return self._planes.view(self.num_envs, -1, self.size, self.size)

    @property
    def level(self) -> Tensor:
        """Which level each environment is in, (N,) int64, an index into the pool."""
        return self._level

    @property
    def mouse(self) -> Tensor:
        """Where each mouse is, (N,) int64, cells numbered row by row."""
        return self._mouse

    @property
    def progress(self) -> Tensor:
        """What has happened in each environment's episode, (N,) int64, a number of the world's automaton."""
        return self._progress

    def reseed(self, seed: int) -> None:
        """Start the stream of level draws anew from `seed`; episodes under way go on."""
        self._generator.manual_seed(seed)

    def draw_from(self, start: int, stop: int) -> None:
        """From now on draw levels number start…stop−1 of the pool; episodes under way go on."""
        if not 0 <= start < stop <= len(self._starts):
            raise ValueError(f"levels {start} to {stop} are no part of a pool of {len(self._starts)}")
        self._drawn = (start, stop)

    def reset(self, levels: Tensor | None = None) -> Tensor:
        """Start every environment anew, in the given levels (N,) or in random ones; returns observations."""
        self.start(torch.arange(self.num_envs, device=self.device), levels)
        return self.observations

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by its action, (N,) int64 in 0…3, and start anew those whose episode ended."""
        rewards, terminated, truncated = self.advance(actions)
        # A reset writes into these, the step keeps them.
        mouse, progress = self._mouse.clone(), self._progress.clone()
        ended = (terminated | truncated).nonzero()[:, 0]
        final = self._planes[ended].view(len(ended), self._painter.planes, self.size, self.size)
        if len(ended):
            self.start(ended)
        return Step(self.observations, rewards, terminated, truncated, mouse, progress, ended, final)

    def advance(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same without starting anything anew; rewards (N,) float32, terminated and truncated (N,) bool."""
        cells = self.size * self.size
        self._planes.scatter_(1, (self._mouse + self._mouse_plane)[:, None], 0)
        here = self._level * cells
        mouse = self._next_cells.take((here + self._mouse) * NUM_ACTIONS + actions).long()
        arrival = self._touched.take(here + mouse).long()
        if self._progresses:
            arrival += self._progress * self._sets
            self._go_on(self._following.take(arrival))
        rewards, terminated = self._rewards.take(arrival), self._ends.take(arrival)
        self._planes.scatter_(1, (mouse + self._mouse_plane)[:, None], 1)
        self._mouse = mouse
        self._elapsed += 1
        return rewards, terminated, (self._elapsed >= self.time_limit) & ~terminated

    def start(self, environments: Tensor, levels: Tensor | None = None) -> None:
        """Start these environments (E,) int64 anew, in the given levels (E,) int64 or in random ones."""
        self._enter(environments, self._draw(len(environments)) if levels is None else levels)

    def state(self) -> dict[str, Tensor]:
        """All that changes, to resume from: levels, places, progress, elapsed steps, the generator."""
        return {
            "level": self._level.clone(),
            "mouse": self._mouse.clone(),
            "progress": self._progress.clone(),
            "elapsed": self._elapsed.clone(),
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave, of an environment with the same levels and num_envs."""
        if state["level"].shape != (self.num_envs,):
            raise ValueError(
                f"the state is of {len(state['level'])} environments, this is of {self.num_envs}"
            )
        # Copies: steps write into these, and a state may be taken up twice.
        self._level, self._mouse, self._progress, self._elapsed = (
            state[name].to(self.device, copy=True) for name in ("level", "mouse", "progress", "elapsed")
        )
        self._planes = self._painter.paint(self._level, self._progress)
        self._planes.scatter_(1, (self._mouse + self._mouse_plane)[:, None], 1)
        self._generator.set_state(state["generator"].cpu())

    def _go_on(self, progress: Tensor) -> None:
        changed = (progress != self._progress).nonzero()[:, 0]
        self._progress = progress
        if len(changed):
            self._planes[changed] = self._painter.paint(self._level[changed], progress[changed])

    def _draw(self, count: int) -> Tensor:
        return torch.randint(*self._drawn, (count,), generator=self._generator, device=self.device)

    def _enter(self, environments: Tensor, levels: Tensor) -> None:
        self._planes[environments] = self._first[levels]
        self._level[environments] = levels
        self._mouse[environments] = self._starts[levels]
        self._progress[environments] = self._begins[levels]
        self._elapsed[environments] = 0
