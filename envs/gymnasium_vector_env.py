"""CheeseMaze as Gymnasium knows vector environments: many mice stepped as one batch."""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .cheese_maze import CheeseMaze
from .generator import Split, make_levels
from .gymnasium_env import RENDER_MODES, check_settings, level_option, rendering, spaces_of
from .levels import NUM_ACTIONS, Level, corner_region
from .world import TRAINING
from .worlds.cheese_in_corner import CheeseInCorner


class CheeseMazeVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N mice side by side, stepped as one batch.

    Actions, observations, rewards, episode ends and settings are those of `CheeseMazeEnv`; arrays have a leading
    axis of length N. An episode that ends is followed by the next one in the same step (`AutoresetMode.SAME_STEP`):
    the observation is already the next episode's, and the ended one's last observation and info are in
    `info["final_obs"]` (N,) of objects and `info["final_info"]`, where the masks `_final_obs` and `_final_info`
    say. The whole pool is made once, at construction.

    Reset options: `{"level": 17}` or `{"level": array of N}` start those levels of the pool.

    Args:
        num_envs: how many mice.
        device: where the batch lives; observations come back as numpy arrays.
        num_levels: as in `CheeseMazeEnv`, like all that follow.
        split: see there.
        level_seed: see there.
        time_limit: see there.
        endless: see there.
        distribution: see there.
        render_mode: see there.
        cell: see there.
        **level_settings: see there.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012, Gymnasium's contract
        "render_modes": RENDER_MODES,
        "render_fps": 8,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        device: torch.device | str = "cpu",
        num_levels: int = 16384,
        split: Split = "train",
        level_seed: int = 0,
        time_limit: int | None = None,
        endless: bool = False,
        distribution: str = TRAINING,
        render_mode: str | None = None,
        cell: int = 16,
        **level_settings: Any,
    ):
        self.settings = CheeseInCorner(**level_settings)
        check_settings(num_levels, split, time_limit, render_mode)
        self.num_envs, self.num_levels, self.render_mode, self.cell = num_envs, num_levels, render_mode, cell
        levels = make_levels(
            self.settings, num_levels, seed=level_seed, split=split, distribution=distribution
        )
        self._starts = levels.mouse
        self._region = corner_region(self.settings.size, self.settings.corner_size).ravel()
        self._maze = CheeseMaze(
            levels,
            num_envs,
            seed=0,  # reset() seeds anew
            time_limit=time_limit,
            endless=endless,
            device=device,
        )
        self.time_limit = self._maze.time_limit
        self.single_observation_space, self.single_action_space = spaces_of(self.settings.size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._in_corner: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every mouse anew; `seed` fixes this episode and, with the actions, all that follow."""
        super().reset(seed=seed)
        self._maze.reseed(int(self.np_random.integers(2**63)))
        chosen = level_option(options)
        if chosen is not None:
            if isinstance(chosen, Level):
                raise ValueError(
                    "the level of options is a Level: a vector environment takes numbers of levels in its pool"
                )
            chosen = np.broadcast_to(np.asarray(chosen, dtype=np.int64), (self.num_envs,)).copy()
            if chosen.min() < 0 or chosen.max() >= self.num_levels:
                raise ValueError(
                    f"the level of options is {chosen.tolist()}: give 0 to {self.num_levels - 1}"
                )
            chosen = torch.from_numpy(chosen).to(self._maze.device)
        self._maze.reset(chosen)
        level = self._level()
        self._in_corner = self._region[self._starts[level]]
        return self._observations(), _vector_info(level, np.zeros(self.num_envs, dtype=bool))

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every mouse once, (N,) actions; returns observations, rewards, terminated, truncated, info."""
        if self._in_corner is None:
            raise ResetNeeded("no episode is running: call reset() before step()")
        actions = np.asarray(actions, dtype=np.int64)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions are {actions.shape}: give one per environment, ({self.num_envs},)")
        if actions.min() < 0 or actions.max() >= NUM_ACTIONS:
            raise ValueError(f"actions span {actions.min()} to {actions.max()}: give 0 to {NUM_ACTIONS - 1}")
        level_before = self._level()
        step = self._maze.step(torch.from_numpy(actions).to(self._maze.device))
        in_corner = self._region[step.mouse.cpu().numpy()]
        entered = in_corner & ~self._in_corner
        info = _vector_info(self._level(), entered)
        ended = step.ended.cpu().numpy()
        if len(ended):
            over = np.zeros(self.num_envs, dtype=bool)
            over[ended] = True
            info |= _final(level_before, entered, over, step.final_observations.cpu().numpy())
            # What the info says of those mice is of their new episode, in which nothing has happened yet.
            info["corner_entered"] = entered & ~over
            in_corner[ended] = self._region[self._starts[info["level"][ended]]]
        self._in_corner = in_corner
        terminated, truncated = step.terminated.cpu().numpy(), step.truncated.cpu().numpy()
        return self._observations(), terminated.astype(np.float64), terminated, truncated, info

    def render(self) -> Any:
        """One frame or text per mouse, as a tuple; None without a render mode."""
        if self.render_mode is None:
            return None
        planes, corner_size = self._observations(), self.settings.corner_size
        return tuple(rendering(one, self.render_mode, self.cell, corner_size) for one in planes)

    def _observations(self) -> np.ndarray:
        return self._maze.observations.cpu().numpy().copy()

    def _level(self) -> np.ndarray:
        return self._maze.level.cpu().numpy().copy()


def _vector_info(level: np.ndarray, corner_entered: np.ndarray) -> dict[str, Any]:
    everyone = np.ones(len(level), dtype=bool)
    return {
        "level": level,
        "_level": everyone,
        "corner_entered": corner_entered,
        "_corner_entered": everyone.copy(),
    }


def _final(level: np.ndarray, entered: np.ndarray, over: np.ndarray, planes: np.ndarray) -> dict[str, Any]:
    """The infos of the episodes that are `over` (N,), laid out as Gymnasium's SyncVectorEnv lays them out."""
    final_obs = np.full(len(over), None, dtype=object)
    # An array of objects has no batched assignment; few episodes end in any one step.
    for number, last in zip(np.flatnonzero(over), planes, strict=True):
        final_obs[number] = last
    final_info = {
        "level": np.where(over, level, 0),
        "_level": over.copy(),
        "corner_entered": entered & over,
        "_corner_entered": over.copy(),
    }
    return {"final_obs": final_obs, "_final_obs": over, "final_info": final_info, "_final_info": over.copy()}
