"""The batch of levels: what it accepts, and what comes out of it again."""

import numpy as np
import pytest

from goalcut.envs import CheeseInCorner, Level, Levels, corner_region, make_levels
from goalcut.envs.levels import ABSENT


@pytest.fixture(scope="module")
def levels() -> Levels:
    return make_levels(CheeseInCorner(size=7, corner_size=3, start="random"), 20, seed=1)


def test_single_levels_put_together_give_the_batch_back(levels: Levels) -> None:
    again = Levels.of(list(levels), levels.world)
    assert np.array_equal(again.walls, levels.walls)
    assert np.array_equal(again.mouse, levels.mouse)
    assert np.array_equal(again.cheese, levels.cheese)


def test_parts_put_one_after_the_other_give_the_batch_back(levels: Levels) -> None:
    again = Levels.concatenate([levels.take(slice(0, 4)), levels.take(np.arange(4, 20))])
    assert list(again) == list(levels)


def test_equal_levels_have_equal_hashes_and_others_differ(levels: Levels) -> None:
    same = Level(levels[0].walls.copy(), levels[0].mouse, {"cheese": (levels[0].cheese,)})
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
        Levels(levels.world, levels.walls, mouse, levels.places)


@pytest.mark.parametrize("cell", [-2, 49])
def test_a_cheese_outside_the_maze_is_refused(levels: Levels, cell: int) -> None:
    cheese = levels.cheese.copy()
    cheese[0] = cell
    with pytest.raises(ValueError, match="cheese lies outside its maze of 7×7"):
        Levels(levels.world, levels.walls, levels.mouse, {"cheese": cheese})


def test_shapes_that_do_not_match_are_refused_and_named(levels: Levels) -> None:
    with pytest.raises(ValueError, match=r"\(20, 7, 7\), \(19,\)"):
        Levels(levels.world, levels.walls, levels.mouse[1:], levels.places)


def test_no_levels_or_levels_of_two_sizes_make_no_batch(levels: Levels) -> None:
    other = make_levels(CheeseInCorner(size=5, corner_size=2), 1, seed=1)
    with pytest.raises(ValueError, match="at least one level"):
        Levels.of([], levels.world)
    with pytest.raises(ValueError, match="all of one size"):
        Levels.of([levels[0], other[0]], levels.world)


def test_a_thing_that_the_world_does_not_have_is_refused_by_name(levels: Levels) -> None:
    with pytest.raises(ValueError, match="the world 'corner' has no star"):
        Levels(levels.world, levels.walls, levels.mouse, {"star": levels.cheese})
    level = Level(levels[0].walls, levels[0].mouse, {"star": (levels[0].cheese,)})
    with pytest.raises(ValueError, match="a level has a star, which the world 'corner' does not have"):
        Levels.of([level], levels.world)


def test_a_level_without_a_thing_gives_it_no_cell_and_comes_back_without_it(levels: Levels) -> None:
    bare = Level(levels[0].walls, levels[0].mouse, {})
    batch = Levels.of([bare, levels[0]], levels.world)
    assert batch.cheese.tolist() == [ABSENT, int(levels.cheese[0])]
    assert list(batch) == [bare, levels[0]]
