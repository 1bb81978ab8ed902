"""Mutators: what changes, what never breaks, and that they are pure functions of levels and seed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from goalcut.envs import (
    CheeseInCorner,
    Levels,
    World,
    ascii,
    connected,
    make_levels,
    move_mouse,
    move_thing,
    mutated,
    solution,
    solvable,
    step_mouse,
    step_thing,
    steps_to_pay,
    toggle_wall,
)

CORNER = CheeseInCorner(size=7, corner_size=3)
MUTATORS: dict[str, Callable[[Levels, int], Levels]] = {
    "toggle_wall": toggle_wall,
    "move_mouse": move_mouse,
    "step_mouse": step_mouse,
    "move_thing": lambda levels, seed: move_thing(levels, seed, levels.world.things[0].name),
    "step_thing": lambda levels, seed: step_thing(levels, seed, levels.world.things[0].name),
    "mutated": lambda levels, seed: mutated(levels, seed, times=3),
}


def differ(first: Levels, second: Levels) -> np.ndarray:
    """How many cells of walls, mouse and things differ, (L, 3)."""
    things = sum((first.places[name] != second.places[name]).sum(1) for name in first.places)
    walls = (first.walls != second.walls).sum((1, 2))
    return np.stack([walls, first.mouse != second.mouse, things], axis=1)


@pytest.mark.parametrize("name", MUTATORS)
@pytest.mark.parametrize("layout", ["tree", "blocks"])
def test_no_mutator_spoils_a_level(name: str, layout: str, crowded: World) -> None:
    for world in (replace(CORNER, layout=layout), replace(crowded, layout=layout)):
        levels = make_levels(world, 40, seed=1)
        levels = levels.take(solvable(levels))
        after = MUTATORS[name](levels, 0)
        assert connected(after.walls).all()
        assert solvable(after).all()
        assert (differ(levels, after).sum(1) > 0).mean() > 0.8


@pytest.mark.parametrize(
    ("name", "column"),
    [("toggle_wall", 0), ("move_mouse", 1), ("step_mouse", 1), ("move_thing", 2), ("step_thing", 2)],
)
def test_one_thing_changes_and_nothing_else(name: str, column: int) -> None:
    levels = make_levels(CORNER, 60, seed=2)
    changes = differ(levels, MUTATORS[name](levels, 5))
    assert (changes[:, column] <= 1).all()
    assert changes[:, column].mean() > 0.9
    assert changes.sum() == changes[:, column].sum()


@pytest.mark.parametrize("name", MUTATORS)
def test_the_same_seed_gives_the_same_levels_and_another_seed_others(name: str) -> None:
    levels = make_levels(CORNER, 30, seed=3)
    before = levels.walls.copy(), levels.mouse.copy(), levels.cheese.copy()
    first, again, other = (MUTATORS[name](levels, seed) for seed in (1, 1, 2))
    assert not differ(first, again).any()
    assert differ(first, other).any()
    for old, new in zip(before, (levels.walls, levels.mouse, levels.cheese), strict=True):
        assert np.array_equal(old, new), "what was given stays"


def test_a_step_leads_to_a_neighbour() -> None:
    levels = make_levels(CORNER, 60, seed=4)
    row, column = (np.stack(np.divmod(x.mouse, 7)) for x in (levels, step_mouse(levels, 0)))
    distance = np.abs(row - column).sum(0)
    assert set(distance.tolist()) <= {0, 1}
    assert distance.mean() > 0.9


def test_copies_of_a_level_change_in_different_ways_and_reach_every_place() -> None:
    level = ascii.parse("M.C\n##.\n...")
    copies = Levels.of([level] * 300, CORNER)
    assert set(move_mouse(copies, 0).mouse.tolist()) == {1, 5, 6, 7, 8}
    assert set(step_mouse(copies, 0).mouse.tolist()) == {1}
    toggled = toggle_wall(copies, 0)
    # Taking away the corridor's cells would cut the mouse off; the end of the bottom one may be built.
    changed = {tuple(np.argwhere(walls != level.walls)[0].tolist()) for walls in toggled.walls}
    assert changed == {(1, 0), (1, 1), (2, 0)}


def test_lava_never_comes_between_the_mouse_and_what_pays(crowded: World) -> None:
    level = ascii.parse("MKT..\n####.\nL....\n#####\n#####".replace("M", "M"), crowded)
    copies = Levels.of([level] * 60, crowded)
    after = move_thing(copies, 0, "lava")
    cells = set(after.places["lava"][:, 0].tolist())
    assert {3, 4, 9, 11} <= cells
    assert solvable(after).all()


def test_a_world_without_the_thing_is_named() -> None:
    with pytest.raises(ValueError, match="name is 'star': the world 'corner' has cheese"):
        move_thing(make_levels(CORNER, 1, seed=0), 0, "star")


def test_the_shortest_paid_walk_fetches_the_key_first(crowded: World) -> None:
    level = ascii.parse("T.M.K\n#####\n#####\n#####\n#####", crowded)
    assert steps_to_pay(Levels.of([level], crowded)).tolist() == [6]
    assert solution(level, crowded) == [3, 3, 2, 2, 2, 2]


def test_lava_on_the_only_way_leaves_nothing_to_win(crowded: World) -> None:
    level = ascii.parse("T.MLK\n#####\n#####\n#####\n#####", crowded)
    levels = Levels.of([level], crowded)
    assert steps_to_pay(levels).tolist() == [-1]
    assert not solvable(levels).any()
    assert solution(level, crowded) == []


def test_cells_cut_off_are_seen() -> None:
    walls = np.array([[[0, 1], [1, 0]], [[0, 0], [1, 0]], [[1, 1], [1, 1]]], dtype=bool)
    assert connected(walls).tolist() == [False, True, False]
