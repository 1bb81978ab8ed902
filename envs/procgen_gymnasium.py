"""ProcgenMaze as Gymnasium knows environments: one mouse, or many stepped as one batch."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .gymnasium_env import check_options, level_option
from .gymnasium_vector_env import autoreset_mode_named, check_over, mask_option
from .procgen_frames import Renderer
from .procgen_game import ACTION_MOVES, FRAME, LARGEST_SEED, NUM_PROCGEN_ACTIONS, STAY
from .procgen_maze import ProcgenMaze

_RENDER_MODES = ["rgb_array"]
_STAY = int(np.flatnonzero(ACTION_MOVES == STAY)[0])


def procgen_spaces() -> tuple[spaces.Box, spaces.Discrete]:
    """Observation and action space of one mouse."""
    return spaces.Box(0, 255, (3, FRAME, FRAME), np.uint8), spaces.Discrete(NUM_PROCGEN_ACTIONS)


class ProcgenMazeVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N mice in Procgen's maze side by side; the settings are those of `ProcgenMaze`.

    What follows an episode's end is `autoreset_mode`, as in `CheeseMazeVectorEnv`: `SAME_STEP` gives the first
    observation of the next episode at once, `NEXT_STEP` in the next step, which is none for this mouse, `DISABLED`
    after `reset(options={"reset_mask": mask})`; both of these first give the ended episode's last observation. In
    `SAME_STEP` it is in `info["final_obs"]` (N,) of objects and its level in `info["final_info"]`, where the masks say.

    `info["level"]` is the seed of the level that is seen. Reset options: `{"level": seed}` or one seed per mouse;
    `{"reset_mask": mask}`, (N,) bool, resets only those mice and leaves the others' streams of levels alone, but for a
    seed, which starts all of them anew.

    Args:
        num_envs: how many mice.
        autoreset_mode: see above; an `AutoresetMode` or its value.
        render_mode: `rgb_array`, 512×512 per mouse, or None.
        **settings: of `ProcgenMaze`, but for its seed: `reset` seeds.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a setting is out of range, naming it.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        **settings: Any,
    ):
        if render_mode not in (None, *_RENDER_MODES):
            raise ValueError(f"render_mode is {render_mode!r}: give 'rgb_array' or None")
        self.autoreset_mode = autoreset_mode_named(autoreset_mode)
        self.metadata = {
            "render_modes": _RENDER_MODES,
            "render_fps": 15,
            "autoreset_mode": self.autoreset_mode,
        }
        self.maze = ProcgenMaze(num_envs, seed=0, **settings)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space, self.single_action_space = procgen_spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._running = False
        # Of the mice whose episode is over, while that is seen: last observation and level. The game itself is already
        # at the start of their next episode.
        self._last: dict[int, tuple[np.ndarray, int]] = {}
        self._renderer: Renderer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every mouse anew, or those of a mask; `seed` fixes, with the actions, all that follows."""
        super().reset(seed=seed)
        known = check_options(options, ("level", "reset_mask"))
        which = mask_option(known, self.num_envs, running=self._running)
        levels, rows = self._seeds(known.get("level")), np.flatnonzero(which)
        everyone = known.get("reset_mask") is None
        if everyone or seed is not None:
            self.maze.reseed(int(self.np_random.integers(2**63)))
        if everyone:
            self.maze.reset(levels)
        else:
            if levels is None and seed is None:
                rows = np.array([row for row in rows.tolist() if row not in self._last], dtype=np.int64)
            self.maze.start(torch.from_numpy(rows), None if levels is None else levels[rows])
        self._last = {index: last for index, last in self._last.items() if not which[index]}
        self._running = True
        return self._observations(), self._info(which)

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every mouse once, (N,) actions; returns observations, rewards, terminated, truncated, info."""
        if not self._running:
            raise ResetNeeded("no episode is running: call reset() before step()")
        check_over(np.isin(np.arange(self.num_envs), list(self._last)), self.autoreset_mode)
        actions = np.array(actions, dtype=np.int64)
        # NEXT_STEP: the game steps these mice too, who have no step but the reset, and is put back after it.
        waiting = {index: self.maze.read(index) for index in self._last}
        if waiting and actions.shape == (self.num_envs,):
            actions[list(waiting)] = _STAY
        level_before = self._level()
        step = self.maze.step(torch.from_numpy(actions))
        for index, state in waiting.items():
            self.maze.write(index, state)
        self._last.clear()
        everyone, ended = np.ones(self.num_envs, dtype=bool), step.ended.cpu().numpy()
        final: dict[str, Any] = {}
        if len(ended):
            last = step.final_observations.cpu().numpy()
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                final = self._final(ended, last, level_before)
            else:
                levels = level_before[ended].tolist()
                self._last = dict(zip(ended.tolist(), zip(last, levels, strict=True), strict=True))
        terminated, truncated = step.terminated.cpu().numpy(), step.truncated.cpu().numpy()
        rewards = step.rewards.cpu().numpy().astype(np.float64)
        return self._observations(), rewards, terminated, truncated, final | self._info(everyone)

    def render(self) -> Any:
        """A picture (512, 512, 3) uint8 per mouse, as a tuple; where an episode is over, its last observation enlarged.

        None without a render mode.
        """
        if self.render_mode is None:
            return None
        self._renderer = self._renderer or Renderer(self.maze.mode, large=True)
        return tuple(
            _enlarged(self._last[index][0])
            if index in self._last
            else self._renderer.large_frame(self.maze.read(index))
            for index in range(self.num_envs)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Free the games."""
        self.maze.close()

    def _seeds(self, chosen: Any) -> torch.Tensor | None:
        if chosen is None:
            return None
        given = np.asarray(chosen)
        if given.dtype.kind != "i" or given.min() < 0 or given.max() >= LARGEST_SEED:
            raise ValueError(f"the level of options is {chosen}: give seeds from 0 to {LARGEST_SEED - 1}")
        return torch.from_numpy(np.broadcast_to(given.astype(np.int64), (self.num_envs,)).copy())

    def _observations(self) -> np.ndarray:
        observations = self.maze.observations.cpu().numpy().copy()
        for index, (last, _) in self._last.items():
            observations[index] = last
        return observations

    def _level(self) -> np.ndarray:
        levels = self.maze.level.cpu().numpy()
        for index, (_, level) in self._last.items():
            levels[index] = level
        return levels

    def _info(self, which: np.ndarray) -> dict[str, Any]:
        return {"level": np.where(which, self._level(), 0), "_level": which}

    def _final(self, ended: np.ndarray, last: np.ndarray, level_before: np.ndarray) -> dict[str, Any]:
        over = np.zeros(self.num_envs, dtype=bool)
        over[ended] = True
        final = np.full(self.num_envs, None, dtype=object)
        for index, observation in zip(ended.tolist(), last, strict=True):
            final[index] = observation
        level = {"level": np.where(over, level_before, 0), "_level": over.copy()}
        return {"final_obs": final, "_final_obs": over, "final_info": level, "_final_info": over.copy()}


def _enlarged(observation: np.ndarray) -> np.ndarray:
    return observation.transpose(1, 2, 0).repeat(512 // FRAME, 0).repeat(512 // FRAME, 1)


class ProcgenMazeEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One mouse in Procgen's maze: a `ProcgenMazeVectorEnv` of one, with its settings.

    Actions, observations, reward and episode ends are those of `ProcgenMaze`. Info: `level`, the seed of the level.
    Reset options: `{"level": seed}`. Registered id: `goalcut/ProcgenMaze-v0`.
    """

    metadata: dict[str, Any] = {"render_modes": _RENDER_MODES, "render_fps": 15}  # noqa: RUF012, Gymnasium's contract

    def __init__(self, *, render_mode: str | None = None, **settings: Any):
        settings = {"threads": 0} | settings
        self._one = ProcgenMazeVectorEnv(
            1, autoreset_mode=AutoresetMode.DISABLED, render_mode=render_mode, **settings
        )
        self.render_mode = render_mode
        self.observation_space, self.action_space = procgen_spaces()
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode, in the next level or in the one that `options` names."""
        super().reset(seed=seed)
        level_option(options)  # the only one that there is of one mouse
        observation, info = self._one.reset(seed=int(self.np_random.integers(2**31)), options=options)
        self._running = True
        return observation[0], {"level": int(info["level"][0])}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move once; returns observation, reward, terminated, truncated, info."""
        if not self._running:
            raise ResetNeeded(
                "no episode is running: call reset() before step(), and again after an episode's end"
            )
        observation, reward, terminated, truncated, info = self._one.step(np.array([action]))
        self._running = not (terminated[0] or truncated[0])
        return (
            observation[0],
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {"level": int(info["level"][0])},
        )

    def render(self) -> Any:
        """A picture (512, 512, 3) uint8; of an episode's end the last observation, enlarged. None without a mode."""
        shown = self._one.render()
        return None if shown is None else shown[0]

    def close(self) -> None:
        """Free the game."""
        self._one.close()
