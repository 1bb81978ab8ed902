"""Levels in bulk: perfect mazes, purity, splits that share nothing, objects where the settings say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2

from goalcut.envs import (
    CheeseInCorner,
    Levels,
    corner_region,
    distances,
    frame,
    layout_split,
    make_levels,
    next_cells,
    observations,
    optimal_actions,
)

SPLITS = ("train", "tune", "test")


def layouts(levels: Levels) -> set[bytes]:
    return {walls.tobytes() for walls in np.packbits(levels.walls.reshape(len(levels), -1), axis=1)}


def assert_same(first: Levels, second: Levels) -> None:
    assert np.array_equal(first.walls, second.walls)
    assert np.array_equal(first.mouse, second.mouse)
    assert np.array_equal(first.cheese, second.cheese)


@pytest.mark.parametrize("size", range(5, 32, 2))
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_maze_is_a_tree_over_its_rooms(size: int, split: str) -> None:
    levels = make_levels(CheeseInCorner(size=size, corner_size=2), 12, seed=size, split=split)  # type: ignore[arg-type]
    rooms = ((size + 1) // 2) ** 2
    for walls in levels.walls:
        assert not walls[::2, ::2].any(), "a room is walled up"
        assert walls[1::2, 1::2].all(), "a pillar is open"
        free = ~walls
        # Rooms and the passages between them are free; a tree has one passage fewer than rooms.
        assert free.sum() == rooms + rooms - 1
        number = np.where(free, np.cumsum(free.ravel()).reshape(free.shape) - 1, -1)
        across, down = free[:, 1:] & free[:, :-1], free[1:] & free[:-1]
        first = np.concatenate([number[:, :-1][across], number[:-1][down]])
        second = np.concatenate([number[:, 1:][across], number[1:][down]])
        graph = coo_array((np.ones(len(first)), (first, second)), shape=(free.sum(), free.sum()))
        assert connected_components(graph, directed=False)[0] == 1
        assert len(first) == free.sum() - 1


POOLS = {
    (size, split): make_levels(
        CheeseInCorner(size=size, corner_size=2, start="random"), 300, seed=5, split=split
    )
    for size in (5, 9)
    for split in SPLITS
}


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    pool=st.sampled_from(sorted(POOLS)),
    indices=st.lists(st.integers(0, 299), min_size=1, max_size=25),
)
def test_a_level_is_the_same_in_whatever_batch_it_is_made(pool: tuple[int, str], indices: list[int]) -> None:
    size, split = pool
    chosen = np.array(indices)
    made = make_levels(
        CheeseInCorner(size=size, corner_size=2, start="random"),
        chosen,
        seed=5,
        split=split,  # type: ignore[arg-type]
    )
    assert_same(made, POOLS[pool].take(chosen))


def test_a_level_number_beyond_32_bits_is_a_level_of_its_own() -> None:
    numbers = np.array([1, 2**32 + 1, 2**40 + 1])
    made = make_levels(CheeseInCorner(size=13), numbers, seed=0)
    assert len(layouts(made)) == 3
    assert_same(make_levels(CheeseInCorner(size=13), numbers[2:], seed=0), made.take(slice(2, 3)))


def test_seeds_give_different_levels_and_walls_do_not_depend_on_the_objects_settings() -> None:
    first, second = (make_levels(CheeseInCorner(size=13), 500, seed=seed) for seed in (0, 1))
    assert not layouts(first) & layouts(second)
    moved = make_levels(CheeseInCorner(size=13, start="random"), 500, seed=0, distribution="conflict")
    assert np.array_equal(first.walls, moved.walls)


@pytest.mark.parametrize(("size", "count"), [(5, 4000), (7, 6000), (9, 6000)])
def test_no_layout_is_in_two_splits_whatever_the_seed(size: int, count: int) -> None:
    settings = CheeseInCorner(size=size, corner_size=2)
    found = {
        split: set.union(
            *(layouts(make_levels(settings, count, seed=seed, split=split)) for seed in (0, 1, 99))
        )
        for split in SPLITS
    }
    assert not found["train"] & found["tune"]
    assert not found["train"] & found["test"]
    assert not found["tune"] & found["test"]
    if size == 5:
        # The 3×3 grid of rooms has 192 spanning trees (Kirchhoff), and 12,000 draws a split find every one.
        assert sum(len(found[split]) for split in SPLITS) == 192


@pytest.mark.parametrize("split", SPLITS)
def test_layout_split_tells_which_split_a_layout_was_made_for(split: str) -> None:
    levels = make_levels(CheeseInCorner(), 400, seed=3, split=split)  # type: ignore[arg-type]
    assert set(layout_split(levels.walls)) == {split}


def test_each_of_tune_and_test_gets_about_a_tenth_of_the_192_layouts_of_size_5() -> None:
    settings = CheeseInCorner(size=5, corner_size=2)
    counts = [len(layouts(make_levels(settings, 6000, seed=0, split=split))) for split in SPLITS]
    assert sum(counts) == 192
    assert all(8 <= count <= 32 for count in counts[1:])


def cell_counts_match(cells: np.ndarray, allowed: np.ndarray) -> float:
    """P value of: `cells` (L,) are uniform over each level's `allowed` cells (L, n²), summed over levels."""
    expected = (allowed / allowed.sum(axis=1, keepdims=True)).sum(axis=0)
    counts = np.bincount(cells, minlength=allowed.shape[1])
    assert counts[expected == 0].sum() == 0, "an object lies where it may not"
    used = expected > 0
    if used.sum() == 1:
        return 1.0
    statistic = ((counts[used] - expected[used]) ** 2 / expected[used]).sum()
    return float(chi2.sf(statistic, used.sum() - 1))


@pytest.mark.parametrize("start", ["bottom_left", "random"])
@pytest.mark.parametrize("cheese", ["training", "shifted", "conflict"])
@pytest.mark.parametrize("corner_size", [1, 3, 5])
def test_cheese_is_uniform_over_the_cells_it_may_lie_on(start: str, cheese: str, corner_size: int) -> None:
    settings = CheeseInCorner(size=9, corner_size=corner_size, start=start)  # type: ignore[arg-type]
    levels = make_levels(settings, 20_000, seed=8, distribution=cheese)
    free = ~levels.walls.reshape(len(levels), -1)
    region = corner_region(9, corner_size).ravel()
    allowed = {"training": free & region, "shifted": free, "conflict": free & ~region}[cheese].copy()
    if start == "bottom_left":
        assert (levels.mouse == 8 * 9).all()
        allowed[:, 8 * 9] = False
    else:
        may_start = free & ~region if cheese == "conflict" else free.copy()
        may_start[np.arange(len(levels)), levels.cheese] = False
        assert cell_counts_match(levels.mouse, may_start) > 1e-3
    assert cell_counts_match(levels.cheese, allowed) > 1e-3
    assert (levels.mouse != levels.cheese).all()


@pytest.mark.parametrize("corner_size", [1, 5, 8])
@pytest.mark.parametrize("start", ["bottom_left", "random"])
def test_conflict_levels_have_both_objects_outside_the_corner_region(corner_size: int, start: str) -> None:
    settings = CheeseInCorner(size=9, corner_size=corner_size, start=start)  # type: ignore[arg-type]
    levels = make_levels(settings, 3000, seed=2, split="test", distribution="conflict")
    region = corner_region(9, corner_size).ravel()
    assert not region[levels.mouse].any()
    assert not region[levels.cheese].any()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_ood_share_is_the_share_of_levels_with_the_cheese_anywhere(share: float) -> None:
    levels = make_levels(CheeseInCorner(size=9, corner_size=3, ood_share=share), 20_000, seed=6)
    free = ~levels.walls.reshape(len(levels), -1)
    free[:, 8 * 9] = False
    region = corner_region(9, 3).ravel()
    outside = ~region[levels.cheese]
    expected = share * (free & ~region).sum() / free.sum()
    standard_error = np.sqrt(expected * (1 - expected) / len(levels))
    assert abs(outside.mean() - expected) <= 4 * standard_error


def test_ood_levels_only_move_the_cheese_of_the_levels_they_touch() -> None:
    plain = make_levels(CheeseInCorner(), 2000, seed=6)
    mixed = make_levels(CheeseInCorner(ood_share=0.2), 2000, seed=6)
    assert np.array_equal(plain.walls, mixed.walls)
    inside = corner_region(9, 5).ravel()[mixed.cheese]
    moved = plain.cheese != mixed.cheese
    assert not (~inside & ~moved).any()
    assert 0.1 < moved.mean() < 0.25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 8}, "size is 8: give an odd"),
        ({"size": 3}, "size is 3: give an odd"),
        ({"size": 33}, "size is 33: give an odd"),
        ({"size": 9.0}, r"size is 9\.0: give an odd number of cells from 5 to 31, a whole number"),
        ({"size": "9"}, "size is '9': give an odd number of cells"),
        ({"corner_size": 2.0}, r"corner_size is 2\.0: give 1 to size, which is 9, a whole number"),
        ({"layout": ["tree"]}, r"layout is \['tree'\]: give one of"),
        ({"corner_size": 0}, "corner_size is 0: give 1 to size"),
        ({"corner_size": 10}, "corner_size is 10: give 1 to size, which is 9"),
        ({"start": "middle"}, "start is 'middle': give 'bottom_left' or 'random'"),
        ({"layout": "spiral"}, "layout is 'spiral': give one of tree, braid"),
        ({"wall_density": 0.9}, "wall_density is 0.9: give a share from 0 to 0.8"),
        ({"ood_share": -0.1}, "ood_share is -0.1: give a share"),
        ({"ood_share": 1.5}, "ood_share is 1.5: give a share"),
        ({"ood_share": float("nan")}, "ood_share is nan: give a share"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CheeseInCorner(**wrong)


def test_a_corner_region_that_is_the_whole_maze_has_no_conflict_levels() -> None:
    with pytest.raises(ValueError, match="corner_size is 9, the whole maze"):
        make_levels(CheeseInCorner(corner_size=9), 3, seed=0, distribution="conflict")


def test_wrong_split_distribution_and_negative_indices_are_refused() -> None:
    with pytest.raises(ValueError, match="distribution is 'nowhere': give one of training, shifted"):
        make_levels(CheeseInCorner(), 3, seed=0, distribution="nowhere")
    with pytest.raises(ValueError, match="split is 'valid': give one of train, tune, test"):
        make_levels(CheeseInCorner(), 3, seed=0, split="valid")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a level index is -2"):
        make_levels(CheeseInCorner(), np.array([4, -2]), seed=0)


def test_no_indices_give_an_empty_batch() -> None:
    levels = make_levels(CheeseInCorner(), 0, seed=0)
    assert len(levels) == 0
    assert levels.size == 9
    assert observations(levels).shape == (0, 3, 9, 9)
    assert next_cells(levels.walls).shape == (0, 81, 4)
    assert distances(levels.walls, levels.cheese).shape == (0, 81)
    assert optimal_actions(levels.walls, levels.cheese).shape == (0, 81, 4)
    assert frame(levels, 2).shape == (0, 18, 18, 3)
