"""Layouts of walls: nothing is cut off, and each looks as its name says."""

from itertools import pairwise

import numpy as np
import pytest

from goalcut.envs import CheeseInCorner, Levels, distances, layout_split, make_levels
from goalcut.envs.counter_random import stream_keys
from goalcut.envs.layouts import LAYOUTS, blocks, braid, layout_walls, rooms, tree
from goalcut.envs.solver import UNREACHABLE

SIZES = range(5, 32, 2)


def keys(count: int, seed: int = 0) -> np.ndarray:
    return stream_keys(seed, np.arange(count))


def ways(walls: np.ndarray) -> np.ndarray:
    """How many free cells are beside each free cell, 0 for walls, (L, n, n)."""
    free = np.pad(~walls, ((0, 0), (1, 1), (1, 1))).astype(int)
    beside = free[:, :-2, 1:-1] + free[:, 2:, 1:-1] + free[:, 1:-1, :-2] + free[:, 1:-1, 2:]
    return beside * free[:, 1:-1, 1:-1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dead_ends_opened", "wall_density"), [(1.0, 0.3), (0.4, 0.8)])
def test_every_free_cell_can_be_reached_from_the_bottom_left(
    layout: str, size: int, dead_ends_opened: float, wall_density: float
) -> None:
    make = layout_walls(layout, size, dead_ends_opened=dead_ends_opened, wall_density=wall_density)  # type: ignore[arg-type]
    walls = make(keys(8, size))
    assert walls.shape == (8, size, size)
    found = distances(walls, np.full(8, size * (size - 1)))
    assert ((found == UNREACHABLE) == walls.reshape(8, -1)).all()
    assert not walls[:, 0, -1].any(), "the top right corner is a wall"


@pytest.mark.parametrize("size", [5, 9, 31])
def test_a_braid_of_share_one_has_no_dead_end(size: int) -> None:
    walls = braid(size, keys(40), 1.0)
    assert (ways(walls)[~walls] >= 2).all()
    assert (ways(tree(size, keys(40))) == 1).any()


@pytest.mark.parametrize("size", [5, 9, 31])
def test_a_braid_of_share_zero_is_the_tree(size: int) -> None:
    assert np.array_equal(braid(size, keys(40), 0.0), tree(size, keys(40)))


def test_a_braid_opens_about_the_share_asked_of_a_tree_s_dead_ends() -> None:
    closed = tree(21, keys(100))
    dead_ends = (ways(closed) == 1).sum()
    left = [
        (ways(braid(21, keys(100), share)) == 1).sum() / dead_ends for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert left[0] == 1
    assert left[-1] == 0
    assert all(more > less for more, less in pairwise(left))
    # A way that opens one dead end may open another one, which then was not asked for.
    for kept, share in zip(left, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True):
        assert 1 - share - 0.12 < kept <= 1 - share + 0.03
    # Ways are only opened, never closed.
    assert not (braid(21, keys(100), 0.5) & ~closed).any()


@pytest.mark.parametrize("density", [0.0, 0.05, 0.2, 0.3])
def test_blocks_are_about_as_dense_as_asked_less_what_is_cleared(density: float) -> None:
    walls = blocks(25, keys(200), density)
    error = np.sqrt(density * (1 - density) / walls.size)
    assert density * 0.93 - 3 * error <= walls.mean() <= density + 3 * error


def test_blocks_clear_more_the_denser_they_are_and_stay_denser_for_it() -> None:
    asked = np.array([0.1, 0.3, 0.5, 0.7, 0.8])
    found = np.array([blocks(13, keys(150), density).mean() for density in asked])
    assert (np.diff(found) > 0).all()
    assert (np.diff(asked - found) > 0).all()


def test_blocks_without_density_are_an_open_field() -> None:
    assert not blocks(9, keys(5), 0.0).any()


@pytest.mark.parametrize("size", SIZES)
def test_rooms_are_walled_off_and_have_one_or_more_doors(size: int) -> None:
    walls = rooms(size, keys(30))
    # A wall line is one that some maze's cells are walls along, but for its doors.
    lines = [line for line in range(size) if walls[:, line, :].mean() > 0.5]
    assert lines == [line for line in range(size) if walls[:, :, line].mean() > 0.5]
    assert lines
    assert all(line % 2 == 1 for line in lines)
    between = np.ones((size, size), dtype=bool)
    between[lines, :] = between[:, lines] = False
    assert not walls[:, between].any(), "a wall stands inside a room"
    assert walls[:, np.ix_(lines, lines)[0], np.ix_(lines, lines)[1]].all(), "a crossing of walls is open"
    edges = [-1, *lines, size]
    counts = []
    for maze in walls:
        doors = {}
        for i, (top, bottom) in enumerate(pairwise(edges)):
            for j, (left, right) in enumerate(pairwise(edges)):
                if right < size:
                    doors[(i, j), (i, j + 1)] = int((~maze[top + 1 : bottom, right]).sum())
                if bottom < size:
                    doors[(i, j), (i + 1, j)] = int((~maze[bottom, left + 1 : right]).sum())
        assert set(doors.values()) <= {0, 1}
        for i in range(len(edges) - 1):
            for j in range(len(edges) - 1):
                assert sum(count for pair, count in doors.items() if (i, j) in pair) >= 1
        counts.append(sum(doors.values()))
        per_side = len(edges) - 1
        assert sum(doors.values()) >= per_side**2 - 1
    assert len(set(counts)) > 1, "every maze has as many doors"


@pytest.mark.parametrize("layout", ["tree", "braid", "blocks", "rooms"])
def test_layout_split_tells_the_split_of_every_layout_that_is_shared_out(layout: str) -> None:
    world = CheeseInCorner(size=13, layout=layout)  # type: ignore[arg-type]
    for split in ("train", "tune", "test"):
        levels = make_levels(world, 40, seed=0, split=split)  # type: ignore[arg-type]
        assert set(layout_split(levels.walls, layout)) == {split}


@pytest.mark.parametrize(
    "settings",
    [
        {"layout": "open"},
        {"layout": "blocks", "wall_density": 0.0},
        {"layout": "braid"},
        {"layout": "rooms"},
    ],
    ids=lambda settings: settings["layout"],
)
def test_where_layouts_are_few_splits_share_walls_but_no_level(settings: dict) -> None:
    world = CheeseInCorner(size=5, corner_size=2, start="random", **settings)

    def levels(split: str) -> Levels:
        parts = [
            make_levels(world, 600, seed=0, split=split, distribution=name)  # type: ignore[arg-type]
            for name in ("training", "shifted")
        ]
        return Levels.concatenate(parts)

    def whole(levels: Levels) -> set[tuple[bytes, int, int]]:
        rows = zip(levels.walls, levels.mouse, levels.cheese, strict=True)
        return {(walls.tobytes(), int(mouse), int(cheese)) for walls, mouse, cheese in rows}

    made = {split: levels(split) for split in ("train", "tune", "test")}
    train, tune, test = (whole(made[split]) for split in ("train", "tune", "test"))
    assert not train & tune
    assert not train & test
    assert not tune & test
    assert {walls.tobytes() for walls in made["train"].walls} & {
        walls.tobytes() for walls in made["test"].walls
    }
