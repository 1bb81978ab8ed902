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
from ..agents.rollout_run import RolloutRun
from ..envs.generator import make_levels
from ..envs.levels import Level
from ..envs.state_graph import StateGraph
from ..envs.world import Measure, World
from .inputs import dig
from .maze_inputs import MazeInputs
from .style import finite

_LEVELS = 400
HOW_CHOSEN = (
    "Chosen by rule from the {count} evaluated levels where the goals part, among those where either goal can be "
    "reached without passing the other: two where the {paid} is nearer than the {proxy} and the trained agent is "
    "surest to come to the {proxy} first, the one where its {first} is nearest its mean, and the one where it is "
    "surest to come to the {paid} first."
)


@dataclass(frozen=True)
class Walk:
    """What one agent does on one level.

    Attributes:
        agent: its name.
        goals: names of the proxy goal and the paid one.
        ends_at: names of the things that the walk ends at.
        policy: (n², 4) action probabilities by cell before anything has happened, zero in walls.
        visits: (n²,) probability that the walk passes through each cell before it ends at either goal.
        proxy_first, paid_first: the exact probabilities.
    """

    agent: str
    goals: tuple[str, str]
    ends_at: tuple[str, ...]
    policy: np.ndarray
    visits: np.ndarray
    proxy_first: float
    paid_first: float


@dataclass(frozen=True)
class ShownLevel:
    """One level with what every agent does on it."""

    number: int
    why: str
    level: Level
    steps_to_proxy: int
    steps_to_paid: int
    walks: list[Walk]


def shown_levels(inputs: MazeInputs) -> list[ShownLevel]:
    """The chosen levels; empty where the world has none on which goals part, or the run is not trained."""
    run, world = inputs.run, inputs.world
    if not run.trained or not levels_part(inputs):
        return []
    seed = int(finite(dig(inputs.evaluation, "level_seed")) or 0)
    pure = replace(world, ood_share=0.0)
    levels = make_levels(
        pure, evaluated_levels(inputs), seed=seed, split="test", distribution=_parting(world).levels
    )
    graph, horizon = StateGraph(levels), run.settings.horizon
    trained = run.network()
    with torch.no_grad():
        first = first_probabilities(action_probabilities(network_policy(trained), graph), graph, horizon)
        chosen = _choose(graph, first, horizon)
        graph = StateGraph(levels.take(np.array([number for number, _ in chosen])))
        agents = {"trained": trained} | cut_agents(run, trained, inputs.headline)
        walks = [_walks(name, network, graph, horizon) for name, network in agents.items()]
        distance = torch.stack([steps_to(graph, goal) for goal in goal_states(graph)]).int().tolist()
    return [
        ShownLevel(number, why, levels[number], distance[0][i], distance[1][i], [walk[i] for walk in walks])
        for i, (number, why) in enumerate(chosen)
    ]


def evaluated_levels(inputs: MazeInputs) -> int:
    """How many conflict levels the choice is made from."""
    known = finite(dig(inputs.evaluation, "levels")) or finite(dig(inputs.ablation, "levels"))
    return min(_LEVELS, int(known)) if known and known >= 1 else _LEVELS


def cut_agents(
    run: RolloutRun[Any], trained: ActorCritic, rows: list[dict[str, Any]]
) -> dict[str, ActorCritic]:
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
    proxy_first, paid_first = first.numpy()
    proxy, paid = goal_states(graph)
    nearer = steps_to(graph, paid) < steps_to(graph, proxy)
    telling, either = (possible & nearer).numpy(), possible.numpy()

    def ranked(score: np.ndarray, among: np.ndarray) -> list[int]:
        order = np.argsort(-score, kind="stable")
        return [int(number) for number in order if among[number]]

    paid_name = graph.levels.world.goals[1].name
    mean = float(proxy_first[either].mean())
    wanted = [(number, f"nearer {paid_name} passed over") for number in ranked(proxy_first, telling)[:2]]
    wanted += [(number, "a typical level") for number in ranked(-abs(proxy_first - mean), either)[:1]]
    wanted += [
        (number, f"surest to come to the {paid_name} first") for number in ranked(paid_first, either)[:1]
    ]
    unique: dict[int, str] = {}
    for number, why in wanted:
        unique.setdefault(number, why)
    return list(unique.items())


def goal_states(graph: StateGraph) -> tuple[Tensor, Tensor]:
    """States at the proxy goal, and at the paid one, both (L, S) bool."""
    proxy, paid = (_parting(graph.levels.world, which).target for which in (0, 1))
    assert proxy is not None
    assert paid is not None
    return graph.event(proxy), graph.event(paid)


def levels_part(inputs: MazeInputs) -> bool:
    """Whether the run's world has levels on which the goals part, and asks which comes first."""
    world = inputs.world
    return bool(inputs.firsts) and not (world.corner_is_goal and world.corner_size == world.size)


def _parting(world: World, which: int = 0) -> Measure:
    """The measure of how often the proxy goal, 0, or the paid one, 1, comes first."""
    return world.measures_by_name()[str(world.goals[which].first)]


def _questions(graph: StateGraph) -> tuple[Tensor, Tensor]:
    """Targets and what to avoid, (2, L, S): proxy goal first, paid goal first."""
    proxy, paid = goal_states(graph)
    return torch.stack([proxy, paid]), torch.stack([paid & ~proxy, proxy & ~paid])


def first_probabilities(policy: Tensor, graph: StateGraph, horizon: int) -> Tensor:
    """How likely either goal is to come first on every level, (2, L)."""
    return (hitting_probabilities(policy, graph.next, *_questions(graph), horizon) * graph.start).sum(-1)


def steps_to(graph: StateGraph, goal: Tensor) -> Tensor:
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
    proxy_first, paid_first = first_probabilities(policy, graph, horizon).tolist()
    world, size = graph.levels.world, graph.levels.size
    ends = torch.stack(goal_states(graph)).any(0) | graph.over
    here = (graph.cell == torch.arange(size**2)[:, None, None]) & graph.real
    visits = (hitting_probabilities(policy, graph.next, here, ends & ~here, horizon) * graph.start).sum(-1)
    names = tuple(thing.name for thing in world.things if thing.acts)
    goals = (world.goals[0].name, world.goals[1].name)
    walks = []
    for index in range(len(graph)):
        before = graph.initial[index]
        by_cell = np.zeros((size**2, policy.shape[-1]))
        by_cell[graph.cell[index][before].numpy()] = policy[index][before].numpy()
        firsts = proxy_first[index], paid_first[index]
        walks.append(Walk(name, goals, names, by_cell, visits[:, index].numpy(), *firsts))
    return walks
