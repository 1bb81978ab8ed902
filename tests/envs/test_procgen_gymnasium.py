import pickle
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from procgen_installed import needs_procgen
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines3
from vector_twins import same_info, walk

from goalcut.envs.levels import Level
from goalcut.envs.procgen_gymnasium import ProcgenMazeEnv, ProcgenMazeVectorEnv
from goalcut.envs.procgen_maze import ProcgenMaze
from goalcut.envs.procgen_vec_env import ProcgenVecEnv

pytestmark = needs_procgen
EASY = {"mode": "easy", "cheese": "region", "corner_size": 3}
MODES = list(AutoresetMode)
# Levels whose mazes are 3×3 cells: a random walk soon finds their cheese.
SMALL_MAZES = [0, 11]


def near_time_out(envs: ProcgenMazeVectorEnv, elapsed: int = 480) -> None:
    """Let every mouse have few steps left."""
    for index in range(envs.num_envs):
        state = envs.maze.read(index)
        state.elapsed = elapsed
        envs.maze.write(index, state)


@pytest.mark.parametrize("checker", [check_env, check_env_of_stable_baselines3])
@pytest.mark.parametrize(
    ("settings", "render_mode"),
    [
        (EASY, None),
        (EASY, "rgb_array"),
        ({}, None),
        ({"mode": "hard", "cheese": "corner"}, None),
        ({"mode": "easy", "cheese": "stock"}, None),
    ],
)
def test_gymnasium_and_stable_baselines3_have_nothing_to_remark_on(checker, settings, render_mode) -> None:
    env = gymnasium.make("goalcut/ProcgenMaze-v0", render_mode=render_mode, **settings)
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


def test_an_environment_pickled_in_the_wrappers_that_it_is_registered_with_goes_on_exactly() -> None:
    env = gymnasium.make("goalcut/ProcgenMaze-v0", **EASY)
    env.reset(seed=3)
    copied = pickle.loads(pickle.dumps(env))
    for action in (5, 7, 5, 7):
        assert data_equivalence(env.step(action), copied.step(action), exact=True)


@pytest.mark.parametrize("start_level", SMALL_MAZES)
@pytest.mark.parametrize("mode", MODES)
def test_it_gives_what_gymnasiums_own_vector_of_single_environments_gives(
    mode: AutoresetMode, start_level: int
) -> None:
    # One level: both vectors then start the same episodes, whatever their streams.
    settings = EASY | {"num_levels": 1, "start_level": start_level}
    ours = ProcgenMazeVectorEnv(4, autoreset_mode=mode, **settings)
    theirs = SyncVectorEnv([lambda: ProcgenMazeEnv(**settings)] * 4, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    seen, others = walk(ours, 60, 1), walk(theirs, 60, 1)
    near_time_out(ours)
    for env in theirs.envs:
        near_time_out(env._one)
    seen += walk(ours, 60)
    others += walk(theirs, 60)
    ends = {"terminated": 0, "truncated": 0}
    for mine, other in zip(seen, others, strict=True):
        for part, other_part in zip(mine[:-1], other[:-1], strict=True):
            assert part.dtype == other_part.dtype
            assert np.array_equal(part, other_part)
        assert same_info(mine[-1], other[-1])
        if len(mine) == 5:
            ends["terminated"] += int(mine[2].sum())
            ends["truncated"] += int(mine[3].sum())
    assert min(ends.values()) > 0


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 2**40])
def test_twins_agree_exactly_over_200_steps(seed: int) -> None:
    twins = [ProcgenMazeVectorEnv(3, autoreset_mode=MODES[seed % 3], **EASY) for _ in range(2)]
    seen = [walk(twin, 100, seed) for twin in twins]
    for twin, kept in zip(twins, seen, strict=True):
        near_time_out(twin)
        kept += walk(twin, 100)
    assert data_equivalence(*seen, exact=True)
    singles = [ProcgenMazeEnv(**EASY) for _ in range(2)]
    assert data_equivalence(*(twin.reset(seed=seed) for twin in singles), exact=True)
    for action in np.random.default_rng(seed).integers(15, size=200):
        results = [twin.step(action) for twin in singles]
        assert data_equivalence(*results, exact=True)
        if results[0][2] or results[0][3]:
            assert data_equivalence(*(twin.reset() for twin in singles), exact=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_pickled_vector_goes_on_exactly_from_an_episodes_end(mode: AutoresetMode) -> None:
    envs = ProcgenMazeVectorEnv(3, autoreset_mode=mode, render_mode="rgb_array", **EASY)
    envs.reset(seed=0)
    near_time_out(envs, 499)
    stay = np.full(3, 4)
    assert envs.step(stay)[3].all()
    copied = pickle.loads(pickle.dumps(envs))
    assert np.array_equal(np.stack(envs.render()), np.stack(copied.render()))
    options = {"options": {"reset_mask": np.ones(3, dtype=bool)}}
    for _ in range(3):
        if mode is AutoresetMode.DISABLED:
            assert data_equivalence(envs.reset(**options), copied.reset(**options), exact=True)
            options = {"options": {"reset_mask": np.array([True, False, True])}}
        assert data_equivalence(envs.step(stay), copied.step(stay), exact=True)
    assert data_equivalence(envs.reset(), copied.reset(), exact=True)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_goes_through_the_same_episodes(mode: AutoresetMode) -> None:
    """The first frames of the episodes that follow time-outs, and the last frames before them."""
    envs = ProcgenMazeVectorEnv(3, autoreset_mode=mode, render_mode="rgb_array", **EASY)
    same_step = ProcgenMazeVectorEnv(3, **EASY)
    stay = np.full(3, 4)
    for one in (envs, same_step):
        one.reset(seed=0)
    for _ in range(4):
        for one in (envs, same_step):
            near_time_out(one, 499)
        level = envs.maze.level.numpy()
        first, *_, told = same_step.step(stay)
        observation, rewards, terminated, truncated, info = envs.step(stay)
        assert truncated.all()
        if mode is not AutoresetMode.SAME_STEP:
            assert "final_obs" not in info
            assert np.array_equal(observation, np.stack(list(told["final_obs"])))
            assert np.array_equal(info["level"], level)
            assert np.array_equal(envs.render()[0][::8, ::8], observation[0].transpose(1, 2, 0))
            if mode is AutoresetMode.NEXT_STEP:
                # Actions are none, not even such as would move.
                observation, rewards, terminated, truncated, info = envs.step(np.full(3, 5))
                assert not np.any([rewards, terminated, truncated])
            else:
                with pytest.raises(ResetNeeded, match=r"the episodes of mice \[0, 1, 2\] are over"):
                    envs.step(stay)
                observation, info = envs.reset(options={"reset_mask": np.ones(3, dtype=bool)})
        assert np.array_equal(observation, first)
        assert np.array_equal(info["level"], told["level"])
        assert [envs.maze.read(i).elapsed for i in range(3)] == [0, 0, 0]


def test_a_mask_resets_some_and_leaves_the_others_as_they_are() -> None:
    envs, twin = (ProcgenMazeVectorEnv(4, autoreset_mode="Disabled", **EASY) for _ in range(2))
    for one in (envs, twin):
        one.reset(seed=3)
        one.step(np.full(4, 7))
    before = [bytes(envs.maze.read(index).content) for index in range(4)]
    observation, info = envs.reset(options={"reset_mask": np.array([True, False, True, False])})
    assert info["_level"].tolist() == [True, False, True, False]
    assert info["level"][1::2].tolist() == [0, 0]
    assert [bytes(envs.maze.read(i).content) == before[i] for i in range(4)] == [False, True, False, True]
    later = twin.reset(options={"reset_mask": np.ones(4, dtype=bool)})
    assert np.array_equal(observation[::2], later[0][::2])
    mask = np.array([False, True, False, False])
    _, info = envs.reset(options={"reset_mask": mask, "level": np.array([1, 33, 3, 4])})
    assert info["level"].tolist() == [0, 33, 0, 0]
    # An episode that is over waits for its own reset.
    near_time_out(envs, 499)
    last = envs.step(np.full(4, 4))[0]
    observation, _ = envs.reset(options={"reset_mask": mask})
    assert np.array_equal(observation[[0, 2, 3]], last[[0, 2, 3]])
    assert not np.array_equal(observation[1], last[1])
    with pytest.raises(ResetNeeded, match=r"mice \[0, 2, 3\] are over"):
        envs.step(np.full(4, 4))
    # A seed decides the levels of the mask, whatever was drawn before.
    mask = np.ones(4, dtype=bool)
    seeded = [one.reset(seed=9, options={"reset_mask": mask}) for one in (envs, twin)]
    assert data_equivalence(*seeded, exact=True)


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
        ({}, {"maze": 1}, "options name maze: (the only option is 'level'|give level or reset_mask)"),
        ({}, {"level": -1}, "the level of options is -1: give seeds from 0"),
        ({}, {"level": 0.5}, "the level of options is 0.5: give seeds from 0"),
    ],
)
def test_wrong_settings_and_options_are_refused_by_name_and_value(settings, options, message) -> None:
    for make in (ProcgenMazeEnv, ProcgenMazeVectorEnv):
        with pytest.raises(ValueError, match=message):
            make(**(EASY | settings)).reset(options=options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reset_mask": np.zeros(2, dtype=bool)}, ValueError, "reset_mask of options is False everywhere"),
        ({"reset_mask": [True, False]}, ValueError, r"give an array \(2,\) of bool"),
        ({"reset_mask": np.ones(2, dtype=bool)}, ResetNeeded, "the first reset"),
    ],
)
def test_wrong_masks_and_modes_are_refused(options, error, message) -> None:
    with pytest.raises(error, match=message):
        ProcgenMazeVectorEnv(2, **EASY).reset(options=options)
    with pytest.raises(
        ValueError, match="autoreset_mode is 'Never': give one of NextStep, SameStep, Disabled"
    ):
        ProcgenMazeVectorEnv(2, autoreset_mode="Never", **EASY)


def test_a_time_out_is_bootstrapped_with_the_value_of_the_last_frame() -> None:
    envs = ProcgenVecEnv(ProcgenMaze(2, seed=0, mode="easy", cheese="region"))
    model = A2C("CnnPolicy", envs, n_steps=2, gamma=0.9, seed=0, device="cpu")
    _, callback = model._setup_learn(4)
    twin = ProcgenMaze(2, seed=0, mode="easy", cheese="region")
    twin.load_state(envs.maze.state())
    for index in range(2):
        state = envs.maze.read(index)
        state.elapsed = 498
        envs.maze.write(index, state)
    model.collect_rollouts(envs, callback, model.rollout_buffer, 2)
    # The twin has time left: what it shows is where the mice were when their time was up.
    for actions in model.rollout_buffer.actions[:, :, 0].astype(int):
        seen = twin.step(torch.from_numpy(actions)).observations
    with torch.no_grad():
        values = model.policy.predict_values(seen)[:, 0]
        other = model.policy.predict_values(envs.maze.observations)[:, 0]
    assert model.rollout_buffer.rewards[0].tolist() == [0, 0]
    np.testing.assert_allclose(model.rollout_buffer.rewards[1], 0.9 * values.numpy(), rtol=1e-4, atol=1e-7)
    assert not np.allclose(values, other, rtol=1e-3)


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
