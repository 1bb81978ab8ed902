"""CheeseMaze as Gymnasium knows environments: one mouse."""

from typing import Any, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from .ascii import render as render_text
from .frames import PLANES, frame
from .generator import Split, make_levels
from .levels import NUM_ACTIONS, Level, Levels, corner_region
from .moves import default_time_limit, next_cells
from .planes import observations
from .world import TRAINING
from .worlds.cheese_in_corner import CheeseInCorner

RENDER_MODES = ["rgb_array", "ansi"]
_GIVEN_LEVEL = -1


class CheeseMazeEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One mouse in a maze, looking for cheese.

    ## Description
    The maze is a spanning tree of corridors. In training the cheese lies in the corner region, the k×k cells at the
    top right: an agent may learn to go to the cheese or to go to the corner, and the reward cannot tell which.

    ## Actions: `Discrete(4)`
    | action | move  |
    | ------ | ----- |
    | 0      | up    |
    | 1      | down  |
    | 2      | left  |
    | 3      | right |

    A move into a wall or out of the maze stays.

    ## Observations: `Box(0, 1, (3, n, n), uint8)`
    Planes of cells, row 0 at the top: walls, mouse, cheese; 1 where it is. The bounds say what the values are, so
    Stable-Baselines3 takes the planes for features, not for an image whose values it should divide by 255: use
    `MlpPolicy`, or a features extractor of your own.

    ## Reward
    1 for the move that reaches the cheese, else 0.

    ## Episode end
    Terminates when the cheese is reached; truncates after `time_limit` steps.

    ## Info
    `level`: number of the level in its pool, −1 for a level that `options` gave. `corner_entered`: this step took
    the mouse into the corner region from outside, the proxy reward beside the true one (False after a reset).

    ## Reset options
    `{"level": 17}` starts level 17 of the pool, `{"level": Level(...)}` any level of the same size.

    ## Registered ids
    `goalcut/CheeseMaze-v0`

    Args:
        num_levels: size of the pool that episodes draw from: levels 0…num_levels−1 of the split.
        split: `train`, `tune` or `test`; no maze layout is in two of them.
        level_seed: seed of the pool. The seed of `reset` chooses which of its levels come up.
        time_limit: steps an episode may take; default 8n.
        endless: whether reaching the cheese neither pays nor ends.
        distribution: of levels: `training`, `shifted` or `conflict`.
        render_mode: `rgb_array` or `ansi`.
        cell: pixels along the side of one cell of a frame.
        **level_settings: the fields of `CheeseInCorner`: size, corner_size, start, layout, ood_share.

    Raises:
        ValueError: a setting out of range, naming it.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 8}  # noqa: RUF012, Gymnasium's contract

    def __init__(
        self,
        *,
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
        size = self.settings.size
        self.num_levels, self.level_seed = num_levels, level_seed
        self.split: Split = split
        self.time_limit = default_time_limit(size) if time_limit is None else time_limit
        self.endless, self.render_mode, self.cell = endless, render_mode, cell
        self.distribution = distribution
        self.observation_space, self.action_space = spaces_of(size)
        self._region = corner_region(size, self.settings.corner_size).ravel()
        self._planes: np.ndarray | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in a random level of the pool, or in the one that `options` names."""
        super().reset(seed=seed)
        chosen = level_option(options)
        if isinstance(chosen, Level):
            self._number, levels = _GIVEN_LEVEL, Levels.of([chosen], self.settings)
            if levels.size != self.settings.size:
                raise ValueError(
                    f"the level of options is {levels.size}×{levels.size}: give one of size {self.settings.size}, "
                    "or make the environment with another size"
                )
        else:
            self._number = int(self.np_random.integers(self.num_levels)) if chosen is None else int(chosen)
            if not 0 <= self._number < self.num_levels:
                raise ValueError(f"the level of options is {self._number}: give 0 to {self.num_levels - 1}")
            # One level costs a third of a millisecond: cheaper than holding a pool for a single environment.
            levels = make_levels(
                self.settings,
                np.array([self._number]),
                seed=self.level_seed,
                split=self.split,
                distribution=self.distribution,
            )
        self._next_cells = next_cells(levels.walls)[0]
        self._planes = observations(levels)[0].reshape(len(PLANES), -1)
        self._mouse, self._cheese, self._elapsed = int(levels.mouse[0]), int(levels.cheese[0]), 0
        self._running = True
        return self._observation(), self._info(corner_entered=False)

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move once; returns observation, reward, terminated, truncated, info."""
        if self._planes is None or not self._running:
            raise ResetNeeded(
                "no episode is running: call reset() before step(), and again after an episode's end"
            )
        if not 0 <= action < NUM_ACTIONS:
            raise ValueError(f"action is {action}: give 0 up, 1 down, 2 left or 3 right")
        before, self._mouse = self._mouse, int(self._next_cells[self._mouse, action])
        self._planes[1, before] = 0
        self._planes[1, self._mouse] = 1
        self._elapsed += 1
        terminated = not self.endless and self._mouse == self._cheese
        truncated = not terminated and self._elapsed >= self.time_limit
        self._running = not (terminated or truncated)
        entered = bool(self._region[self._mouse] and not self._region[before])
        return (
            self._observation(),
            float(terminated),
            terminated,
            truncated,
            self._info(corner_entered=entered),
        )

    def render(self) -> Any:
        """A frame (n * cell, n * cell, 3) uint8 with the corner region tinted, or a text; None without a mode."""
        if self.render_mode is None:
            return None
        if self._planes is None:
            raise ResetNeeded("there is nothing to render yet: call reset() first")
        return rendering(self._observation(), self.render_mode, self.cell, self.settings.corner_size)

    def _observation(self) -> np.ndarray:
        assert self._planes is not None
        # A copy: callers keep what they are given, and the next step writes into the planes.
        return self._planes.reshape(len(PLANES), self.settings.size, self.settings.size).copy()

    def _info(self, *, corner_entered: bool) -> dict[str, Any]:
        return {"level": self._number, "corner_entered": corner_entered}


def spaces_of(size: int) -> tuple[spaces.Box, spaces.Discrete]:
    """Observation and action space of one mouse."""
    return spaces.Box(0, 1, (len(PLANES), size, size), np.uint8), spaces.Discrete(NUM_ACTIONS)


def check_settings(num_levels: int, split: str, time_limit: int | None, render_mode: str | None) -> None:
    """Refuse settings out of range, by name; the fields of `CheeseInCorner` check themselves."""
    if num_levels < 1:
        raise ValueError(f"num_levels is {num_levels}: give at least 1")
    if split not in get_args(Split):
        raise ValueError(f"split is {split!r}: give one of {', '.join(get_args(Split))}")
    if time_limit is not None and time_limit < 1:
        raise ValueError(f"time_limit is {time_limit}: give at least 1 step")
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode is {render_mode!r}: give {' or '.join(RENDER_MODES)}, or None")


def level_option(options: dict[str, Any] | None) -> Any:
    """What `options` says of the level, or None; any other option is refused."""
    unknown = set(options or {}) - {"level"}
    if unknown:
        # To pass over an option in silence would start another episode than the one asked for.
        raise ValueError(f"options name {', '.join(sorted(unknown))}: the only option is 'level'")
    return (options or {}).get("level")


def rendering(planes: np.ndarray, mode: str, cell: int, corner_size: int) -> np.ndarray | str:
    """Observation planes (3, n, n) as a frame or a text."""
    if mode == "rgb_array":
        return frame(planes, cell, corner_size=corner_size)
    size = planes.shape[-1]
    mouse, cheese = (divmod(int(planes[plane].argmax()), size) for plane in (1, 2))
    return render_text(Level(planes[0].astype(bool), mouse, {"cheese": (cheese,)}))
