"""The batch of levels: what it accepts, and what comes out of it again."""

import numpy as np
import pytest

from goalcut.envs import CheeseInCorner, Level, Levels, corner_region, make_levels


@pytest.fixture(scope="module")
def levels() -> Levels:
    return make_levels(CheeseInCorner(size=7, corner_size=3, start="random"), 20, seed=1)


def test_single_levels_put_together_give_the_batch_back(levels: Levels) -> None:
    again = Levels.of(list(levels))
    assert np.array_equal(again.walls, levels.walls)
    assert np.array_equal(again.mouse, levels.mouse)
    assert np.array_equal(again.cheese, levels.cheese)


def test_parts_put_one_after_the_other_give_the_batch_back(levels: Levels) -> None:
    again = Levels.concatenate([levels.take(slice(0, 4)), levels.take(np.arange(4, 20))])
    assert list(again) == list(levels)


def test_equal_levels_have_equal_hashes_and_others_differ(levels: Levels) -> None:
    same = Level(levels[0].walls.copy(), levels[0].mouse, levels[0].cheese)
    assert same == levels[0]
    assert hash(same) == hash(levels[0])
    assert same != levels[1]
    assert same != "a level"


def test_the_corner_region_is_at_the_top_right() -> None:
    region = corner_region(5, 2)
    assert np.argwhere(region).tolist() == [[0, 3], [0, 4], [1, 3], [1, 4]]


def test_a_mouse_in_a_wall_is_refused_with_the_number_of_its_level(levels: Levels) -> None:
    mouse = levels.mouse.copy()
    mouse[3] = levels.walls[3].ravel().argmax()
    with pytest.raises(ValueError, match="mouse of level 3 lies in a wall"):
        Levels(levels.walls, mouse, levels.cheese)


@pytest.mark.parametrize("cell", [-1, 49])
def test_a_cheese_outside_the_maze_is_refused(levels: Levels, cell: int) -> None:
    cheese = levels.cheese.copy()
    cheese[0] = cell
    with pytest.raises(ValueError, match="cheese lies outside its maze of 7×7"):
        Levels(levels.walls, levels.mouse, cheese)


def test_shapes_that_do_not_match_are_refused_and_named(levels: Levels) -> None:
    with pytest.raises(ValueError, match=r"\(20, 7, 7\), \(19,\) and \(20,\)"):
        Levels(levels.walls, levels.mouse[1:], levels.cheese)


def test_no_levels_or_levels_of_two_sizes_make_no_batch(levels: Levels) -> None:
    other = make_levels(CheeseInCorner(size=5, corner_size=2), 1, seed=1)
    with pytest.raises(ValueError, match="at least one level"):
        Levels.of([])
    with pytest.raises(ValueError, match="all of one size"):
        Levels.of([levels[0], other[0]])
