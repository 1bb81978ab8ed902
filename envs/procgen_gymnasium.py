"""ProcgenMaze as Gymnasium knows environments: one mouse, or many stepped as one batch."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .gymnasium_env import level_option
from .procgen_frames import Renderer
from .procgen_game import FRAME, LARGEST_SEED, NUM_PROCGEN_ACTIONS
from .procgen_maze import ProcgenMaze

_RENDER_MODES = ["rgb_array"]


def procgen_spaces() -> tuple[spaces.Box, spaces.Discrete]:
    """Observation and action space of one mouse."""
    return spaces.Box(0, 255, (3, FRAME, FRAME), np.uint8), spaces.Discrete(NUM_PROCGEN_ACTIONS)


class ProcgenMazeVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N mice in Procgen's maze side by side; the settings are those of `ProcgenMaze`.

    An episode that ends is followed by the next one in the same step (`AutoresetMode.SAME_STEP`): the ended one's
    last observation is in `info["final_obs"]` (N,) of objects and its level in `info["final_info"]`, where the masks
    say. `info["level"]` is the seed of the level under way. Reset options: `{"level": seed}` or one seed per mouse.

    Args:
        num_envs: how many mice.
        render_mode: `rgb_array`, 512×512 per mouse, or None.
        **settings: of `ProcgenMaze`, but for its seed: `reset` seeds.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a setting is out of range, naming it.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012, Gymnasium's contract
        "render_modes": _RENDER_MODES,
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, num_envs: int = 1, *, render_mode: str | None = None, **settings: Any):
        if render_mode not in (None, *_RENDER_MODES):
            raise ValueError(f"render_mode is {render_mode!r}: give 'rgb_array' or None")
        self.maze = ProcgenMaze(num_envs, seed=0, **settings)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space, self.single_action_space = procgen_spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._running = False
        self._renderer: Renderer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every mouse anew; `seed` fixes this episode and, with the actions, all that follow."""
        super().reset(seed=seed)
        chosen = level_option(options)
        levels = None
        if chosen is not None:
            given = np.asarray(chosen)
            if given.dtype.kind != "i" or given.min() < 0 or given.max() >= LARGEST_SEED:
                raise ValueError(f"the level of options is {chosen}: give seeds from 0 to {LARGEST_SEED - 1}")
            levels = torch.from_numpy(np.broadcast_to(given.astype(np.int64), (self.num_envs,)).copy())
        self.maze.reseed(int(self.np_random.integers(2**63)))
        self.maze.reset(levels)
        self._running = True
        return self._observations(), self._info()

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every mouse once, (N,) actions; returns observations, rewards, terminated, truncated, info."""
        if not self._running:
            raise ResetNeeded("no episode is running: call reset() before step()")
        level_before = self._level()
        step = self.maze.step(torch.from_numpy(np.asarray(actions, dtype=np.int64)))
        info = self._info()
        ended = step.ended.cpu().numpy()
        if len(ended):
            over = np.zeros(self.num_envs, dtype=bool)
            over[ended] = True
            final = np.full(self.num_envs, None, dtype=object)
            for index, last in zip(ended.tolist(), step.final_observations.cpu().numpy(), strict=True):
                final[index] = last
            level = {"level": np.where(over, level_before, 0), "_level": over.copy()}
            info |= {"final_obs": final, "_final_obs": over, "final_info": level, "_final_info": over.copy()}
        terminated, truncated = step.terminated.cpu().numpy(), step.truncated.cpu().numpy()
        rewards = step.rewards.cpu().numpy().astype(np.float64)
        return self._observations(), rewards, terminated, truncated, info

    def render(self) -> Any:
        """A picture (512, 512, 3) uint8 per mouse, as a tuple; None without a render mode."""
        if self.render_mode is None:
            return None
        self._renderer = self._renderer or Renderer(self.maze.mode, large=True)
        return tuple(self._renderer.large_frame(self.maze.read(index)) for index in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the games."""
        self.maze.close()

    def _observations(self) -> np.ndarray:
        return self.maze.observations.cpu().numpy().copy()

    def _level(self) -> np.ndarray:
        return self.maze.level.cpu().numpy()

    def _info(self) -> dict[str, Any]:
        return {"level": self._level(), "_level": np.ones(self.num_envs, dtype=bool)}


class ProcgenMazeEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One mouse in Procgen's maze: a `ProcgenMazeVectorEnv` of one, with its settings.

    Actions, observations, reward and episode ends are those of `ProcgenMaze`. Info: `level`, the seed of the level.
    Reset options: `{"level": seed}`. Registered id: `goalcut/ProcgenMaze-v0`.
    """

    metadata: dict[str, Any] = {"render_modes": _RENDER_MODES, "render_fps": 15}  # noqa: RUF012, Gymnasium's contract

    def __init__(self, *, render_mode: str | None = None, **settings: Any):
        self._one = ProcgenMazeVectorEnv(1, render_mode=render_mode, **({"threads": 0} | settings))
        self.render_mode = render_mode
        self.observation_space, self.action_space = procgen_spaces()
        self._last: np.ndarray | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode, in the next level or in the one that `options` names."""
        super().reset(seed=seed)
        observation, info = self._one.reset(seed=int(self.np_random.integers(2**31)), options=options)
        self._last, self._running = None, True
        return observation[0], {"level": int(info["level"][0])}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move once; returns observation, reward, terminated, truncated, info."""
        if not self._running:
            raise ResetNeeded(
                "no episode is running: call reset() before step(), and again after an episode's end"
            )
        observation, reward, terminated, truncated, info = self._one.step(np.array([action]))
        level = info["level"]
        if "final_obs" in info:
            observation, level = info["final_obs"], info["final_info"]["level"]
            self._last, self._running = observation[0], False
        return (
            observation[0],
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {"level": int(level[0])},
        )

    def render(self) -> Any:
        """A picture (512, 512, 3) uint8; of an episode's end the last observation, enlarged. None without a mode."""
        if self.render_mode is None:
            return None
        if self._last is not None:  # the game has gone on to the next level
            return self._last.transpose(1, 2, 0).repeat(512 // FRAME, 0).repeat(512 // FRAME, 1)
        return self._one.render()[0]

    def close(self) -> None:
        """Free the game."""
        self._one.close()
