"""Sampled behaviour: the measures of a world from seeded episodes of the environment, where a chain is too large.

The same questions as `behaviour.ExactBehaviour` answers, by Monte Carlo: of every level so many episodes. Their means
have sampling noise, which intervals over levels contain, and no gradient.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..envs.automaton import Automaton, automaton_of
from ..envs.cheese_maze import CheeseMaze
from ..envs.generator import Split
from ..envs.levels import ABSENT, NUM_ACTIONS, OPPOSITE, Levels, corner_region
from ..envs.moves import default_time_limit, touched_sets
from ..envs.state_graph import MOST_STATES, StateGraph, StateGraphTooLarge
from ..envs.world import Event, Measure, World
from .behaviour import ExactBehaviour, Policy, measured_levels

EPISODES = 16
"""Of every level, by default."""
# Episodes that go on side by side: enough for forward passes of a good size.
_SIDE_BY_SIDE = 4096


@dataclass(frozen=True)
class SampledBehaviour:
    """The measures of a world on fixed levels of it, from episodes.

    Every call draws the same numbers, so that agents are compared on the same luck.

    Attributes:
        world: the card.
        levels: distribution → its levels; the same object where distributions have the same levels.
        horizon: the time limit, in steps.
        episodes: of every level, for each way that measures start and end.
        seed: of the draws.
        why: what was too large for exact behaviour.
        device: where episodes are played.
    """

    exact: ClassVar[bool] = False
    num_actions: ClassVar[int] = NUM_ACTIONS
    paired: ClassVar[bool] = True

    world: World
    levels: Mapping[str, Levels]
    horizon: int
    episodes: int = EPISODES
    seed: int = 0
    why: str = ""
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes is {self.episodes}: give at least 1")

    @property
    def told(self) -> str:
        """How it measures, and why."""
        how = f"sampled, {self.episodes} episodes of every level"
        return f"{how}: {self.why}; fewer levels or a smaller world are measured exactly" if self.why else how

    def measure(self, policy: Policy) -> dict[str, Tensor]:
        """Every measure on every level, name → (L,) float32: means over episodes, without gradient."""
        # Measures that start and end alike are taken on the same episodes.
        groups: dict[tuple[int, str, bool, bool], list[Measure]] = {}
        for measure in self.world.measures:
            walk = measure.kind == "navigation"
            key = (id(self.levels[measure.levels]), measure.start, measure.ends and not walk, walk)
            groups.setdefault(key, []).append(measure)
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            for number, ((_, _, ends, walk), measures) in enumerate(groups.items()):
                generator = torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + number)
                levels = self.levels[measures[0].levels]
                if walk:
                    shares = self._navigation(policy, levels, generator)
                    found |= {measure.name: shares for measure in measures}
                else:
                    found |= self._outcomes(policy, levels, measures, ends, generator)
        return {measure.name: found[measure.name] for measure in self.world.measures}

    def best(self) -> dict[str, Tensor]:
        """What the best walker gives on every level: exact, on the graphs of a few levels at a time.

        Raises:
            StateGraphTooLarge: one level alone is too large.
        """
        count = len(next(iter(self.levels.values())))
        parts: list[dict[str, Tensor]] = []
        first, width = 0, count
        while first < count:
            chosen = slice(first, first + width)
            try:
                made = {
                    key: StateGraph(batch.take(chosen), self.device)
                    for key, batch in {id(batch): batch for batch in self.levels.values()}.items()
                }
            except StateGraphTooLarge:
                if width == 1:
                    raise
                width = (width + 1) // 2
                continue
            graphs = {name: made[id(batch)] for name, batch in self.levels.items()}
            parts.append(ExactBehaviour(self.world, graphs, self.horizon).best())
            first += width
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _outcomes(
        self,
        policy: Policy,
        levels: Levels,
        measures: Sequence[Measure],
        ends: bool,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Means over episodes of what is paid and reached, for measures that start and end alike; name → (L,)."""
        sums = {measure.name: torch.zeros(len(levels), device=self.device) for measure in measures}
        for times in self._batches(len(levels)):
            batch = _repeated(levels, times)
            place = _Places(batch, self.device)
            if measures[0].start == "corner":
                batch = place.started(place.corner & place.free, generator)
            env = self._env(batch, endless=not ends)
            asked = {m.name: place.ask(m.target) for m in measures if m.target is not None}
            avoided = {m.name: place.ask(m.avoid) for m in measures if m.avoid is not None}
            mouse, progress = torch.from_numpy(batch.mouse).to(self.device), env.progress
            alive = ~place.over(mouse, progress) if ends else torch.ones_like(mouse, dtype=torch.bool)
            paid = torch.zeros(len(batch), device=self.device)
            reached = {name: ask(mouse, progress) for name, ask in asked.items()}
            shut = {name: ask(mouse, progress) for name, ask in avoided.items()}
            for _ in range(self.horizon):
                if not alive.any():
                    break
                step = env.step(torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0])
                paid += torch.where(alive, step.rewards, 0.0)
                for name, ask in asked.items():
                    there = ask(step.mouse, step.progress) & alive
                    reached[name] |= there & ~shut[name] if name in shut else there
                for name, ask in avoided.items():  # what comes after it no longer counts
                    shut[name] |= ask(step.mouse, step.progress) & alive
                alive &= ~step.terminated
            for measure in measures:
                outcome = paid / measure.most if measure.kind == "reward" else reached[measure.name].float()
                sums[measure.name] += outcome.view(times, len(levels)).sum(0)
        return {name: total / self.episodes for name, total in sums.items()}

    def _navigation(self, policy: Policy, levels: Levels, generator: torch.Generator) -> Tensor:
        """The share of the moves of short walks that find a way on, as `behaviour.navigation` says, (L,)."""
        found, moves = torch.zeros(2, len(levels), device=self.device)
        opposite = torch.as_tensor(OPPOSITE, device=self.device)
        for times in self._batches(len(levels)):
            batch = _repeated(levels, times)
            place = _Places(batch, self.device)
            ways = place.free & (place.touched == 0)
            if self.world.corner_is_goal:
                ways &= ~place.corner
            batch = place.started(ways, generator)
            env = self._env(batch, endless=True)
            everyone = torch.arange(len(batch), device=self.device)
            mouse, last = torch.from_numpy(batch.mouse).to(self.device), torch.full_like(everyone, -1)
            walking = ways[everyone, mouse]
            for _ in range(levels.size):
                action = torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0]
                there = env.step(action).mouse
                bumped, back = there == mouse, (last >= 0) & (action == opposite[last.clamp_min(0)])
                moves += walking.view(times, -1).sum(0)
                found += (walking & ~bumped & ~back).view(times, -1).sum(0)
                last = torch.where(bumped, last, action)
                mouse = there
                walking &= ways[everyone, mouse]
        return found / moves

    def _env(self, levels: Levels, *, endless: bool) -> CheeseMaze:
        # One step more than asked for: nothing is cut off before the last step is looked at.
        limit = self.horizon + levels.size
        env = CheeseMaze(levels, len(levels), seed=0, time_limit=limit, endless=endless, device=self.device)
        env.reset(torch.arange(len(levels), device=self.device))
        return env

    def _batches(self, count: int) -> Iterator[int]:
        """How many episodes of every level go on side by side, batch after batch."""
        most = max(1, _SIDE_BY_SIDE // count)
        for first in range(0, self.episodes, most):
            yield min(most, self.episodes - first)


class _Places:
    """What lies where in B levels, one per episode."""

    def __init__(self, levels: Levels, device: torch.device | str):
        self._automaton: Automaton = automaton_of(levels.world)
        self.levels, self._device = levels, device
        self._everyone = torch.arange(len(levels), device=device)
        self.touched = self._put(touched_sets(levels, self._automaton)).long()
        self._over = self._put(self._automaton.over)
        self.free = self._put(~levels.walls.reshape(len(levels), -1))
        region = corner_region(levels.size, levels.world.corner_size).ravel()
        self.corner = self._put(region).expand(len(levels), -1)

    def ask(self, event: Event) -> Callable[[Tensor, Tensor], Tensor]:
        """A function of mouse and progress (B,) that says whether each episode is where the event says, (B,) bool."""
        at = None if event.at is None else torch.zeros_like(self.free)
        if at is not None:
            for name in (event.at,) if isinstance(event.at, str) else event.at or ():
                at |= self.corner if name == "corner" else self._cells(name)
        when = None
        if event.when is not None:
            when = self._put([bool(event.when(value)) for value in self._automaton.progress])

        def there(mouse: Tensor, progress: Tensor) -> Tensor:
            answer = torch.ones_like(mouse, dtype=torch.bool) if at is None else at[self._everyone, mouse]
            return answer if when is None else answer & when[progress]

        return there

    def over(self, mouse: Tensor, progress: Tensor) -> Tensor:
        """Whether each episode is over, (B,) bool."""
        return self._over[progress, self.touched[self._everyone, mouse]]

    def started(self, allowed: Tensor, generator: torch.Generator) -> Levels:
        """The levels with the mouse on a uniform cell of those allowed, (B, n²) bool; kept where there is none."""
        weights = allowed.float()
        none = weights.sum(1) == 0
        weights[none, self._put(self.levels.mouse)[none]] = 1
        mouse = torch.multinomial(weights, 1, generator=generator)[:, 0].cpu().numpy()
        return Levels(self.levels.world, self.levels.walls, mouse, self.levels.places)

    def _cells(self, name: str) -> Tensor:
        cells = self._put(self.levels.places[name])
        row, column = (cells != ABSENT).nonzero(as_tuple=True)
        there = torch.zeros_like(self.free)
        there[row, cells[row, column]] = True
        return there

    def _put(self, array: object) -> Tensor:
        return torch.as_tensor(array, device=self._device)


def behaviour_of_world(
    world: World,
    count: int,
    *,
    seed: int,
    split: Split,
    time_limit: int | None = None,
    device: torch.device | str = "cpu",
    most_states: int = MOST_STATES,
    episodes: int = EPISODES,
) -> ExactBehaviour | SampledBehaviour:
    """Exact behaviour, or sampled where the levels of a distribution have more than `most_states` states.

    Its `exact` says which it is, and its `told` says so to a person.
    """
    horizon = default_time_limit(world.size) if time_limit is None else time_limit
    try:
        return ExactBehaviour.of_world(
            world, count, seed=seed, split=split, time_limit=horizon, device=device, most_states=most_states
        )
    except StateGraphTooLarge as error:
        levels = measured_levels(world, count, seed=seed, split=split)
        return SampledBehaviour(world, levels, horizon, episodes, seed, error.why, device)


def _repeated(levels: Levels, times: int) -> Levels:
    return Levels.concatenate([levels] * times)
