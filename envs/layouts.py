"""Layouts of walls in bulk. In every one of them each free cell can be reached from each other.

`tree` is a perfect maze: the minimum spanning tree of the grid of rooms, which lie at even coordinates, under random
edge weights (Kruskal 1956). All mazes of a batch are one block-diagonal graph, so one call of scipy finds every tree.
`braid` opens dead ends of such a tree, `blocks` and `rooms` clear the ways that a tree needs, and `open` has no walls.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from .counter_random import below, random_words, stream_keys

LayoutName = Literal["tree", "braid", "blocks", "rooms", "open"]
# Mazes per spanning-tree call: few enough that scipy's sort of the edges stays in cache.
_MAZES_PER_CALL = 256
_SECOND_STREAM, _THIRD_STREAM = 11, 12
# A room of `rooms` is about so many cells wide.
_ROOM_PITCH = 5


def tree(size: int, keys: np.ndarray) -> np.ndarray:
    """Walls of perfect mazes, (L, n, n) bool, for (L,) stream keys."""
    return walls_of_passages(size, random_passages(size, keys))


def braid(size: int, keys: np.ndarray, dead_ends_opened: float) -> np.ndarray:
    """Walls of perfect mazes of whose dead ends a share is opened to a random neighbour, (L, n, n) bool."""
    opened = random_passages(size, keys)
    first, second = room_edges(size)
    rooms = ((size + 1) // 2) ** 2
    incident = np.zeros((rooms, len(first)), dtype=bool)
    incident[first, np.arange(len(first))] = incident[second, np.arange(len(first))] = True
    dead_end = opened.astype(np.int32) @ incident.T.astype(np.int32) == 1  # (L, rooms)
    words = random_words(stream_keys(_SECOND_STREAM, keys), 2 * rooms).reshape(len(keys), 2, rooms)
    wanted = dead_end & (_shares(words[:, 0]) < dead_ends_opened)
    for room in range(rooms):
        # A dead end that an earlier one was opened to is none any more.
        closed = incident[room] & ~opened
        still = wanted[:, room] & ((opened & incident[room]).sum(1) == 1)
        count = closed.sum(1)
        rank = below(words[:, 1, room], np.maximum(count, 1))
        chosen = (np.cumsum(closed, axis=1) <= rank[:, None]).sum(1)
        level = np.flatnonzero(still & (count > 0))
        opened[level, chosen[level]] = True
    return walls_of_passages(size, opened)


def blocks(size: int, keys: np.ndarray, wall_density: float) -> np.ndarray:
    """Walls of single cells at random, less those that must go so that nothing is cut off, (L, n, n) bool.

    A spanning tree of the grid of all cells that enters walls only where it must, pruned of walls that lead nowhere,
    says which walls go. The bottom left and top right cells are free.
    """
    count, cells = len(keys), size * size
    words = random_words(stream_keys(_SECOND_STREAM, keys), cells)
    walls = _shares(words) < wall_density
    walls[:, [cells - size, size - 1]] = False
    first, second = grid_edges(size, size)
    inside = walls[:, first].astype(np.float64) + walls[:, second]
    jitter = _shares(random_words(stream_keys(_THIRD_STREAM, keys), len(first)))
    used = spanning_trees(cells, first, second, 1.0 + 2.0 * inside + jitter)
    needed = _pruned(used, first, second, walls)
    return (walls & ~needed).reshape(count, size, size)


def rooms(size: int, keys: np.ndarray) -> np.ndarray:
    """Walls of a grid of rooms with one door or more each, (L, n, n) bool.

    Walls run at odd coordinates, about every five cells; doors follow a spanning tree of the rooms, and each other
    pair of neighbours has one with probability a half.
    """
    count, per_side = len(keys), max(2, round(size / _ROOM_PITCH))
    lines = [2 * round((number * size / per_side - 1) / 2) + 1 for number in range(1, per_side)]
    walls = np.zeros((count, size, size), dtype=bool)
    walls[:, lines, :] = walls[:, :, lines] = True
    edges = [-1, *lines, size]
    first, second = grid_edges(per_side, per_side)
    words = random_words(stream_keys(_SECOND_STREAM, keys), 3 * len(first)).reshape(count, 3, len(first))
    doors = spanning_trees(per_side**2, first, second, 1.0 + _shares(words[:, 0]))
    doors |= _shares(words[:, 1]) < 0.5
    level = np.arange(count)
    for number, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        (row, column), across = divmod(one, per_side), other == one + 1
        low, high = (edges[row] + 1, edges[row + 1]) if across else (edges[column] + 1, edges[column + 1])
        along = low + below(words[:, 2, number], np.full(count, high - low))
        here = doors[:, number]
        if across:
            walls[level[here], along[here], edges[column + 1]] = False
        else:
            walls[level[here], edges[row + 1], along[here]] = False
    return walls


def open_field(size: int, keys: np.ndarray) -> np.ndarray:
    """No walls at all, (L, n, n) bool."""
    return np.zeros((len(keys), size, size), dtype=bool)


LAYOUTS: dict[str, str] = {
    "tree": "a perfect maze",
    "braid": "a maze with dead ends opened",
    "blocks": "single walls at random",
    "rooms": "rooms with doors",
    "open": "no walls",
}


def layout_walls(
    layout: LayoutName, size: int, *, dead_ends_opened: float, wall_density: float
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of (L,) stream keys that gives walls (L, n, n) bool."""
    makers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "tree": lambda keys: tree(size, keys),
        "braid": lambda keys: braid(size, keys, dead_ends_opened),
        "blocks": lambda keys: blocks(size, keys, wall_density),
        "rooms": lambda keys: rooms(size, keys),
        "open": lambda keys: open_field(size, keys),
    }
    return makers[layout]


@lru_cache(maxsize=32)
def grid_edges(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second node of every edge of a grid, ordered by first node, both (E,)."""
    number = np.arange(rows * columns).reshape(rows, columns)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    order = np.lexsort((second, first))
    return first[order], second[order]


def room_edges(size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second room of every passage of a perfect maze's grid of rooms, both (E,)."""
    side = (size + 1) // 2
    return grid_edges(side, side)


@lru_cache(maxsize=8)
def passage_cells(size: int) -> np.ndarray:
    """The flat cell between the two rooms of every passage, (E,)."""
    side = (size + 1) // 2
    first, second = (np.stack(np.divmod(room, side)) * 2 for room in room_edges(size))
    row, column = (first + second) // 2
    return row * size + column


def random_passages(size: int, keys: np.ndarray) -> np.ndarray:
    """The passages that a random spanning tree opens, (L, E) bool, for (L,) stream keys."""
    first, second = room_edges(size)
    # Odd integers below 2^53: exact in float64 and never the zero that would mean "no edge".
    weights = (random_words(keys, len(first)) >> np.uint64(11) | np.uint64(1)).astype(np.float64)
    return spanning_trees(((size + 1) // 2) ** 2, first, second, weights)


def spanning_trees(nodes: int, first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which edges are in each minimum spanning tree, (L, E) bool, for weights (L, E) above zero.

    A node may be the first of at most two edges, as in a grid, and edges are ordered by it.
    """
    in_tree = np.zeros(weights.shape, dtype=bool)
    degree = np.bincount(first, minlength=nodes)
    for start in range(0, len(weights), _MAZES_PER_CALL):
        block = weights[start : start + _MAZES_PER_CALL]
        count = len(block)
        columns = (second + nodes * np.arange(count)[:, None]).ravel().astype(np.int32)
        row_ends = np.concatenate([[0], np.cumsum(np.tile(degree, count))]).astype(np.int32)
        graph = csr_array((block.ravel(), columns, row_ends), shape=(nodes * count, nodes * count))
        # The tree comes back with its own weights: an edge is in the tree where its weight is.
        found = minimum_spanning_tree(graph)
        tree_first = np.repeat(np.arange(nodes * count), np.diff(found.indptr))
        positions = row_ends[tree_first]
        # A node has at most two outgoing edges: the tree's is the first of them or the second.
        positions += columns[positions] != found.indices
        in_tree[start : start + count].ravel()[positions] = True
    return in_tree


def walls_of_passages(size: int, opened: np.ndarray) -> np.ndarray:
    """Walls (L, n, n) bool of a grid of rooms with these passages (L, E) bool."""
    walls = np.ones((len(opened), size * size), dtype=bool)
    walls.reshape(-1, size, size)[:, ::2, ::2] = False
    walls[:, passage_cells(size)] = ~opened
    return walls.reshape(-1, size, size)


def _pruned(used: np.ndarray, first: np.ndarray, second: np.ndarray, walls: np.ndarray) -> np.ndarray:
    """Nodes of each tree, (L, nodes) bool, that are left when leaves that are walls are taken off again and again."""
    used, alive = used.copy(), np.ones(walls.shape, dtype=bool)
    # Edges of one orientation share no first and no second node, so that each sum below meets a node once.
    orientations = [np.flatnonzero(second == first + 1), np.flatnonzero(second != first + 1)]
    while True:
        degree = np.zeros(walls.shape, dtype=np.int8)
        for edges in orientations:
            degree[:, first[edges]] += used[:, edges]
            degree[:, second[edges]] += used[:, edges]
        leaves = alive & walls & (degree <= 1)
        if not leaves.any():
            return alive
        alive &= ~leaves
        used &= alive[:, first] & alive[:, second]


def _shares(words: np.ndarray) -> np.ndarray:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
