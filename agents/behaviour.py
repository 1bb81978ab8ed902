"""Exact behaviour: what a memoryless agent does in a maze, as probabilities, without sampling noise.

On one level such an agent is a Markov chain on the states of the level's graph. One batch of forward passes gives its
action probabilities in every state that it can come to; hitting probabilities and expected rewards within H steps
follow by H sparse steps backwards in time. All of it is differentiable in the parameters.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..envs.generator import Split, make_levels
from ..envs.levels import NUM_ACTIONS, OPPOSITE, Levels
from ..envs.moves import default_time_limit
from ..envs.state_graph import MOST_STATES, StateGraph, memory
from ..envs.world import TRAINING, Event, Measure, World
from .expectation import Recursion, expectation, expectations

# A policy: observations (B, C, n, n) uint8 to action probabilities (B, 4).
Policy = Callable[[Tensor], Tensor]
_FORWARD_BATCH = 8192


def network_policy(network: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Policy:
    """The policy of an actor-critic, in float32."""
    return lambda planes: network(planes.float())[0].softmax(-1)


def uniform_policy(seen: Tensor, num_actions: int = NUM_ACTIONS) -> Tensor:
    """Every action with the same probability."""
    return torch.full((len(seen), num_actions), 1 / num_actions, device=seen.device)


def action_probabilities(policy: Policy, graph: StateGraph, asked: Tensor | None = None) -> Tensor:
    """π(a | state) on every level, (L, S, 4): one forward pass per state.

    Of states `asked` alone where they are given, (L, S) bool, and 0 elsewhere.
    """
    found = torch.cat([policy(planes) for planes in graph.observations(_FORWARD_BATCH, asked)])
    return _placed(found, torch.ones_like(graph.real) if asked is None else asked)


def _on_graphs(policy: Policy, asked: Sequence[tuple[StateGraph, Tensor]]) -> list[Tensor]:
    """`action_probabilities` on several graphs; few states of them go through the policy at once."""
    counts = [int(states.sum()) for _, states in asked]
    if len(asked) < 2 or sum(counts) > _FORWARD_BATCH:
        return [action_probabilities(policy, graph, states) for graph, states in asked]
    seen = [planes for graph, states in asked for planes in graph.observations(_FORWARD_BATCH, states)]
    found = policy(torch.cat(seen)).split(counts)
    return [_placed(part, states) for part, (_, states) in zip(found, asked, strict=True)]


def _placed(found: Tensor, asked: Tensor) -> Tensor:
    """What was found of the states asked, (L, S, 4), and 0 of the others."""
    places = asked.view(-1).nonzero().squeeze(1)
    spread = found.new_zeros(asked.numel(), NUM_ACTIONS).index_copy(0, places, found)
    return spread.view(*asked.shape, NUM_ACTIONS)


def hitting_probabilities(
    policy: Tensor, following: Tensor, target: Tensor, avoid: Tensor, horizon: int
) -> Tensor:
    """Probability to enter `target` within `horizon` steps and before `avoid`, from every state.

    Args:
        policy: (L, S, 4) action probabilities.
        following: (L, S, 4) int64, the state each move leads to.
        target: (M, L, S) bool, M questions at once; one of its states as start counts as entered.
        avoid: (M, L, S) bool.
        horizon: steps.

    Returns:
        (M, L, S).
    """
    return expectation(_reaching(policy, following, target, avoid), horizon).T.reshape(target.shape)


def _reaching(policy: Tensor, following: Tensor, target: Tensor, avoid: Tensor) -> Recursion:
    """What `hitting_probabilities` are the expectation of; a column for each question."""
    entered, going_on = (_columns(part, policy.dtype) for part in (target, ~target & ~avoid))
    return Recursion(policy.flatten(0, 1), _flat(following), entered, going_on, entered)


def _columns(questions: Tensor, dtype: torch.dtype) -> Tensor:
    """(M, L, S) as (L · S, M)."""
    return questions.flatten(1).T.to(dtype, memory_format=torch.contiguous_format)


def best_hitting(following: Tensor, target: Tensor, avoid: Tensor, horizon: int) -> Tensor:
    """The same for the best walker, who takes the shortest path: 1 where it can be done, else 0."""
    questions, flat = len(target), _flat(following).view(-1)
    entered, going_on = target.float(), (~target & ~avoid).float()
    reached = entered
    for _ in range(horizon):
        after = reached.view(questions, -1).index_select(1, flat).view(questions, *following.shape)
        reached = entered + going_on * after.amax(-1)
    return reached


def expected_rewards(policy: Tensor, graph: StateGraph, over: Tensor, horizon: int) -> Tensor:
    """Expected sum of rewards within `horizon` steps, an episode ending in the states `over` (L, S); (L, S)."""
    going_on = _columns(~over[None], policy.dtype)
    nothing, paid = torch.zeros_like(going_on), going_on * _pay(policy, graph)
    walk = Recursion(policy.flatten(0, 1), _flat(graph.next), paid, going_on, nothing)
    return expectation(walk, horizon).view(over.shape)


def best_rewards(graph: StateGraph, over: Tensor, horizon: int) -> Tensor:
    """The largest sum of rewards within `horizon` steps, (L, S)."""
    flat, going_on = _flat(graph.next).view(-1), (~over).float()
    best = torch.zeros_like(going_on)
    for _ in range(horizon):
        after = best.view(-1).index_select(0, flat).view(graph.next.shape)
        best = going_on * (graph.rewards + after).amax(-1)
    return best


def navigation(policy: Tensor, graph: StateGraph) -> Tensor:
    """Probability that a move, drawn at random from the moves of a walk, finds a way on; (L,).

    A walk starts in a random free cell that holds nothing that acts and, where the corner region is a goal, is
    outside it; it ends at such a thing, in that region, or after n moves, a maze's width. A move finds a way on if it
    neither bumps into a wall nor turns straight back. In a tree such moves are exactly those that lead somewhere new.
    It asks for no goal in particular: an agent that lost one goal still scores high by walking to the other, one that
    dithers or bumps scores low, and every shortest path to any cell scores 1. Walks are short so that one that got
    stuck weighs no more than one that arrived. The ratio is that of the expected number of such moves to that of
    moves.
    """
    horizon = graph.levels.size
    following = _flat(graph.next)
    ways = _ways(graph)
    walking, starts = ways.to(policy.dtype), (ways & graph.initial).to(policy.dtype)
    finds = policy * (~graph.bumps).to(policy.dtype)
    stays, all_finds = (policy - finds).sum(-1, keepdim=True), finds.sum(-1, keepdim=True)
    # Columns are the last real move (a bump keeps it) and, last, none yet: what would undo it finds no way on.
    opposite = torch.as_tensor(OPPOSITE, device=policy.device)
    clean = all_finds - torch.cat([finds[:, :, opposite], torch.zeros_like(stays)], dim=-1)
    columns = NUM_ACTIONS + 1
    by_move = (following * columns + torch.arange(NUM_ACTIONS, device=policy.device)).view(-1)
    here = walking.view(-1, 1)
    walk = Recursion(policy.flatten(0, 1), following, here, here, torch.zeros_like(here))
    moves = expectation(walk, horizon)
    found, on = torch.zeros_like(clean), walking[:, :, None]
    clean, finds, stays = on * clean, on * finds, on * stays
    for _ in range(horizon):
        found_after = found.view(-1).index_select(0, by_move).view_as(policy)
        found = torch.addcmul(clean + (finds * found_after).sum(-1, keepdim=True), stays, found)
    return (starts * found[:, :, NUM_ACTIONS]).sum(1) / (starts * moves.view_as(starts)).sum(1)


def _ways(graph: StateGraph) -> Tensor:
    """Where walks that navigation is told of go on, (L, S) bool."""
    ways = graph.real & ~graph.acting
    return ways & ~graph.event(Event("corner")) if graph.levels.world.corner_is_goal else ways


def measured_levels(world: World, count: int, *, seed: int, split: Split) -> dict[str, Levels]:
    """`count` levels of each distribution that the world measures on; the same object where they are the same."""
    levels: dict[str, Levels] = {}
    for name in dict.fromkeys(measure.levels for measure in world.measures):
        same = world.same_levels(name)
        if same not in levels:
            # Levels to measure on are of one distribution; only those as in training are mixed.
            pure = world if name == TRAINING else replace(world, ood_share=0.0)
            levels[same] = make_levels(pure, count, seed=seed, split=split, distribution=name)
        levels[name] = levels[same]
    return levels


@dataclass(frozen=True)
class ExactBehaviour:
    """The measures of a world on fixed levels of it.

    Attributes:
        world: the card.
        graphs: distribution → its levels; distributions with the same levels share a graph.
        horizon: the time limit, in steps.
    """

    exact: ClassVar[bool] = True
    num_actions: ClassVar[int] = NUM_ACTIONS
    """Of the policies that are measured."""
    paired: ClassVar[bool] = True
    """Whether level i is the same maze in all distributions, but for what lies where."""

    world: World
    graphs: Mapping[str, StateGraph]
    horizon: int
    _walks: dict[str, "_Walk"] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of_world(
        cls,
        world: World,
        count: int,
        *,
        seed: int,
        split: Split,
        time_limit: int | None = None,
        device: torch.device | str = "cpu",
        most_states: int = MOST_STATES,
    ) -> "ExactBehaviour":
        """`count` levels of each distribution that the world measures on, of one split and seed.

        Raises:
            StateGraphTooLarge: the levels of one have more than `most_states`; see `sampled_behaviour`.
        """
        levels = measured_levels(world, count, seed=seed, split=split)
        made = {
            id(batch): StateGraph(batch, device, most_states=most_states)
            for batch in {id(batch): batch for batch in levels.values()}.values()
        }
        graphs = {name: made[id(batch)] for name, batch in levels.items()}
        return cls(world, graphs, default_time_limit(world.size) if time_limit is None else time_limit)

    @property
    def told(self) -> str:
        """How it measures, and the memory that the largest graph takes and took."""
        graph = max(self.graphs.values(), key=lambda graph: graph.bytes)
        states, kinds = graph.real.shape[1], len({id(graph) for graph in self.graphs.values()})
        return (
            f"exact, on {kinds} state graphs of up to {states:,} states a level; the largest takes "
            f"{memory(graph.bytes)}, and {memory(graph.peak_bytes)} while it was made"
        )

    @property
    def states_asked(self) -> int:
        """States of all levels that a policy is asked in to take every measure."""
        return sum(int(self._asked(measures).sum()) for _, measures in self._by_graph())

    def measure(self, policy: Policy, only: Collection[str] | None = None) -> dict[str, Tensor]:
        """The measures on every level, all or those of some names: name → (L,); differentiable where the policy is."""
        [found] = self.measure_all([(policy, only)])
        return found

    def measure_all(self, asked: Sequence[tuple[Policy, Collection[str] | None]]) -> list[dict[str, Tensor]]:
        """What `measure` gives for each of several policies and names; their walks take their steps together."""
        found: list[dict[str, Tensor]] = [{} for _ in asked]
        recursions, walked = [], []
        for policy, only, told in ((*one, told) for one, told in zip(asked, found, strict=True)):
            by_graph = self._by_graph(only)
            for (graph, measures), actions in zip(by_graph, self._actions(policy, by_graph), strict=True):
                walks = {m: self._walk(m) for m in measures if m.kind != "navigation"}
                if walks:
                    recursions.append(_recursion(actions, graph, list(walks.values())))
                    walked.append((told, walks))
                told |= {m.name: self._navigation(actions, graph) for m in measures if m.kind == "navigation"}
        for (told, walks), columns in zip(walked, expectations(recursions, self.horizon), strict=True):
            for (measure, walk), values in zip(walks.items(), columns.unbind(1), strict=True):
                mean = walk.mean(values.view(walk.starts.shape))
                told[measure.name] = mean / measure.most if walk.paid else mean
        # In the order of the world's measures.
        return [
            {m.name: told[m.name] for m in self._wanted(only)}
            for (_, only), told in zip(asked, found, strict=True)
        ]

    def best(self) -> dict[str, Tensor]:
        """What the best walker gives on every level, for each measure a walker of its own."""
        found = {}
        for measure in self.world.measures:
            graph, walk = self.graphs[measure.levels], self._walk(measure)
            if measure.kind == "navigation":
                found[measure.name] = torch.ones(len(graph), device=graph.device)
            elif walk.paid:
                found[measure.name] = walk.mean(best_rewards(graph, walk.avoid, self.horizon)) / measure.most
            else:
                reached = best_hitting(graph.next, walk.target[None], walk.avoid[None], self.horizon)
                found[measure.name] = walk.mean(reached[0])
        return found

    def _actions(self, policy: Policy, by_graph: Sequence[tuple[StateGraph, list[Measure]]]) -> list[Tensor]:
        # In no state that the walks of these measures cannot be in.
        return _on_graphs(policy, [(graph, self._asked(measures)) for graph, measures in by_graph])

    def _navigation(self, actions: Tensor, graph: StateGraph) -> Tensor:
        return navigation(actions, graph)

    def _wanted(self, only: Collection[str] | None) -> list[Measure]:
        return [measure for measure in self.world.measures if only is None or measure.name in only]

    def _by_graph(self, only: Collection[str] | None = None) -> list[tuple[StateGraph, list[Measure]]]:
        wanted = self._wanted(only)
        graphs = {id(self.graphs[m.levels]): self.graphs[m.levels] for m in wanted}.values()
        return [(graph, [m for m in wanted if self.graphs[m.levels] is graph]) for graph in graphs]

    def _asked(self, measures: Sequence[Measure]) -> Tensor:
        return torch.stack([self._walk(measure).asked for measure in measures]).any(0)

    def _walk(self, measure: Measure) -> "_Walk":
        if measure.name not in self._walks:
            self._walks[measure.name] = _Walk.of(measure, self.graphs[measure.levels])
        return self._walks[measure.name]


@dataclass(frozen=True, eq=False)
class _Walk:
    """Where the walks that a measure is told of begin and end; each (L, S) bool.

    Attributes:
        graph: that they are in.
        starts: they begin there, on each level in one state or in any of several alike.
        target: they end there, as asked for.
        avoid: they end there.
        paid: what is asked is what they pay, not whether they end as asked for.
    """

    graph: StateGraph
    starts: Tensor
    target: Tensor
    avoid: Tensor
    paid: bool = False

    @classmethod
    def of(cls, measure: Measure, graph: StateGraph) -> "_Walk":
        nowhere = torch.zeros_like(graph.over)
        if measure.kind == "navigation":
            return cls(graph, graph.initial, nowhere, ~_ways(graph))
        starts = graph.start > 0 if measure.start == "start" else graph.corner
        target = nowhere if measure.target is None else graph.event(measure.target)
        avoid = graph.over if measure.ends else nowhere
        if measure.avoid is not None:
            avoid = avoid | graph.event(measure.avoid)
        return cls(graph, starts, target, avoid & ~target, measure.kind == "reward")

    @cached_property
    def asked(self) -> Tensor:
        """Where they can be and go on: a policy is asked there, and nowhere else."""
        return self.graph.visited(self.starts, ~self.target & ~self.avoid)

    def mean(self, values: Tensor) -> Tensor:
        """Of values (L, S) over the states that they begin in, (L,)."""
        starts = self.starts.to(values.dtype)
        return (values * starts).sum(-1) / starts.sum(-1)


def _recursion(actions: Tensor, graph: StateGraph, walks: Sequence[_Walk]) -> Recursion:
    """Of what every walk reaches or pays, from every state; a column each."""
    target, avoid = (torch.stack(parts) for parts in zip(*((w.target, w.avoid) for w in walks), strict=True))
    reaching = _reaching(actions, graph.next, target, avoid)
    if not any(walk.paid for walk in walks):
        return reaching
    pays = torch.tensor([walk.paid for walk in walks], dtype=actions.dtype, device=actions.device)
    return reaching._replace(offset=reaching.offset + reaching.going_on * _pay(actions, graph) * pays)


def _pay(actions: Tensor, graph: StateGraph) -> Tensor:
    """What the next move pays on average, (L · S, 1)."""
    return (actions * graph.rewards.to(actions.dtype)).sum(-1).view(-1, 1)


def _flat(following: Tensor) -> Tensor:
    """States numbered through all levels: (L, S, 4) gives (L · S, 4)."""
    count, width, _ = following.shape
    return (following + width * torch.arange(count, device=following.device)[:, None, None]).flatten(0, 1)
