import numpy as np
import pytest
import torch

from goalcut.ablate.judge import Judge
from goalcut.ablate.tuned import TuneSettings, tune_doses
from goalcut.agents.behaviour import MEASURES, ExactBehaviour
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.envs import CheeseMaze, LevelSettings, make_levels

WORLD = LevelSettings(size=5, corner_size=3)


@pytest.fixture(scope="module")
def agent() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """θ_0 and θ of a small agent really trained, and the directions that training moved it along, by stages."""
    settings = PPOSettings(rollouts=40, num_envs=64, num_steps=16, minibatches=4, precision="float32")
    network = build_network("mlp", (3, 5, 5), 4, seed=0)
    ppo = PPO(
        settings, network, CheeseMaze(make_levels(WORLD, 512, seed=0), 64, seed=0, time_limit=20), seed=0
    )
    stages = [flat_parameters(network)]
    for _ in range(settings.rollouts):
        ppo.learn(ppo.collect()[0])
        stages.append(flat_parameters(network))
    moves = torch.stack(stages[::2]).diff(dim=0)
    return stages[0], stages[-1], torch.linalg.qr(moves.T)[0].T.contiguous()


def judge(agent, levels: int = 40, seed: int = 0) -> Judge:
    behaviour = ExactBehaviour.of_world(WORLD, levels, seed=seed, split="test", time_limit=20)
    return Judge(build_network("mlp", (3, 5, 5), 4, seed=9), behaviour, agent[0], agent[1], resamples=500)


def test_the_trained_agent_retains_all_and_the_untrained_nothing(agent) -> None:
    said = judge(agent)
    for theta, expected in ((agent[1], 1.0), (agent[0], 0.0)):
        verdict = said.judge(theta)
        assert set(verdict.measures) == set(MEASURES)
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


@pytest.mark.parametrize("goal", ["corner", "cheese"])
def test_tuned_doses_remove_more_of_one_goal_than_of_the_other(agent, goal: str) -> None:
    theta_0, theta, vectors = agent
    tuners = [
        Judge(
            build_network("mlp", (3, 5, 5), 4, seed=9),
            ExactBehaviour.of_world(WORLD, 20, seed=seed, split="tune", time_limit=20),
            theta_0,
            theta,
        )
        for seed in range(2)
    ]
    losses: list[float] = []
    settings = TuneSettings(steps=40, norm_budget=10.0)
    doses = tune_doses(
        tuners,
        theta,
        theta_0,
        vectors,
        goal,  # type: ignore[arg-type]
        settings,
        on_step=lambda step, loss: losses.append(loss),
    )
    assert doses.shape == (len(vectors),)
    assert 0 <= float(doses.min()) <= float(doses.max()) <= 1
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    cut = theta - (doses * (vectors @ (theta - theta_0))) @ vectors
    assert judge(agent).judge(cut).selectivity[goal] > 0.1  # on levels that it was not tuned on


def test_an_unknown_goal_is_named(agent) -> None:
    with pytest.raises(ValueError, match="removes is 'star': give"):
        tune_doses([judge(agent)], agent[1], agent[0], agent[2], "star", TuneSettings())  # type: ignore[arg-type]
