"""Shortest paths to a cell, for many levels at once, and the best sequence of moves on one level of any world."""

import numpy as np

from .levels import NUM_ACTIONS, Level, Levels
from .moves import default_time_limit, next_cells
from .state_graph import StateGraph
from .world import World

UNREACHABLE = -1
_ROUNDING = 1e-9


def distances(walls: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Moves from every cell to its level's target.

    One breadth-first sweep (Moore 1959) over all levels at once: every free cell is in the frontier exactly once.

    Args:
        walls: (L, n, n) bool.
        targets: (L,) int, cells numbered row by row.

    Returns:
        (L, n²) int32; `UNREACHABLE`, −1, for walls and for cells that no path joins to the target.

    Raises:
        ValueError: shapes that do not match, or a target outside its maze or in a wall.
    """
    targets = np.asarray(targets)
    _check(walls, targets)
    count, cells = len(walls), walls.shape[-1] ** 2
    offset = np.arange(count, dtype=np.int64) * cells
    neighbours = (next_cells(walls) + offset[:, None, None]).reshape(-1, NUM_ACTIONS)
    distance = np.full(count * cells, UNREACHABLE, dtype=np.int32)
    claim = np.empty(count * cells, dtype=np.int64)
    frontier, steps = offset + targets, 0
    while len(frontier):
        distance[frontier] = steps
        # Moves can be taken back, so the cells that lead here are the cells that here leads to.
        found = neighbours[frontier].ravel()
        found = found[distance[found] == UNREACHABLE]
        # A cell found from two sides is kept once: the last to claim it.
        order = np.arange(len(found))
        claim[found] = order
        frontier, steps = found[claim[found] == order], steps + 1
    return distance.reshape(count, cells)


def optimal_actions(walls: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which moves bring the mouse one step nearer to its level's target, (L, n², 4) bool.

    No move is optimal on the target itself, in a wall, or where no path leads to the target. Arguments and errors
    are those of `distances`.
    """
    distance = distances(walls, targets)
    there = np.take_along_axis(
        distance,
        next_cells(walls).reshape(len(walls), distance.shape[1] * NUM_ACTIONS).astype(np.int64),
        axis=1,
    ).reshape(*distance.shape, NUM_ACTIONS)
    # A move never leads out of reach: nothing is at −1 from the target, nor at −2 from a wall.
    return there == distance[:, :, None] - 1


def shortest_path(level: Level) -> list[tuple[int, int]]:
    """The cells of a shortest path from the mouse to the cheese, both ends included, as (row, column).

    Of several shortest paths the one whose first differing move comes first in the order of the actions.

    Raises:
        ValueError: no path leads to the cheese.
    """
    walls, size = level.walls[None], len(level.walls)
    cell, cheese = (row * size + column for row, column in (level.mouse, level.cheese))
    best, moves = optimal_actions(walls, np.array([cheese]))[0], next_cells(walls)[0]
    path = [cell]
    while cell != cheese:
        if not best[cell].any():
            raise ValueError(f"no path leads from the mouse at {level.mouse} to the cheese at {level.cheese}")
        cell = int(moves[cell, best[cell].argmax()])
        path.append(cell)
    return [divmod(cell, size) for cell in path]


def solution(level: Level, world: World, time_limit: int | None = None) -> list[int]:
    """The shortest sequence of moves that earns the largest sum of rewards on a level.

    By value iteration backwards in time on the level's state graph (Bellman 1957); exact, and the same for every
    world. Of several such sequences the one whose first differing move comes first in the order of the actions.

    Args:
        level: whose mouse walks.
        world: what lies there, and what it does.
        time_limit: steps an episode may take; default 8n.

    Returns:
        Actions, as `CheeseMaze` takes them; none where nothing can be earned.

    Raises:
        ValueError: the level is not of the world.
        StateGraphTooLarge: the world has too many values of progress for such a large level.
    """
    graph = StateGraph(Levels.of([level], world))
    following, over = graph.next[0].numpy(), graph.over[0].numpy()
    rewards = graph.rewards[0].numpy().astype(np.float64)
    # most[h]: the largest sum that h steps or fewer earn from each state; walking on is never forced.
    most = [np.zeros(len(over))]
    for _ in range(default_time_limit(len(level.walls)) if time_limit is None else time_limit):
        sums = (rewards + most[-1][following]).max(axis=1)
        most.append(np.where(over, 0.0, np.maximum(sums, 0.0)))
    state = int(graph.start[0].argmax())
    # Sums of the same rewards in another order may differ in their last bits.
    worth = np.array([after[state] for after in most])
    left = int(np.argmax(worth >= worth[-1] - _ROUNDING))
    actions: list[int] = []
    while left:
        sums = rewards[state] + most[left - 1][following[state]]
        actions.append(int(np.argmax(sums >= sums.max() - _ROUNDING)))
        state, left = int(following[state, actions[-1]]), left - 1
    return actions


def _check(walls: np.ndarray, targets: np.ndarray) -> None:
    if walls.ndim != 3 or walls.shape[1] != walls.shape[2]:
        raise ValueError(f"walls are {walls.shape}: give (L, n, n)")
    if targets.shape != (len(walls),):
        raise ValueError(f"targets are {targets.shape}: give one per level, ({len(walls)},)")
    cells = walls.shape[-1] ** 2
    if len(targets) and (targets.min() < 0 or targets.max() >= cells):
        raise ValueError(f"a target lies outside its maze: give cells from 0 to {cells - 1}")
    blocked = walls.reshape(len(walls), cells)[np.arange(len(walls)), targets]
    if blocked.any():
        raise ValueError(f"the target of level {int(blocked.argmax())} lies in a wall: give a free cell")
