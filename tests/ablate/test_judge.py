from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from goalcut.ablate.cuts import cut_parameters
from goalcut.ablate.goal import Goal
from goalcut.ablate.judge import DosesPer, Judge
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.ablate.tuned import TuneSettings, optimised_doses, tune_doses
from goalcut.ablate.tuning_loss import TuningLoss
from goalcut.agents.behaviour import ExactBehaviour
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels
from goalcut.envs.generator import Split

WORLD = CheeseInCorner(size=5, corner_size=3)
GOALS = {goal.name: goal for goal in maze_goals(WORLD)}


@pytest.fixture(scope="module")
def agent() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """θ_0 and θ of a small agent really trained, and the directions that training moved it along, by stages."""
    # Long enough that it seeks the cheese, too: what training left as it was has no retention.
    settings = PPOSettings(rollouts=80, num_envs=128, num_steps=16, minibatches=4, precision="float32")
    network = build_network("mlp", (3, 5, 5), 4, seed=0)
    ppo = PPO(
        settings, network, CheeseMaze(make_levels(WORLD, 512, seed=0), 128, seed=0, time_limit=20), seed=0
    )
    stages = [flat_parameters(network)]
    for _ in range(settings.rollouts):
        ppo.learn(ppo.collect()[0])
        stages.append(flat_parameters(network))
    moves = torch.stack(stages[::4]).diff(dim=0)
    return stages[0], stages[-1], torch.linalg.qr(moves.T)[0].T.contiguous()


def judge(agent, levels: int = 40, seed: int = 0, split: Split = "test") -> Judge:
    exact = ExactBehaviour.of_world(WORLD, levels, seed=seed, split=split, time_limit=20)
    network = build_network("mlp", (3, 5, 5), 4, seed=9)
    goals = list(GOALS.values())
    return Judge(network, MazeBehaviour(exact), agent[0], agent[1], goals=goals, resamples=500)


def test_the_trained_agent_retains_all_and_the_untrained_nothing(agent) -> None:
    said = judge(agent)
    for theta, expected in ((agent[1], 1.0), (agent[0], 0.0)):
        verdict = said.judge(theta)
        assert set(verdict.measures) == {measure.name for measure in WORLD.measures}
        for name, kept in verdict.retention.items():
            assert kept == pytest.approx(expected, abs=1e-9), name
        assert verdict.selectivity == pytest.approx({"corner": 0.0, "cheese": 0.0}, abs=1e-9)


def test_retention_and_selectivity_follow_their_formulas(agent) -> None:
    said = judge(agent)
    verdict = said.judge((agent[0] + agent[1]) / 2)
    means = {name: float(value.mean()) for name, value in said.measure((agent[0] + agent[1]) / 2).items()}
    for name, mean in means.items():
        low, high = float(said.untrained[name].mean()), float(said.trained[name].mean())
        assert verdict.retention[name] == pytest.approx((mean - low) / (high - low), abs=1e-6)
    kept = {name: min(max(verdict.retention[name], 0), 1) for name in ("corner_reach", "cheese_from_corner")}
    assert verdict.selectivity["corner"] == pytest.approx(
        kept["cheese_from_corner"] - kept["corner_reach"], abs=1e-9
    )
    assert verdict.selectivity["cheese"] == pytest.approx(-verdict.selectivity["corner"], abs=1e-9)


def test_intervals_cover_the_mean_and_narrow_with_more_levels(agent) -> None:
    theta = agent[0] + 0.7 * (agent[1] - agent[0])
    widths = []
    for levels in (15, 240):
        verdict = judge(agent, levels).judge(theta)
        for name, (low, high) in verdict.intervals.items():
            assert low <= verdict.measures[name] <= high
        low, high = verdict.retention_intervals["corner_reach"]
        assert low <= verdict.retention["corner_reach"] <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_intervals_agree_with_the_standard_error(agent) -> None:
    said = judge(agent, 240)
    value = said.measure(agent[1])["corner_first"]
    row = said.summary({"corner_first": value})["corner_first"]
    error = float(value.std() / np.sqrt(240))
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * error, rel=0.15)


@pytest.mark.parametrize(
    ("doses_per", "least"), [("direction", 0.0), ("parameter", 0.0), ("unit", 0.0), ("unit", -0.5)]
)
@pytest.mark.parametrize("goal", ["corner", "cheese"])
def test_tuned_doses_remove_more_of_one_goal_than_of_the_other(
    agent, goal: str, doses_per: DosesPer, least: float
) -> None:
    theta_0, theta, vectors = agent
    tuners = [judge(agent, 20, seed, "tune") for seed in range(2)]
    losses: list[float] = []
    settings = TuneSettings(
        steps=40,
        learning_rate=0.1,
        norm_budget=10.0,
        doses_per=doses_per,
        least_dose=least,
        guarding=(1.0, 1.0),  # losses of all steps compare
    )
    (doses,) = tune_doses(
        tuners,
        theta,
        theta_0,
        vectors,
        [GOALS[goal]],
        settings,
        on_step=lambda step, loss: losses.append(loss),
    )
    parts = tuners[0].parts(doses_per)
    assert doses.shape == ((len(vectors),) if doses_per == "direction" else (len(vectors), len(parts)))
    assert tuners[0].parts_of(doses) == parts
    assert least <= float(doses.min()) <= float(doses.max()) <= 1
    assert bool((doses < 0).any()) == (least < 0)
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    cut = cut_parameters(theta, theta_0, vectors, doses, parts)
    assert judge(agent).judge(cut).selectivity[goal] > 0.1  # on levels that it was not tuned on


@pytest.mark.parametrize(("learning_rate", "found"), [(0.8, True), (100.0, False)])
def test_tuning_that_breaks_the_agent_begins_again_with_shorter_steps(
    learning_rate: float, found: bool
) -> None:
    def at(step: int, of_goals: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        (doses,) = of_goals.values()
        good = 1 - doses.mean()
        # Beyond 0.6 all is lost, and no gradient leads back.
        loss = torch.where(doses.max() > 0.6, 5 + 0 * good, good)
        return {0: (loss, 0 * doses.sum())}

    (doses,) = optimised_doses([1.0], (4, 2), at, TuneSettings(steps=20, learning_rate=learning_rate))
    assert doses.shape == (4, 2)
    if found:
        assert 0.3 < float(doses.min()) <= float(doses.max()) <= 0.6
    else:
        assert torch.equal(doses, torch.zeros(4, 2))


def test_doses_of_a_slow_part_go_a_share_of_the_way_in_every_step() -> None:
    def at(step: int, of_goals: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        return {number: (2 - doses.mean(), 0 * doses.sum()) for number, doses in of_goals.items()}

    settings, shares = TuneSettings(steps=5, learning_rate=0.1, first_dose=0.0), torch.tensor([1.0, 0.25])
    (doses,) = optimised_doses([2.0], (3, 2), at, settings, shares)
    torch.testing.assert_close(doses[:, 1], doses[:, 0] / 4)
    assert float(doses.min()) > 0


def test_retention_in_tuning_counts_from_where_the_ends_lie_on_the_same_levels(agent) -> None:
    tuners = [judge(agent, 6, seed, "tune") for seed in range(3)]
    loss = TuningLoss(tuners, GOALS["corner"])
    theta_0, theta, _ = agent
    with torch.no_grad():
        kept = {
            at: [loss.retention(tuner.surrogate(point), tuner) for tuner in tuners]
            for at, point in (
                ("untrained", theta_0),
                ("half", torch.lerp(theta_0, theta, 0.5)),
                ("trained", theta),
            )
        }
    assert [one["corner_reach"] for one in kept["untrained"]] == pytest.approx([0.0] * 3, abs=1e-6)
    for name in ("cheese_from_corner", "navigation"):
        assert [one[name] for one in kept["trained"]] == pytest.approx([1.0] * 3, abs=1e-6)
    # Over all of them it is the retention of the means.
    for name in loss.goal.measures:
        low, high, half = (
            torch.cat([tuner.surrogate(point)[name] for tuner in tuners]).mean().detach()
            for point in (theta_0, theta, torch.lerp(theta_0, theta, 0.5))
        )
        assert sum(one[name] for one in kept["half"]) / 3 == pytest.approx(
            float((half - low) / (high - low)), abs=1e-5
        )


def test_goals_tuned_at_once_know_nothing_of_each_other(agent) -> None:
    theta_0, theta, vectors = agent
    tuners = [judge(agent, 20, seed, "tune") for seed in range(2)]
    settings = TuneSettings(steps=12, learning_rate=0.1, precision="float32")
    goals = list(GOALS.values())
    together = tune_doses(tuners, theta, theta_0, vectors, goals, settings)
    for goal, doses in zip(goals, together, strict=True):
        (alone,) = tune_doses(tuners, theta, theta_0, vectors, [goal], settings)
        torch.testing.assert_close(doses, alone, rtol=0, atol=1e-4)
    assert float((together[0] - together[1]).abs().max()) > 0.05


def test_of_goals_tuned_at_once_each_ends_and_begins_again_for_itself() -> None:
    steps: dict[int, int] = {0: 0, 1: 0, 2: 0}

    def at(step: int, of_goals: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        found = {}
        for number, doses in of_goals.items():
            steps[number] += 1
            good = 2 - doses.mean()
            # Goal 0 breaks beyond 0.6, goal 1 never, and of goal 2 nothing is left to gain from 0.3 on.
            broken = (number == 0) & (doses.max() > 0.6)
            loss = (0.3 - doses.mean()).relu() if number == 2 else torch.where(broken, 5 + 0 * good, good)
            found[number] = loss, 0 * doses.sum()
        return found

    settings = TuneSettings(steps=20, learning_rate=0.8)
    breaks, goes_on, done = optimised_doses([2.0, 2.0, 0.3], (4,), at, settings)
    assert 0.3 < float(breaks.max()) <= 0.6
    assert float(goes_on.min()) == 1
    assert float(done.min()) >= 0.3
    # Again from the start; to the end; until there were ten steps of no loss.
    assert steps[0] > 20
    assert steps[1] == 20
    assert steps[2] < 15


def test_an_easy_first_step_does_not_make_tuning_give_up() -> None:
    def at(step: int, of_goals: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        (doses,) = of_goals.values()
        # Every other step's levels are hard: on the first nothing that doses reach is less than on these.
        loss = (2 - doses.mean()) if step % 2 else 0.1 * (1 + (doses.mean() - 0.5).square())
        return {0: (loss, 0 * doses.sum())}

    (doses,) = optimised_doses([(2 + 0.125) / 2], (4,), at, TuneSettings(steps=40, learning_rate=0.1))
    assert float(doses.min()) > 0.5


def test_the_loss_of_no_change_is_the_mean_over_all_levels(agent) -> None:
    tuners = [judge(agent, 6, seed, "tune") for seed in range(3)]
    for goal in GOALS.values():
        loss = TuningLoss(tuners, goal)
        with torch.no_grad():
            of_each = [float(loss(tuner.surrogate(agent[1]), tuner)) for tuner in tuners]
        assert loss.unchanged() == pytest.approx(np.mean(of_each), abs=1e-6)
        # Where nothing is lost the goal to remove is whole, over all levels.
        assert loss.unchanged() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("steps", 0), ("learning_rate", 0.0), ("first_dose", 1.5), ("least_dose", -2.0), ("warm_up", 1.1)],
)
def test_a_setting_of_tuning_out_of_range_is_named(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"tune\.{setting} is {value}: give a"):
        TuneSettings(**{setting: value})


def test_what_has_a_dose_is_one_of_three_and_told_by_the_number_of_doses(agent) -> None:
    with pytest.raises(
        ValueError, match=r"tune\.doses_per is 'layer': give one of direction, parameter, unit"
    ):
        TuneSettings(doses_per="layer")  # type: ignore[arg-type]
    of = judge(agent)
    for doses_per in get_args(DosesPer):
        parts = of.parts(doses_per)
        assert of.parts_of(torch.zeros(2, len(parts)) if parts else torch.zeros(2)) == parts
    doses = torch.zeros(2, 3)  # of another network
    with pytest.raises(ValueError, match=r"dose is of shape \(2, 3\)"):
        cut_parameters(agent[1], agent[0], agent[2][:2], doses, of.parts_of(doses))


def test_the_learning_rate_rises_and_then_falls_to_nothing() -> None:
    settings = TuneSettings(steps=20, warm_up=0.25)
    rates = [settings.rate_at(step) for step in range(20)]
    assert rates[:5] == pytest.approx([of / 5 * (1 - (of - 1) / 20) for of in range(1, 6)])
    assert rates[5:] == pytest.approx([1 - step / 20 for step in range(5, 20)])
    assert replace(settings, warm_up=0.0).rate_at(0) == 1


def test_guards_weigh_more_from_step_to_step() -> None:
    settings = TuneSettings(steps=5, guarding=(0.5, 1.5))
    assert [settings.guarding_at(step) for step in range(5)] == [0.5, 0.75, 1.0, 1.25, 1.5]
    assert TuneSettings(steps=1).guarding_at(0) == TuneSettings().guarding[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"precision": "float16"}, r"tune\.precision is 'float16': give one of auto, bfloat16, float32"),
        ({"guarding": (-1.0, 1.0)}, r"tune\.guarding is \(-1.0, 1.0\): give two factors"),
        ({"guard_floor": 1.5}, r"tune\.guard_floor is 1\.5: give a retention above 0, up to 1"),
    ],
)
def test_settings_of_tuning_that_cannot_be_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TuneSettings(**wrong)


def test_a_guard_counts_as_often_as_is_said(agent) -> None:
    of, theta_0 = judge(agent, 20), agent[0]
    loss, guard = TuningLoss([of], GOALS["corner"]), GOALS["corner"].guard["navigation"]
    with torch.no_grad():
        measured = of.surrogate(theta_0)
    left_out, once, twice = (float(loss(measured, of, guarding)) for guarding in (0.0, 1.0, 2.0))
    half_way = float(TuningLoss([of], GOALS["corner"], guard_floor=0.5)(measured, of))
    # The untrained agent has lost all of it, and of the goal to keep.
    assert (left_out, once, twice) == pytest.approx((1, 1 + guard, 1 + 2 * guard))
    assert half_way == pytest.approx(1 + 0.5 * guard)


def test_measures_asked_for_by_name_are_those_of_all(agent) -> None:
    said, theta = judge(agent), (agent[0] + agent[1]) / 2
    every = said.surrogate(theta)
    for names in (["corner_reach"], ["navigation", "cheese_return"]):
        some = said.surrogate(theta, names)
        assert list(some) == [name for name in every if name in names]
        for name, values in some.items():
            torch.testing.assert_close(values, every[name])


def test_retention_alone_is_that_of_the_verdict(agent) -> None:
    said, theta = judge(agent), (agent[0] + agent[1]) / 2
    assert said.retention(theta) == said.judge(theta).retention


def test_nothing_is_measured_before_it_is_asked_for_nor_twice(agent, monkeypatch) -> None:
    asked: list[str] = []
    measure = Judge.measure_network

    def counted(self, network):
        asked.append("once more")
        return measure(self, network)

    monkeypatch.setattr(Judge, "measure_network", counted)
    said = judge(agent, 8)
    said.surrogate_ends  # noqa: B018 all that tuning asks of it
    assert not asked
    half = torch.lerp(agent[0], agent[1], 0.5)
    kept = said.retention(half)
    assert len(asked) == 3  # and of the untrained and the trained agent
    kept["navigation"] = -1.0
    assert said.retention(half.clone())["navigation"] != -1.0
    said.judge(half)
    said.judge(half.clone())
    assert len(asked) == 4


def test_parameters_of_another_network_are_refused_at_once(agent) -> None:
    with pytest.raises(ValueError, match="another network"):
        judge((agent[0], agent[1][:-1], agent[2]))


def test_a_convolutional_agent_is_judged_as_its_plain_passes_are() -> None:
    networks = [build_network("conv", (3, 5, 5), 4, seed=seed) for seed in range(2)]
    with torch.no_grad():
        networks[1].actor.weight *= 300
    behaviour = MazeBehaviour(ExactBehaviour.of_world(WORLD, 20, seed=0, split="test", time_limit=20))
    said = Judge(networks[0], behaviour, *map(flat_parameters, networks))
    with torch.no_grad():
        plainly = behaviour.measure(networks[1])
    for name, value in said.trained.items():
        torch.testing.assert_close(value, plainly[name].double(), atol=1e-5, rtol=0)


def test_doses_tuned_in_bfloat16_are_near_those_in_float32(agent) -> None:
    tuners = [judge(agent, 40, split="tune")]
    doses = [
        tune_doses(
            tuners,
            agent[1],
            agent[0],
            agent[2],
            [GOALS["corner"]],
            # Short steps: with long ones rounding decides which way single doses go.
            TuneSettings(steps=20, learning_rate=0.03, precision=precision),
        )[0]
        for precision in ("float32", "bfloat16")
    ]
    moved = doses[0] - TuneSettings().first_dose
    assert 0 < (doses[1] - doses[0]).norm() < 0.1 * moved.norm()


def test_a_goal_of_an_unknown_measure_is_named(agent) -> None:
    star = Goal("star", remove="star_reach", keep=("corner_reach",))
    said = r"goal 'star' names the measure 'star_reach': give one of corner_reach, corner_first"
    with pytest.raises(ValueError, match=said):
        tune_doses([judge(agent)], agent[1], agent[0], agent[2], [star], TuneSettings())
    with pytest.raises(ValueError, match=said):
        Judge(judge(agent).network, judge(agent).behaviour, agent[0], agent[1], goals=[star])


def test_selectivity_is_the_mean_kept_less_what_is_left_of_the_removed() -> None:
    goal = Goal("a", remove="a", keep=("b", "c"), guard={"d": 0.5})
    kept = {name: torch.tensor(value) for name, value in (("a", 0.2), ("b", 1.4), ("c", 0.5), ("d", 0.0))}
    assert float(goal.selectivity(kept)) == pytest.approx((1.0 + 0.5) / 2 - 0.2)


@pytest.mark.parametrize(
    ("keep", "said"), [((), "keep of goal 'a' is empty"), (("a", "b"), "both removes and")]
)
def test_a_goal_that_keeps_nothing_or_itself_is_refused(keep: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Goal("a", remove="a", keep=keep)
