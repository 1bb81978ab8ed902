"""Stars and cheese: what lies where in each phase, what vanishes and pays, and when training draws what."""

from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import (
    CheeseMaze,
    Levels,
    StarsAndCheese,
    ascii,
    distances,
    make_levels,
    observations,
    plane_names,
)
from goalcut.envs.levels import ABSENT
from goalcut.envs.world import Phase

BY_TURNS = ("cheese_first", "star_first", "alternating")
LAYOUTS = ["tree", "braid", "blocks", "rooms", "open"]


class StarRules:
    """What is taken pays and vanishes; the end is up to `ends`."""

    def arrive(self, mouse) -> float:
        pay = {"cheese": mouse.world.cheese_reward, "star": mouse.world.star_reward}
        new = [name for name in pay if mouse.on(name) and name not in mouse.taken]
        mouse.taken.update(new)
        return sum(pay[name] for name in new)

    def over(self, mouse) -> bool:
        present = {name for name, cells in mouse.level.things.items() if cells}
        return bool(mouse.taken) if mouse.world.ends == "any" else mouse.taken == present

    def looks(self, mouse) -> list[tuple[str, str]]:
        planes = {"cheese": "cheese", "star": "cheese" if mouse.world.star_looks_like_cheese else "star"}
        return [(plane, name) for name, plane in planes.items() if name not in mouse.taken]


def apart(levels: Levels) -> np.ndarray:
    """Steps from cheese to star."""
    steps = distances(levels.walls, levels.cheese)
    return steps[np.arange(len(levels)), levels.places["star"][:, 0]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("start", ["random", "bottom_left"])
def test_star_and_cheese_lie_where_the_distribution_says(layout: str, start: str) -> None:
    def made(distribution: str, **settings) -> Levels:
        world = StarsAndCheese(size=7, layout=layout, start=start, **settings)
        levels = make_levels(world, 200, seed=0, distribution=distribution)
        for name in ("cheese", "star"):
            assert not (levels.mouse == levels.places[name][:, 0]).any()
        return levels

    assert set(apart(made("training", schedule="correlated", beside=2))) == {1, 2}
    assert apart(made("shifted", beside=2)).min() == 3
    both = apart(made("training"))
    assert both.min() == 1
    assert both.max() > 6
    for here, gone in (("cheese", "star"), ("star", "cheese")):
        for schedule in ("together", *BY_TURNS):
            alone = made(f"{here}_only", schedule=schedule)
            assert (alone.places[gone] == ABSENT).all()
            assert (alone.places[here] >= 0).all()


def test_mixed_levels_have_cheese_star_or_both_in_thirds() -> None:
    levels = make_levels(StarsAndCheese(schedule="mixed"), 3000, seed=0)
    cheese, star = (levels.places[name][:, 0] != ABSENT for name in ("cheese", "star"))
    assert (cheese | star).all()
    for share in ((cheese & ~star).mean(), (star & ~cheese).mean(), (star & cheese).mean()):
        assert 0.3 < share < 0.37


@pytest.mark.parametrize("schedule", BY_TURNS)
def test_training_levels_of_a_schedule_by_turns_have_either_alone_as_often(schedule: str) -> None:
    levels = make_levels(StarsAndCheese(schedule=schedule), 2000, seed=0)  # type: ignore[arg-type]
    cheese, star = (levels.places[name][:, 0] != ABSENT for name in ("cheese", "star"))
    assert np.array_equal(cheese, ~star)
    assert abs(cheese.mean() - 0.5) < 3 * 0.5 / np.sqrt(2000)


def test_phases_of_one_seed_share_mazes_and_places() -> None:
    world = StarsAndCheese(schedule="cheese_first", start="random")
    both, cheese, star = (
        make_levels(world, 100, seed=3, distribution=name) for name in ("shifted", "cheese_only", "star_only")
    )
    assert np.array_equal(cheese.walls, star.walls)
    assert np.array_equal(cheese.mouse, star.mouse)
    assert np.array_equal(both.walls, star.walls)


@pytest.mark.parametrize("schedule", ["together", "alternating", "correlated"])
def test_ood_share_mixes_levels_with_both_into_every_phase(schedule: str) -> None:
    world = StarsAndCheese(size=7, start="random", schedule=schedule, ood_share=0.3)  # type: ignore[arg-type]
    for name in {phase.distribution for phase in world.phases}:
        levels = make_levels(world, 1500, seed=0, distribution=name)
        both = (levels.cheese != ABSENT) & (levels.places["star"][:, 0] != ABSENT)
        if schedule == "alternating":
            assert abs(both.mean() - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 1500)
        else:
            assert both.all()
        if schedule == "correlated":
            assert abs((apart(levels) > 1).mean() - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 1500)


@pytest.mark.parametrize("looks", [True, False])
def test_a_star_shows_on_the_plane_of_the_cheese_or_on_its_own_and_vanishes_when_taken(looks: bool) -> None:
    world = StarsAndCheese(size=5, star_looks_like_cheese=looks)
    level = ascii.parse("CMS\n###\n###", StarsAndCheese(size=5))
    levels = Levels.of([level], world)
    assert plane_names(world) == ("walls", "mouse", "cheese") + (() if looks else ("star",))

    def seen(planes) -> tuple[list[int], list[int]]:
        """The top row of the plane of the cheese, and of that of the star."""
        return planes[0, 2, 0].tolist(), planes[0, -1, 0].tolist()

    assert seen(observations(levels)) == (([1, 0, 1], [1, 0, 1]) if looks else ([1, 0, 0], [0, 0, 1]))
    env = CheeseMaze(levels, 1, seed=0)
    step = env.step(torch.tensor([3]))
    assert seen(step.observations) == (([1, 0, 0], [1, 0, 0]) if looks else ([1, 0, 0], [0, 0, 0]))
    assert step.rewards.tolist() == [1.0]
    env.step(torch.tensor([2]))
    assert env.step(torch.tensor([3])).rewards.tolist() == [0.0], "a star pays once"
    env.step(torch.tensor([2]))
    step = env.step(torch.tensor([2]))
    assert step.rewards.tolist() == [1.0]
    assert step.terminated.tolist() == [True]


def test_one_alone_ends_the_episode_however_episodes_end() -> None:
    world = StarsAndCheese(size=5, ends="all")
    env = CheeseMaze(Levels.of([ascii.parse("..S\n.#M\n.#.", world)], world), 1, seed=0)
    assert env.step(torch.tensor([0])).terminated.tolist() == [True]
    assert env.step(torch.tensor([0])).terminated.tolist() == [True], (
        "and the next one begins as the first did"
    )


@pytest.mark.parametrize("distribution", ["training", "shifted", "cheese_only", "star_only"])
@pytest.mark.parametrize("ends", ["any", "all"])
@pytest.mark.parametrize("settings", [{}, {"star_looks_like_cheese": True, "schedule": "correlated"}])
def test_random_play_agrees_with_a_plain_mouse(
    play_beside, distribution: str, ends: str, settings: dict
) -> None:
    world = StarsAndCheese(
        size=5,
        start="random",
        ends=ends,  # type: ignore[arg-type]
        cheese_reward=0.75,
        star_reward=-0.5,
        **settings,
    )
    seen = play_beside(StarRules(), world, distribution)
    assert seen["over"] > 0
    assert seen["cut off"] > 0
    if ends == "all" and distribution in ("training", "shifted"):
        assert seen["taken"] > 0


@pytest.mark.parametrize(
    "world",
    [
        StarsAndCheese(size=7, start="random", star_reward=0.5),
        StarsAndCheese(size=7, start="random", ends="any", star_reward=0.25, schedule="correlated"),
        StarsAndCheese(
            size=7, start="random", schedule="alternating", star_looks_like_cheese=True, layout="open"
        ),
    ],
    ids=["together", "correlated", "alternating"],
)
def test_exact_measures_are_those_of_sampled_episodes(
    assert_measures_are_those_of_sampled_episodes, world: StarsAndCheese
) -> None:
    assert_measures_are_those_of_sampled_episodes(world)


def test_schedules_are_these_phases() -> None:
    cheese, star = "cheese_only", "star_only"
    assert StarsAndCheese().phases == (Phase(1.0, "training"),)
    assert StarsAndCheese(schedule="correlated").phases == (Phase(1.0, "training"),)
    assert StarsAndCheese(schedule="cheese_first").phases == (Phase(0.5, cheese), Phase(1.0, star))
    assert StarsAndCheese(schedule="star_first").phases == (Phase(0.5, star), Phase(1.0, cheese))
    turns = StarsAndCheese(schedule="alternating", alternations=3).phases
    assert [phase.distribution for phase in turns] == [cheese, star] * 3
    assert [phase.until for phase in turns] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert turns[-1].until == 1.0


def settings_of(world: StarsAndCheese) -> TrainSettings:
    return TrainSettings(
        world=world,
        ppo=PPOSettings(rollouts=8, num_envs=16, num_steps=12, epochs=1, minibatches=1),
        network="mlp",
        num_levels=32,
        time_limit=10,
        record="none",
        save_every=2,
        measure_every=0,
        threads=1,
    )


@pytest.mark.parametrize("schedule", ["together", *BY_TURNS])
@pytest.mark.parametrize("stop", [None, 1, 3, 5])
def test_every_rollout_draws_levels_of_its_phase_also_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str, stop: int | None
) -> None:
    world = StarsAndCheese(size=5, start="random", schedule=schedule)  # type: ignore[arg-type]
    collect, drawn = PPO.collect, {}

    def noting(ppo: PPO):
        """Collect, and note what the levels of episodes have that began in this rollout."""
        number = ppo.rollouts_done
        found = collect(ppo)
        env, things = ppo.env.state(), set()
        for level in env["level"][env["elapsed"] < 12].tolist():
            first = ppo.env._first[level].view(4, -1)  # its first observation
            things.add(tuple(name for name, plane in (("cheese", 2), ("star", 3)) if first[plane].any()))
        drawn[number] = things
        return found

    monkeypatch.setattr(PPO, "collect", noting)
    settings = settings_of(world)
    if stop is not None:

        def interrupt(record: dict) -> None:
            if record["rollout"] == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(Run.create(tmp_path, settings), on_rollout=interrupt)
        for number in list(drawn):
            if number >= stop - stop % 2:  # what the resumed run does again
                del drawn[number]
    train(Run.create(tmp_path, settings))
    cheese, star = {("cheese",)}, {("star",)}
    expected = {
        "together": [{("cheese", "star")}] * 8,
        "cheese_first": [cheese] * 4 + [star] * 4,
        "star_first": [star] * 4 + [cheese] * 4,
        "alternating": ([cheese] * 2 + [star] * 2) * 2,
    }[schedule]
    assert [drawn[number] for number in range(8)] == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cheese_reward": 0.0, "star_reward": -1.0},
            "cheese_reward is 0.0 and star_reward -1.0: give one above 0",
        ),
        ({"star_reward": float("nan")}, "star_reward is nan: give a finite number"),
        ({"ends": "both"}, "ends is 'both': give 'any' or 'all'"),
        ({"schedule": "stars"}, "schedule is 'stars': give one of together, cheese_first"),
        ({"alternations": 0}, "alternations is 0: give at least 1"),
        ({"beside": 0}, "beside is 0: give 1 to 8 steps"),
        ({"beside": 9}, "beside is 9: give 1 to 8 steps"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StarsAndCheese(**settings)
