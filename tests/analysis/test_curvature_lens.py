"""The lens of curvature on a bowl whose spectrum is known, on a small classifier and on a small maze agent."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from goalcut.agents.run import Run
from goalcut.analysis.ansatz_lens import AnsatzSettings, ansatz
from goalcut.analysis.coefficient_through_training import (
    coefficients_through_training,
    regret_losses,
    staircases,
)
from goalcut.analysis.curvature_lens import CurvatureSettings, curvature
from goalcut.analysis.lanczos_eigenpairs import eigenpairs
from goalcut.analysis.learning_coefficient import SGLDSettings
from goalcut.analysis.subject import Subject, subject_of

QUICK = CurvatureSettings(
    eigenpairs=3,
    bottom=1,
    probes=2,
    steps=8,
    trace_probes=3,
    rank_inputs=4,
    measured=1,
    chains=2,
    burn_in=5,
    draws=10,
)


class Point(nn.Module):
    """Gives its parameter for every input."""

    def __init__(self, theta: torch.Tensor):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.theta.expand(len(inputs), -1)


def bowl(values: torch.Tensor, theta: torch.Tensor) -> Subject:
    network = Point(theta).eval().requires_grad_(False)
    return Subject(
        "bowl",
        network,
        network,
        torch.zeros(6, 1, dtype=theta.dtype),
        {},
        {"theta": lambda given: given},
        lambda given, targets: 0.5 * (values * given**2).sum(1),
    )


def classifier() -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = (
            nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval().requires_grad_(False)
        )
    inputs = torch.randn(11, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    label = torch.arange(11) % 3
    return Subject(
        "made",
        network,
        network,
        inputs,
        {"label": label},
        {"logits": lambda given: given},
        lambda given, targets: functional.cross_entropy(given, targets["label"], reduction="none"),
        labels={"digit": label},
    )


def test_a_bowl_at_its_minimum_has_every_figure_that_its_eigenvalues_say():
    values = torch.cat([torch.tensor([8.0, 4.0, 2.0]), torch.zeros(20)]).double()
    found = curvature(bowl(values, torch.zeros(23).double()), replace(QUICK, draws=200, burn_in=30))
    figures = found.figures
    np.testing.assert_allclose(figures["hessian"]["top"]["values"], [8, 4, 2], atol=1e-6)
    for pairs in (figures["hessian"]["top"], figures["gauss_newton"]["loss"]["top"]):
        assert pairs["converged"] == [True] * 3
        assert pairs["all_converged"]
        assert max(pairs["residuals"]) <= 1e-4
    assert figures["hessian"]["trace"]["value"] == pytest.approx(14)
    assert figures["minimum"]["is_one"]
    assert figures["difference"]["share"] == pytest.approx(0, abs=1e-12)
    spectrum = figures["spectrum"]["loss"]
    assert [rank for rank, _ in spectrum["rank"]] == pytest.approx([3] * 5)
    assert spectrum["effective_dimension"][0][0] == pytest.approx(8 / 8.8 + 4 / 4.8 + 2 / 2.8)
    assert spectrum["log_volume"][-1][0] == pytest.approx(-0.5 * np.log(64))
    coefficient = figures["learning_coefficient"]
    assert coefficient["value"] == pytest.approx(coefficient["quadratic"], abs=0.6)
    np.testing.assert_allclose(np.abs(found.directions["parameters"].vectors[:, :3]), np.eye(3), atol=1e-4)


def test_away_from_the_minimum_a_saddle_is_told():
    values = torch.tensor([8.0, 4.0, -2.0]).double()
    figures = curvature(bowl(values, torch.ones(3).double()), replace(QUICK, chains=0)).figures
    assert figures["minimum"]["gradient_norm"] == pytest.approx(84**0.5)
    assert figures["minimum"]["lowest_over_highest"] == pytest.approx(-0.25)
    assert not figures["minimum"]["is_one"]
    assert figures["learning_coefficient"] is None


def test_a_classifier_that_is_not_trained_is_no_minimum_and_its_hessian_is_not_gauss_newton():
    found = curvature(classifier(), QUICK)
    assert not found.figures["minimum"]["is_one"]
    assert found.figures["difference"]["share"] > 0.05
    assert found.figures["forms"]["overlap"]["1"] < 0.999
    assert len(found.figures["measures"][0]["image"]) == 5
    # A random direction measures little, beside the leading eigenvector.
    assert found.figures["measure_random"]["strength"] < 0.5 * found.figures["measures"][0]["strength"]
    assert len(found.figures["measure_random"]["most"][0]["picture"]) == 5
    assert set(found.figures["spectrum"]) == {"hessian", "loss", "loss_untrained"}
    json.dumps(found.figures)


def test_pairs_that_did_not_converge_are_flagged_one_by_one():
    # Two eigenvalues that stand out, and a bulk in which none does.
    values = np.concatenate([[50.0, 30.0], np.linspace(1, 1.001, 498)])
    rng = np.random.default_rng(0)
    found = eigenpairs(lambda v: values * v, 500, 4, most_restarts=1, tolerance=1e-9, rng=rng).figures()
    assert found["converged"] == [residual <= 1e-9 for residual in found["residuals"]]
    assert found["converged"][:2] == [True, True]
    assert not found["all_converged"]


def test_a_value_that_is_not_finite_late_in_the_data_is_named_by_input_and_layer():
    subject = classifier()
    inputs = subject.inputs.clone()
    inputs[9, 2] = torch.inf
    with pytest.raises(
        ValueError, match="activations of layer '0' are not finite at input 9: leave"
    ) as error:
        curvature(replace(subject, inputs=inputs), QUICK)
    assert "\n" not in str(error.value)


def test_an_eigenvectors_measure_is_kept_of_every_input():
    subject = classifier()
    measure = curvature(subject, replace(QUICK, chains=0)).figures["measures"][0]
    assert len(measure["u"]) == len(subject)
    for one in (*measure["most"], *measure["least"]):
        assert measure["u"][one["input"]] == pytest.approx(one["u"], rel=1e-3)
    assert np.mean(np.square(measure["u"])) ** 0.5 == pytest.approx(
        measure["outputs"][measure["output"]], rel=1e-3
    )


def test_both_lenses_take_a_maze_agent_and_give_directions_of_its_network(run: Run):
    subject = subject_of(run, inputs=40)
    steps = []
    found = curvature(subject, QUICK, on_step=lambda what, done, of: steps.append(what))
    assert found.figures["minimum"]["zero_by_construction"]
    assert found.figures["difference"]["share"] < 1e-3
    directions = found.directions["parameters"]
    parameters = sum(tensor.numel() for tensor in subject.network.parameters())
    assert directions.vectors.shape == (3, parameters)
    assert set(directions.layout) == dict(subject.network.named_parameters()).keys()
    np.testing.assert_allclose(
        found.figures["measures"][0]["strength"], found.figures["measures"][0]["eigenvalue"], rtol=1e-3
    )
    assert {"eigenpairs, loss", "traces and norms", "learning coefficient"} <= set(steps)
    json.dumps(found.figures)
    rows = ansatz(subject, AnsatzSettings(draws=2)).figures
    assert rows["layers"]["trunk.2"]["fed_by"] == "trunk.1"
    assert rows["layers"]["trunk.2"]["functions"]["loss"] == {"vanishes": True}
    json.dumps(rows)


def test_the_same_seed_gives_the_same_figures():
    first, second = (json.dumps(curvature(classifier(), QUICK).figures) for _ in range(2))
    assert first == second


def test_regret_is_what_the_best_walker_gets_beyond_the_agent(run: Run):
    subject = subject_of(run, inputs=40)
    regret = regret_losses(run.settings.world, subject.network, 8)
    theta = torch.cat([tensor.reshape(-1) for tensor in subject.network.parameters()])
    found = regret(theta, torch.arange(8))
    assert found.shape == (8,)
    assert found.min() > 0
    assert found.max() <= 1
    theta = theta.clone().requires_grad_()
    assert torch.autograd.grad(regret(theta, torch.arange(8)).mean(), theta)[0].norm() > 0


def test_through_training_every_time_has_its_coefficient_of_the_regret_or_of_the_own_loss(run: Run):
    subjects = {time: subject_of(run, inputs=40, time=time) for time in (2, 0)}
    settings = SGLDSettings(chains=2, burn_in=2, draws=10, step_size=1e-5)
    own = coefficients_through_training(subjects, settings)
    regret = regret_losses(run.settings.world, subjects[0].network, 8)
    rows = coefficients_through_training(subjects, settings, regret=regret, levels=8)
    assert [row["time"] for row in own] == [row["time"] for row in rows] == [0, 2]
    assert own[0]["loss"] == pytest.approx(0, abs=1e-6)
    assert rows[0]["loss"] > 0.1
    assert (own[0]["samples"], rows[0]["samples"]) == (40, 8)


def test_planted_opposing_staircases_are_seen_and_steps_in_one_direction_are_not():
    rng = np.random.default_rng(0)
    stairs = np.repeat([0.0, 1.0, 2.0, 3.0], 10) + 0.01 * rng.standard_normal(40)
    opposed = [{"time": 5 * t, "value": 1 + s, "loss": 4 - s} for t, s in enumerate(stairs)]
    found = staircases(opposed, profile_turns=[np.array([10, 20])], rng=rng)
    assert found["opposing"] == 1
    assert found["correlation"] < -0.5
    assert found["correlation_p"] < 0.01
    assert found["steps"] == found["loss_steps"] == [50, 100, 150]
    assert found["met"]["coinciding"] == 2
    together = [{**row, "value": -row["value"]} for row in opposed]
    assert staircases(together, rng=rng)["opposing"] == 0
    with pytest.raises(ValueError, match="rows are of 3 training times"):
        staircases(opposed[:3], rng=rng)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": lambda given, targets: given}, r"the loss is \(8, 3\) for 8 inputs"),
        (
            {"loss": lambda given, targets: given[:, 0] * torch.nan},
            "the loss has 8 of 8 values that are not finite",
        ),
        ({"inputs": torch.zeros(11, 6).double()}, r"the network refuses inputs of shape \(8, 6\)"),
        (
            {"outputs": {"logits": lambda given: given[0]}},
            r"output 'logits' is \(3,\) for 8 inputs: give \(inputs, m\)",
        ),
        ({"loss": lambda given, targets: 0 * given[:, 0]}, "the loss does not depend on the parameters"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change: dict, said: str):
    with pytest.raises(ValueError, match=said) as error:
        curvature(replace(classifier(), **change), QUICK)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"eigenpairs": 0}, "eigenpairs is 0: give at least 1"),
        ({"chains": 1}, "chains is 1: give at least 2"),
        ({"step_size": 4.0}, "step_size is 4.0: give a number above 0 and below 4"),
        ({"directions": "fisher"}, "directions is 'fisher': give 'gauss_newton' or 'hessian'"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict, said: str):
    with pytest.raises(ValueError, match=said):
        CurvatureSettings(**settings)
