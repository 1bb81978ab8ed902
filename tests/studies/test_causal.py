"""Causal shares on a really trained, small agent."""

import numpy as np
import pytest
import torch

from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_goals import MazeBehaviour
from goalcut.agents.behaviour import ExactBehaviour
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import CheeseInCorner
from goalcut.studies.causal import causal_shares, measure_gradients, module_shares_of, path_gradients

NAMES = ("corner_reach", "cheese_from_corner")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Judge, torch.Tensor, torch.Tensor]:
    threads = torch.get_num_threads()
    settings = TrainSettings(
        world=CheeseInCorner(size=5, corner_size=3),
        ppo=PPOSettings(rollouts=20, num_envs=64, num_steps=8, minibatches=4, precision="float32"),
        network="mlp",
        num_levels=64,
        record="none",
        measure_every=0,
        threads=1,
    )
    run = Run.create(tmp_path_factory.mktemp("causal") / "run", settings)
    train(run)
    torch.set_num_threads(threads)
    behaviour = ExactBehaviour.of_world(settings.world, 12, seed=0, split="test")
    theta_0, theta = run.parameters_after(0), run.parameters_after()
    return Judge(run.network(), MazeBehaviour(behaviour), theta_0, theta), theta_0, theta


def test_shares_along_the_path_add_up_to_what_training_added(judge) -> None:
    judged, theta_0, theta = judge
    gradients = path_gradients(judged, theta_0, theta, NAMES, 32).double().numpy()
    added = np.array([float(judged.trained[n].mean() - judged.untrained[n].mean()) for n in NAMES])
    assert gradients @ (theta - theta_0).double().numpy() == pytest.approx(added, abs=0.02)


def test_a_share_at_the_end_says_what_a_small_cut_does(judge) -> None:
    judged, theta_0, theta = judge
    gradient = measure_gradients(judged, theta, NAMES).double().numpy()
    moved = theta - theta_0
    u = moved / moved.norm()
    shares = causal_shares(u.double().numpy()[None], moved.double().numpy(), gradient, np.ones(2))[0]
    dose = 1e-3
    cut = judged.measure(theta - dose * moved)
    change = [float(judged.trained[name].mean() - cut[name].mean()) / dose for name in NAMES]
    assert shares == pytest.approx(change, rel=0.05, abs=1e-3)


def test_shares_of_modules_add_up_to_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    vectors, moved, gradients = (
        rng.standard_normal((3, 10)),
        rng.standard_normal(10),
        rng.standard_normal((2, 10)),
    )
    first = np.arange(10) < 4
    parts = [module_shares_of(vectors, moved, gradients, np.ones(2), inside) for inside in (first, ~first)]
    assert parts[0] + parts[1] == pytest.approx(causal_shares(vectors, moved, gradients, np.ones(2)))
