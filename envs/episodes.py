"""Episodes as they were: a batch of levels walked once each, without resets, every state kept to be drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .automaton import automaton_of
from .frames import frame, tiled, visible
from .levels import NUM_ACTIONS, Level, Levels, corner_region
from .moves import default_time_limit, next_cells, touched_sets
from .planes import MOUSE, Painter
from .world import Event, World
from .worlds.cheese_in_corner import CheeseInCorner

Policy = Callable[[Tensor], Tensor]
"""Observations (B, C, n, n) uint8 to action probabilities (B, 4)."""
MOST_FRAMES = 10_000


class Episodes:
    """One episode in each of L levels; those that ended stay as they ended.

    Args:
        levels: where they start.
        time_limit: steps an episode may take; default 8n.

    Attributes:
        mouse: (L,) int64, the mouse's cell.
        progress: (L,) int64, a number of the world's automaton.
        steps: (L,) int64, env steps taken.
        returns: (L,) float64, sum of rewards.
        terminated: (L,) bool, what was reached ended it.
        truncated: (L,) bool, the time limit did.
    """

    def __init__(self, levels: Levels, time_limit: int | None = None):
        self.levels = levels
        self.time_limit = default_time_limit(levels.size) if time_limit is None else time_limit
        if self.time_limit < 1:
            raise ValueError(f"time_limit is {time_limit}: give at least 1 step")
        self._automaton = automaton_of(levels.world)
        self._next_cells = next_cells(levels.walls)
        self._touched = touched_sets(levels, self._automaton)
        self._painter = Painter(levels)
        count = len(levels)
        self.mouse = levels.mouse.copy()
        self.progress, self.steps = np.zeros((2, count), dtype=np.int64)
        self.returns = np.zeros(count)
        self.terminated, self.truncated = np.zeros((2, count), dtype=bool)

    @property
    def over(self) -> np.ndarray:
        """Which episodes have ended, (L,) bool."""
        return self.terminated | self.truncated

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Advance every episode that is not over by its action, (L,) in 0…3; rewards (L,) float32.

        Raises:
            ValueError: actions of another shape, or an action that there is not.
        """
        actions = np.asarray(actions)
        if actions.shape != self.mouse.shape or not np.isin(actions, np.arange(NUM_ACTIONS)).all():
            raise ValueError(
                f"actions are {actions.tolist()}: give {len(self.mouse)} of 0 up, 1 down, 2 left, 3 right"
            )
        running, everyone = ~self.over, np.arange(len(self.mouse))
        to = self._next_cells[everyone, self.mouse, actions].astype(np.int64)
        arrival = self._touched[everyone, to]
        rewards = np.where(running, self._automaton.rewards[self.progress, arrival], np.float32(0))
        self.terminated |= running & self._automaton.ends[self.progress, arrival]
        self.progress = np.where(running, self._automaton.following[self.progress, arrival], self.progress)
        self.mouse = np.where(running, to, self.mouse)
        self.steps += running
        self.returns += rewards
        self.truncated |= running & ~self.terminated & (self.steps >= self.time_limit)
        return rewards

    def observations(self) -> Tensor:
        """What each agent sees now, (L, C, n, n) uint8."""
        size, everyone = self.levels.size, torch.arange(len(self.mouse))
        painted = self._painter.paint(everyone, torch.from_numpy(self.progress))
        painted.scatter_(1, (torch.from_numpy(self.mouse) + MOUSE * size**2)[:, None], 1)
        return painted.view(len(self.mouse), -1, size, size)

    def frames(self, cell: int = 16, *, corner_size: int | None = None) -> np.ndarray:
        """Every episode as it is now, (L, n * cell, n * cell, 3) uint8."""
        now = Levels(self.levels.world, self.levels.walls, self.mouse, self.levels.places)
        return frame(now, cell, corner_size=corner_size, progress=self.progress)

    def level(self, number: int = 0) -> Level:
        """One episode as it is now: the mouse where it went, and the things that can be seen."""
        one, size = self.levels.take(slice(number, number + 1)), self.levels.size
        there = visible(one, self.progress[number : number + 1])
        things = {
            name: tuple(divmod(cell, size) for cell in np.flatnonzero(m[0]).tolist())
            for name, m in there.items()
        }
        return Level(one.walls[0], divmod(int(self.mouse[number]), size), things)

    def status(self, number: int = 0) -> dict[str, int]:
        """The numbers of one episode's progress that its status planes show, by name."""
        values = self._automaton.status[self.progress[number]].tolist()
        return dict(zip(self.levels.world.status_planes, values, strict=True))

    def holds(self, event: Event, number: int = 0) -> bool:
        """Whether an event holds of one episode now."""
        world, size, mouse = self.levels.world, self.levels.size, int(self.mouse[number])
        if event.when is not None and not event.when(self._automaton.progress[self.progress[number]]):
            return False
        if event.at is None:
            return True
        names = (event.at,) if isinstance(event.at, str) else event.at
        region = corner_region(size, min(world.corner_size, size)).ravel()
        return any(
            bool(region[mouse]) if name == "corner" else mouse in self.levels.places[name][number]
            for name in names
        )


@dataclass(frozen=True)
class Film:
    """Pictures of a walk.

    Attributes:
        frames: (T, h, w, 3) uint8, the start first; the last shows how it ended, before any reset.
        returns: (L,) float64, sum of rewards of each level's episode.
        steps: (L,) int64, env steps of each.
    """

    frames: np.ndarray
    returns: np.ndarray
    steps: np.ndarray


def film(
    levels: Levels | Level,
    moves: Policy | Sequence[int],
    *,
    world: World | None = None,
    seed: int = 0,
    time_limit: int | None = None,
    cell: int = 16,
    corner_size: int | None = None,
    columns: int | None = None,
) -> Film:
    """Walk levels, side by side, until every episode is over or the actions are used up.

    Args:
        levels: a level, or several.
        moves: a policy, whose actions are drawn, or the actions of a single level's episode.
        world: of a single level; default cheese in the corner.
        seed: of the draws from the policy.
        time_limit: steps an episode may take; default 8n.
        cell: pixels along the side of one cell.
        corner_size: tint the corner region of this size.
        columns: levels to a row.

    Raises:
        ValueError: actions for more than one level, or an action that there is not.
    """
    if isinstance(levels, Level):
        levels = Levels.of([levels], CheeseInCorner() if world is None else world)
    if not callable(moves) and len(levels) != 1:
        raise ValueError(f"actions are given for {len(levels)} levels: give one level, or a policy")
    episodes, generator = Episodes(levels, time_limit), torch.Generator().manual_seed(seed)

    def picture() -> np.ndarray:
        frames = episodes.frames(cell, corner_size=corner_size)
        return frames[0] if len(frames) == 1 else tiled(frames, columns)

    frames, left = [picture()], None if callable(moves) else list(moves)
    while not episodes.over.all() and left != []:
        if len(frames) > MOST_FRAMES:
            raise ValueError(f"the episode has more than {MOST_FRAMES} steps: give a lower time_limit")
        if left is None:
            assert callable(moves)
            with torch.no_grad():
                probabilities = moves(episodes.observations()).float().cpu()
            actions = torch.multinomial(probabilities, 1, generator=generator)[:, 0].numpy()
        else:
            actions = np.array([left.pop(0)])
        episodes.step(actions)
        frames.append(picture())
    return Film(np.stack(frames), episodes.returns, episodes.steps)
