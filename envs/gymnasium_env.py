"""The worlds as Gymnasium knows environments: one mouse."""

from dataclasses import dataclass, replace
from typing import Any, get_args

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from .ascii import render as render_text
from .automaton import automaton_of
from .frames import frame
from .generator import Split, make_levels
from .levels import ABSENT, NUM_ACTIONS, Level, Levels, corner_region
from .moves import beginnings, default_time_limit, next_cells, touched_sets
from .planes import MOUSE, Painter, plane_names
from .proxy import ProxyReward
from .world import TRAINING, World
from .worlds import world_named

RENDER_MODES = ["rgb_array", "ansi"]
_GIVEN_LEVEL = -1
# Making one level costs a third of a millisecond, making sixteen a half: the next episodes' are made together.
_AHEAD = 16


class CheeseMazeEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One mouse in a maze, looking for cheese or whatever its world holds.

    ## Description
    Every world (`WORLDS`) has a true goal and a proxy, which the reward cannot tell apart on training levels. In
    `corner` the cheese lies in the k×k cells at the top right: an agent may learn to go to the cheese or to go to
    the corner. `distribution="shifted"` gives levels on which the two part.

    ## Actions: `Discrete(4)`
    | action | move  |
    | ------ | ----- |
    | 0      | up    |
    | 1      | down  |
    | 2      | left  |
    | 3      | right |

    A move into a wall or out of the maze stays.

    ## Observations: `MultiBinary((C, n, n))`
    Planes of cells, row 0 at the top, int8: walls, mouse, and those of the world's things and numbers, as
    `plane_names(world)` names them; 1 where it is. `MultiBinary` says that they are flags and not the pixels of an
    image, for which Stable-Baselines3 takes any `Box` of three axes: it neither divides them by 255 nor warns that
    they are few. Its `MlpPolicy` flattens them; for convolutions give a features extractor of your own.

    ## Reward
    What the world's card pays for the things that the mouse arrives on; in `corner` 1 for the cheese.

    ## Episode end
    Terminates when the card says so, in `corner` at the cheese; truncates after `time_limit` steps.

    ## Info
    `level`: number of the level in its pool, −1 for a level that `options` gave. `proxy_reward`: what this step
    would pay if the proxy were the true goal, as `ProxyReward` says; in `corner` 1 for the first step of the episode
    into the corner region. `corner_entered`: this step took the mouse into the corner region from outside, however
    often. After a reset they are 0 and False.

    ## Reset options
    `{"level": 17}` starts level 17 of the pool, `{"level": Level(...)}` any level of the same size and world,
    with all that the card says is `needed`.

    ## Registered ids
    `WORLD_IDS[name]` of every world: `goalcut/CheeseMaze-v0` of `corner`, and one per card after its class.

    Args:
        world: name of a card in `WORLDS`, or a card.
        num_levels: size of the pool that episodes draw from: levels 0…num_levels−1 of the split.
        split: `train`, `tune` or `test`; no maze layout is in two of them.
        level_seed: seed of the pool. The seed of `reset` chooses which of its levels come up.
        time_limit: steps an episode may take; default 8n.
        endless: whether arrivals neither pay nor end.
        distribution: of levels: `training`, `shifted`, or another of the world's.
        render_mode: `rgb_array` or `ansi`.
        cell: pixels along the side of one cell of a frame.
        **world_settings: the fields of the card: size, corner_size, start, layout, ood_share…

    Raises:
        ValueError: a setting out of range, naming it.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 8}  # noqa: RUF012, Gymnasium's contract

    def __init__(
        self,
        *,
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
        size = self.world.size
        self.num_levels, self.level_seed, self.distribution = num_levels, level_seed, distribution
        self.split: Split = split
        self.time_limit = default_time_limit(size) if time_limit is None else time_limit
        self.endless, self.render_mode, self.cell = endless, render_mode, cell
        self.observation_space, self.action_space = spaces_of(self.world)
        self._automaton = automaton_of(self.world)
        self._region = corner_region(size, self.world.corner_size).ravel()
        # The batch of the episode under way, that of the coming ones, and the level of each.
        self._batch: _Batch | None = None
        self._coming: _Batch | None = None
        self._row = self._coming_row = 0
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in a random level of the pool, or in the one that `options` names."""
        super().reset(seed=seed)
        if seed is not None:
            self._coming = None
        chosen = level_option(options)
        if chosen is None:
            if self._coming is None or self._coming_row == _AHEAD:
                self._coming = self._made(self.np_random.integers(self.num_levels, size=_AHEAD))
                self._coming_row = 0
            self._batch, self._row = self._coming, self._coming_row
            self._coming_row += 1
        else:
            self._batch, self._row = self._given(chosen), 0
        levels = self._batch.levels
        self._mouse, self._elapsed = int(levels.mouse[self._row]), 0
        self._progress = int(self._batch.begins[self._row])
        self._settled = self._batch.proxy.settled(self._row, self._mouse, self._progress)
        self._painted: dict[int, np.ndarray] = {}
        self._running = True
        return self._observation(), self._info(proxy_reward=0.0, corner_entered=False)

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move once; returns observation, reward, terminated, truncated, info."""
        if self._batch is None or not self._running:
            raise ResetNeeded(
                "no episode is running: call reset() before step(), and again after an episode's end"
            )
        if not 0 <= action < NUM_ACTIONS:
            raise ValueError(f"action is {action}: give 0 up, 1 down, 2 left or 3 right")
        batch, row, automaton, before = self._batch, self._row, self._automaton, self._mouse
        mouse = self._mouse = int(batch.next_cells[row, before, action])
        arrival = (self._progress, batch.touched[row, mouse])
        self._progress = int(automaton.following[arrival])
        self._elapsed += 1
        reward, terminated = 0.0, False
        if not self.endless:
            reward, terminated = float(automaton.rewards[arrival]), bool(automaton.ends[arrival])
        truncated = not terminated and self._elapsed >= self.time_limit
        self._running = not (terminated or truncated)
        proxy_reward, self._settled = batch.proxy.of_step(row, mouse, self._progress, reward, self._settled)
        entered = bool(self._region[mouse] and not self._region[before])
        info = self._info(proxy_reward=float(proxy_reward), corner_entered=entered)
        return self._observation(), reward, terminated, truncated, info

    def render(self) -> Any:
        """A frame (n * cell, n * cell, 3) uint8, or a text; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._batch is None:
            raise ResetNeeded("there is nothing to render yet: call reset() first")
        now = current_level(self._batch.levels, self._row, self._mouse, self._progress)
        return rendering(self._observation(), now, self.world, self.render_mode, self.cell)

    def _made(self, numbers: np.ndarray) -> "_Batch":
        levels = make_levels(
            self.world, numbers, seed=self.level_seed, split=self.split, distribution=self.distribution
        )
        return _Batch.of(levels, numbers)

    def _given(self, chosen: Any) -> "_Batch":
        if isinstance(chosen, Level):
            levels = Levels.of([chosen], self.world)
            if levels.size != self.world.size:
                raise ValueError(
                    f"the level of options is {levels.size}×{levels.size}: give one of size {self.world.size}, or "
                    f"make the environment with another size"
                )
            missing = sorted(name for name in self.world.needed if not chosen.things.get(name))
            if missing:
                raise ValueError(
                    f"the level of options has no {missing[0]}: every level of the world {self.world.name!r} has "
                    f"{', '.join(sorted(self.world.needed))}; put it on a free cell"
                )
            return _Batch.of(levels, np.array([_GIVEN_LEVEL]))
        number = int(chosen)
        if not 0 <= number < self.num_levels:
            raise ValueError(f"the level of options is {number}: give 0 to {self.num_levels - 1}")
        return self._made(np.array([number]))

    def _observation(self) -> np.ndarray:
        assert self._batch is not None
        painted = self._painted.get(self._progress)
        if painted is None:
            # Kept while the episode lasts: painting takes longer than all the rest of a step.
            where = torch.tensor([self._row]), torch.tensor([self._progress])
            painted = self._batch.painter.paint(*where).numpy()[0].view(np.int8)
            self._painted[self._progress] = painted
        planes = painted.copy()
        planes[MOUSE * self.world.size**2 + self._mouse] = 1
        return planes.reshape(-1, self.world.size, self.world.size)

    def _info(self, *, proxy_reward: float, corner_entered: bool) -> dict[str, Any]:
        assert self._batch is not None
        level = int(self._batch.numbers[self._row])
        return {"level": level, "proxy_reward": proxy_reward, "corner_entered": corner_entered}


@dataclass(frozen=True, eq=False)
class _Batch:
    """Levels of the pool by their `numbers` (B,), with what it takes to walk in them."""

    levels: Levels
    numbers: np.ndarray
    next_cells: np.ndarray
    touched: np.ndarray
    begins: np.ndarray
    painter: Painter
    proxy: ProxyReward

    @staticmethod
    def of(levels: Levels, numbers: np.ndarray) -> "_Batch":
        """Levels and their numbers."""
        automaton = automaton_of(levels.world)
        return _Batch(
            levels,
            numbers,
            next_cells(levels.walls),
            touched_sets(levels, automaton),
            beginnings(levels, automaton),
            Painter(levels),
            ProxyReward(levels),
        )


def world_of(world: str | World, settings: dict[str, Any]) -> World:
    """A card by its name or itself, with these settings.

    Raises:
        ValueError, TypeError: there is no such card or setting.
    """
    return replace(world, **settings) if isinstance(world, World) else world_named(world)(**settings)


def spaces_of(world: World) -> tuple[spaces.MultiBinary, spaces.Discrete]:
    """Observation and action space of one mouse."""
    planes = spaces.MultiBinary((len(plane_names(world)), world.size, world.size))
    return planes, spaces.Discrete(NUM_ACTIONS)


def check_settings(
    world: World,
    num_levels: int,
    split: str,
    distribution: str,
    time_limit: int | None,
    render_mode: str | None,
) -> None:
    """Refuse settings out of range, by name; the fields of the card check themselves."""
    if num_levels < 1:
        raise ValueError(f"num_levels is {num_levels}: give at least 1")
    if split not in get_args(Split):
        raise ValueError(f"split is {split!r}: give one of {', '.join(get_args(Split))}")
    if distribution not in world.distributions:
        raise ValueError(f"distribution is {distribution!r}: give one of {', '.join(world.distributions)}")
    if time_limit is not None and time_limit < 1:
        raise ValueError(f"time_limit is {time_limit}: give at least 1 step")
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode is {render_mode!r}: give {' or '.join(RENDER_MODES)}, or None")


def check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """The options of a reset, if all of them are known."""
    unknown = set(options or {}) - set(known)
    if unknown:
        # To pass over an option in silence would start another episode than the one asked for.
        those = f"the only option is {known[0]!r}" if len(known) == 1 else f"give {' or '.join(known)}"
        raise ValueError(f"options name {', '.join(sorted(unknown))}: {those}")
    return dict(options or {})


def level_option(options: dict[str, Any] | None) -> Any:
    """What the options of a reset say of the level, or None; any other option is refused."""
    return check_options(options, ("level",)).get("level")


def current_level(levels: Levels, row: int, mouse: int, progress: int) -> Level:
    """Level `row` as it looks now: the mouse where it is, and the things that can be seen, where they are."""
    automaton, size = automaton_of(levels.world), levels.size
    things = {}
    for thing, there in zip(levels.world.things, automaton.shown[progress], strict=True):
        cells = levels.places[thing.name][row]
        if thing.walks:
            cells = cells[automaton.walked[progress], None]
        things[thing.name] = tuple(divmod(int(cell), size) for cell in cells if there and cell != ABSENT)
    return Level(levels.walls[row], divmod(mouse, size), things)


def rendering(planes: np.ndarray, level: Level, world: World, mode: str, cell: int) -> np.ndarray | str:
    """What is seen (C, n, n) as a frame, or the level as it looks now as a text."""
    if mode == "ansi":
        return render_text(level, world)
    return frame(planes, cell, corner_size=world.corner_size if world.corner_is_goal else None, world=world)
