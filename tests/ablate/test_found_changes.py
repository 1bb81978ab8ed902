"""Changes found through the exact measures: their gradients, few entries, and doses at a layer."""

from dataclasses import replace

import pytest
import torch

from goalcut.ablate.activations import EditedNetwork, activations_at
from goalcut.ablate.edits import ProjectOut, mean_activations
from goalcut.ablate.goal import Goal
from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.ablate.measure_gradients import gradient_directions, measure_gradients
from goalcut.ablate.principal import principal_directions
from goalcut.ablate.selection import vectors_of
from goalcut.ablate.sparse_masks import SparseSettings, found_change, largest_entries, sparse_change
from goalcut.ablate.tuned import FEW_DOSES
from goalcut.ablate.tuned_edits import tune_projection
from goalcut.ablate.tuning_loss import TuningLoss
from goalcut.agents.behaviour import ExactBehaviour
from goalcut.agents.run import Run
from goalcut.analysis.subject import subject_of
from goalcut.envs import CheeseInCorner

GOALS = {goal.name: goal for goal in maze_goals(CheeseInCorner(size=5, corner_size=3), 0.5)}
SPARSE = SparseSettings(steps=25, again=10, norm_budget=0.5)


@pytest.fixture(scope="module")
def tuners(small_run: Run) -> list[Judge]:
    world, ends = small_run.settings.world, (small_run.parameters_after(0), small_run.parameters_after())
    judges = []
    for seed in range(2):
        exact = ExactBehaviour.of_world(world, 20, seed=seed, split="tune", time_limit=20)
        network = small_run.network().requires_grad_(False)
        judges.append(Judge(network, MazeBehaviour(exact), *ends, goals=list(GOALS.values()), resamples=50))
    return judges


def loss(tuners: list[Judge], goal: Goal, theta: torch.Tensor) -> float:
    of = TuningLoss(tuners, goal)
    with torch.no_grad():
        return sum(float(of(judge.surrogate(theta), judge)) for judge in tuners) / len(tuners)


def test_the_loss_is_one_for_the_trained_agent_and_the_lost_goals_for_the_untrained(
    tuners: list[Judge],
) -> None:
    goal = GOALS["corner"]
    assert loss(tuners[:1], goal, tuners[0].theta) == pytest.approx(1.0, abs=1e-6)
    # The goal to keep is lost, and the guard, which weighs a half.
    assert loss(tuners[:1], goal, tuners[0].theta_0) == pytest.approx(1.5, abs=1e-6)


def test_a_measure_gradient_is_the_slope_of_retention_along_it(tuners: list[Judge]) -> None:
    goal, theta = GOALS["corner"], tuners[0].theta
    gradient = measure_gradients(tuners, goal)[0]
    of = TuningLoss(tuners, goal)

    def parted(at: torch.Tensor) -> float:
        with torch.no_grad():
            kept = of.retention(tuners[0].surrogate(at), tuners[0])
        return float(kept[goal.remove] - kept[goal.keep[0]])

    step = 1e-3 * gradient / gradient.norm()
    slope = (parted(theta + step) - parted(theta - step)) / 2e-3
    assert slope == pytest.approx(float(gradient.norm()), rel=0.05)


def test_gradient_directions_span_the_gradients_of_all_judges_and_points(tuners: list[Judge]) -> None:
    found = gradient_directions(tuners, GOALS["cheese"], stops=(0.5, 1.0))
    assert found.vectors.shape == (4, len(tuners[0].theta))
    vectors = vectors_of(found).double()
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(4).double(), rtol=0, atol=1e-5)
    gradients = measure_gradients(tuners, GOALS["cheese"]).double()
    torch.testing.assert_close(gradients @ vectors.T @ vectors, gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["doses", "fine-tuning"])
def test_a_sparse_change_moves_few_parameters_and_removes_more_than_as_many_random_ones(
    tuners: list[Judge], kind
) -> None:
    goal, theta, theta_0 = GOALS["corner"], tuners[0].theta, tuners[0].theta_0
    whole = found_change(tuners, goal, kind, SPARSE)
    few = sparse_change(tuners, goal, kind, 500, SPARSE, whole)
    assert 0 < int((few != 0).sum()) <= 500
    assert (whole[few != 0] != 0).all()
    before = loss(tuners, goal, theta)
    assert loss(tuners, goal, theta + whole) < before - 0.15
    assert loss(tuners, goal, theta + few) < before - 0.05
    chosen = torch.randperm(len(theta), generator=torch.Generator().manual_seed(0))
    elsewhere = torch.zeros_like(few)
    elsewhere[chosen] = few
    assert loss(tuners, goal, theta + few) < loss(tuners, goal, theta + elsewhere)
    if kind == "doses":  # none overshoots the beginning, none goes further than training did
        share = few[few != 0] / (theta_0 - theta)[few != 0]
        assert 0 < float(share.min()) <= float(share.max()) <= 1 + 1e-5


def test_the_l1_penalty_makes_a_change_sparser(tuners: list[Judge]) -> None:
    def spread(l1: float) -> float:
        return float(
            found_change(tuners, GOALS["corner"], "doses", replace(SPARSE, steps=15, l1=l1)).abs().sum()
        )

    assert spread(100.0) < spread(0.0)


def test_the_largest_entries_are_kept_and_no_others() -> None:
    change = torch.tensor([0.5, -3.0, 0.0, 2.0])
    assert largest_entries(change, 2).tolist() == [0, -3, 0, 2]
    assert not largest_entries(change, 0).any()
    with pytest.raises(ValueError, match="count is 5: give 0 to 4"):
        largest_entries(change, 5)
    with pytest.raises(ValueError, match="steps is 0: give a number above 0"):
        SparseSettings(steps=0)


def test_tuned_doses_at_a_layer_do_better_than_any_one_dose_for_all_directions(
    tuners: list[Judge], small_run: Run
) -> None:
    network, inputs = tuners[0].network, subject_of(small_run, inputs=300).inputs
    seen = activations_at(network, ["trunk"], inputs)["trunk"]
    mean = mean_activations(seen, 256)
    cut = ProjectOut(vectors_of(principal_directions(seen - mean, 40)), mean)
    # Of this small agent nothing can be parted that keeps all of the way.
    settings = replace(FEW_DOSES, steps=60, learning_rate=0.1, norm_budget=10.0, guarding=(0.0, 0.0))
    tuned = tune_projection(tuners, GOALS["corner"], "trunk", cut, seen, settings)
    assert isinstance(tuned.dose, torch.Tensor)
    assert not tuned.dose.requires_grad
    assert settings.least_dose <= float(tuned.dose.min()) < float(tuned.dose.max()) <= 1
    of = TuningLoss(tuners, GOALS["corner"])

    def loss_with(dose: float | torch.Tensor) -> float:
        edited = EditedNetwork(network, {"trunk": replace(cut, dose=dose)})
        with torch.no_grad():
            return sum(float(of(judge.surrogate_network(edited), judge, 0.0)) for judge in tuners)

    assert loss_with(tuned.dose) < min(loss_with(dose) for dose in (0.0, 0.1, 0.3, 0.6, 1.0)) - 0.1
    held = tune_projection(
        tuners, GOALS["corner"], "trunk", cut, seen, replace(settings, norm_budget=0.05, steps=20)
    )
    assert EditedNetwork(network, {"trunk": held}).relative_change(inputs) < 0.08
