"""Lenses at several times of training, on a small maze agent and a small classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.linear import Linear, plain_linear
from goalcut.agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.analysis.ansatz_lens import AnsatzSettings
from goalcut.analysis.channels_lens import ChannelsSettings
from goalcut.analysis.coefficient_through_training import CoefficientSettings, sampling_of, steepest
from goalcut.analysis.curvature_lens import CurvatureSettings
from goalcut.analysis.directions import Directions
from goalcut.analysis.features_lens import FeaturesSettings
from goalcut.analysis.through_training import Course, generalization, look_through_training, times_of
from goalcut.envs.worlds import CheeseInCorner

FEW = CoefficientSettings(levels=4, burn_in=2, draws=10)


@pytest.fixture(scope="module")
def maze(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = TrainSettings(
        world=CheeseInCorner(size=5, corner_size=2),
        ppo=PPOSettings(rollouts=5, num_envs=8, num_steps=8, epochs=1, minibatches=2, precision="float32"),
        network="mlp",
        num_levels=16,
        time_limit=10,
        record="none",
        measure_every=0,
        threads=1,
    )
    run = Run.create(tmp_path_factory.mktemp("course") / "maze", settings)
    train(run)
    return run


@pytest.fixture(scope="module")
def digits(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> DigitRun:
    settings = DigitSettings(
        hidden=(12,),
        epochs=1,
        batch_size=32,
        learning_rate=0.1,
        record="none",
        checkpoint_every=4,
        measure_every=0,
        data_dir=few_digits,
        threads=1,
    )
    run = DigitRun.create(tmp_path_factory.mktemp("course") / "digits", settings)
    train_digits(run)
    return run


def test_times_are_spread_over_the_checkpoints_from_first_to_last(maze: Run, digits: DigitRun) -> None:
    assert times_of(maze, 6) == [0, 1, 2, 3, 4, 5]
    assert times_of(digits, 6) == [0, 4, 8, 12, 16, 20]
    four = times_of(digits, 4)
    assert (len(four), four[0], four[-1]) == (4, 0, 20)
    for count in (3, 7):
        with pytest.raises(ValueError, match=f"through_training is {count}: give 4 to 6"):
            times_of(maze, count)


def test_times_of_uneven_checkpoints_are_as_many_as_asked(maze: Run, tmp_path: Path) -> None:
    uneven = Run.create(tmp_path / "uneven", maze.settings)
    for time in (0, 1, 2, 3, 50):
        uneven.save_checkpoint(time, maze.network(0))
    assert times_of(uneven, 5) == [0, 1, 2, 3, 50]
    assert times_of(uneven, 4) == [0, 1, 3, 50]


def test_independent_features_stand_beside_what_is_recognised_at_each_time(digits: DigitRun) -> None:
    course = Course(digits, [0, 4, 12, 20], inputs=80)
    found = look_through_training(course, FeaturesSettings())
    assert found["times"] == [0, 4, 12, 20]
    assert found["time_unit"] == "update"
    assert "env_steps" not in found
    assert found["measured"] == "accuracy on test images"
    reached = found["generalization"]
    assert reached[0] < 0.3 < reached[-1]
    assert reached == list(generalization(course)[1].values())
    counts = found["layers"]["1"]["given"]["participation"]
    assert len(counts) == 4
    assert counts[0] != counts[-1]
    assert set(found["rank_correlation"]) == {"1", "3"}


def test_of_mazes_the_paid_goal_on_held_out_levels_is_what_generalizes(maze: Run) -> None:
    measured, reached = generalization(Course(maze, [0, 5]), levels=6)
    assert measured == "cheese_from_corner"
    assert all(0 < value < 1 for value in reached.values())
    assert reached[0] != reached[5]


def test_the_ansatz_has_a_row_per_time_and_function(digits: DigitRun) -> None:
    course = Course(digits, [0, 4, 12, 20], inputs=30)
    found = look_through_training(course, AnsatzSettings(layers=("3",), of=("loss", "policy"), draws=2))
    assert [(row["time"], row["of"]) for row in found["rows"]] == [
        (time, of) for time in course.times for of in ("loss", "policy")
    ]
    # At θ_0 the layer is its own initial one.
    same = [row["cosine_1"] == pytest.approx(row["initial_1"]) for row in found["rows"]]
    assert same[:2] == [True, True]
    assert not any(same[2:])


def test_the_coefficient_of_a_maze_is_of_its_regret_with_one_step_size_for_all_times(maze: Run) -> None:
    course = Course(maze, [0, 2, 3, 5], inputs=20)
    found = look_through_training(course, CurvatureSettings(), FEW)
    assert found["landscape"] == "regret on training levels"
    assert found["env_steps"] == [0, 128, 192, 320]
    assert [row["time"] for row in found["rows"]] == course.times
    assert all(0 < row["loss"] <= 1 and row["samples"] == 4 for row in found["rows"])
    assert len({row["step_size"] for row in found["rows"]}) == 1
    assert "met" not in found["staircases"]


def test_turns_of_saved_profiles_are_held_against_steps_of_the_coefficient(maze: Run, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "analysed", maze.settings)
    for time in maze.checkpoints:
        run.save_checkpoint(time, maze.network(time))
    (run.directory / "analysis").mkdir()
    profiles = np.array([[0.0, 0.0, 0.0, 5.0, 5.0], [1.0, 2.0, 1.0, 2.0, 1.0]]).T
    Directions(np.eye(2, 9), np.ones(2), profiles).save(run.directory / "analysis" / "directions.safetensors")
    found = look_through_training(Course(run, times_of(run, 6), inputs=20), CurvatureSettings(), FEW)
    assert found["staircases"]["met"]["turns"] == 1


def test_the_coefficient_of_a_classifier_is_of_its_loss(digits: DigitRun) -> None:
    found = look_through_training(Course(digits, [0, 4, 12, 20], inputs=64), CurvatureSettings(), FEW)
    assert found["landscape"] == "loss on training inputs"
    losses = [row["loss"] for row in found["rows"]]
    assert losses[0] == pytest.approx(2.3, abs=0.3)
    assert losses[-1] < losses[0]
    assert all(row["samples"] == 64 for row in found["rows"])


def test_the_steepest_direction_goes_through_all_layers_of_a_network() -> None:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(Linear(3, 4), nn.Tanh(), Linear(4, 2))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    inputs = torch.randn(20, 3, generator=generator)
    layout, theta = parameter_layout(network), flat_parameters(network)

    def losses(theta: torch.Tensor, some: torch.Tensor) -> torch.Tensor:
        given = functional_call(network, named_parameters_of(theta, layout), (inputs[some],))
        return (given**2).sum(1)

    with plain_linear():
        dense = torch.autograd.functional.hessian(lambda at: losses(at, torch.arange(20)).mean(), theta)
    values = torch.linalg.eigvalsh(torch.as_tensor(dense))
    assert steepest(losses, theta, 20, iterations=40) == pytest.approx(float(values.abs().max()), rel=0.02)


def test_the_steepest_direction_of_a_bowl_is_its_largest_eigenvalue() -> None:
    values = torch.tensor([5.0, -3.0, 0.5, 0.0])

    def losses(theta: torch.Tensor, some: torch.Tensor) -> torch.Tensor:
        return (0.5 * (values * theta**2).sum()).expand(len(some))

    theta = torch.zeros(4)
    assert steepest(losses, theta, 7) == pytest.approx(5, rel=0.01)
    # One γ and ε for a steep and a flat time: those of the steep one.
    flat = lambda theta, some: losses(0.1 * theta, some)  # noqa: E731
    settings = CoefficientSettings(localization=0.5, step_size=1.0)
    sampling = sampling_of({0: (flat, theta), 1: (losses, theta)}, 7, settings)
    n_beta = 7 / np.log(7)
    assert sampling.localization == pytest.approx(0.5 * n_beta * 5, rel=0.01)
    assert sampling.step_size == pytest.approx(1 / (1.5 * n_beta * 5), rel=0.01)


def test_what_does_not_fit_is_refused(maze: Run) -> None:
    with pytest.raises(ValueError, match="settings are ChannelsSettings: ansatz, curvature, features tell"):
        look_through_training(Course(maze, [0]), ChannelsSettings())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="levels is 2: give at least 3"):
        CoefficientSettings(levels=2)
    with pytest.raises(ValueError, match=r"step_size is 4\.0: give a number above 0 and below 4"):
        CoefficientSettings(step_size=4.0)
    theta = torch.ones(3)
    constant = lambda theta, some: (theta * 0).sum().expand(len(some))  # noqa: E731
    with pytest.raises(ValueError, match="the loss has a largest curvature of 0"):
        sampling_of({0: (constant, theta)}, 5, FEW)
