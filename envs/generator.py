"""Perfect mazes in bulk: a level is a pure function of (seed, index, settings), whatever batch it is made in.

A maze is the minimum spanning tree of the grid of rooms under random edge weights (Kruskal 1956). All mazes of a
batch are one block-diagonal graph, so one call of scipy finds every tree.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from .counter_random import below, mix, random_words, stream_keys
from .levels import Levels, corner_region

Split = Literal["train", "tune", "test"]
# A layout's hash falls into one of ten buckets; a split owns buckets, so no layout is in two splits.
_BUCKETS = 10
_SPLIT_BUCKETS = {"train": (0, 8), "tune": (8, 9), "test": (9, 10)}
_MAZE_STREAM, _OBJECT_STREAM, _ZOBRIST_STREAM = 1, 2, 3
# Mazes per spanning-tree call: few enough that scipy's sort of the edges stays in cache.
_MAZES_PER_CALL = 256
_MOST_ATTEMPTS = 10_000


@dataclass(frozen=True)
class LevelSettings:
    """How levels are made.

    Attributes:
        size: cells along one side n, odd, 5 to 31; rooms lie at even coordinates.
        corner_size: the corner region is the k×k cells at the top right.
        start: where the mouse starts: `bottom_left`, or `random` over the free cells.
        cheese: `corner` (uniform over the free cells of the corner region), `anywhere` (uniform over all free
            cells), or `conflict` (cheese and mouse both outside the corner region: the two goals part).
        ood_share: share of levels whose cheese lies `anywhere` although `cheese` is `corner`.
    """

    size: int = 9
    corner_size: int = 5
    start: Literal["bottom_left", "random"] = "bottom_left"
    cheese: Literal["corner", "anywhere", "conflict"] = "corner"
    ood_share: float = 0.0

    def __post_init__(self) -> None:
        if self.size % 2 == 0 or not 5 <= self.size <= 31:
            raise ValueError(f"size is {self.size}: give an odd number of cells from 5 to 31")
        if not 1 <= self.corner_size <= self.size:
            raise ValueError(f"corner_size is {self.corner_size}: give 1 to size, which is {self.size}")
        if self.start not in ("bottom_left", "random"):
            raise ValueError(f"start is {self.start!r}: give 'bottom_left' or 'random'")
        if self.cheese not in ("corner", "anywhere", "conflict"):
            raise ValueError(f"cheese is {self.cheese!r}: give 'corner', 'anywhere' or 'conflict'")
        if not 0.0 <= self.ood_share <= 1.0:
            raise ValueError(f"ood_share is {self.ood_share}: give a share from 0 to 1")
        if self.cheese == "conflict" and self.corner_size == self.size:
            raise ValueError(
                f"corner_size is {self.corner_size}, the whole maze: no cell lies outside the corner region, so "
                f"there are no conflict levels; give at most {self.size - 1}"
            )


def make_levels(
    settings: LevelSettings, indices: int | np.ndarray, *, seed: int, split: Split = "train"
) -> Levels:
    """Levels number `indices` (an int L means 0…L−1) of a seed.

    No maze layout belongs to two splits: the hash of a layout alone decides its split, and layouts of another
    split are drawn again.
    """
    if split not in _SPLIT_BUCKETS:
        raise ValueError(f"split is {split!r}: give one of {', '.join(_SPLIT_BUCKETS)}")
    index = np.arange(indices) if isinstance(indices, int | np.integer) else np.asarray(indices)
    if index.size and index.min() < 0:
        raise ValueError(f"a level index is {index.min()}: give indices from 0")
    seeds = stream_keys(seed, index)
    walls = _split_walls(settings.size, stream_keys(_MAZE_STREAM, seeds), split)
    mouse, cheese = _place_objects(settings, walls, stream_keys(_OBJECT_STREAM, seeds))
    return Levels(walls, mouse, cheese)


def layout_split(walls: np.ndarray) -> np.ndarray:
    """The split that each layout of `walls` (L, n, n) belongs to, (L,) of str."""
    names = np.array([name for name, (low, high) in _SPLIT_BUCKETS.items() for _ in range(low, high)])
    return names[_layout_buckets(_open_passages(walls))]


def _split_walls(size: int, keys: np.ndarray, split: Split) -> np.ndarray:
    low, high = _SPLIT_BUCKETS[split]
    tries = max(1, (_BUCKETS - 1) // (high - low))
    walls = np.empty((len(keys), size, size), dtype=bool)
    pending, attempt = np.arange(len(keys)), 0
    while len(pending):
        if attempt > _MOST_ATTEMPTS:
            raise ValueError(f"size {size} has too few layouts for a split of its own; give a larger size")
        attempts = np.arange(attempt, attempt + tries)
        passages = _random_passages(size, stream_keys(keys[pending, None], attempts).ravel())
        buckets = _layout_buckets(passages).reshape(len(pending), tries)
        fits = (buckets >= low) & (buckets < high)
        found, first = fits.any(axis=1), fits.argmax(axis=1)
        chosen = passages.reshape(len(pending), tries, -1)[found, first[found]]
        walls[pending[found]] = _walls_of_passages(size, chosen)
        pending, attempt = pending[~found], attempt + tries
    return walls


@lru_cache(maxsize=8)
def _room_edges(size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second room of every passage of the grid of rooms, ordered by first room, both (E,)."""
    rooms = (size + 1) // 2
    number = np.arange(rooms * rooms).reshape(rooms, rooms)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    order = np.lexsort((second, first))
    return first[order], second[order]


@lru_cache(maxsize=8)
def _passage_cells(size: int) -> np.ndarray:
    """The flat cell between the two rooms of every passage, (E,)."""
    rooms = (size + 1) // 2
    first, second = (np.stack(np.divmod(room, rooms)) * 2 for room in _room_edges(size))
    row, column = (first + second) // 2
    return row * size + column


def _random_passages(size: int, keys: np.ndarray) -> np.ndarray:
    """The passages that a random spanning tree opens, (L, E) bool, for (L,) stream keys."""
    first, second = _room_edges(size)
    rooms, edges = ((size + 1) // 2) ** 2, len(first)
    opened = np.zeros((len(keys), edges), dtype=bool)
    degree = np.bincount(first, minlength=rooms)
    for start in range(0, len(keys), _MAZES_PER_CALL):
        block = keys[start : start + _MAZES_PER_CALL]
        count = len(block)
        # Odd integers below 2^53: exact in float64 and never the zero that would mean "no edge".
        weights = (random_words(block, edges) >> np.uint64(11) | np.uint64(1)).astype(np.float64)
        columns = (second + rooms * np.arange(count)[:, None]).ravel().astype(np.int32)
        row_ends = np.concatenate([[0], np.cumsum(np.tile(degree, count))]).astype(np.int32)
        graph = csr_array((weights.ravel(), columns, row_ends), shape=(rooms * count, rooms * count))
        # The tree comes back with its own weights: an edge is in the tree where its weight is.
        tree = minimum_spanning_tree(graph)
        tree_first = np.repeat(np.arange(rooms * count), np.diff(tree.indptr))
        positions = row_ends[tree_first]
        # A room has at most two outgoing edges: the tree's is the first of them or the second.
        positions += columns[positions] != tree.indices
        opened[start : start + count].ravel()[positions] = True
    return opened


def _walls_of_passages(size: int, opened: np.ndarray) -> np.ndarray:
    walls = np.ones((len(opened), size * size), dtype=bool)
    walls.reshape(-1, size, size)[:, ::2, ::2] = False
    walls[:, _passage_cells(size)] = ~opened
    return walls.reshape(-1, size, size)


def _open_passages(walls: np.ndarray) -> np.ndarray:
    return ~walls.reshape(len(walls), -1)[:, _passage_cells(walls.shape[-1])]


def _layout_buckets(opened: np.ndarray) -> np.ndarray:
    """Zobrist hash of the opened passages (L, E), as a bucket number (L,)."""
    zobrist = random_words(stream_keys(_ZOBRIST_STREAM, np.arange(1)), opened.shape[1])[0]
    hashes = mix(opened.astype(np.uint64) @ zobrist)
    return below(hashes, np.array([_BUCKETS]))


def _place_objects(
    settings: LevelSettings, walls: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flat cells of mouse and cheese, both (L,), never the same."""
    count, size = len(walls), settings.size
    mode, mouse_word, cheese_word = random_words(keys, 3).T
    free = ~walls.reshape(count, size * size)
    region = corner_region(size, settings.corner_size).ravel()
    if settings.cheese == "conflict":
        cheese_cells = mouse_cells = free & ~region
    else:
        anywhere = (mode >> np.uint64(11)).astype(np.float64) * 2.0**-53 < settings.ood_share
        if settings.cheese == "anywhere":
            anywhere[:] = True
        cheese_cells, mouse_cells = np.where(anywhere[:, None], free, free & region), free
    level = np.arange(count)
    if settings.start == "bottom_left":
        mouse = np.full(count, size * (size - 1))
        cheese_cells = cheese_cells.copy()
        cheese_cells[level, mouse] = False
        cheese = _uniform_cell(cheese_cells, cheese_word)
    else:
        cheese = _uniform_cell(cheese_cells, cheese_word)
        mouse_cells = mouse_cells.copy()
        mouse_cells[level, cheese] = False
        mouse = _uniform_cell(mouse_cells, mouse_word)
    return mouse, cheese


def _uniform_cell(cells: np.ndarray, words: np.ndarray) -> np.ndarray:
    """A uniform draw from the marked cells of each row of `cells` (L, n²), by one word each."""
    cumulative = np.cumsum(cells, axis=1, dtype=np.int32)
    rank = below(words, cumulative[:, -1])
    return (cumulative <= rank[:, None]).sum(axis=1)
