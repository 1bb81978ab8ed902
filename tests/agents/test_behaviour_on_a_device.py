"""Measures of agents on another device than the CPU, their gradients too."""

import importlib.util

import numpy as np
import pytest
import torch
from torch.func import functional_call

from goalcut.agents.behaviour import ExactBehaviour, network_policy, uniform_policy
from goalcut.agents.classifiers import build_classifier
from goalcut.agents.digit_behaviour import DigitBehaviour
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from goalcut.agents.sampled_behaviour import SampledBehaviour, behaviour_of_world
from goalcut.envs import CheeseInCorner, World, plane_names
from goalcut.envs.digits import load_digits
from goalcut.envs.worlds import KeysAndChests, Lava, StarsAndCheese

WORLDS: dict[str, World] = {
    "corner": CheeseInCorner(size=9, corner_size=5),
    "stars": StarsAndCheese(size=5),
    "keys": KeysAndChests(size=5),
    "lava": Lava(size=5),
}
DEVICES = ("cpu", "cuda")


def agent(world: World) -> torch.nn.Module:
    """An untrained network made to have opinions, so that behaviour is not uniform."""
    network = build_network("mlp", (len(plane_names(world)), world.size, world.size), 4, seed=0)
    with torch.no_grad():
        network.actor.weight *= 100
    return network


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_exact_measures_and_their_gradients_are_those_of_the_cpu(world: World, gpu: str) -> None:
    measured, best, chance, gradients = {}, {}, {}, {}
    for device in DEVICES:
        behaviour = ExactBehaviour.of_world(world, 2, seed=0, split="test", time_limit=20, device=device)
        network = agent(world).to(device)
        layout = parameter_layout(network)
        theta = flat_parameters(network).detach().requires_grad_()
        assert theta.device.type == device

        def policy(seen, theta=theta, network=network, layout=layout):
            named = named_parameters_of(theta, layout)
            return network_policy(lambda planes: functional_call(network, named, (planes,)))(seen)

        measured[device] = behaviour.measure(policy)
        assert {values.device.type for values in measured[device].values()} == {device}
        [gradients[device]] = torch.autograd.grad(sum(v.sum() for v in measured[device].values()), theta)
        best[device], chance[device] = behaviour.best(), behaviour.measure(uniform_policy)
    assert gradients["cpu"].abs().max() > 1e-4
    torch.testing.assert_close(gradients["cuda"].cpu(), gradients["cpu"], rtol=1e-3, atol=1e-5)
    for of in (measured, best, chance):
        assert list(of["cuda"]) == list(of["cpu"]) == [measure.name for measure in world.measures]
        for name, values in of["cpu"].items():
            assert of["cuda"][name].device.type == gpu
            torch.testing.assert_close(of["cuda"][name].cpu(), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_sampled_measures_are_those_of_the_cpu(world: World, emulated: str) -> None:
    measured, best = {}, {}
    for device in DEVICES:
        behaviour = behaviour_of_world(
            world, 3, seed=0, split="test", time_limit=8, most_states=10, episodes=2, device=device
        )
        assert isinstance(behaviour, SampledBehaviour)
        measured[device] = behaviour.measure(network_policy(agent(world).to(device)))
        best[device] = behaviour.best()
    for of in (measured, best):
        for name, values in of["cpu"].items():
            assert of["cuda"][name].device.type == emulated
            torch.testing.assert_close(of["cuda"][name].cpu(), values)


def test_what_a_classifier_does_with_digits_is_measured_as_on_the_cpu(gpu: str) -> None:
    digits = load_digits("test").subset(torch.arange(300))
    found = {}
    for device in DEVICES:
        behaviour, network = (
            DigitBehaviour(digits, device=device),
            build_classifier("cnn", (4, 8), seed=0).to(device),
        )
        found[device] = behaviour.correct(network) | behaviour.right_label_probability(network)
        found[device]["confusion"] = behaviour.confusion(network)
        assert {values.device.type for values in found[device].values()} == {device}
    for name, values in found["cpu"].items():
        torch.testing.assert_close(found["cuda"][name].cpu(), values, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("procgen") is None, reason="Procgen is not installed")
def test_exact_measures_in_procgens_maze_are_those_of_the_cpu(gpu: str) -> None:
    from goalcut.agents.procgen_behaviour import ProcgenGraph, procgen_behaviour
    from goalcut.envs.procgen_frames import level_states

    W = torch.randn(3 * 16 * 16, 15, generator=torch.Generator().manual_seed(1)) / 30
    found = {}
    for device in DEVICES:
        behaviour = procgen_behaviour(1, mode="easy", device=device)
        weights = W.to(device).requires_grad_()
        found[device] = behaviour.measure(
            lambda seen, W=weights: (seen[:, :, ::4, ::4].flatten(1) / 255 @ W).softmax(-1)
        )
        [found[device]["gradient"]] = torch.autograd.grad(
            sum(v.sum() for v in found[device].values()), weights
        )
        graph = ProcgenGraph(level_states(np.arange(1), mode="easy"), 2, device)
        found[device]["frames"] = graph.frames_of(torch.nonzero(graph.real.view(-1))[:5, 0])
    for name, values in found["cpu"].items():
        assert found["cuda"][name].device.type == gpu
        torch.testing.assert_close(found["cuda"][name].cpu(), values, rtol=1e-3, atol=1e-5)
