"""How the tests of single worlds check them: beside a plain-Python mouse, and against sampled episodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pytest
import torch

from goalcut.agents.behaviour import ExactBehaviour
from goalcut.envs import CheeseMaze, Level, Levels, World, make_levels, plane_names
from goalcut.envs.levels import ABSENT
from goalcut.envs.world import Measure

# Written out again on purpose: the tests do not trust the module's own table.
MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}


class Rules(Protocol):
    """A world's rules in plain Python, which may note in `mouse.taken` what they like."""

    def arrive(self, mouse: "PlainMouse") -> float:
        """What the step pays that brought the mouse where it is."""
        ...

    def over(self, mouse: "PlainMouse") -> bool: ...

    def looks(self, mouse: "PlainMouse") -> list[tuple[str, str]]:
        """Plane and thing of all that can be seen."""
        ...


@dataclass
class PlainMouse:
    """One mouse in one level, the slow and obvious way."""

    level: Level
    world: Any
    rules: Rules
    time_limit: int
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cell, self.elapsed = self.level.mouse, 0

    def on(self, name: str) -> bool:
        return self.cell in self.level.things.get(name, ())

    def step(self, action: int) -> tuple[float, bool, bool]:
        row, column = self.cell[0] + MOVES[action][0], self.cell[1] + MOVES[action][1]
        size = len(self.level.walls)
        if 0 <= row < size and 0 <= column < size and not self.level.walls[row, column]:
            self.cell = (row, column)
        self.elapsed += 1
        reward, over = self.rules.arrive(self), self.rules.over(self)
        return reward, over, not over and self.elapsed == self.time_limit

    def planes(self) -> np.ndarray:
        names = plane_names(self.world)
        planes = np.zeros((len(names), *self.level.walls.shape), dtype=np.uint8)
        planes[0] = self.level.walls
        planes[1][self.cell] = 1
        for plane, thing in self.rules.looks(self):
            for cell in self.level.things.get(thing, ()):
                planes[names.index(plane)][cell] = 1
        # Rules may also say cell by cell what is seen: plane and cell.
        for plane, cell in getattr(self.rules, "spots", lambda mouse: [])(self):
            planes[names.index(plane)][cell] = 1
        return planes


def play_beside(rules: Rules, world: World, distribution: str, steps: int = 150) -> dict[str, float]:
    """Random play in 25 mazes: every reward, end and observation as the plain mice have them; what happened."""
    levels = make_levels(world, 40, seed=1, distribution=distribution)
    limit = 4 * world.size
    env = CheeseMaze(levels, 25, seed=4, time_limit=limit)
    mice = [PlainMouse(levels[number], world, rules, limit) for number in env.level.tolist()]
    assert np.array_equal(env.observations, np.stack([mouse.planes() for mouse in mice]))
    generator = np.random.default_rng(0)
    seen = {"paid": 0.0, "over": 0, "cut off": 0, "taken": 0}
    for _ in range(steps):
        actions = generator.integers(4, size=25)
        step = env.step(torch.from_numpy(actions))
        expected = [mouse.step(action) for mouse, action in zip(mice, actions.tolist(), strict=True)]
        rewards, terminated, truncated = (list(column) for column in zip(*expected, strict=True))
        np.testing.assert_allclose(step.rewards, rewards, rtol=1e-6)
        assert step.terminated.tolist() == terminated
        assert step.truncated.tolist() == truncated
        ended = [number for number in range(25) if terminated[number] or truncated[number]]
        assert step.ended.tolist() == ended
        if ended:
            assert np.array_equal(
                step.final_observations, np.stack([mice[number].planes() for number in ended])
            )
        for number in ended:
            mice[number] = PlainMouse(levels[int(env.level[number])], world, rules, limit)
        assert np.array_equal(step.observations, np.stack([mouse.planes() for mouse in mice]))
        seen["paid"] += sum(rewards)
        seen["over"] += sum(terminated)
        seen["cut off"] += sum(truncated)
        seen["taken"] += sum(bool(mouse.taken) for mouse in mice)
    return seen


def opinionated_policy(world: World, seed: int = 0) -> Callable[[torch.Tensor], torch.Tensor]:
    """A small random network with strong preferences, so that behaviour is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    inputs = len(plane_names(world)) * world.size**2
    first = torch.randn(inputs, 48, generator=generator)
    second = torch.randn(48, 4, generator=generator) * 0.25
    return lambda planes: (torch.tanh(planes.flatten(1).float() @ first) @ second).softmax(-1)


def _cells_entered(levels: Levels, names: str | tuple[str, ...]) -> torch.Tensor:
    """Which cells hold one of these things, (L, n²) bool."""
    held = np.zeros((len(levels), levels.size**2 + 1), dtype=bool)
    for name in (names,) if isinstance(names, str) else names:
        for cells in levels.places[name].T:
            held[np.arange(len(levels)), cells] |= cells != ABSENT
    return torch.from_numpy(held[:, :-1])


def sampled(
    measure: Measure, levels: Levels, policy: Callable, horizon: int, episodes: int, seed: int
) -> np.ndarray:
    """Outcomes of real episodes, one each: 1 where the target was reached in time, or what was paid."""
    generator = torch.Generator().manual_seed(seed)
    # One step more than walked, so that no walk is cut off and started anew unseen.
    env = CheeseMaze(levels, episodes, seed=seed, time_limit=horizon + 1, endless=not measure.ends)
    level, going = env.level.clone(), torch.ones(episodes, dtype=torch.bool)
    outcome = torch.zeros(episodes)
    none = torch.zeros(len(levels), levels.size**2, dtype=torch.bool)
    target = _cells_entered(levels, measure.target.at) if measure.target and measure.target.at else none
    avoid = _cells_entered(levels, measure.avoid.at) if measure.avoid and measure.avoid.at else none
    for _ in range(horizon):
        step = env.step(torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0])
        if measure.kind == "reward":
            outcome += step.rewards * going / measure.most
        else:
            reached = target[level, step.mouse]
            outcome[going & reached] = 1.0
            going &= ~reached & ~avoid[level, step.mouse]
        going &= ~step.terminated
        if not going.any():
            break
    return outcome.numpy()


def sampled_navigation(levels: Levels, policy: Callable, walks: int, seed: int) -> tuple[float, float]:
    """Mean over levels of the share of moves that find a way on, and its standard error, from real steps."""
    count, size = len(levels), levels.size
    draws, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    holds = _cells_entered(levels, tuple(thing.name for thing in levels.world.things if thing.acts))
    ways = ~levels.walls.reshape(count, -1) & ~holds.numpy()
    starts = np.stack([draws.choice(np.flatnonzero(row), walks) for row in ways])
    many = levels.take(np.repeat(np.arange(count), walks))
    many = Levels(levels.world, many.walls, starts.ravel(), many.places)
    env = CheeseMaze(many, count * walks, seed=0, time_limit=size + 1, endless=True)
    env.reset(torch.arange(count * walks))
    holds = holds.repeat_interleave(walks, 0)
    everyone, here = torch.arange(count * walks), torch.from_numpy(many.mouse)
    last, going = torch.full_like(here, -1), torch.ones(count * walks, dtype=torch.bool)
    found, moves = torch.zeros(count * walks), torch.zeros(count * walks)
    opposite = torch.tensor([1, 0, 3, 2, -1])  # of no move yet, nothing
    for _ in range(size):
        actions = torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0]
        step = env.step(actions)
        bumped, turned = step.mouse == here, actions == opposite[last]
        moves += going
        found += going & ~bumped & ~turned
        last = torch.where(going & ~bumped, actions, last)
        here = step.mouse.clone()
        going &= ~holds[everyone, here]
    found, moves = found.view(count, walks), moves.view(count, walks)
    share = found.sum(1) / moves.sum(1)
    spread = (found - share[:, None] * moves).square().mean(1) / moves.mean(1).square() / walks
    return float(share.mean()), float(spread.sum().sqrt() / count)


def assert_measures_are_those_of_sampled_episodes(
    world: World, seed: int = 0, horizon: int = 20, episodes: int = 8000
) -> None:
    """Every exact measure of a strongly opinionated agent within three standard errors of real episodes."""
    behaviour = ExactBehaviour.of_world(world, 30, seed=0, split="test", time_limit=horizon)
    policy = opinionated_policy(world, seed)
    exact = {name: float(values.mean()) for name, values in behaviour.measure(policy).items()}
    assert list(exact) == [measure.name for measure in world.measures]
    for number, measure in enumerate(world.measures):
        levels = behaviour.graphs[measure.levels].levels
        if measure.kind == "navigation":
            mean, error = sampled_navigation(levels, policy, 150, number)
        else:
            outcomes = sampled(measure, levels, policy, horizon, episodes, number)
            mean, error = outcomes.mean(), outcomes.std() / np.sqrt(episodes)
        assert error > 0, measure.name
        assert abs(mean - exact[measure.name]) < 3 * error, (measure.name, mean, exact[measure.name], error)


@pytest.fixture(name="play_beside")
def play_beside_fixture() -> Callable[..., dict[str, float]]:
    return play_beside


@pytest.fixture(name="assert_measures_are_those_of_sampled_episodes")
def sampled_fixture() -> Callable[..., None]:
    return assert_measures_are_those_of_sampled_episodes
