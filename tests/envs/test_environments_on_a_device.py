"""Environments on another device than the CPU, where all is as on the CPU: no tensor of theirs lies elsewhere."""

import importlib.util
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from goalcut.envs import WORLD_IDS, WORLDS, CheeseMaze, make_levels
from goalcut.envs.sb3_vec_env import MazeVecEnv

DEVICES = ("cpu", "cuda")


def batch(world: str, device: str, seed: int = 3, **settings: Any) -> CheeseMaze:
    levels = make_levels(WORLDS[world](size=7), 40, seed=0)
    return CheeseMaze(levels, 24, seed=seed, time_limit=15, device=device, **settings)


def same(env: Any, twin: Any, step: Any, expected: Any) -> None:
    """A step on the device is that on the CPU, and all of it lies where the environment does."""
    for name, tensor in vars(step).items():
        assert tensor.device == env.observations.device, name
        assert torch.equal(tensor.cpu(), getattr(expected, name)), name
    assert torch.equal(env.observations.cpu(), twin.observations)


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_is_played_on_the_device_as_on_the_cpu(world: str, emulated: str) -> None:
    twin, env = (batch(world, device) for device in DEVICES)
    assert env.observations.device == torch.device("cuda:0")
    actions = torch.randint(4, (100, 24), generator=torch.Generator().manual_seed(1))
    ended = 0
    for number, chosen in enumerate(actions):
        if number == 50:  # a state lies on the device, and goes from either to the other
            state, twins_state = env.state(), twin.state()
            twin, env = (batch(world, device, seed=99) for device in DEVICES)
            env.load_state(twins_state)
            twin.load_state(state)
        step, expected = env.step(chosen.to(emulated)), twin.step(chosen)
        same(env, twin, step, expected)
        ended += len(expected.ended)
    assert ended > 24


def test_levels_drawn_anew_and_given_are_those_of_the_cpu(emulated: str) -> None:
    twin, env = (batch("corner", device) for device in DEVICES)
    for one in (twin, env):
        one.draw_from(10, 20)
        one.reseed(5)
        one.reset()
    assert torch.equal(env.level.cpu(), twin.level)
    given = torch.arange(24) % 7
    assert torch.equal(env.reset(given.to(emulated)).cpu(), twin.reset(given))
    assert torch.equal(env.level.cpu(), given)


def equal(one: Any, other: Any) -> bool:
    """Arrays, tuples and dictionaries of them, alike in kind and value."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            equal(one[key], other[key]) for key in one if key != "episode"
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray) and one.dtype == object:
        return all(map(equal, one, other))
    return type(one) is type(other) and np.array_equal(one, other)


@pytest.mark.parametrize("mode", gymnasium.vector.AutoresetMode)
@pytest.mark.parametrize("world", ["corner", "stars"])
def test_gymnasiums_vector_environment_gives_arrays_of_the_same_numbers(
    world: str, mode: gymnasium.vector.AutoresetMode, emulated: str
) -> None:
    twin, env = (
        gymnasium.make_vec(
            WORLD_IDS[world],
            num_envs=6,
            num_levels=32,
            time_limit=10,
            device=device,
            autoreset_mode=mode,
        ).unwrapped
        for device in DEVICES
    )
    assert equal(env.reset(seed=3), twin.reset(seed=3))
    for actions in np.random.default_rng(0).integers(4, size=(40, 6)):
        step, expected = env.step(actions), twin.step(actions)
        assert equal(step, expected)
        over = step[2] | step[3]
        if mode is gymnasium.vector.AutoresetMode.DISABLED and over.any():
            assert equal(*(one.reset(options={"reset_mask": over}) for one in (env, twin)))


def test_stable_baselines3s_environment_gives_arrays_of_the_same_numbers(emulated: str) -> None:
    twin, env = (MazeVecEnv(batch("keys", device), render_mode="rgb_array") for device in DEVICES)
    assert equal(env.reset(), twin.reset())
    for actions in np.random.default_rng(0).integers(4, size=(40, 24)):
        assert equal(env.step(actions), twin.step(actions))
    assert equal(env.get_attr("mouse"), twin.get_attr("mouse"))
    assert equal(env.get_images(), twin.get_images())


@pytest.mark.skipif(importlib.util.find_spec("procgen") is None, reason="Procgen is not installed")
def test_procgens_maze_gives_tensors_of_the_device(emulated: str) -> None:
    from goalcut.envs.procgen_maze import ProcgenMaze

    twin, env = (ProcgenMaze(4, seed=0, mode="easy", threads=0, device=device) for device in DEVICES)
    for number, chosen in enumerate(torch.randint(15, (30, 4), generator=torch.Generator().manual_seed(0))):
        if number == 15:
            env.load_state(env.state())
            twin.load_state(twin.state())
        same(env, twin, env.step(chosen.to(emulated)), twin.step(chosen))
