"""The batched environment under Stable-Baselines3: the same as one environment each, and the bootstrapped values."""

import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from goalcut.envs import (
    WORLDS,
    CheeseInCorner,
    CheeseMaze,
    CheeseMazeEnv,
    Levels,
    ascii,
    frame,
    make_levels,
    next_cells,
    observations,
)
from goalcut.envs.sb3_vec_env import MazeVecEnv

WORLD = CheeseInCorner(size=5, corner_size=2, start="random")
RIGHT = 3


def batch(num_envs: int = 6, levels: int = 64, seed: int = 0, **settings: Any) -> CheeseMaze:
    return CheeseMaze(make_levels(WORLD, levels, seed=0), num_envs, seed=seed, **settings)


def drawn(text: str) -> Levels:
    return Levels.of([ascii.parse(text)], WORLD)


def test_it_does_what_one_environment_each_does() -> None:
    """All in one level, so that resets draw nothing."""
    ours = MazeVecEnv(batch(3, levels=1, time_limit=9))
    theirs = DummyVecEnv(
        [
            lambda: Monitor(CheeseMazeEnv(size=5, corner_size=2, start="random", num_levels=1, time_limit=9))
            for _ in range(3)
        ]
    )
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng, ends = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(300):
        actions = rng.integers(4, size=3)
        (planes, rewards, dones, infos), (their_planes, their_rewards, their_dones, their_infos) = (
            env.step(actions) for env in (ours, theirs)
        )
        np.testing.assert_array_equal(planes, their_planes)
        np.testing.assert_array_equal(rewards, their_rewards)
        np.testing.assert_array_equal(dones, their_dones)
        for done, info, their_info in zip(dones, infos, their_infos, strict=True):
            if not done:
                assert info == {}
                continue
            np.testing.assert_array_equal(info["terminal_observation"], their_info["terminal_observation"])
            assert info["TimeLimit.truncated"] == their_info["TimeLimit.truncated"]
            assert {name: info["episode"][name] for name in "rl"} == {
                name: their_info["episode"][name] for name in "rl"
            }
            ends[info["TimeLimit.truncated"]] += 1
    assert min(ends.values()) > 5


@pytest.mark.parametrize(("kind", "settings"), [(PPO, {"batch_size": 12}), (A2C, {})])
def test_a_time_out_is_bootstrapped_with_the_value_of_where_the_mouse_really_was(
    kind: Any, settings: dict[str, int]
) -> None:
    levels = drawn("M....\n####.\n####.\n####.\n####C")
    env = MazeVecEnv(CheeseMaze(levels, 4, seed=0, time_limit=3))
    model = kind("MlpPolicy", env, n_steps=6, gamma=0.9, seed=0, device="cpu", **settings)
    model.learn(24)
    buffer = model.rollout_buffer
    # Learning has moved θ since: collect once more.
    model.collect_rollouts(env, model._init_callback(None), buffer, n_rollout_steps=6)
    actions, rewards = buffer.actions[:, :, 0].astype(int), buffer.rewards

    def value(cell: int) -> float:
        planes = observations(levels)[0].reshape(3, -1).copy()
        planes[1] = np.arange(25) == cell
        with torch.no_grad():
            return float(model.policy.predict_values(torch.from_numpy(planes.reshape(1, 3, 5, 5))))

    moves, start = next_cells(levels.walls)[0], int(levels.mouse[0])
    elsewhere = 0
    for env_number in range(4):
        for begin in (0, 3):
            cell = start
            for step in range(begin, begin + 3):
                cell = int(moves[cell, actions[step, env_number]])
            assert rewards[begin : begin + 2, env_number].tolist() == [0, 0]
            assert rewards[begin + 2, env_number] == pytest.approx(0.9 * value(cell), rel=1e-5)
            elsewhere += abs(value(cell) - value(start)) > 1e-3
    assert elsewhere  # the value of the next episode's start would have been another


def test_reaching_the_cheese_is_not_bootstrapped_even_in_the_last_step_allowed() -> None:
    env = MazeVecEnv(CheeseMaze(drawn("M.C..\n#####\n#####\n#####\n#####"), 2, seed=0, time_limit=2))
    env.reset()
    env.step(np.array([RIGHT, RIGHT]))
    _, rewards, dones, infos = env.step(np.array([RIGHT, 0]))
    assert rewards.tolist() == [1.0, 0.0]
    assert dones.tolist() == [True, True]
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]
    assert [info["episode"]["r"] for info in infos] == [1.0, 0.0]


def final_observation_in(mode: AutoresetMode, actions: list[int]) -> np.ndarray:
    """Where an episode of Gymnasium's own vector of our environment ended, by the rules of its autoreset mode."""
    one_level = {"size": 5, "corner_size": 2, "start": "random", "num_levels": 1}
    env = gymnasium.make_vec(
        "goalcut/CheeseMaze-v0",
        num_envs=1,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        time_limit=len(actions),
        **one_level,
    )
    first, _ = env.reset(seed=0)
    for action in actions:
        planes, _, _, truncated, info = env.step(np.array([action]))
    assert truncated.all()
    if mode is AutoresetMode.SAME_STEP:
        np.testing.assert_array_equal(planes, first)
        return info["final_obs"][0]
    return planes[0]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_autoreset_mode_of_gymnasium_ends_where_the_terminal_observation_says(
    mode: AutoresetMode,
) -> None:
    actions = [0, 0, 3, 3, 2, 1, 3]
    env = MazeVecEnv(batch(1, levels=1, time_limit=len(actions)))
    first = env.reset()
    for action in actions:
        planes, _, _, infos = env.step(np.array([action]))
    last = infos[0]["terminal_observation"]
    np.testing.assert_array_equal(planes, first)
    assert (last != first[0]).any()
    np.testing.assert_array_equal(final_observation_in(mode, actions), last)


def test_the_policy_sees_planes_of_zeros_and_ones() -> None:
    env = MazeVecEnv(batch())
    model = PPO(
        "MlpPolicy", env, n_steps=8, batch_size=16, seed=0, device="cpu"
    )  # no warning: that were an error
    model.learn(48)
    planes, _ = model.policy.obs_to_tensor(env.reset())
    features = model.policy.extract_features(planes)
    assert isinstance(features, torch.Tensor)
    np.testing.assert_array_equal(features.numpy(), env.maze.observations.flatten(1).numpy())
    assert env.observation_space.contains(env.reset()[0])
    action, _ = model.predict(env.reset()[0])
    assert env.action_space.contains(action)


def test_what_a_step_gave_is_left_alone_by_the_next() -> None:
    env = MazeVecEnv(batch(time_limit=2))
    kept = [env.reset(), *(env.step(np.full(6, RIGHT)) for _ in range(2))]
    copies = pickle.loads(pickle.dumps(kept))
    kept[2][3][0]["written"] = True  # as a wrapper might
    copies[2][3][0]["written"] = True
    for _ in range(3):
        assert not any("written" in info for info in env.step(np.full(6, 0))[3])
    for before, after in zip(copies, kept, strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_equal(one, other)


def test_the_seed_of_the_next_reset_decides_and_no_seed_goes_on() -> None:
    env, twin = (MazeVecEnv(batch(seed=seed)) for seed in (0, 1))
    for one in (env, twin):
        assert one.seed(7) == [7, 8, 9, 10, 11, 12]
    first = env.reset()
    np.testing.assert_array_equal(first, twin.reset())
    then = env.reset()
    assert (then != first).any()
    np.testing.assert_array_equal(then, twin.reset())
    state = np.random.get_state()[1].tolist()  # noqa: NPY002, that it is left alone
    assert env.seed() != twin.seed()
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_the_usual_wrappers_and_evaluation_take_it() -> None:
    env = MazeVecEnv(batch(time_limit=12))
    wrapped = VecNormalize(env, norm_obs=False)
    A2C("MlpPolicy", wrapped, n_steps=3, device="cpu").learn(36)
    model = A2C("MlpPolicy", env, device="cpu")
    mean, deviation = evaluate_policy(model, env, n_eval_episodes=12)  # no warning that a monitor is missing
    assert 0 <= mean <= 1
    assert deviation >= 0
    model.learn(200)
    assert {"r", "l", "t"} == set(model.ep_info_buffer[0])


def test_attributes_and_methods_are_those_of_the_batch() -> None:
    env = MazeVecEnv(batch(3, time_limit=9))
    env.reset()
    assert env.get_attr("time_limit") == [9, 9, 9]
    assert [int(level) for level in env.get_attr("level", [0, 2])] == env.maze.level[[0, 2]].tolist()
    assert env.has_attr("num_actions")
    assert not env.has_attr("colour")
    env.set_attr("time_limit", 1)
    assert env.step(np.zeros(3, int))[2].all()
    entered = []
    for _ in range(2):
        assert env.env_method("reseed", 5) == [None] * 3
        env.env_method("reset")
        entered.append(env.maze.level.tolist())
    assert entered[0] == entered[1]
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(gymnasium.Wrapper, [1]) == [False]
    for change in (env.set_attr, env.env_method):
        with pytest.raises(ValueError, match=r"indices are \[1\] for 'reseed', but the environments are one"):
            change("reseed", 3, indices=[1])
    env.close()


def test_frames_are_those_of_the_mazes_and_are_tiled() -> None:
    env = MazeVecEnv(batch(3), render_mode="rgb_array", cell=8, corner_size=2)
    planes = env.reset()
    np.testing.assert_array_equal(env.env_method("render", indices=1)[0], frame(planes[1], 8, corner_size=2))
    picture = env.render()
    assert picture is not None
    assert picture.shape == (80, 80, 3)
    np.testing.assert_array_equal(picture[:40, 40:], frame(planes[1], 8, corner_size=2))


def test_a_pickled_batch_goes_on_exactly() -> None:
    env = MazeVecEnv(batch(time_limit=5))
    env.reset()
    rng = np.random.default_rng(0)
    env.step(rng.integers(4, size=6))
    copied = pickle.loads(pickle.dumps(env))
    ends = 0
    for actions in rng.integers(4, size=(20, 6)):
        (planes, rewards, dones, infos), (others, *rest) = env.step(actions), copied.step(actions)
        np.testing.assert_array_equal(planes, others)
        np.testing.assert_array_equal((rewards, dones), rest[:2])
        for info, other in zip(infos, rest[2], strict=True):
            assert info.keys() == other.keys()
            np.testing.assert_array_equal(
                info.get("terminal_observation", 0), other.get("terminal_observation", 0)
            )
        ends += int(dones.sum())
    assert ends >= 6


@pytest.mark.parametrize("name", WORLDS)
def test_frames_of_every_world_are_those_of_the_levels_under_way(name: str) -> None:
    levels = make_levels(WORLDS[name](size=7, corner_size=3), 30, seed=0)
    env = MazeVecEnv(CheeseMaze(levels, 20, seed=0), render_mode="rgb_array", cell=8)
    env.reset()
    pictures = np.stack(env.get_images())
    shown = frame(levels.take(env.maze.level.numpy()), 8)
    # Planes do not tell which of two things lies under the other, nor a star that looks like a cheese.
    alike = (pictures == shown).all((1, 2, 3))
    assert alike.mean() > 0.7 or name == "stars"
    assert (pictures == shown).mean() > 0.98
    assert env.render().shape == (5 * 56, 4 * 56, 3)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros(5, int), r"actions are \(5,\): give one per environment, \(6,\)"),
        (np.full(6, 4), "actions span 4 to 4: give 0 to 3"),
        (np.full(6, -1), "actions span -1 to -1"),
    ],
)
def test_actions_out_of_range_are_named(actions: np.ndarray, message: str) -> None:
    env = MazeVecEnv(batch())
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(actions)


def test_other_misuse_is_named() -> None:
    env = MazeVecEnv(batch())
    env.set_options({"colour": "red"})
    with pytest.raises(ValueError, match="options name colour"):
        env.reset()
    with pytest.raises(RuntimeError, match="call step_async first"):
        env.step_wait()
    with pytest.raises(ValueError, match="render_mode is 'human'"):
        MazeVecEnv(batch(), render_mode="human")
