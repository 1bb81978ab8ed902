import importlib.util
import pickle
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines3

from goalcut.envs.levels import Level
from goalcut.envs.procgen_gymnasium import ProcgenMazeEnv, ProcgenMazeVectorEnv
from goalcut.envs.procgen_maze import ProcgenMaze
from goalcut.envs.procgen_vec_env import ProcgenVecEnv

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("procgen") is None and (sys.version_info >= (3, 13) or sys.platform != "linux"),
    reason="Procgen has no wheel for this Python or system",
)
EASY = {"mode": "easy", "cheese": "region", "corner_size": 3}


@pytest.mark.parametrize("checker", [check_env, check_env_of_stable_baselines3])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasium_and_stable_baselines3_have_nothing_to_remark_on(checker, render_mode) -> None:
    env = gymnasium.make("goalcut/ProcgenMaze-v0", render_mode=render_mode, **EASY)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        checker(env.unwrapped)
    assert [str(remark.message) for remark in remarks] == []


@pytest.mark.parametrize("make", [ProcgenMazeEnv, lambda **settings: ProcgenMazeVectorEnv(3, **settings)])
def test_the_seed_of_reset_decides_all_that_follows(make) -> None:
    twins = [make(**EASY) for _ in range(2)]
    assert data_equivalence(*(twin.reset(seed=11) for twin in twins), exact=True)
    twins[0].action_space.seed(0)
    for _ in range(150):
        action = twins[0].action_space.sample()
        results = [twin.step(action) for twin in twins]
        assert data_equivalence(*results, exact=True)
        if isinstance(twins[0], ProcgenMazeEnv) and (results[0][2] or results[0][3]):
            assert data_equivalence(*(twin.reset() for twin in twins), exact=True)
    assert not np.array_equal(twins[0].reset(seed=12)[0], twins[1].reset(seed=11)[0])


@pytest.mark.parametrize("make", [ProcgenMazeEnv, lambda **settings: ProcgenMazeVectorEnv(3, **settings)])
def test_a_pickled_environment_goes_on_exactly(make) -> None:
    env = make(render_mode="rgb_array", **EASY)
    env.reset(seed=3)
    env.action_space.seed(0)
    for _ in range(40):
        ended = env.step(env.action_space.sample())[2:4]
        if isinstance(env, ProcgenMazeEnv) and any(ended):
            env.reset()
    env.render()
    copied = pickle.loads(pickle.dumps(env))
    assert np.array_equal(env.render(), copied.render())
    for _ in range(200):
        action = env.action_space.sample()
        results = [one.step(action) for one in (env, copied)]
        assert data_equivalence(*results, exact=True)
        if isinstance(env, ProcgenMazeEnv) and (results[0][2] or results[0][3]):
            assert data_equivalence(env.reset(), copied.reset(), exact=True)
    assert data_equivalence(env.reset(), copied.reset(), exact=True)


def corridor() -> Level:
    walls = np.ones((15, 15), dtype=bool)
    walls[7, 2:9] = False
    return Level(walls, (7, 5), {"cheese": ((7, 6),)})


def test_the_vector_resets_in_the_same_step_and_keeps_the_last_observation() -> None:
    envs = gymnasium.make_vec("goalcut/ProcgenMaze-v0", num_envs=4, **EASY)
    assert isinstance(envs.unwrapped, ProcgenMazeVectorEnv)
    observation, info = envs.reset(seed=0, options={"level": np.array([3, 4, 5, 6])})
    assert info["level"].tolist() == [3, 4, 5, 6]
    assert observation in envs.observation_space
    envs.unwrapped.maze.place(2, corridor())
    observation, reward, terminated, truncated, info = envs.step(np.full(4, 7))
    assert observation in envs.observation_space
    assert terminated.tolist() == [False, False, True, False]
    assert reward.tolist() == [0.0, 0.0, 10.0, 0.0]
    assert not truncated.any()
    assert info["_final_obs"].tolist() == terminated.tolist()
    assert info["final_info"]["level"].tolist() == [0, 0, 5, 0]
    assert info["final_obs"][2].shape == (3, 64, 64)
    assert not np.array_equal(info["final_obs"][2], observation[2])
    envs.close()


def test_an_episode_of_one_ends_with_its_own_last_observation() -> None:
    env = ProcgenMazeEnv(render_mode="rgb_array", **EASY)
    assert env.reset(options={"level": 9})[1] == {"level": 9}
    start = env.render()
    assert start.shape == (512, 512, 3)
    env._one.maze.place(0, corridor())
    assert not np.array_equal(env.render(), start)
    observation, reward, terminated, truncated, info = env.step(7)
    assert (reward, terminated, truncated, info) == (10.0, True, False, {"level": 9})
    assert np.array_equal(env.render()[::8, ::8], observation.transpose(1, 2, 0))
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(7)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"render_mode": "human"}, None, "render_mode is 'human': give 'rgb_array' or None"),
        ({"mode": "extreme"}, None, "mode is 'extreme'"),
        ({}, {"maze": 1}, "the only option is 'level'"),
        ({}, {"level": -1}, "the level of options is -1: give seeds from 0"),
        ({}, {"level": 0.5}, "the level of options is 0.5: give seeds from 0"),
    ],
)
def test_wrong_settings_and_options_are_refused_by_name_and_value(settings, options, message) -> None:
    for make in (ProcgenMazeEnv, ProcgenMazeVectorEnv):
        with pytest.raises(ValueError, match=message):
            make(**(EASY | settings)).reset(options=options)


def test_stable_baselines3_gets_the_batch_with_what_ended_told_apart() -> None:
    envs = ProcgenVecEnv(ProcgenMaze(3, seed=0, mode="easy"), render_mode="rgb_array")
    envs.seed(5)
    first = envs.reset()
    envs.seed(5)
    assert np.array_equal(envs.reset(), first)
    envs.maze.place(1, corridor())
    state = envs.maze.read(2)
    state.elapsed = 499
    envs.maze.write(2, state)
    observation, rewards, dones, infos = envs.step(np.array([4, 7, 4]))
    assert observation.shape == (3, 3, 64, 64)
    assert rewards.tolist() == [0.0, 10.0, 0.0]
    assert dones.tolist() == [False, True, True]
    assert infos[0] == {}
    assert [info["TimeLimit.truncated"] for info in infos[1:]] == [False, True]
    assert infos[1]["episode"]["r"] == 10.0
    assert infos[1]["episode"]["l"] == 1
    assert np.array_equal(infos[2]["terminal_observation"], first[2])
    assert envs.render().shape[-1] == 3
    assert envs.get_attr("mode") == ["easy"] * 3


def test_stable_baselines3_trains_on_its_pictures() -> None:
    envs = ProcgenVecEnv(ProcgenMaze(4, seed=0, mode="easy", cheese="corner"))
    model = PPO("CnnPolicy", envs, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(32)
    changed = [(a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True)]
    assert torch.stack(changed).any()
