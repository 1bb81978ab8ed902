"""Shortest paths against scipy's, on mazes and on arbitrary walls."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from goalcut.envs import (
    STEPS,
    CheeseInCorner,
    StarsAndCheese,
    ascii,
    distances,
    make_levels,
    next_cells,
    optimal_actions,
    shortest_path,
    solution,
)
from goalcut.envs.solver import UNREACHABLE


def scipy_distances(walls: np.ndarray, target: int) -> np.ndarray:
    free, number = ~walls, np.arange(walls.size).reshape(walls.shape)
    across, down = free[:, 1:] & free[:, :-1], free[1:] & free[:-1]
    first = np.concatenate([number[:, :-1][across], number[:-1][down]])
    second = np.concatenate([number[:, 1:][across], number[1:][down]])
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(walls.size, walls.size)).tocsr()
    found = dijkstra(graph, directed=False, indices=target, unweighted=True)
    return np.where(np.isinf(found), UNREACHABLE, found)


def random_walls(count: int, size: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Walls with loops and cut-off parts, and a free target in each."""
    generator = np.random.default_rng(seed)
    walls = generator.random((count, size, size)) < share
    targets = generator.integers(size * size, size=count)
    walls.reshape(count, -1)[np.arange(count), targets] = False
    return walls, targets


@pytest.mark.parametrize("size", [5, 9, 25])
def test_distances_in_mazes_are_those_of_scipy(size: int) -> None:
    levels = make_levels(CheeseInCorner(size=size, corner_size=3, start="random"), 15, seed=0)
    found = distances(levels.walls, levels.cheese)
    expected = [
        scipy_distances(walls, target) for walls, target in zip(levels.walls, levels.cheese, strict=True)
    ]
    assert np.array_equal(found, expected)
    assert ((found == UNREACHABLE) == levels.walls.reshape(15, -1)).all()


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.8])
def test_distances_among_arbitrary_walls_are_those_of_scipy(share: float) -> None:
    walls, targets = random_walls(30, 11, share, seed=1)
    found = distances(walls, targets)
    expected = [scipy_distances(one, target) for one, target in zip(walls, targets, strict=True)]
    assert np.array_equal(found, expected)


def test_optimal_actions_are_exactly_the_moves_that_come_one_step_nearer() -> None:
    walls, targets = random_walls(12, 7, 0.3, seed=2)
    found, distance, moves = optimal_actions(walls, targets), distances(walls, targets), next_cells(walls)
    for level in range(12):
        for cell in range(49):
            here = distance[level, cell]
            expected = [
                here > 0 and distance[level, moves[level, cell, action]] == here - 1 for action in range(4)
            ]
            assert found[level, cell].tolist() == expected
    assert np.array_equal(found.any(axis=-1), distance > 0)


def test_a_shortest_path_walks_from_mouse_to_cheese_without_a_detour() -> None:
    for level in make_levels(CheeseInCorner(size=13, start="random"), 20, seed=3):
        path = shortest_path(level)
        assert path[0] == level.mouse
        assert path[-1] == level.cheese
        assert not any(level.walls[cell] for cell in path)
        steps = np.abs(np.diff(np.array(path), axis=0)).sum(axis=1)
        assert (steps == 1).all()
        target = level.cheese[0] * 13 + level.cheese[1]
        assert len(path) - 1 == scipy_distances(level.walls, target)[level.mouse[0] * 13 + level.mouse[1]]


def test_of_several_shortest_paths_the_first_action_decides() -> None:
    assert shortest_path(ascii.parse("..C\n...\nM..")) == [(2, 0), (1, 0), (0, 0), (0, 1), (0, 2)]


def test_a_mouse_on_the_cheese_has_a_path_of_one_cell() -> None:
    assert shortest_path(ascii.parse("*.\n..")) == [(0, 0)]


def test_a_cheese_behind_walls_is_said_to_be_out_of_reach() -> None:
    with pytest.raises(
        ValueError, match=r"no path leads from the mouse at \(0, 0\) to the cheese at \(2, 2\)"
    ):
        shortest_path(ascii.parse("M..\n.##\n.#C"))


@pytest.mark.parametrize(
    ("walls", "targets", "message"),
    [
        (np.zeros((3, 3), dtype=bool), np.array([0]), r"walls are \(3, 3\)"),
        (np.zeros((2, 3, 3), dtype=bool), np.array([0]), r"targets are \(1,\): give one per level, \(2,\)"),
        (np.zeros((1, 3, 3), dtype=bool), np.array([9]), "give cells from 0 to 8"),
        (np.zeros((1, 3, 3), dtype=bool), np.array([-1]), "give cells from 0 to 8"),
        (np.eye(3, dtype=bool)[None], np.array([4]), "target of level 0 lies in a wall"),
    ],
)
def test_wrong_walls_and_targets_are_refused(walls: np.ndarray, targets: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distances(walls, targets)


def test_the_solution_of_a_level_with_cheese_is_a_shortest_path_to_it() -> None:
    world = CheeseInCorner(size=9, corner_size=3, start="random", layout="blocks")
    for level in make_levels(world, 15, seed=0, distribution="shifted"):
        cell, cells = level.mouse, [level.mouse]
        for move in solution(level, world):
            cell = (cell[0] + STEPS[move][0], cell[1] + STEPS[move][1])
            cells.append(cell)
        assert cells == shortest_path(level)


def test_the_solution_takes_both_where_both_pay_and_leaves_what_costs() -> None:
    drawing = "C.M..S.\n" + "#######\n" * 6
    for cheese, star, expected in (
        (1.0, 1.0, [2, 2, 3, 3, 3, 3, 3]),
        (1.0, 0.0, [2, 2]),
        (0.0, 1.0, [3, 3, 3]),
        (1.0, -1.0, [2, 2]),
        (-0.5, 1.0, [3, 3, 3]),
    ):
        world = StarsAndCheese(size=7, cheese_reward=cheese, star_reward=star)
        level = ascii.parse(drawing, world)
        assert solution(level, world) == expected
    world = StarsAndCheese(size=7, ends="any", star_reward=0.5)
    assert solution(ascii.parse(drawing, world), world) == [2, 2]
    assert solution(ascii.parse(drawing, world), world, time_limit=1) == []


def test_a_level_that_pays_nothing_has_no_moves_for_solution() -> None:
    world = StarsAndCheese(size=5, star_reward=0.0)
    assert solution(ascii.parse("M.S\n###\n###", world), world) == []
