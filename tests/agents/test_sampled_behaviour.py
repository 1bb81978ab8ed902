import pickle
import tracemalloc
from pathlib import Path

import pytest
import torch
from torch.func import functional_call

from goalcut.ablate.maze_goals import MazeBehaviour
from goalcut.agents.behaviour import ExactBehaviour, Policy, network_policy, uniform_policy
from goalcut.agents.networks import build_network
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.sampled_behaviour import SampledBehaviour, behaviour_of_world
from goalcut.agents.training import train
from goalcut.envs import CheeseInCorner, StateGraph, StateGraphTooLarge, World, make_levels, plane_names
from goalcut.envs.worlds import FollowMe, KeysAndChests, Lava

WORLDS: dict[str, World] = {
    "corner": CheeseInCorner(size=7, corner_size=3),
    "keys": KeysAndChests(size=5, start="random"),
    "keys plentiful": KeysAndChests(size=5, few=1, many=2, scarce="chests"),
    "follow-me": FollowMe(size=5, guide_steps=12, layout="open"),
    "lava": Lava(size=7, start="random", lava_reward=-0.5),
}
EVERY = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
HORIZON = 20


def network_of(world: World, strength: float) -> torch.nn.Module:
    """An untrained network made to have opinions, so that behaviour is not uniform."""
    network = build_network("mlp", (len(plane_names(world)), world.size, world.size), 4, seed=0)
    with torch.no_grad():
        network.actor.weight *= strength
    return network


def opinionated(world: World) -> Policy:
    return network_policy(network_of(world, 60))


@EVERY
def test_sampled_measures_agree_with_exact_ones_within_three_standard_errors(world: World) -> None:
    exact = ExactBehaviour.of_world(world, 30, seed=0, split="test", time_limit=HORIZON)
    sampled = behaviour_of_world(
        world, 30, seed=0, split="test", time_limit=HORIZON, most_states=10, episodes=100
    )
    assert isinstance(sampled, SampledBehaviour)
    policy = opinionated(world)
    with torch.no_grad():
        right, found = exact.measure(policy), sampled.measure(policy)
    assert list(found) == list(right) == [measure.name for measure in world.measures]
    for name, values in found.items():
        assert values.shape == (30,)
        difference = (values - right[name]).double()
        error = difference.std() / 30**0.5
        assert error > 0, name  # sampling noise, so the measure was neither 0 nor 1 everywhere
        assert abs(difference.mean()) < 3 * error, (name, values.mean(), right[name].mean())


@EVERY
def test_the_best_walker_is_exact_however_few_states_are_held(world: World) -> None:
    exact = ExactBehaviour.of_world(world, 20, seed=0, split="test", time_limit=HORIZON).best()
    sampled = behaviour_of_world(world, 20, seed=0, split="test", time_limit=HORIZON, most_states=10)
    best = sampled.best()
    assert list(best) == list(exact)
    assert all(torch.equal(best[name], exact[name]) for name in exact)


@EVERY
def test_exact_measures_are_shares_below_the_best_and_differentiable(world: World) -> None:
    behaviour = ExactBehaviour.of_world(world, 20, seed=0, split="test", time_limit=HORIZON)
    network = network_of(world, 10)
    names, values = zip(*network.named_parameters(), strict=True)

    def measured(*parameters: torch.Tensor) -> dict[str, torch.Tensor]:
        named = dict(zip(names, parameters, strict=True))
        return behaviour.measure(
            lambda planes: functional_call(network, named, (planes.float(),))[0].softmax(-1)
        )

    best = behaviour.best()
    for name, value in measured(*values).items():
        assert (value <= best[name] + 1e-5).all(), name
        gradient = torch.autograd.grad(value.mean(), values, retain_graph=True, allow_unused=True)
        assert sum(float(part.abs().sum()) for part in gradient if part is not None) > 0, name


def test_sampling_is_seeded_and_the_same_for_every_agent() -> None:
    world = WORLDS["keys"]
    behaviour = behaviour_of_world(world, 10, seed=0, split="test", time_limit=HORIZON, most_states=10)
    first, again = behaviour.measure(uniform_policy), behaviour.measure(uniform_policy)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_what_measures_says_whether_it_is_exact_and_why_not() -> None:
    world = WORLDS["keys"]
    exact = behaviour_of_world(world, 10, seed=0, split="test")
    assert exact.exact
    assert exact.told.startswith("exact, on 2 state graphs of up to ")
    sampled = behaviour_of_world(world, 10, seed=0, split="test", most_states=1000)
    assert not sampled.exact
    assert "16 episodes of every level: 10 levels of the world 'keys' have" in sampled.told
    assert "more than 1,000 in all" in sampled.told
    assert "sample episodes" not in sampled.told
    few = behaviour_of_world(world, 10, seed=0, split="test", most_states=10)
    assert "more than 10 in all, which is under 1 MiB" in few.told


def test_a_graph_too_large_is_refused_before_it_is_built_and_tells_the_memory_of_one_that_is() -> None:
    levels = make_levels(FollowMe(size=9), 10, seed=0)
    graph = StateGraph(levels)
    states = graph.real.numel()
    assert graph.bytes == states * 83
    assert len(StateGraph(levels, most_states=states)) == 10
    for most in (states - 1, 100):
        with pytest.raises(StateGraphTooLarge, match=f"more than {most:,} in all"):
            StateGraph(levels, most_states=most)


def test_a_graph_s_memory_while_it_is_made_is_what_is_told() -> None:
    levels = make_levels(KeysAndChests(), 60, seed=0)
    StateGraph(levels.take(slice(0, 1)))  # what is kept per world is not the graph's
    tracemalloc.start()
    graph = StateGraph(levels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * graph.peak_bytes < peak < 1.25 * graph.peak_bytes


def test_a_graph_made_in_parts_is_the_one_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = make_levels(WORLDS["keys"], 30, seed=0)
    whole = StateGraph(levels)
    monkeypatch.setattr("goalcut.envs.state_graph._SEEN_BYTES", 10_000)
    parts = StateGraph(levels)
    for name in ("next", "rewards", "bumps", "real", "over", "start", "cell", "progress", "initial"):
        assert torch.equal(getattr(parts, name), getattr(whole, name)), name


def test_an_error_of_a_graph_too_large_survives_pickling() -> None:
    error = StateGraphTooLarge("10 levels have many states")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).endswith("give fewer levels or a smaller world, or sample episodes instead")


def test_tuning_through_sampled_measures_is_refused_in_one_line() -> None:
    world = WORLDS["keys"]
    behaviour = MazeBehaviour(behaviour_of_world(world, 4, seed=0, split="tune", most_states=10))
    with pytest.raises(ValueError, match="tuned cuts need the gradient of exact measures") as error:
        behaviour.surrogates([(network_of(world, 1), None)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["keys", "follow-me", "lava"])
def test_a_tiny_training_measures_and_ends(tmp_path: Path, name: str) -> None:
    ppo = PPOSettings(num_envs=8, num_steps=8, rollouts=2, minibatches=2)
    settings = TrainSettings(
        world=WORLDS[name], ppo=ppo, num_levels=64, measure_levels=4, measure_every=1, threads=1
    )
    run = Run.create(tmp_path / "run", settings)
    train(run)
    assert run.trained
