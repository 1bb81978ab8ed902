"""The Gymnasium environments: checkers without a warning, determinism, pickling, rendering, the vector's resets."""

import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import FlattenObservation
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines3

from goalcut.envs import (
    ENVIRONMENTS,
    CheeseInCorner,
    CheeseMazeEnv,
    CheeseMazeVectorEnv,
    ascii,
    corner_region,
    frame,
    make_levels,
    observations,
    register_environments,
)

WORLDS = [
    {},
    {"size": 5, "corner_size": 2, "start": "random"},
    {"cheese": "conflict", "split": "test", "time_limit": 9},
]
SMALL = {"size": 5, "corner_size": 2, "start": "random", "cheese": "anywhere"}


def single(name: str = "goalcut/CheeseMaze-v0", **settings: Any) -> Any:
    return gymnasium.make(name, **settings)


def vector(name: str = "goalcut/CheeseMaze-v0", **settings: Any) -> VectorEnv:
    return gymnasium.make_vec(
        name, vectorization_mode="vector_entry_point", **({"num_levels": 64} | settings)
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_has_nothing_to_remark_on(name: str, world: dict) -> None:
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        check_env(single(name, **world).unwrapped)
    assert [str(remark.message) for remark in remarks] == []


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_stable_baselines3_has_nothing_to_remark_on_the_flat_planes(name: str, world: dict) -> None:
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        check_env_of_stable_baselines3(FlattenObservation(single(name, **world)), skip_render_check=False)
    assert [str(remark.message) for remark in remarks] == []


def test_stable_baselines3_only_remarks_that_the_planes_are_no_large_image() -> None:
    # Any three axes count as an image for it: of bounds 0…255 and 36 pixels at least, which planes are not.
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        check_env_of_stable_baselines3(single().unwrapped)
    assert len(remarks) == 2
    assert all(
        "CnnPolicy" in str(remark.message) or "CNN policy" in str(remark.message) for remark in remarks
    )


def test_registering_twice_changes_nothing() -> None:
    before = {name: gymnasium.registry[name] for name in ENVIRONMENTS}
    register_environments()
    assert all(gymnasium.registry[name] is spec for name, spec in before.items())


@pytest.mark.parametrize(
    "make", [CheeseMazeEnv, lambda **settings: CheeseMazeVectorEnv(6, num_levels=64, **settings)]
)
@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_twins_agree_exactly_over_200_steps(make: Any, seed: int) -> None:
    twins = [make(time_limit=15, **SMALL) for _ in range(2)]
    assert data_equivalence(*(twin.reset(seed=seed) for twin in twins), exact=True)
    twins[0].action_space.seed(seed)
    for _ in range(200):
        action = twins[0].action_space.sample()
        results = [twin.step(action) for twin in twins]
        assert data_equivalence(*results, exact=True)
        if isinstance(twins[0], CheeseMazeEnv) and (results[0][2] or results[0][3]):
            assert data_equivalence(*(twin.reset() for twin in twins), exact=True)


@pytest.mark.parametrize("make", [CheeseMazeEnv, lambda: CheeseMazeVectorEnv(6, num_levels=64)])
def test_the_seed_of_reset_decides_and_no_seed_goes_on(make: Any) -> None:
    env = make()
    first, then = env.reset(seed=3), env.reset()
    assert data_equivalence((first, then), (env.reset(seed=3), env.reset()), exact=True)
    assert not np.array_equal(first[0], then[0])
    assert not np.array_equal(first[0], env.reset(seed=4)[0])


@pytest.mark.parametrize(
    "make", [CheeseMazeEnv, lambda **settings: CheeseMazeVectorEnv(6, num_levels=64, **settings)]
)
def test_a_pickled_environment_goes_on_exactly(make: Any) -> None:
    env = make(time_limit=200)
    env.reset(seed=1)
    for _ in range(5):
        env.step(env.action_space.sample())
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(20):
        action = env.action_space.sample()
        assert data_equivalence(env.step(action), copy.step(action), exact=True)
    assert data_equivalence(env.reset(), copy.reset(), exact=True)


def test_episodes_start_in_levels_of_the_pool_that_the_settings_make() -> None:
    env = CheeseMazeEnv(size=7, corner_size=3, start="random", split="tune", level_seed=5, num_levels=20)
    pool = make_levels(CheeseInCorner(size=7, corner_size=3, start="random"), 20, seed=5, split="tune")
    seen = set()
    for seed in range(60):
        observation, info = env.reset(seed=seed)
        assert np.array_equal(observation, observations(pool)[info["level"]])
        seen.add(info["level"])
    assert len(seen) > 12


def test_options_start_a_given_level_or_a_level_of_the_pool() -> None:
    level = ascii.parse("M...C\n#.###\n.....\n#####\n.....")
    env = CheeseMazeEnv(size=5, corner_size=2)
    observation, info = env.reset(options={"level": level})
    assert info["level"] == -1
    assert observation[1].nonzero() == (0, 0)
    steps = [env.step(3) for _ in range(4)]
    assert [step[1] for step in steps] == [0.0, 0.0, 0.0, 1.0]
    assert [step[2] for step in steps] == [False, False, False, True]
    assert [step[4]["corner_entered"] for step in steps] == [False, False, True, False]
    observation, info = env.reset(options={"level": 17})
    assert info["level"] == 17
    pool = make_levels(CheeseInCorner(size=5, corner_size=2), 18, seed=0)
    assert np.array_equal(observation, observations(pool)[17])


def test_corner_entered_tells_every_step_into_the_region_from_outside() -> None:
    level = ascii.parse("....C\n.....\nM....\n.....\n.....")
    env = CheeseMazeEnv(size=5, corner_size=3)
    env.reset(options={"level": level})
    right, left = 3, 2
    entered = [env.step(action)[4]["corner_entered"] for action in (right, right, right, left, left, right)]
    assert entered == [False, True, False, False, False, True]


def test_cheese_on_the_last_step_terminates_and_a_step_later_would_truncate() -> None:
    level = ascii.parse("M..C.\n#####\n#####\n#####\n#####")
    for limit, expected in ((3, (1.0, True, False)), (2, (0.0, False, True))):
        env = CheeseMazeEnv(size=5, corner_size=2, time_limit=limit)
        env.reset(options={"level": level})
        for _ in range(limit):
            *_, reward, terminated, truncated, _info = env.step(3)
        assert (reward, terminated, truncated) == expected


def test_cheese_that_does_not_end_the_episode_neither_pays_nor_ends_it() -> None:
    env = CheeseMazeEnv(size=5, corner_size=2, cheese_ends_episode=False, time_limit=4)
    env.reset(options={"level": ascii.parse("MC...\n#####\n#####\n#####\n#####")})
    assert [env.step(3)[1:4] for _ in range(4)] == [(0.0, False, False)] * 3 + [(0.0, False, True)]


def test_returned_observations_are_not_written_into_by_later_steps() -> None:
    for env, action in ((CheeseMazeEnv(), 3), (CheeseMazeVectorEnv(2, num_levels=4), np.array([3, 0]))):
        kept = [env.reset(seed=0)[0]] + [env.step(action)[0] for _ in range(3)]  # type: ignore[arg-type]
        copies = [observation.copy() for observation in kept]
        for _ in range(30):
            env.step(env.action_space.sample())
        assert all(np.array_equal(one, two) for one, two in zip(kept, copies, strict=True))


def same_info(ours: dict, theirs: dict) -> bool:
    """Equal keys and masks, and equal values where the masks say there are any."""
    if ours.keys() != theirs.keys():
        return False
    for key in (key for key in ours if not key.startswith("_")):
        mask = ours[f"_{key}"]
        if mask.dtype != bool or not np.array_equal(mask, theirs[f"_{key}"]):
            return False
        if isinstance(ours[key], dict):
            if not same_info(ours[key], theirs[key]):
                return False
        elif ours[key].dtype != theirs[key].dtype or not all(
            np.array_equal(one, two) for one, two in zip(ours[key][mask], theirs[key][mask], strict=True)
        ):
            return False
    return True


@pytest.mark.parametrize("cheese_ends_episode", [True, False])
def test_the_vector_gives_what_gymnasiums_own_vector_of_single_environments_gives(
    cheese_ends_episode: bool,
) -> None:
    # A pool of one level: both vectors then start the same episodes, whatever their streams.
    for level_seed in range(4):
        settings = SMALL | {
            "num_levels": 1,
            "level_seed": level_seed,
            "time_limit": 13,
            "cheese_ends_episode": cheese_ends_episode,
        }
        ours = vector(num_envs=7, **settings)
        theirs = SyncVectorEnv(
            [lambda kept=settings: CheeseMazeEnv(**kept)] * 7, autoreset_mode=AutoresetMode.SAME_STEP
        )
        assert ours.single_observation_space == theirs.single_observation_space
        assert ours.observation_space == theirs.observation_space
        assert ours.action_space == theirs.action_space
        (one, info), (two, other_info) = ours.reset(seed=0), theirs.reset(seed=0)
        assert np.array_equal(one, two)
        assert same_info(info, other_info)
        theirs.action_space.seed(level_seed)
        ends = 0
        for _ in range(100):
            actions = theirs.action_space.sample()
            mine, other = ours.step(actions), theirs.step(actions)
            for part, other_part in zip(mine[:4], other[:4], strict=True):
                assert part.dtype == other_part.dtype
                assert np.array_equal(part, other_part)
            assert same_info(mine[4], other[4])
            ends += "final_obs" in mine[4]
        assert ends > 0


def test_the_vector_says_truly_that_it_resets_in_the_same_step() -> None:
    envs = vector(num_envs=5, time_limit=6)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    pool = observations(make_levels(CheeseInCorner(), 64, seed=0))
    before, info = envs.reset(seed=0)
    for _ in range(6):
        assert "final_obs" not in info
        level_before, before = info["level"], before
        before, _, terminated, truncated, info = envs.step(
            np.full(5, 1)
        )  # down: a wall below the bottom left
    assert truncated.all()
    assert not terminated.any()
    assert np.array_equal(before, pool[info["level"]])
    assert info["_final_obs"].all()
    assert np.array_equal(np.stack(list(info["final_obs"])), pool[level_before])
    assert np.array_equal(info["final_info"]["level"], level_before)


def test_gymnasium_makes_the_batched_vector_by_default_and_it_stays_in_its_spaces() -> None:
    envs = gymnasium.make_vec("goalcut/CheeseMaze-v0", num_envs=9, num_levels=64)
    assert isinstance(envs.unwrapped, CheeseMazeVectorEnv)
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    for _ in range(20):
        observation, reward, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert observation in envs.observation_space
        assert reward.shape == terminated.shape == truncated.shape == (9,)
    envs.close()


def test_vector_options_start_levels_of_the_pool() -> None:
    envs = vector(num_envs=3)
    pool = observations(make_levels(CheeseInCorner(), 64, seed=0))
    observation, info = envs.reset(options={"level": np.array([5, 63, 0])})
    assert info["level"].tolist() == [5, 63, 0]
    assert np.array_equal(observation, pool[[5, 63, 0]])
    assert envs.reset(options={"level": 8})[1]["level"].tolist() == [8, 8, 8]


def test_frames_and_texts_show_the_current_state() -> None:
    level = ascii.parse("M...C\n#.###\n.....\n#####\n.....")
    for mode in ("rgb_array", "ansi"):
        env = CheeseMazeEnv(size=5, corner_size=2, render_mode=mode, cell=6)
        env.reset(options={"level": level})
        env.step(3)
        moved = ascii.parse(".M..C\n#.###\n.....\n#####\n.....")
        shown = env.render()
        if mode == "ansi":
            assert ascii.parse(shown) == moved
        else:
            assert np.array_equal(shown, frame(moved, 6, corner_size=2))
    assert CheeseMazeEnv().render() is None


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_the_vector_renders_one_picture_per_mouse(mode: str) -> None:
    envs = CheeseMazeVectorEnv(3, num_levels=8, render_mode=mode)
    envs.reset(seed=0, options={"level": np.array([1, 2, 3])})
    pool = make_levels(CheeseInCorner(), 8, seed=0)
    shown = envs.render()
    assert len(shown) == 3
    for picture, number in zip(shown, (1, 2, 3), strict=True):
        if mode == "ansi":
            assert ascii.parse(picture) == pool[number]
        else:
            assert np.array_equal(picture, frame(pool[number], 16, corner_size=5))


def test_stable_baselines3_trains_on_it() -> None:
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", single(**SMALL), n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(32)
    assert any((one != two).any() for one, two in zip(before, model.policy.parameters(), strict=True))


def test_the_corner_of_the_info_is_the_corner_of_the_settings() -> None:
    envs = CheeseMazeVectorEnv(40, num_levels=64, start="random", corner_size=4, cheese_ends_episode=False)
    region = corner_region(9, 4)
    observation, _ = envs.reset(seed=0)
    entered = 0
    for _ in range(60):
        inside = (observation[:, 1] * region).any(axis=(1, 2))
        observation, _, _, truncated, info = envs.step(envs.action_space.sample())
        now = (observation[:, 1] * region).any(axis=(1, 2))
        assert np.array_equal(info["corner_entered"], now & ~inside & ~truncated)
        entered += info["corner_entered"].sum()
    assert entered > 0


def test_steps_before_a_reset_or_after_the_end_are_refused() -> None:
    env = CheeseMazeEnv(time_limit=1)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    with pytest.raises(ResetNeeded, match="call reset"):
        CheeseMazeVectorEnv(2, num_levels=2).step(np.zeros(2))
    with pytest.raises(ResetNeeded, match="nothing to render"):
        CheeseMazeEnv(render_mode="ansi").render()


@pytest.mark.parametrize("make", [CheeseMazeEnv, lambda **settings: CheeseMazeVectorEnv(2, **settings)])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 6}, "size is 6"),
        ({"num_levels": 0}, "num_levels is 0: give at least 1"),
        ({"time_limit": 0}, "time_limit is 0: give at least 1 step"),
        ({"split": "valid"}, "split is 'valid': give one of train, tune, test"),
        ({"render_mode": "human"}, "render_mode is 'human': give rgb_array or ansi"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(make: Any, wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maze": 3}, "options name maze: the only option is 'level'"),
        ({"level": 64}, "level of options is .*64.*: give 0 to 63"),
        ({"level": -1}, "level of options is .*-1.*: give 0 to 63"),
    ],
)
def test_wrong_options_are_refused_by_name_and_value(options: dict, message: str) -> None:
    for env in (CheeseMazeEnv(num_levels=64), CheeseMazeVectorEnv(2, num_levels=64)):
        with pytest.raises(ValueError, match=message):
            env.reset(options=options)


def test_a_level_of_another_size_and_a_level_for_a_vector_are_refused() -> None:
    level = ascii.parse("M.C\n...\n...")
    with pytest.raises(ValueError, match="the level of options is 3×3: give one of size 9"):
        CheeseMazeEnv().reset(options={"level": level})
    with pytest.raises(ValueError, match="a vector environment takes numbers of levels"):
        CheeseMazeVectorEnv(2, num_levels=2).reset(options={"level": level})


def test_wrong_actions_are_refused() -> None:
    env = CheeseMazeEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action is 4: give 0 up"):
        env.step(4)
    envs = CheeseMazeVectorEnv(2, num_levels=2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions are \(3,\): give one per environment, \(2,\)"):
        envs.step(np.zeros(3))
    with pytest.raises(ValueError, match="actions span -1 to 0"):
        envs.step(np.array([0, -1]))
    with pytest.raises(ValueError, match="num_envs is 0"):
        CheeseMazeVectorEnv(0, num_levels=2)
