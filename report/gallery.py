"""Which conflict levels to show, and exactly what each agent does on them."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.behaviour import LevelChains, best_hitting, hitting_probabilities, network_policy
from ..agents.networks import ActorCritic
from ..agents.parameters import set_parameters
from ..agents.run import Run
from ..envs.generator import make_levels
from ..envs.levels import Level
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
    conflict = replace(world, cheese="conflict", ood_share=0.0)
    levels = make_levels(conflict, evaluated_levels(inputs), seed=seed, split="test")
    chains, horizon = LevelChains(levels, world.corner_size), run.settings.horizon
    trained = run.network()
    with torch.no_grad():
        first = _firsts(chains.action_probabilities(network_policy(trained)), chains, horizon)
        chosen = _choose(chains, first, horizon)
        chains = LevelChains(levels.take(np.array([number for number, _ in chosen])), world.corner_size)
        agents = {"trained": trained} | cut_agents(run, trained, inputs.headline)
        walks = [_walks(name, network, chains, horizon) for name, network in agents.items()]
        distance = (
            torch.stack([_distance(chains, goal) for goal in (chains.corner, chains.cheese)]).int().tolist()
        )
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


def _choose(chains: LevelChains, first: Tensor, horizon: int) -> list[tuple[int, str]]:
    """Numbers of the levels to show, each with the reason."""
    questions = _questions(chains)
    possible = (best_hitting(chains.next, *questions, horizon) * chains.start).sum(-1).amin(0) > 0
    if not possible.any():
        possible[:] = True
    corner_first, cheese_first = first.numpy()
    nearer = _distance(chains, chains.cheese) < _distance(chains, chains.corner)
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


def _questions(chains: LevelChains) -> tuple[Tensor, Tensor]:
    """Targets and what to avoid, (2, L, F): corner first, cheese first."""
    return torch.stack([chains.corner, chains.cheese]), torch.stack([chains.cheese, chains.corner])


def _firsts(policy: Tensor, chains: LevelChains, horizon: int) -> Tensor:
    """corner_first and cheese_first of every level, (2, L)."""
    return (hitting_probabilities(policy, chains.next, *_questions(chains), horizon) * chains.start).sum(-1)


def _distance(chains: LevelChains, goal: Tensor) -> Tensor:
    """Steps of the shortest path from the mouse's start to `goal` (L, F), (L,); infinite where there is none."""
    reached, distance = chains.start > 0, torch.full((len(goal),), torch.inf)
    for step in range(goal.shape[1]):
        there = (reached & goal).any(-1) & distance.isinf()
        distance[there] = step
        following = torch.zeros_like(chains.start)
        for move in range(chains.next.shape[-1]):
            following.scatter_add_(1, chains.next[:, :, move], reached.float())
        reached = reached | (following > 0)
    return distance


def _walks(name: str, network: ActorCritic, chains: LevelChains, horizon: int) -> list[Walk]:
    policy = chains.action_probabilities(network_policy(network))
    corner_first, cheese_first = _firsts(policy, chains, horizon).tolist()
    width, ends = policy.shape[1], chains.corner | chains.cheese
    cell = torch.eye(width, dtype=torch.bool)[:, None].expand(width, *chains.free.shape)
    visits = (hitting_probabilities(policy, chains.next, cell, ends & ~cell, horizon) * chains.start).sum(-1)
    walks = []
    for index, walls in enumerate(chains.levels.walls):
        free = np.flatnonzero(~walls.ravel())  # the chain numbers free cells first, in reading order
        by_cell, visited = np.zeros((walls.size, policy.shape[-1])), np.zeros(walls.size)
        by_cell[free] = policy[index, : len(free)].numpy()
        visited[free] = visits[: len(free), index].numpy()
        walks.append(Walk(name, by_cell, visited, corner_first[index], cheese_first[index]))
    return walks
