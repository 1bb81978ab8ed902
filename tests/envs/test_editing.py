"""Levels edited in code, counterfactual sets, hashes and counts of repeats."""

import numpy as np
import pytest

from goalcut.envs import (
    CheeseInCorner,
    Levels,
    World,
    ascii,
    duplicates,
    every_mouse,
    every_place,
    layout_hashes,
    level_hashes,
    make_levels,
    moved,
    shared,
    with_wall,
    without_wall,
)

WORLD = CheeseInCorner(size=5, corner_size=2)
LEVEL = ascii.parse("M.C\n##.\n...")


def test_mouse_and_cheese_go_where_they_are_put() -> None:
    assert ascii.render(moved(LEVEL, mouse=(2, 0), cheese=(0, 0))) == "C..\n##.\nM.."
    assert moved(LEVEL, cheese=None).things == {}
    assert moved(LEVEL, dish=((0, 1), (1, 2))).things == {"cheese": ((0, 2),), "dish": ((0, 1), (1, 2))}
    assert ascii.render(LEVEL) == "M.C\n##.\n...", "the level itself stays"


def test_walls_are_built_and_taken_away() -> None:
    assert ascii.render(with_wall(LEVEL, (0, 1), (2, 2))) == "M#C\n##.\n..#"
    assert ascii.render(without_wall(LEVEL, (1, 0))) == "M.C\n.#.\n..."
    assert without_wall(with_wall(LEVEL, (0, 1)), (0, 1)) == LEVEL


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda: moved(LEVEL, mouse=(1, 0)), r"mouse is \(1, 0\), in a wall"),
        (lambda: moved(LEVEL, cheese=(0, 3)), r"cheese is \(0, 3\): give \(row, column\), each from 0 to 2"),
        (lambda: moved(LEVEL, cheese=(-1, 0)), r"cheese is \(-1, 0\)"),
        (lambda: with_wall(LEVEL, (0, 0)), r"the cell \(0, 0\) holds the mouse"),
        (lambda: with_wall(LEVEL, (0, 2)), r"the cell \(0, 2\) holds the cheese"),
        (lambda: without_wall(LEVEL, (3, 0)), r"wall is \(3, 0\)"),
        (lambda: every_place(LEVEL, WORLD, "star"), "name is 'star': the world 'corner' has cheese to place"),
        (lambda: every_place(LEVEL, WORLD, "cheese", which=1), "which is 1"),
    ],
)
def test_what_cannot_be_edited_is_refused(edit, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edit()


def test_every_mouse_and_every_cheese_is_in_each_free_cell_once() -> None:
    mice, cheeses = every_mouse(LEVEL, WORLD), every_place(LEVEL, WORLD, "cheese")
    free = np.flatnonzero(~LEVEL.walls.ravel())
    assert np.array_equal(mice.mouse, free)
    assert np.array_equal(cheeses.cheese, free)
    assert (mice.cheese == 2).all()
    assert (cheeses.mouse == 0).all()
    assert (mice.walls == LEVEL.walls).all()
    assert len(every_place(LEVEL, WORLD, "mouse")) == len(free)


def test_of_several_of_a_thing_one_moves_and_never_onto_another(crowded: World) -> None:
    level = ascii.parse("MDD\n#.T\n...", crowded)
    levels = every_place(level, crowded, "dish", which=1)
    assert np.array_equal(levels.places["dish"][:, 1], np.flatnonzero(~level.walls.ravel()))
    assert (levels.places["dish"][:, 0] != levels.places["dish"][:, 1]).all()
    assert levels[1].things["dish"] == ((0, 2), (0, 1)), "they trade places"


def test_hashes_tell_levels_apart_by_walls_mouse_and_things() -> None:
    same_walls = Levels.concatenate([every_mouse(LEVEL, WORLD), every_place(LEVEL, WORLD, "cheese")])
    hashes = level_hashes(same_walls)
    distinct = {(int(mouse), int(cheese)) for mouse, cheese in zip(same_walls.mouse, same_walls.cheese)}  # noqa: B905
    assert hashes.dtype == np.uint64
    assert len(np.unique(hashes)) == len(distinct) == len(same_walls) - 1
    assert len(np.unique(layout_hashes(same_walls))) == 1
    edited = Levels.of([LEVEL, with_wall(LEVEL, (0, 1)), without_wall(LEVEL, (1, 1))], WORLD)
    assert len(np.unique(layout_hashes(edited))) == 3


def test_a_hash_is_the_same_in_every_batch_and_on_every_machine() -> None:
    levels = make_levels(WORLD, 20, seed=0)
    assert np.array_equal(level_hashes(levels)[5:9], level_hashes(levels.take(slice(5, 9))))
    assert [int(value) for value in level_hashes(Levels.of([LEVEL], WORLD))] == [9306467613425073409]


def test_the_order_of_a_things_cells_does_not_change_the_hash(crowded: World) -> None:
    level = ascii.parse("MDD\n#.T\n...", crowded)
    swapped = moved(level, dish=((0, 2), (0, 1)))
    assert len(np.unique(level_hashes(Levels.of([level, swapped], crowded)))) == 1


def test_repeats_are_counted_within_and_between_sets() -> None:
    levels = make_levels(WORLD, 60, seed=0)
    twice = Levels.concatenate([levels, levels.take(slice(0, 10))])
    assert duplicates(twice) == duplicates(levels) + 10
    distinct = len({level.walls.tobytes() for level in levels})
    assert duplicates(levels, "layout") == 60 - distinct
    assert shared(levels, twice.take(slice(55, 70))) == 15
    other = make_levels(WORLD, 60, seed=0, split="test")
    assert shared(levels, other, "layout") == 0
    with pytest.raises(ValueError, match="of is 'maze'"):
        duplicates(levels, "maze")  # pyright: ignore
