"""Every registered world as a Gymnasium vector environment: what Gymnasium's own gives, in every mode."""

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import FlattenObservation, RecordEpisodeStatistics
from vector_twins import same_info, walk

from goalcut.envs import (
    WORLD_IDS,
    CheeseMazeEnv,
    CheeseMazeVectorEnv,
    StateGraph,
    ascii,
    corner_region,
    make_levels,
    observations,
)

CRUMBS = "goalcut-tests/Crumbs-v0"
IDS = [*WORLD_IDS.values(), CRUMBS]
MODES = list(AutoresetMode)
SMALL = {"size": 7, "corner_size": 3, "start": "random", "distribution": "shifted"}


def vector(name: str = WORLD_IDS["corner"], num_envs: int = 6, **settings: Any) -> Any:
    return gymnasium.make_vec(name, num_envs=num_envs, **({"num_levels": 64} | settings)).unwrapped


def singles(name: str, num_envs: int, mode: AutoresetMode, **settings: Any) -> SyncVectorEnv:
    """Gymnasium's own vector of single environments."""
    one: Callable[[], Any] = lambda: gymnasium.make(name, **settings)  # noqa: E731
    return SyncVectorEnv([one] * num_envs, autoreset_mode=mode)


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", IDS)
def test_it_gives_what_gymnasiums_own_vector_of_single_environments_gives(
    name: str, mode: AutoresetMode, endless: bool
) -> None:
    # A pool of one level: both vectors then start the same episodes, whatever their streams.
    for level_seed in range(3):
        settings = SMALL | {"num_levels": 1, "level_seed": level_seed, "time_limit": 13, "endless": endless}
        ours, theirs = (
            vector(name, 7, autoreset_mode=mode, **settings),
            singles(name, 7, mode, **settings),
        )
        assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
        assert ours.single_observation_space == theirs.single_observation_space
        assert ours.observation_space == theirs.observation_space
        assert ours.action_space == theirs.action_space
        seen = walk(ours, 80, level_seed)
        for mine, other in zip(seen, walk(theirs, 80, level_seed), strict=True):
            for part, other_part in zip(mine[:-1], other[:-1], strict=True):
                assert part.dtype == other_part.dtype
                assert np.array_equal(part, other_part)
            assert mine[0] in ours.observation_space
            assert same_info(mine[-1], other[-1])
        assert sum((step[2] | step[3]).any() for step in seen if len(step) == 5) > 3


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 2**40])
@pytest.mark.parametrize("name", IDS)
def test_twins_agree_exactly_over_200_steps(name: str, seed: int) -> None:
    mode = MODES[seed % 3]
    twins = [vector(name, time_limit=15, autoreset_mode=mode, **SMALL) for _ in range(2)]
    assert data_equivalence(walk(twins[0], 200, seed), walk(twins[1], 200, seed), exact=True)


@pytest.mark.parametrize("name", IDS)
def test_the_seed_of_reset_decides_and_no_seed_goes_on(name: str) -> None:
    envs = vector(name)
    first, then = envs.reset(seed=3), envs.reset()
    assert data_equivalence((first, then), (envs.reset(seed=3), envs.reset()), exact=True)
    assert not np.array_equal(first[1]["level"], then[1]["level"])
    assert not np.array_equal(first[1]["level"], envs.reset(seed=4)[1]["level"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", IDS)
def test_a_pickled_vector_goes_on_exactly(name: str, mode: AutoresetMode) -> None:
    envs = vector(name, time_limit=7, autoreset_mode=mode)
    walk(envs, 5, 0)
    copy = pickle.loads(pickle.dumps(envs))
    for action in np.random.default_rng(1).integers(4, size=(2, 6)):
        assert data_equivalence(envs.step(action), copy.step(action), exact=True)
    assert data_equivalence(envs.reset(), copy.reset(), exact=True)
    assert data_equivalence(walk(envs, 20, 2), walk(copy, 20, 2), exact=True)


@pytest.mark.parametrize("mode", MODES)
def test_an_episodes_end_is_followed_as_the_mode_says(mode: AutoresetMode) -> None:
    envs, down = vector(num_envs=5, time_limit=6, autoreset_mode=mode), np.full(5, 1)
    pool = observations(make_levels(envs.world, 64, seed=0))
    observation, info = envs.reset(seed=0)
    for _ in range(6):
        assert "final_obs" not in info
        first_level = info["level"]
        observation, _, terminated, truncated, info = envs.step(down)  # into the wall below the bottom left
    assert truncated.all()
    assert not terminated.any()
    if mode is AutoresetMode.SAME_STEP:
        assert np.array_equal(np.stack(list(info["final_obs"])), pool[first_level])
        assert np.array_equal(info["final_info"]["level"], first_level)
    else:
        assert "final_obs" not in info
        assert np.array_equal(observation, pool[first_level])
        if mode is AutoresetMode.NEXT_STEP:
            observation, rewards, terminated, truncated, info = envs.step(down)
            assert not np.any([rewards, terminated, truncated])
        else:
            with pytest.raises(ResetNeeded, match=r"the episodes of mice \[0, 1, 2, 3, 4\] are over"):
                envs.step(down)
            observation, info = envs.reset(options={"reset_mask": np.ones(5, dtype=bool)})
    assert not np.array_equal(info["level"], first_level)
    assert np.array_equal(observation, pool[info["level"]])


def exact_values(graph: StateGraph, discount: float) -> dict[bytes, float]:
    """What the uniform policy earns without a time limit, by what it sees; every state of the graph."""
    values: dict[bytes, float] = {}
    seen = torch.cat(list(graph.observations(4096))).numpy().reshape(*graph.real.shape, -1)
    for number in range(len(graph)):
        states = graph.next.shape[1]
        moves = np.zeros((states, states))
        np.add.at(moves, (np.arange(states)[:, None], graph.next[number].numpy()), 0.25)
        moves[graph.over[number].numpy()] = 0.0
        paid = graph.rewards[number].double().mean(-1).numpy() * ~graph.over[number].numpy()
        exact = np.linalg.solve(np.eye(states) - discount * moves, paid)
        real = graph.real[number].numpy()
        values |= {what.tobytes(): value for what, value in zip(seen[number][real], exact[real], strict=True)}
    return values


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [WORLD_IDS["corner"], CRUMBS])
def test_true_values_of_last_observations_leave_no_error_where_time_is_out(
    name: str, mode: AutoresetMode
) -> None:
    discount, count = 0.9, 30
    settings = SMALL | {"num_levels": count, "time_limit": 1, "autoreset_mode": mode}
    envs = vector(name, 4 * count, **settings)
    values = exact_values(StateGraph(envs._levels), discount)

    def value(planes: Any) -> np.ndarray:
        return np.array([values[one.astype(np.uint8).tobytes()] for one in planes])

    # Every level four times, once for each move; each move is the last of its episode.
    first, _ = envs.reset(seed=0, options={"level": np.repeat(np.arange(count), 4)})
    observation, rewards, terminated, truncated, info = envs.step(np.tile(np.arange(4), count))
    assert (terminated | truncated).all()
    last = info["final_obs"] if mode is AutoresetMode.SAME_STEP else observation
    bootstrapped = rewards + discount * np.where(terminated, 0.0, value(last))
    wanted = value(first)[::4]
    assert np.allclose(bootstrapped.reshape(count, 4).mean(1), wanted, atol=1e-6)
    assert truncated.any()
    if mode is AutoresetMode.SAME_STEP:
        # What is seen next is of another episode: its value is no substitute.
        wrong = rewards + discount * np.where(terminated, 0.0, value(observation))
        assert not np.allclose(wrong.reshape(count, 4).mean(1), wanted, atol=1e-2)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_gymnasiums_wrappers_count_the_same_episodes_over_it(mode: AutoresetMode) -> None:
    settings = SMALL | {"num_levels": 1, "size": 5, "time_limit": 60}
    counted = []
    for envs in (vector(CRUMBS, 5, autoreset_mode=mode, **settings), singles(CRUMBS, 5, mode, **settings)):
        # Gymnasium refuses to wrap observations of vectors that reset in the same step.
        flat = envs if mode is AutoresetMode.SAME_STEP else FlattenObservation(envs)
        wrapped = RecordEpisodeStatistics(flat)
        seen = walk(wrapped, 200, 0)
        assert seen[0][0].shape == (5, *flat.single_observation_space.shape)
        counted.append((list(wrapped.return_queue), list(wrapped.length_queue)))
    assert counted[0] == counted[1]
    assert max(counted[0][0]) == 1.0


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_makes_the_batched_vector_by_default(name: str) -> None:
    envs = gymnasium.make_vec(name, num_envs=9, num_levels=64, **SMALL)
    assert isinstance(envs.unwrapped, CheeseMazeVectorEnv)
    assert type(envs.unwrapped.world) is type(gymnasium.make(name).unwrapped.world)  # type: ignore[attr-defined]
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    envs.close()


def test_options_start_levels_of_the_pool_and_masks_leave_the_others_be() -> None:
    envs = vector(num_envs=3)
    pool = observations(make_levels(envs.world, 64, seed=0))
    observation, info = envs.reset(options={"level": np.array([5, 63, 0])})
    assert info["level"].tolist() == [5, 63, 0]
    assert np.array_equal(observation, pool[[5, 63, 0]])
    assert envs.reset(options={"level": 8})[1]["level"].tolist() == [8, 8, 8]
    before, *_ = envs.step(np.array([0, 3, 0]))
    options = {"level": np.array([1, 2, 3]), "reset_mask": np.array([True, False, True])}
    observation, info = envs.reset(options=options)
    assert np.array_equal(observation[[0, 2]], pool[[1, 3]])
    assert np.array_equal(observation[1], before[1])
    assert info["level"][info["_level"]].tolist() == [1, 3]
    assert info["_level"].tolist() == [True, False, True]
    assert set(options) == {"level", "reset_mask"}


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
@pytest.mark.parametrize("name", IDS)
def test_it_renders_one_picture_per_mouse(name: str, mode: str) -> None:
    envs = vector(name, 3, render_mode=mode, **SMALL)
    one = gymnasium.make(name, render_mode=mode, num_levels=64, **SMALL)
    envs.reset(seed=0, options={"level": np.array([1, 2, 3])})
    envs.step(np.array([0, 1, 2]))
    shown = envs.render()
    assert len(shown) == 3
    for picture, number in zip(shown, (1, 2, 3), strict=True):
        one.reset(options={"level": number})
        one.step(number - 1)
        assert np.array_equal(picture, one.render())


def test_returned_observations_are_not_written_into_by_later_steps() -> None:
    envs = vector(time_limit=4)
    kept = [envs.reset(seed=0)[0]]
    for _ in range(4):
        observation, *_, info = envs.step(envs.action_space.sample())
        kept.append(observation)
    kept += list(info["final_obs"])
    copies = [observation.copy() for observation in kept]
    for _ in range(30):
        envs.step(envs.action_space.sample())
    assert all(np.array_equal(one, two) for one, two in zip(kept, copies, strict=True))


def test_the_corner_of_the_info_is_the_corner_of_the_settings() -> None:
    envs = vector(num_envs=40, start="random", corner_size=4, endless=True)
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


@pytest.mark.parametrize("make", [CheeseMazeEnv, lambda **settings: CheeseMazeVectorEnv(2, **settings)])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 6}, "size is 6"),
        ({"num_levels": 0}, "num_levels is 0: give at least 1"),
        ({"time_limit": 0}, "time_limit is 0: give at least 1 step"),
        ({"split": "valid"}, "split is 'valid': give one of train, tune, test"),
        ({"distribution": "moved"}, "distribution is 'moved': give one of training, shifted"),
        ({"render_mode": "human"}, "render_mode is 'human': give rgb_array or ansi"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(make: Any, wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maze": 3}, "options name maze: give level or reset_mask"),
        ({"level": 64}, r"level of options is \[64, 64\]: give 0 to 63"),
        ({"level": -1}, r"level of options is \[-1, -1\]: give 0 to 63"),
        ({"level": ascii.parse("M.C\n...\n...")}, "a vector environment takes numbers of levels"),
        ({"reset_mask": np.zeros(2, dtype=bool)}, "reset_mask of options is False everywhere"),
        ({"reset_mask": np.ones(3, dtype=bool)}, r"give an array \(2,\) of bool"),
        ({"reset_mask": [True, False]}, r"give an array \(2,\) of bool"),
    ],
)
def test_wrong_options_are_refused_by_name_and_value(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vector(num_envs=2).reset(options=options)


def test_wrong_actions_and_steps_before_a_reset_are_refused() -> None:
    envs = vector(num_envs=2, render_mode="ansi")
    with pytest.raises(ResetNeeded, match="call reset"):
        envs.step(np.zeros(2))
    with pytest.raises(ResetNeeded, match="nothing to render"):
        envs.render()
    with pytest.raises(ResetNeeded, match="the first reset"):
        envs.reset(options={"reset_mask": np.ones(2, dtype=bool)})
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions are \(3,\): give one per environment, \(2,\)"):
        envs.step(np.zeros(3))
    with pytest.raises(ValueError, match="actions span -1 to 0"):
        envs.step(np.array([0, -1]))
    with pytest.raises(ValueError, match="num_envs is 0"):
        CheeseMazeVectorEnv(0, num_levels=2)
    with pytest.raises(
        ValueError, match="autoreset_mode is 'Never': give one of NextStep, SameStep, Disabled"
    ):
        vector(autoreset_mode="Never")
