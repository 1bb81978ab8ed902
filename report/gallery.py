"""Which conflict levels to show, and exactly what each agent does on them."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.behaviour import action_probabilities, best_hitting, hitting_probabilities, network_policy
from ..agents.networks import ActorCritic
from ..agents.parameters import set_parameters
from ..agents.run import Run
from ..envs.generator import make_levels
from ..envs.levels import Level
from ..envs.state_graph import StateGraph
from ..envs.world import CONFLICT, Event
from .inputs import dig
from .maze_inputs import MazeInputs
from .style import finite

_LEVELS = 400
HOW_CHOSEN = (
    "Chosen by rule from the {count} evaluated conflict levels, among those where either goal can be reached without "
    "passing the other: two where the cheese is nearer than the corner and the trained agent is surest to enter the "
    "corner first, the one where its corner_first is nearest its mean, and the one where it is surest to reach the "
    "cheese first."
)


@dataclass(frozen=True)
class Walk:
    """What one agent does on one level.

    Attributes:
        agent: its name.
        policy: (n², 4) action probabilities by cell, zero in walls.
        visits: (n²,) probability that the walk passes through each cell before it ends at either goal.
        corner_first, cheese_first: the exact probabilities.
    """

    agent: str
    policy: np.ndarray
    visits: np.ndarray
    corner_first: float
    cheese_first: float


@dataclass(frozen=True)
class ShownLevel:
    """One level with what every agent does on it."""

    number: int
    why: str
    level: Level
    steps_to_corner: int
    steps_to_cheese: int
    walks: list[Walk]


def shown_levels(inputs: MazeInputs) -> list[ShownLevel]:
    """The chosen levels; empty where the world has no conflict levels or the run is not trained."""
    run, world = inputs.run, inputs.run.settings.world
    if not run.trained or world.corner_size == world.size:
        return []
    seed = int(finite(dig(inputs.evaluation, "level_seed")) or 0)
    pure = replace(world, ood_share=0.0)
    levels = make_levels(pure, evaluated_levels(inputs), seed=seed, split="test", distribution=CONFLICT)
    graph, horizon = StateGraph(levels), run.settings.horizon
    trained = run.network()
    with torch.no_grad():
        first = _firsts(action_probabilities(network_policy(trained), graph), graph, horizon)
        chosen = _choose(graph, first, horizon)
        graph = StateGraph(levels.take(np.array([number for number, _ in chosen])))
        agents = {"trained": trained} | cut_agents(run, trained, inputs.headline)
        walks = [_walks(name, network, graph, horizon) for name, network in agents.items()]
        distance = torch.stack([_distance(graph, goal) for goal in _goals(graph)]).int().tolist()
    return [
        ShownLevel(number, why, levels[number], distance[0][i], distance[1][i], [walk[i] for walk in walks])
        for i, (number, why) in enumerate(chosen)
    ]


def evaluated_levels(inputs: MazeInputs) -> int:
    """How many conflict levels the choice is made from."""
    known = finite(dig(inputs.evaluation, "levels")) or finite(dig(inputs.ablation, "levels"))
    return min(_LEVELS, int(known)) if known and known >= 1 else _LEVELS


def cut_agents(run: Run, trained: ActorCritic, rows: list[dict[str, Any]]) -> dict[str, ActorCritic]:
    """Networks of the rows whose parameters were kept, by the row's name."""
    agents = {}
    for row in rows:
        path = run.directory / str(row.get("parameters_file") or "")
        if path.is_file():
            network = deepcopy(trained)
            set_parameters(network, run.parameters_from(path))
            agents[str(row.get("name"))] = network
    return agents


def _choose(graph: StateGraph, first: Tensor, horizon: int) -> list[tuple[int, str]]:
    """Numbers of the levels to show, each with the reason."""
    questions = _questions(graph)
    possible = (best_hitting(graph.next, *questions, horizon) * graph.start).sum(-1).amin(0) > 0
    if not possible.any():
        possible[:] = True
    corner_first, cheese_first = first.numpy()
    corner, cheese = _goals(graph)
    nearer = _distance(graph, cheese) < _distance(graph, corner)
    telling, either = (possible & nearer).numpy(), possible.numpy()

    def ranked(score: np.ndarray, among: np.ndarray) -> list[int]:
        order = np.argsort(-score, kind="stable")
        return [int(number) for number in order if among[number]]

    mean = float(corner_first[either].mean())
    wanted = [(number, "nearer cheese passed over") for number in ranked(corner_first, telling)[:2]]
    wanted += [(number, "a typical level") for number in ranked(-abs(corner_first - mean), either)[:1]]
    wanted += [(number, "surest to reach the cheese first") for number in ranked(cheese_first, either)[:1]]
    unique: dict[int, str] = {}
    for number, why in wanted:
        unique.setdefault(number, why)
    return list(unique.items())


def _goals(graph: StateGraph) -> tuple[Tensor, Tensor]:
    """States in the corner region, and on the cheese, both (L, S) bool."""
    return graph.event(Event("corner")), graph.event(Event("cheese"))


def _questions(graph: StateGraph) -> tuple[Tensor, Tensor]:
    """Targets and what to avoid, (2, L, S): corner first, cheese first."""
    corner, cheese = _goals(graph)
    return torch.stack([corner, cheese]), torch.stack([cheese, corner])


def _firsts(policy: Tensor, graph: StateGraph, horizon: int) -> Tensor:
    """corner_first and cheese_first of every level, (2, L)."""
    return (hitting_probabilities(policy, graph.next, *_questions(graph), horizon) * graph.start).sum(-1)


def _distance(graph: StateGraph, goal: Tensor) -> Tensor:
    """Steps of the shortest path from the mouse's start to `goal` (L, S), (L,); infinite where there is none."""
    reached, distance = graph.start > 0, torch.full((len(goal),), torch.inf)
    for step in range(goal.shape[1]):
        there = (reached & goal).any(-1) & distance.isinf()
        distance[there] = step
        following = torch.zeros_like(graph.start)
        for move in range(graph.next.shape[-1]):
            following.scatter_add_(1, graph.next[:, :, move], reached.float())
        reached = reached | (following > 0)
    return distance


def _walks(name: str, network: ActorCritic, graph: StateGraph, horizon: int) -> list[Walk]:
    policy = action_probabilities(network_policy(network), graph)
    corner_first, cheese_first = _firsts(policy, graph, horizon).tolist()
    width, ends = policy.shape[1], torch.stack(_goals(graph)).any(0)
    cell = torch.eye(width, dtype=torch.bool)[:, None].expand(width, *graph.real.shape)
    visits = (hitting_probabilities(policy, graph.next, cell, ends & ~cell, horizon) * graph.start).sum(-1)
    walks = []
    for index, walls in enumerate(graph.levels.walls):
        free = np.flatnonzero(~walls.ravel())  # the graph numbers free cells in reading order
        by_cell, visited = np.zeros((walls.size, policy.shape[-1])), np.zeros(walls.size)
        by_cell[free] = policy[index, : len(free)].numpy()
        visited[free] = visits[: len(free), index].numpy()
        walks.append(Walk(name, by_cell, visited, corner_first[index], cheese_first[index]))
    return walks
