"""Levels of Procgen's maze as goalcut knows levels, and how many of them are the same."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .levels import Level, Levels
from .procgen_game import LARGEST_SEED
from .procgen_state import SPACE, WALL, MazeState
from .worlds import CheeseInCorner

# Of the test and of the tuning split each.
HELD_OUT_SEEDS = 1_000_000
# What a training without a limit of levels draws from: what is left for the other splits is never drawn.
UNLIMITED = 2**30


def split_seeds(
    split: Literal["train", "test", "tune"], *, start_level: int = 0, num_levels: int = 0
) -> range:
    """Seeds of the levels of one split: those of training, and after them those of test and tuning; none is in two.

    Different seeds may still give the same small maze, see `share_seen`.

    Args:
        split: which.
        start_level: the first level of training.
        num_levels: how many training has; 0 is no limit but that of the splits, 2³⁰.

    Raises:
        ValueError: there are not as many levels left as the held-out splits want.
    """
    stop = start_level + (num_levels or UNLIMITED)
    if stop + 2 * HELD_OUT_SEEDS > LARGEST_SEED:
        raise ValueError(
            f"start_level + num_levels is {stop}: held-out levels come after those of training, so give at most "
            f"{LARGEST_SEED - 2 * HELD_OUT_SEEDS}"
        )
    if split == "train":
        return range(start_level, stop)
    first = stop if split == "test" else stop + HELD_OUT_SEEDS
    return range(first, first + HELD_OUT_SEEDS)


@dataclass(frozen=True)
class ProcgenLevels:
    """L levels of one mode.

    Attributes:
        levels: walls (L, W, W) of the whole world, its margin of wall included, with mouse and cheese.
        seeds: (L,) int64, which levels of Procgen they are.
        maze_sizes: (L,) int64, cells along one side of the maze inside the margin, 3…W.
    """

    levels: Levels
    seeds: np.ndarray
    maze_sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.levels)

    def take(self, indices: np.ndarray | slice) -> "ProcgenLevels":
        """The levels at `indices`."""
        return ProcgenLevels(self.levels.take(indices), self.seeds[indices], self.maze_sizes[indices])

    def corner(self, corner_size: int) -> np.ndarray:
        """Which cells belong to each maze's corner region, its k×k cells at the top right; (L, W, W) bool."""
        size = self.levels.size
        margins = (size - self.maze_sizes) // 2
        cells = np.arange(size)
        low = np.minimum(corner_size, self.maze_sizes)
        rows = (cells >= margins[:, None]) & (cells < (margins + low)[:, None])
        columns = (cells < (size - margins)[:, None]) & (cells >= (size - margins - low)[:, None])
        return rows[:, :, None] & columns[:, None, :]


def level_of(state: MazeState) -> Level:
    """The level that a game is in, the mouse where it is now; without cheese where it has been eaten."""
    cheese = () if state.cheese is None else (state.cheese,)
    return Level(state.walls, state.mouse, {"cheese": cheese})


def levels_of(states: list[MazeState]) -> ProcgenLevels:
    """The levels that games are in."""
    return ProcgenLevels(
        Levels.of([level_of(state) for state in states], CheeseInCorner(size=states[0].size)),
        np.array([state.level_seed for state in states]),
        np.array([state.maze_size for state in states]),
    )


def put_level(state: MazeState, level: Level) -> None:
    """Write walls, cheese and mouse into a state, as at the start of an episode. What is wrong changes nothing.

    Raises:
        ValueError: the level is of another size than the game, has other things than one cheese, or its mouse or
            cheese lies in a wall or both in one cell.
    """
    size = state.size
    if level.walls.shape != (size, size):
        rows, columns = level.walls.shape
        raise ValueError(
            f"the level is of {rows}×{columns} cells: the mode {state.mode!r} has {size}×{size}, margin included"
        )
    Levels.of([level], CheeseInCorner(size=size))  # both in free cells, or an error
    cheese = level.things.get("cheese", (None,))[0]
    if level.mouse == cheese:
        raise ValueError(f"mouse and cheese are both in {level.mouse}: give two cells")
    state.grid[...] = np.where(level.walls, WALL, SPACE)
    state.mouse, state.cheese = level.mouse, cheese
    state.facing_right, state.elapsed = False, 0


def layout_hashes(levels: Levels) -> list[bytes]:
    """A digest of each level's walls, 16 bytes: equal ones are the same maze, wherever mouse and cheese are."""
    packed = np.packbits(levels.walls.reshape(len(levels), -1), axis=1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in packed]


def share_seen(levels: Levels, others: Levels) -> float:
    """The share of `levels` whose walls are also those of one of `others`: how far a test set repeats a training set.

    Small mazes have few layouts, so Procgen's levels repeat: of 1,000 levels about a fifth are among 1,000 others in
    easy mode, a tenth in hard mode.
    """
    seen = set(layout_hashes(others))
    return float(np.mean([digest in seen for digest in layout_hashes(levels)]))
