"""Any batched environment as one Stable-Baselines3 `VecEnv`; needs the extra `goalcut[sb3]`."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from .cheese_maze import CheeseMaze
from .procgen_maze import ProcgenMaze

try:
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError(
        "stable_baselines3 is not installed: pip install 'goalcut[sb3]', or 'stable-baselines3>=2.4'"
    ) from error


M = TypeVar("M", CheeseMaze, ProcgenMaze)


class BatchVecEnv(VecEnv, Generic[M]):
    """All mice of a batch as one `VecEnv`, stepped as one batch; what a kind of batch adds is what it looks like.

    Rewards are (N,) float32, dones (N,) bool.

    An ended episode is followed by the next one in the same step. Its info holds `terminal_observation`, what was seen
    before the reset; `TimeLimit.truncated`, whether it was only the time limit that ended it, so that PPO adds
    γ V(terminal_observation); and `episode` {r, l, t}, as `Monitor` would. Other infos are empty.

    The environments are one batch and share their settings: `get_attr`, `set_attr` and `env_method` reach the batch, of
    whose tensors with an entry per environment each gets its own.

    Args:
        maze: the batch.
        observation_space: of one mouse; its dtype is that of the observations.
        render_mode: `rgb_array`, or None.
    """

    def __init__(
        self, maze: M, observation_space: spaces.Space[np.ndarray], *, render_mode: str | None = None
    ):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}: give 'rgb_array' or None")
        self.maze, self.render_mode = maze, render_mode
        super().__init__(maze.num_envs, observation_space, spaces.Discrete(maze.num_actions))
        self._actions: Tensor | None = None
        self._began = time.time()
        self._returns = np.zeros(maze.num_envs)
        self._lengths = np.zeros(maze.num_envs, dtype=np.int64)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the draws of levels from the next reset on; the batch has one stream, that of the first seed."""
        # Not NumPy's global generator, as the base class would.
        return super().seed(int(np.random.default_rng().integers(2**32)) if seed is None else seed)

    def reset(self) -> np.ndarray:
        """Start every episode anew; returns observations.

        Raises:
            ValueError: `set_options` gave options; there are none.
        """
        options = {name for given in self._options for name in given}
        if options:
            raise ValueError(f"options name {', '.join(sorted(options))}: a {type(self).__name__} takes none")
        if self._seeds[0] is not None:
            self.maze.reseed(self._seeds[0])
        self._reset_seeds()
        self.maze.reset()
        self._returns[:] = 0
        self._lengths[:] = 0
        return self._observations()

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step, (N,) integers."""
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions are {actions.shape}: give one per environment, ({self.num_envs},)")
        if actions.min() < 0 or actions.max() >= self.maze.num_actions:
            raise ValueError(
                f"actions span {actions.min()} to {actions.max()}: give 0 to {self.maze.num_actions - 1}"
            )
        self._actions = torch.from_numpy(actions.astype(np.int64)).to(self.maze.device)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Move every mouse; returns observations, rewards, dones, infos."""
        if self._actions is None:
            raise RuntimeError("there are no actions to wait for: call step_async first, or step")
        step, self._actions = self.maze.step(self._actions), None
        # Copies: Stable-Baselines3 adds the bootstrapped values to the rewards in place.
        rewards = step.rewards.cpu().numpy().astype(np.float32)
        truncated = step.truncated.cpu().numpy()
        dones = step.terminated.cpu().numpy() | truncated
        self._returns += rewards
        self._lengths += 1
        # Each its own, in case a wrapper writes into them: 512 cost 10 µs.
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = step.ended.cpu().numpy()
        if len(ended):
            last = self._seen(step.final_observations)
            now = round(time.time() - self._began, 6)
            for number, seen in zip(ended.tolist(), last, strict=True):
                infos[number] = {
                    "terminal_observation": seen,
                    "TimeLimit.truncated": bool(truncated[number]),
                    "episode": {
                        "r": round(float(self._returns[number]), 6),
                        "l": int(self._lengths[number]),
                        "t": now,
                    },
                }
            self._returns[ended] = 0
            self._lengths[ended] = 0
        return self._observations(), rewards, dones, infos

    @abstractmethod
    def get_images(self) -> list[np.ndarray]:
        """A picture of every mouse's maze, uint8."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, for each environment asked for.

        Raises:
            AttributeError: the batch has none of this name.
        """
        value = self.render_mode if attr_name == "render_mode" else getattr(self.maze, attr_name)
        return self._of_each(value, indices)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch, which is that of all environments.

        Raises:
            ValueError: for some environments only.
        """
        self._all(indices, attr_name)
        setattr(self.maze, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch, once; `render` draws the environments asked for.

        Raises:
            AttributeError: the batch has none of this name.
            ValueError: for some environments only.
        """
        if method_name == "render":
            images = self.get_images() if self.render_mode else [None] * self.num_envs
            return [images[number] for number in self._get_indices(indices)]
        self._all(indices, method_name)
        return self._of_each(getattr(self.maze, method_name)(*method_args, **kwargs), None)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Whether infos are as that wrapper makes them: of `Monitor` they are."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def _observations(self) -> np.ndarray:
        return self._seen(self.maze.observations)

    def _seen(self, observations: Tensor) -> np.ndarray:
        # Always a copy: the next step overwrites what it gave.
        return observations.cpu().numpy().astype(self.observation_space.dtype)

    def _of_each(self, value: Any, indices: Any) -> list[Any]:
        chosen = list(self._get_indices(indices))
        if isinstance(value, Tensor) and value.ndim and len(value) == self.num_envs:
            return [value[number].cpu().numpy() for number in chosen]
        return [value for _ in chosen]

    def _all(self, indices: Any, name: str) -> None:
        if indices is not None and sorted(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ValueError(
                f"indices are {indices} for {name!r}, but the environments are one batch: leave them out"
            )
