"""ProcgenMaze as Stable-Baselines3 knows vector environments; needs the extras `goalcut[procgen,sb3]`."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from .procgen_frames import Renderer
from .procgen_gymnasium import procgen_spaces
from .procgen_maze import ProcgenMaze


class ProcgenVecEnv(VecEnv):
    """All mice of a `ProcgenMaze` as one `VecEnv`, stepped as one batch; `CnnPolicy` takes its pictures.

    Observations are (N, 3, 64, 64) uint8 in 0…255. An ended episode is followed by the next one in the same step;
    its info holds `terminal_observation`, `TimeLimit.truncated` and `episode` {r, l, t}, as `Monitor` would.

    Args:
        maze: the batch.
        render_mode: `rgb_array`, 512×512 per mouse, or None.
    """

    def __init__(self, maze: ProcgenMaze, *, render_mode: str | None = None):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}: give 'rgb_array' or None")
        self.maze, self.render_mode = maze, render_mode
        super().__init__(maze.num_envs, *procgen_spaces())
        self._actions = torch.empty(0, dtype=torch.int64)
        self._returns, self._lengths = np.zeros(maze.num_envs), np.zeros(maze.num_envs, dtype=np.int64)
        self._began = time.time()
        self._renderer: Renderer | None = None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the draws of levels from the next reset on."""
        # Not NumPy's global generator, as the base class would.
        return super().seed(int(np.random.default_rng().integers(2**32)) if seed is None else seed)

    def reset(self) -> np.ndarray:
        """Start every episode anew; returns observations."""
        if self._seeds[0] is not None:
            self.maze.reseed(self._seeds[0])
        self._reset_seeds()
        self.maze.reset()
        self._returns[:], self._lengths[:] = 0, 0
        return self._observations()

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step, (N,) integers."""
        self._actions = torch.from_numpy(np.asarray(actions, dtype=np.int64))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Move every mouse; returns observations, rewards, dones, infos."""
        step = self.maze.step(self._actions)
        rewards, truncated = step.rewards.cpu().numpy(), step.truncated.cpu().numpy()
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index, last in zip(
            step.ended.tolist(), step.final_observations.cpu().numpy().copy(), strict=True
        ):
            infos[index] = {
                "terminal_observation": last,
                "TimeLimit.truncated": bool(truncated[index]),
                "episode": {
                    "r": float(self._returns[index]),
                    "l": int(self._lengths[index]),
                    "t": round(time.time() - self._began, 6),
                },
            }
            self._returns[index], self._lengths[index] = 0, 0
        return self._observations(), rewards, step.terminated.cpu().numpy() | truncated, infos

    def close(self) -> None:
        """Free the games."""
        self.maze.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture (512, 512, 3) uint8 of every mouse's maze."""
        self._renderer = self._renderer or Renderer(self.maze.mode, large=True)
        return [self._renderer.large_frame(self.maze.read(index)) for index in range(self.num_envs)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, for each environment asked for."""
        value = self.render_mode if attr_name == "render_mode" else getattr(self.maze, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch, which is that of all environments."""
        setattr(self.maze, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch, once."""
        result = getattr(self.maze, method_name)(*method_args, **kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """No wrapper is around single environments: they are one batch."""
        return [False for _ in self._get_indices(indices)]

    def _observations(self) -> np.ndarray:
        return self.maze.observations.cpu().numpy().copy()
