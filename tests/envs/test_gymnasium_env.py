"""Every registered world as a Gymnasium environment: checkers without a warning, determinism, pickling, rendering."""

import itertools
import pickle
import warnings
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines3
from stable_baselines3.common.vec_env import DummyVecEnv

from goalcut.envs import (
    ENVIRONMENTS,
    WORLD_IDS,
    WORLDS,
    CheeseInCorner,
    CheeseMazeEnv,
    Level,
    StateGraph,
    ascii,
    make_levels,
    observations,
    plane_names,
    register_environments,
)
from goalcut.envs.proxy import event_tables

CRUMBS = "goalcut-tests/Crumbs-v0"
IDS = [*WORLD_IDS.values(), CRUMBS]
SMALL = {"size": 7, "corner_size": 3, "start": "random", "distribution": "shifted"}
SETTINGS = [{}, SMALL, {"split": "test", "time_limit": 9, "ood_share": 0.5}]
RIGHT, LEFT = 3, 2


def single(name: str, **settings: Any) -> Any:
    return gymnasium.make(name, **settings)


def remarks_of(check: Any, *args: Any, **kwargs: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        check(*args, **kwargs)
    return [str(remark.message) for remark in remarks]


def test_every_world_has_an_id_and_that_of_the_corner_is_cheese_maze() -> None:
    assert WORLD_IDS.keys() == WORLDS.keys()
    assert len(set(WORLD_IDS.values())) == len(WORLDS)
    assert set(WORLD_IDS.values()) <= set(ENVIRONMENTS)
    assert WORLD_IDS["corner"] == "goalcut/CheeseMaze-v0"
    for name, card in WORLDS.items():
        assert type(single(WORLD_IDS[name]).unwrapped.world) is card


def test_registering_twice_changes_nothing() -> None:
    before = {name: gymnasium.registry[name] for name in ENVIRONMENTS}
    register_environments()
    assert all(gymnasium.registry[name] is spec for name, spec in before.items())


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", IDS)
def test_neither_checker_has_anything_to_remark_on(name: str, settings: dict) -> None:
    # Gymnasium's makes the environment anew for every render mode.
    assert remarks_of(check_env, single(name, **settings).unwrapped) == []
    for mode in ("rgb_array", "ansi"):
        env = single(name, render_mode=mode, **settings)
        assert remarks_of(check_env_of_stable_baselines3, env.unwrapped, skip_render_check=False) == []
    assert remarks_of(check_env_of_stable_baselines3, FlattenObservation(single(name, **settings))) == []


@pytest.mark.parametrize("name", IDS)
def test_spaces_are_planes_of_flags_and_four_moves(name: str) -> None:
    env = single(name, **SMALL).unwrapped
    planes = len(plane_names(env.world))
    assert env.observation_space == spaces.MultiBinary((planes, 7, 7))
    assert env.action_space == spaces.Discrete(4)
    observation, _ = env.reset(seed=0)
    for _ in range(50):
        assert observation in env.observation_space
        assert observation.dtype == env.observation_space.dtype
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, _ = env.reset()


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 2**40])
@pytest.mark.parametrize("name", IDS)
def test_twins_agree_exactly_over_200_steps(name: str, seed: int) -> None:
    twins = [single(name, time_limit=15, **SMALL) for _ in range(2)]
    assert data_equivalence(*(twin.reset(seed=seed) for twin in twins), exact=True)
    twins[0].action_space.seed(seed)
    for _ in range(200):
        action = twins[0].action_space.sample()
        results = [twin.step(action) for twin in twins]
        assert data_equivalence(*results, exact=True)
        if results[0][2] or results[0][3]:
            assert data_equivalence(*(twin.reset() for twin in twins), exact=True)


@pytest.mark.parametrize("name", IDS)
def test_the_seed_of_reset_decides_and_no_seed_goes_on(name: str) -> None:
    env = single(name)
    episodes = [env.reset(seed=3), *(env.reset() for _ in range(20))]
    assert data_equivalence(episodes, [env.reset(seed=3), *(env.reset() for _ in range(20))], exact=True)
    assert len({info["level"] for _, info in episodes}) == 21
    assert env.reset(seed=4)[1] != episodes[0][1]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", IDS)
def test_a_pickled_environment_goes_on_exactly(name: str, wrapped: bool) -> None:
    env = single(name, endless=True)
    env = env if wrapped else env.unwrapped
    env.reset(seed=1)
    env.action_space.seed(1)
    for _ in range(5):
        env.step(env.action_space.sample())
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(20):
        action = env.action_space.sample()
        assert data_equivalence(env.step(action), copy.step(action), exact=True)
    for _ in range(20):
        assert data_equivalence(env.reset(), copy.reset(), exact=True)


@pytest.mark.parametrize("name", IDS)
def test_episodes_start_in_levels_of_the_pool_that_the_settings_make(name: str) -> None:
    env = single(name, split="tune", level_seed=5, num_levels=20, **SMALL)
    settings = {key: SMALL[key] for key in ("size", "corner_size", "start")}
    world = single(name, **settings).unwrapped.world
    pool = observations(make_levels(world, 20, seed=5, split="tune", distribution="shifted"))
    seen = set()
    env.reset(seed=0)
    for _ in range(60):
        observation, info = env.reset()
        assert np.array_equal(observation, pool[info["level"]])
        seen.add(info["level"])
    assert len(seen) > 12
    observation, info = env.reset(options={"level": 17})
    assert info["level"] == 17
    assert np.array_equal(observation, pool[17])


@pytest.mark.parametrize("name", IDS)
def test_pictures_and_texts_show_the_current_state(name: str) -> None:
    for mode in ("rgb_array", "ansi"):
        env = single(name, render_mode=mode, cell=6, **SMALL)
        env.reset(seed=0)
        first = env.render()
        env.action_space.seed(0)
        while np.array_equal(first, env.render()):
            planes, *_ = env.step(env.action_space.sample())
        if mode == "rgb_array":
            assert first.shape == (7 * 6, 7 * 6, 3)
            assert first.dtype == np.uint8
            continue
        # The text tells of the same cells as the planes do.
        world = env.unwrapped.world
        # What is needed in a level may be gone by now.
        level = ascii.parse(env.render(), type("Later", (type(world),), {"needed": frozenset()})())
        drawn = {name: np.zeros((7, 7), dtype=np.int8) for name in plane_names(world)}
        drawn["walls"][:], drawn["mouse"][level.mouse] = level.walls, 1
        for thing in world.things:
            for plane, cell in itertools.product(thing.planes, level.things.get(thing.name, ())):
                drawn[plane][cell] = 1
        for number, plane in enumerate(plane_names(world)):
            if plane not in world.status_planes:
                assert np.array_equal(drawn[plane], planes[number])
    env = single(name)
    env.reset(seed=0)
    assert env.render() is None


def test_what_is_eaten_is_seen_no_more() -> None:
    level = ascii.parse("CMC..\n#####\n#####\n#####\n#####", gymnasium.spec(CRUMBS).kwargs["world"])
    for mode in ("ansi", "rgb_array"):
        env = single(CRUMBS, size=5, corner_size=1, render_mode=mode)
        env.reset(options={"level": level})
        assert env.step(LEFT)[1:3] == (0.5, False)
        planes, reward, terminated, *_ = env.step(RIGHT)
        assert (reward, terminated) == (0.0, False)
        assert planes[2, 0].tolist() == [0, 0, 1, 0, 0]
        if mode == "ansi":
            shown = ascii.parse(env.render(), env.unwrapped.world)
            assert shown.mouse == (0, 1)
            assert list(shown.things.values()) == [((0, 2),)]
        else:
            eaten, there, none = (env.render()[:16, 16 * column : 16 * column + 16] for column in (0, 2, 3))
            assert np.array_equal(eaten, none)
            assert not np.array_equal(there, none)
        assert env.step(LEFT)[1:3] == (0.0, False)
        assert env.step(RIGHT)[1:3] == (0.0, False)
        planes, reward, terminated, *_ = env.step(RIGHT)
        assert (reward, terminated) == (0.5, True)
        assert not planes[2].any()


def test_options_start_a_given_level() -> None:
    level = ascii.parse("M...C\n#.###\n.....\n#####\n.....")
    env = CheeseMazeEnv(size=5, corner_size=2)
    observation, info = env.reset(options={"level": level})
    assert info["level"] == -1
    assert observation[1].nonzero() == (0, 0)
    steps = [env.step(RIGHT) for _ in range(4)]
    assert [step[1] for step in steps] == [0.0, 0.0, 0.0, 1.0]
    assert [step[2] for step in steps] == [False, False, False, True]
    assert [step[4]["corner_entered"] for step in steps] == [False, False, True, False]


@pytest.mark.parametrize(
    ("world", "thing"),
    [
        ("corner", "cheese"),
        ("keys", "chest_1"),
        ("follow-me", "guide"),
        ("follow-me", "beacon_2"),
        ("lava", "cheese"),
    ],
)
def test_a_given_level_without_what_its_world_needs_is_refused_in_one_line(world: str, thing: str) -> None:
    env = CheeseMazeEnv(world=world, size=7, corner_size=3, layout="braid")
    level = make_levels(env.world, 1, seed=0)[0]
    env.reset(options={"level": level})
    lacking = replace(level, things={name: cells for name, cells in level.things.items() if name != thing})
    with pytest.raises(ValueError, match=f"the level of options has no {thing}: every level") as caught:
        env.reset(options={"level": lacking})
    assert "\n" not in str(caught.value)


def test_the_proxy_is_paid_once_and_the_corner_told_every_time() -> None:
    env = CheeseMazeEnv(size=5, corner_size=3)
    env.reset(options={"level": ascii.parse("....C\n.....\nM....\n.....\n.....")})
    infos = [env.step(action)[4] for action in (RIGHT, RIGHT, RIGHT, LEFT, LEFT, RIGHT)]
    assert [info["corner_entered"] for info in infos] == [False, True, False, False, False, True]
    assert [info["proxy_reward"] for info in infos] == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    inside = ascii.parse("....C\n...M.\n.....\n.....\n.....")
    assert env.reset(options={"level": inside})[1]["proxy_reward"] == 0.0
    assert [env.step(action)[4]["proxy_reward"] for action in (LEFT, LEFT, RIGHT)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("start", "expected"), [("M.C..", 0.0), ("MC.C.", 0.0), ("...MC", 1.0)])
def test_the_proxy_is_not_paid_after_what_its_measure_avoids(start: str, expected: float) -> None:
    # Here the proxy is the corner before any crumb; one in the corner's own cell comes too late to matter.
    world = gymnasium.spec(CRUMBS).kwargs["world"]
    level = ascii.parse(f"{start}\n#####\n#####\n#####\n#####", world)
    env = single(CRUMBS, size=5, corner_size=1, endless=True)
    env.reset(options={"level": level})
    paid = [env.step(RIGHT)[4]["proxy_reward"] for _ in range(5)]
    # A step that enters the corner and eats at once was first in both: it counts, as in the exact measures.
    assert sum(paid) == expected


@pytest.mark.parametrize("name", IDS)
def test_events_of_measures_hold_where_the_exact_chain_has_them(name: str) -> None:
    world = single(name, size=7, corner_size=3).unwrapped.world
    levels = make_levels(world, 6, seed=0)
    graph = StateGraph(levels)
    rows = torch.arange(len(levels))[:, None]
    for measure in world.measures:
        for event in (measure.target, measure.avoid):
            if event is not None:
                at, when = event_tables(event, levels)
                here = torch.from_numpy(at)[rows, graph.cell] & torch.from_numpy(when)[graph.progress]
                assert torch.equal(here & graph.real, graph.event(event))


def test_a_proxy_that_counts_rewards_is_paid_its_share_of_the_most() -> None:
    class Swapped(type(gymnasium.spec(CRUMBS).kwargs["world"])):
        goals = property(lambda self: tuple(reversed(super().goals)))  # type: ignore[assignment]

    env = CheeseMazeEnv(world=Swapped(), size=5, corner_size=1)
    level = ascii.parse("MC.C.\n#####\n#####\n#####\n#####", env.world)
    env.reset(options={"level": level})
    assert [env.step(RIGHT)[4]["proxy_reward"] for _ in range(3)] == [0.5, 0.0, 0.5]


def test_cheese_on_the_last_step_terminates_and_a_step_later_would_truncate() -> None:
    level = ascii.parse("M..C.\n#####\n#####\n#####\n#####")
    for limit, expected in ((3, (1.0, True, False)), (2, (0.0, False, True))):
        env = CheeseMazeEnv(size=5, corner_size=2, time_limit=limit)
        env.reset(options={"level": level})
        for _ in range(limit):
            *_, reward, terminated, truncated, _info = env.step(RIGHT)
        assert (reward, terminated, truncated) == expected


def test_endless_arrivals_neither_pay_nor_end() -> None:
    env = CheeseMazeEnv(size=5, corner_size=2, endless=True, time_limit=4)
    env.reset(options={"level": ascii.parse("MC...\n#####\n#####\n#####\n#####")})
    assert [env.step(RIGHT)[1:4] for _ in range(4)] == [(0.0, False, False)] * 3 + [(0.0, False, True)]


@pytest.mark.parametrize("name", IDS)
def test_returned_observations_are_not_written_into_by_later_steps(name: str) -> None:
    env = single(name, endless=True)
    kept = [env.reset(seed=0)[0]] + [env.step(action)[0] for action in (RIGHT, 0, LEFT)]
    copies = [observation.copy() for observation in kept]
    for _ in range(30):
        env.step(env.action_space.sample())
    assert all(np.array_equal(one, two) for one, two in zip(kept, copies, strict=True))


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3_trains_on_it_and_gymnasiums_wrappers_wrap_it(name: str) -> None:
    env = RecordEpisodeStatistics(FlattenObservation(single(name, time_limit=9, **SMALL)))
    for wrapped in (env, single(name, **SMALL)):
        model = PPO("MlpPolicy", wrapped, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
        before = [parameter.clone() for parameter in model.policy.parameters()]
        model.learn(32)
        assert any((one != two).any() for one, two in zip(before, model.policy.parameters(), strict=True))
    assert all(0 < length <= 9 for length in env.length_queue)
    assert len(env.length_queue) >= 3


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3_bootstraps_time_outs_with_the_last_observation(name: str) -> None:
    settings = SMALL | {"num_levels": 1, "time_limit": 3}
    env = DummyVecEnv([lambda: single(name, **settings)])
    model = PPO("MlpPolicy", env, n_steps=30, batch_size=30, gamma=0.9, seed=0, device="cpu")
    _, callback = model._setup_learn(30)
    assert isinstance(callback, BaseCallback)
    model.collect_rollouts(env, callback, model.rollout_buffer, 30)
    # A twin walks the same way, and its last observations are there to see.
    twin, timed_out = single(name, **settings), 0
    observation, _ = twin.reset(seed=0)
    for step in range(30):
        assert np.array_equal(model.rollout_buffer.observations[step, 0], observation)
        action = model.rollout_buffer.actions[step, 0].item()
        observation, expected, terminated, truncated, _ = twin.step(int(action))
        if truncated:
            with torch.no_grad():
                value = model.policy.predict_values(torch.from_numpy(observation[None]))
            expected, timed_out = expected + 0.9 * float(value), timed_out + 1
        assert model.rollout_buffer.rewards[step, 0] == pytest.approx(expected, abs=1e-6)
        if terminated or truncated:
            observation, _ = twin.reset()
    assert timed_out > 0


def test_steps_before_a_reset_or_after_the_end_are_refused() -> None:
    env = CheeseMazeEnv(time_limit=1)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    with pytest.raises(ResetNeeded, match="nothing to render"):
        CheeseMazeEnv(render_mode="ansi").render()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maze": 3}, "options name maze: the only option is 'level'"),
        ({"level": 64}, "level of options is 64: give 0 to 63"),
        ({"level": -1}, "level of options is -1: give 0 to 63"),
        ({"level": Level(np.zeros((3, 3), bool), (0, 0), {})}, "is 3×3: give one of size 9"),
    ],
)
def test_wrong_options_are_refused_by_name_and_value(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CheeseMazeEnv(num_levels=64).reset(options=options)


def test_wrong_actions_and_worlds_are_refused() -> None:
    env = CheeseMazeEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action is 4: give 0 up"):
        env.step(4)
    with pytest.raises(ValueError, match="world is 'moon': give one of corner"):
        CheeseMazeEnv(world="moon")
    assert CheeseMazeEnv(world=CheeseInCorner(size=7), start="random").world == CheeseInCorner(
        size=7, start="random"
    )
