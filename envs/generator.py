"""Levels in bulk: a level is a pure function of (world, seed, index, split), whatever batch it is made in."""

from functools import lru_cache
from typing import Literal

import numpy as np

from .counter_random import below, mix, random_words, stream_keys
from .ground import MODE_DRAW, NO_ROOM, Ground, Places
from .layouts import LayoutName, layout_walls, passage_cells
from .levels import ABSENT, Levels
from .world import SHIFTED, TRAINING, World

Split = Literal["train", "tune", "test"]
# A level's hash falls into one of ten buckets; a split owns buckets, so no level is in two splits.
_BUCKETS = 10
_SPLIT_BUCKETS = {"train": (0, 8), "tune": (8, 9), "test": (9, 10)}
_MAZE_STREAM, _OBJECT_STREAM, _ZOBRIST_STREAM, _REDRAW_STREAM, _COUNT_STREAM = 1, 2, 3, 4, 5
_MOST_ATTEMPTS = 10_000
_MOST_REDRAWS = 1_000
# Settings that give fewer layouts than these in so many draws have too few to share out between splits.
_LEAST_LAYOUTS, _COUNTED_LAYOUTS = 64, 256


def make_levels(
    world: World,
    indices: int | np.ndarray,
    *,
    seed: int,
    split: Split = "train",
    distribution: str = TRAINING,
) -> Levels:
    """Levels number `indices` (an int L means 0…L−1) of a seed.

    No layout of walls belongs to two splits: the hash of a layout alone decides its split, and layouts of another
    split are drawn again. Where settings have too few layouts to share out (`open` has but one, small braids and
    rooms have few), that hash is of walls, mouse and things together.

    Args:
        world: what lies where.
        indices: which levels.
        seed: of all draws.
        split: `train`, `tune` or `test`.
        distribution: one of the world's: `training`, or a phase of training, of which `ood_share` are as `shifted`;
            `shifted`; or another.

    Raises:
        ValueError: a setting that does not exist, or that leaves no room for levels.
    """
    if split not in _SPLIT_BUCKETS:
        raise ValueError(f"split is {split!r}: give one of {', '.join(_SPLIT_BUCKETS)}")
    if distribution not in world.distributions:
        raise ValueError(f"distribution is {distribution!r}: give one of {', '.join(world.distributions)}")
    index = np.arange(indices) if isinstance(indices, int | np.integer) else np.asarray(indices)
    if index.size and index.min() < 0:
        raise ValueError(f"a level index is {index.min()}: give indices from 0")
    seeds = stream_keys(seed, index)
    walls, places = _drawn(world, seeds, split, distribution)
    pending = np.flatnonzero(~_fit(world, walls, places, split))
    for redraw in range(1, _MOST_REDRAWS):
        if not len(pending):
            break
        fresh_walls, fresh = _drawn(
            world, stream_keys(_REDRAW_STREAM, seeds[pending], redraw), split, distribution
        )
        walls[pending] = fresh_walls
        for name, cells in fresh.items():
            places[name][pending] = cells
        pending = pending[~_fit(world, fresh_walls, fresh, split)]
    if len(pending):
        raise ValueError(
            f"{len(pending)} levels of the world {world.name!r} found no room in {_MOST_REDRAWS} draws: give a larger "
            f"size, a smaller corner_size, a lower wall_density or another layout{world.roomier}"
        )
    return Levels(world, walls, places.pop("mouse"), places)


def layout_split(walls: np.ndarray, layout: str = "tree") -> np.ndarray:
    """The split that each layout of `walls` (L, n, n) belongs to, (L,) of str, where layouts are shared out."""
    names = np.array([name for name, (low, high) in _SPLIT_BUCKETS.items() for _ in range(low, high)])
    return names[_buckets(_what_varies(walls, layout))]


def _drawn(world: World, seeds: np.ndarray, split: Split, distribution: str) -> tuple[np.ndarray, Places]:
    walls = _split_walls(world, stream_keys(_MAZE_STREAM, seeds), split)
    keys = stream_keys(_OBJECT_STREAM, seeds)
    ground = Ground(walls, keys, world.corner_size)
    if not world.ood_share or distribution not in (TRAINING, *(phase.distribution for phase in world.phases)):
        return walls, world.place(distribution, ground)
    shifted = ground.share(MODE_DRAW) < world.ood_share
    places: Places = {}
    for name, chosen in ((distribution, ~shifted), (SHIFTED, shifted)):
        part = world.place(name, Ground(walls[chosen], keys[chosen], world.corner_size))
        for thing, cells in part.items():
            nowhere = np.full((len(walls), *cells.shape[1:]), ABSENT)
            places.setdefault(thing, nowhere)[chosen] = cells
    return walls, places


def _split_walls(world: World, keys: np.ndarray, split: Split) -> np.ndarray:
    make = layout_walls(
        world.layout, world.size, dead_ends_opened=world.dead_ends_opened, wall_density=world.wall_density
    )
    if _few_layouts(world):
        return make(keys)
    low, high = _SPLIT_BUCKETS[split]
    tries = max(1, (_BUCKETS - 1) // (high - low))
    walls = np.empty((len(keys), world.size, world.size), dtype=bool)
    pending, attempt = np.arange(len(keys)), 0
    while len(pending):
        if attempt > _MOST_ATTEMPTS:
            raise ValueError(
                f"size {world.size} has too few layouts of {world.layout!r} for a split of its own; give a larger size"
            )
        attempts = np.arange(attempt, attempt + tries)
        made = make(stream_keys(keys[pending, None], attempts).ravel())
        buckets = _buckets(_what_varies(made, world.layout)).reshape(len(pending), tries)
        fits = (buckets >= low) & (buckets < high)
        found, first = fits.any(axis=1), fits.argmax(axis=1)
        walls[pending[found]] = made.reshape(len(pending), tries, world.size, world.size)[found, first[found]]
        pending, attempt = pending[~found], attempt + tries
    return walls


def _fit(world: World, walls: np.ndarray, places: Places, split: Split) -> np.ndarray:
    """Which levels have room for everything and belong to the split, (L,) bool."""
    # All things in one order, placed or not: the hash of a level must not depend on which distribution it is of.
    columns = {"mouse": 1} | {thing.name: thing.count for thing in world.things}
    placed = {name: cells[:, None] if cells.ndim == 1 else cells for name, cells in places.items()}
    cells = np.concatenate(
        [
            placed[name] if name in placed else np.full((len(walls), count), ABSENT)
            for name, count in columns.items()
        ],
        axis=1,
    )
    fit = (cells != NO_ROOM).all(axis=1)
    if _few_layouts(world):
        low, high = _SPLIT_BUCKETS[split]
        layout = _zobrist(_what_varies(walls, world.layout))
        bucket = below(mix(stream_keys(_ZOBRIST_STREAM, layout, *(cells + 1).T)), np.array([_BUCKETS]))
        fit &= (bucket >= low) & (bucket < high)
    return fit


def _what_varies(walls: np.ndarray, layout: str) -> np.ndarray:
    """The cells that tell layouts apart, free or not, (L, cells) bool."""
    flat = ~walls.reshape(len(walls), -1)
    return flat[:, passage_cells(walls.shape[-1])] if layout in ("tree", "braid") else flat


def _buckets(free: np.ndarray) -> np.ndarray:
    """Hash of the free cells (L, cells), as a bucket number (L,)."""
    return below(mix(_zobrist(free)), np.array([_BUCKETS]))


def _zobrist(free: np.ndarray) -> np.ndarray:
    """Zobrist hash of the free cells (L, cells), (L,) uint64."""
    words = random_words(stream_keys(_ZOBRIST_STREAM, np.arange(1)), free.shape[1])[0]
    return free.astype(np.uint64) @ words


def _few_layouts(world: World) -> bool:
    # Even the 5×5 trees are enough, 192 of them.
    return world.layout != "tree" and _found_few(
        world.layout, world.size, world.dead_ends_opened, world.wall_density
    )


@lru_cache(maxsize=64)
def _found_few(layout: LayoutName, size: int, dead_ends_opened: float, wall_density: float) -> bool:
    make = layout_walls(layout, size, dead_ends_opened=dead_ends_opened, wall_density=wall_density)
    drawn = make(stream_keys(_COUNT_STREAM, np.arange(_COUNTED_LAYOUTS)))
    found = {walls.tobytes() for walls in drawn}
    return len(found) < _LEAST_LAYOUTS
