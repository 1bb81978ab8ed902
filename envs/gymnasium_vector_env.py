"""The worlds as Gymnasium knows vector environments: many mice stepped as one batch."""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .cheese_maze import CheeseMaze
from .generator import Split, make_levels
from .gymnasium_env import (
    RENDER_MODES,
    check_options,
    check_settings,
    current_level,
    rendering,
    spaces_of,
    world_of,
)
from .levels import NUM_ACTIONS, Level, corner_region
from .proxy import ProxyReward
from .world import TRAINING, World


class CheeseMazeVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N mice side by side, stepped as one batch.

    Actions, observations, rewards, episode ends, infos and settings are those of `CheeseMazeEnv`; arrays have a
    leading axis of length N. The whole pool of levels is made once, at construction.

    What follows an episode's end is `autoreset_mode` (https://farama.org/Vector-Autoreset-Mode), to the letter as
    Gymnasium's own vectors do it:

    | mode | the step that ends an episode gives | then |
    | ---- | ----------------------------------- | ---- |
    | `SAME_STEP` | the first observation of the next one | steps go on in it |
    | `NEXT_STEP` | its last observation | the next step is no step but the reset: action ignored, reward 0 |
    | `DISABLED` | its last observation | `reset(options={"reset_mask": mask})` must come first |

    In `SAME_STEP` the ended episode's last observation and info are in `info["final_obs"]` (N,) of objects and
    `info["final_info"]`, where the masks `_final_obs` and `_final_info` say. The last observation, never the next
    episode's first, is the one whose value a truncated episode is to be bootstrapped with.

    Reset options: `{"level": 17}` or `{"level": array of N}` start those levels of the pool; `{"reset_mask": mask}`,
    (N,) bool, resets only those mice. All draws are of one stream, which a seed starts anew for all.

    Args:
        num_envs: how many mice.
        autoreset_mode: see above; an `AutoresetMode` or its value.
        device: where the batch lives; observations come back as numpy arrays.
        world: as in `CheeseMazeEnv`, like all that follow.
        num_levels: see there.
        split: see there.
        level_seed: see there.
        time_limit: see there.
        endless: see there.
        distribution: see there.
        render_mode: see there.
        cell: see there.
        **world_settings: see there.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        device: torch.device | str = "cpu",
        world: str | World = "corner",
        num_levels: int = 16384,
        split: Split = "train",
        level_seed: int = 0,
        time_limit: int | None = None,
        endless: bool = False,
        distribution: str = TRAINING,
        render_mode: str | None = None,
        cell: int = 16,
        **world_settings: Any,
    ):
        self.world = world_of(world, world_settings)
        check_settings(self.world, num_levels, split, distribution, time_limit, render_mode)
        self.autoreset_mode = autoreset_mode_named(autoreset_mode)
        self.metadata = {
            "render_modes": RENDER_MODES,
            "render_fps": 8,
            "autoreset_mode": self.autoreset_mode,
        }
        self.num_envs, self.num_levels, self.render_mode, self.cell = num_envs, num_levels, render_mode, cell
        self._levels = make_levels(
            self.world, num_levels, seed=level_seed, split=split, distribution=distribution
        )
        self._region = corner_region(self.world.size, self.world.corner_size).ravel()
        self._proxy = ProxyReward(self._levels)
        self._maze = CheeseMaze(
            self._levels,
            num_envs,
            seed=0,  # reset() seeds anew
            time_limit=time_limit,
            endless=endless,
            device=device,
        )
        self.time_limit = self._maze.time_limit
        self.single_observation_space, self.single_action_space = spaces_of(self.world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        # Of each mouse: its level and cell, whether its proxy is settled, and whether its episode is over.
        self._level, self._mouse = np.zeros((2, num_envs), dtype=np.int64)
        self._settled, self._over = np.zeros((2, num_envs), dtype=bool)
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every mouse anew, or those of a mask; `seed` fixes, with the actions, all that follows."""
        super().reset(seed=seed)
        known = check_options(options, ("level", "reset_mask"))
        which = mask_option(known, self.num_envs, running=self._running)
        numbers = self._numbers(known.get("level"))
        self._maze.reseed(int(self.np_random.integers(2**63)))
        self._start(which, numbers)
        self._running = True
        return self._observations(), self._info(which, np.zeros(self.num_envs), np.zeros_like(which))

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every mouse once, (N,) actions; returns observations, rewards, terminated, truncated, info."""
        if not self._running:
            raise ResetNeeded("no episode is running: call reset() before step()")
        waiting = self._over
        check_over(waiting, self.autoreset_mode)
        actions = np.asarray(actions, dtype=np.int64)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions are {actions.shape}: give one per environment, ({self.num_envs},)")
        if actions.min() < 0 or actions.max() >= NUM_ACTIONS:
            raise ValueError(f"actions span {actions.min()} to {actions.max()}: give 0 to {NUM_ACTIONS - 1}")

        stepped = self._maze.advance(torch.from_numpy(actions).to(self._maze.device))
        rewards, terminated, truncated = (part.cpu().numpy() for part in stepped)
        rewards = rewards.astype(np.float64)
        before, self._mouse = self._mouse, self._maze.mouse.cpu().numpy().copy()
        state = (self._level, self._mouse, self._maze.progress.cpu().numpy())
        proxy_rewards, self._settled = self._proxy.of_step(*state, rewards, self._settled)
        entered = self._region[self._mouse] & ~self._region[before]

        final: dict[str, Any] = {}
        anew = waiting  # NEXT_STEP
        self._over = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            anew, self._over = self._over, np.zeros_like(waiting)
            if anew.any():
                final = self._final(anew, self._info(anew, proxy_rewards, entered))
        elif waiting.any():
            rewards[waiting] = 0.0
            terminated, truncated, self._over = (
                flags & ~waiting for flags in (terminated, truncated, self._over)
            )
        if anew.any():
            # What the info says of these mice is of their new episode, in which nothing has happened yet.
            self._start(anew, None)
            proxy_rewards, entered = np.where(anew, 0.0, proxy_rewards), entered & ~anew
        info = final | self._info(np.ones_like(anew), proxy_rewards, entered)
        return self._observations(), rewards, terminated, truncated, info

    def render(self) -> Any:
        """One frame or text per mouse, as a tuple; None without a render mode."""
        if self.render_mode is None:
            return None
        if not self._running:
            raise ResetNeeded("there is nothing to render yet: call reset() first")
        states = zip(self._level.tolist(), self._mouse.tolist(), self._maze.progress.tolist(), strict=True)
        now = [current_level(self._levels, *state) for state in states]
        shown = zip(self._observations(), now, strict=True)
        return tuple(rendering(*one, self.world, self.render_mode, self.cell) for one in shown)

    def _start(self, which: np.ndarray, numbers: np.ndarray | None) -> None:
        device, rows = self._maze.device, np.flatnonzero(which)
        levels = None if numbers is None else torch.from_numpy(numbers[rows]).to(device)
        self._maze.start(torch.from_numpy(rows).to(device), levels)
        self._level = self._maze.level.cpu().numpy().copy()
        self._mouse[rows] = self._levels.mouse[self._level[rows]]
        progress = self._maze.progress.cpu().numpy()[rows]
        self._settled[rows] = self._proxy.settled(self._level[rows], self._mouse[rows], progress)
        self._over = self._over & ~which

    def _numbers(self, chosen: Any) -> np.ndarray | None:
        if chosen is None:
            return None
        if isinstance(chosen, Level):
            raise ValueError(
                "the level of options is a Level: a vector environment takes numbers of levels in its pool"
            )
        numbers = np.broadcast_to(np.asarray(chosen, dtype=np.int64), (self.num_envs,)).copy()
        if numbers.min() < 0 or numbers.max() >= self.num_levels:
            raise ValueError(f"the level of options is {numbers.tolist()}: give 0 to {self.num_levels - 1}")
        return numbers

    def _observations(self) -> np.ndarray:
        return self._maze.observations.cpu().numpy().view(np.int8).copy()

    def _info(self, which: np.ndarray, proxy_rewards: np.ndarray, entered: np.ndarray) -> dict[str, Any]:
        """The infos of the mice `which` (N,) bool, laid out as Gymnasium lays them out: zero where there is none."""
        return {
            "level": np.where(which, self._level, 0),
            "_level": which.copy(),
            "proxy_reward": np.where(which, proxy_rewards, 0.0),
            "_proxy_reward": which.copy(),
            "corner_entered": entered & which,
            "_corner_entered": which.copy(),
        }

    def _final(self, over: np.ndarray, info: dict[str, Any]) -> dict[str, Any]:
        last, ended = np.full(self.num_envs, None, dtype=object), np.flatnonzero(over)
        planes = self._maze.observations[torch.from_numpy(ended).to(self._maze.device)]
        # An array of objects has no batched assignment; few episodes end in any one step.
        for number, observation in zip(ended, planes.cpu().numpy().view(np.int8), strict=True):
            last[number] = observation
        return {"final_obs": last, "_final_obs": over.copy(), "final_info": info, "_final_info": over.copy()}


def autoreset_mode_named(mode: AutoresetMode | str) -> AutoresetMode:
    """A mode by itself or its value.

    Raises:
        ValueError: there is none of this value, naming those that there are.
    """
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        known = ", ".join(one.value for one in AutoresetMode)
        raise ValueError(f"autoreset_mode is {mode!r}: give one of {known}") from error


def mask_option(options: dict[str, Any], num_envs: int, *, running: bool) -> np.ndarray:
    """Which of the environments the options of a reset name, (N,) bool, a copy; without a mask all.

    Raises:
        ValueError: `reset_mask` is no mask of so many, or names none.
        ResetNeeded: there is a mask, but nothing is `running` yet that could be left alone.
    """
    mask = options.get("reset_mask")
    if mask is None:
        return np.ones(num_envs, dtype=bool)
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (num_envs,):
        raise ValueError(f"reset_mask of options is {mask}: give an array ({num_envs},) of bool")
    if not mask.any():
        raise ValueError("reset_mask of options is False everywhere: name at least one mouse")
    if not running:
        raise ResetNeeded("no episode is running: the first reset() takes no 'reset_mask'")
    return mask.copy()


def check_over(over: np.ndarray, mode: AutoresetMode) -> None:
    """Refuse a step where some episodes are over, (N,) bool, and nothing but a reset may follow.

    Raises:
        ResetNeeded: naming them.
    """
    if mode is AutoresetMode.DISABLED and over.any():
        raise ResetNeeded(
            f"the episodes of mice {np.flatnonzero(over).tolist()} are over: call reset() with the option "
            f"'reset_mask' before step()"
        )
