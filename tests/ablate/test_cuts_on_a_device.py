"""Cuts judged and tuned on another device than the CPU: parameters and doses stay on the CPU, networks are there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goalcut.ablate import AblateSettings, MazeAblation, TuneSettings
from goalcut.ablate.activations import EditedNetwork, activations_at
from goalcut.ablate.contrast_pairs import corner_pairs
from goalcut.ablate.contrast_vectors import contrast_directions, contrast_vector
from goalcut.ablate.digit_goals import DIGIT_GOALS, ClassifierBehaviour
from goalcut.ablate.edits import (
    AddVector,
    ClampChannel,
    MeanAblation,
    ProjectOut,
    ResampleAblation,
    mean_activations,
)
from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.ablate.measure_gradients import gradient_directions, measure_gradients
from goalcut.ablate.method import Change
from goalcut.ablate.side_effects import SideEffects
from goalcut.ablate.sparse_masks import SparseSettings, found_change, sparse_change
from goalcut.ablate.tuned_edits import tune_projection
from goalcut.agents.classifiers import build_classifier
from goalcut.agents.digit_behaviour import DigitBehaviour
from goalcut.agents.parameters import flat_parameters, parameter_layout
from goalcut.agents.run import Run
from goalcut.analysis import directions, temporal_svd
from goalcut.analysis.subject import Subject, subject_of
from goalcut.envs import make_levels
from goalcut.envs.digits import load_digits
from goalcut.envs.world import CONFLICT
from goalcut.studies.stages import evaluated

DEVICES = ("cpu", "cuda")
SETTINGS = AblateSettings(
    levels=3,
    tuning_levels=8,
    curve_levels=2,
    draws=1,
    doses=(0.5,),
    tune=TuneSettings(steps=2),
    profile_cuts=False,
)


def judge(run: Run, device: str, seed: int = 0) -> Judge:
    behaviour = run.behaviour(4, split="tune", seed=seed, device=device)
    ends = run.parameters_after(0), run.parameters_after()
    goals = maze_goals(run.settings.world)
    return Judge(run.network().to(device), MazeBehaviour(behaviour), *ends, goals=goals, resamples=50)


def close(there: torch.Tensor, here: torch.Tensor) -> None:
    """Near in length: Adam's first steps go by signs, so that single entries may differ."""
    assert there.device.type == here.device.type == "cpu"
    assert float((there - here).norm()) <= 5e-2 * float(here.norm())


def test_an_ablation_on_the_device_has_the_rows_of_the_cpu(small_run: Run, gpu: str) -> None:
    rows = small_run.applied_changes()
    found = directions(temporal_svd(rows), rows, range(4), layout=parameter_layout(small_run.network()))
    tables = {
        device: MazeAblation(small_run, found, 2, replace(SETTINGS, device=device)).rows()
        for device in DEVICES
    }
    assert tables["cuda"][2] == tables["cpu"][2]
    for there, here in zip(tables["cuda"][0], tables["cpu"][0], strict=True):
        assert there.name == here.name
        assert there.retention == pytest.approx(here.retention, abs=2e-3), here.name
        assert there.relative_norm == pytest.approx(here.relative_norm, rel=1e-3), here.name


def test_an_evaluation_on_the_device_is_that_of_the_cpu(small_run: Run, gpu: str) -> None:
    here, there = (evaluated(small_run, 5, device=device)["agents"] for device in DEVICES)
    for agent, measures in here.items():
        for name, of in measures.items():
            assert there[agent][name] == pytest.approx(of, abs=1e-4), (agent, name)


def test_changes_found_through_measures_are_those_of_the_cpu(small_run: Run, gpu: str) -> None:
    sparse, found = SparseSettings(steps=4, again=1), {}
    for device in DEVICES:
        judges = [judge(small_run, device, seed) for seed in (0, 1)]
        goal = judges[0].goals[0]
        whole = found_change(judges, goal, "doses", sparse)
        found[device] = (
            measure_gradients(judges, goal),
            torch.from_numpy(gradient_directions(judges, goal).singular_values),
            whole,
            sparse_change(judges, goal, "fine-tuning", 50, sparse, whole),
        )
    for there, here in zip(found["cuda"], found["cpu"], strict=True):
        close(there, here)


def edits_of(subject: Subject) -> dict[str, Any]:
    activations = activations_at(subject.network, ["trunk"], subject.inputs)["trunk"]
    mean = mean_activations(activations, 256)
    generator = torch.Generator().manual_seed(0)
    # Not of single units, which may be dead.
    basis = torch.linalg.qr(torch.randn(256, 3, generator=generator)).Q.T.contiguous()
    return {
        "projected": ProjectOut(basis, mean),
        "by doses": ProjectOut(basis, mean, torch.tensor([1.0, 0.5, 0.0])),
        "added": AddVector(basis[0], 2.0),
        "mean": MeanAblation(mean, channels=[0, 5]),
        "resampled": ResampleAblation(activations, generator),
        "clamped": ClampChannel(3, 1.5),
    }


@pytest.mark.parametrize("name", ["projected", "by doses", "added", "mean", "resampled", "clamped"])
def test_an_edit_of_activations_on_the_device_does_what_it_does_on_the_cpu(
    name: str, small_run: Run, gpu: str
) -> None:
    found = {}
    for device in DEVICES:
        subject, there = subject_of(small_run, inputs=100, device=device), judge(small_run, device)
        change = Change(edits={"trunk": edits_of(subject)[name]})
        verdict = there.judge_network(change.network(there))
        effect = SideEffects(subject).of(EditedNetwork(subject.network, {"trunk": edits_of(subject)[name]}))
        norm = change.relative_norm(there, subject.inputs)
        found[device] = verdict.retention | {"kl": effect.kl, "value": effect.value_error, "norm": norm}
    assert found["cuda"] == pytest.approx(found["cpu"], abs=1e-3)
    assert found["cpu"]["kl"] > 0


def test_directions_of_contrasts_are_those_of_the_cpu(small_run: Run, gpu: str) -> None:
    levels = make_levels(small_run.settings.world, 20, seed=0, split="tune", distribution=CONFLICT)
    pairs = corner_pairs(levels, np.random.default_rng(0))
    vectors, strengths = {}, {}
    for device in DEVICES:
        network, given = small_run.network().to(device), tuple(part.to(device) for part in pairs)
        vectors[device] = contrast_vector(network, "trunk", given).cpu()
        strengths[device] = torch.from_numpy(contrast_directions(network, "trunk", given).singular_values)
    close(vectors["cuda"], vectors["cpu"])
    close(strengths["cuda"][:5], strengths["cpu"][:5])


def test_a_projection_tuned_on_the_device_has_the_doses_of_the_cpu(small_run: Run, gpu: str) -> None:
    doses = {}
    for device in DEVICES:
        subject = subject_of(small_run, inputs=100, device=device)
        activations = activations_at(subject.network, ["trunk"], subject.inputs)["trunk"]
        there = judge(small_run, device)
        cut = ProjectOut(torch.eye(256)[::4], mean_activations(activations, 256))
        tuned = tune_projection(
            [there], there.goals[0], "trunk", cut, activations, TuneSettings(steps=3, norm_weight=0)
        )
        doses[device] = tuned.dose
    assert doses["cpu"].any()
    close(doses["cuda"], doses["cpu"])


def test_a_classifier_is_judged_on_the_device_as_on_the_cpu(few_digits: Path, gpu: str) -> None:
    digits, verdicts = load_digits("test", few_digits), []
    ends = [flat_parameters(build_classifier("mlp", (8,), seed=seed)).detach() for seed in (0, 1)]
    for device in DEVICES:
        behaviour = ClassifierBehaviour(DigitBehaviour(digits, device=device))
        network = build_classifier("mlp", (8,), seed=0).to(device)
        there = Judge(network, behaviour, *ends, goals=DIGIT_GOALS[:2], resamples=50)
        verdicts.append(there.judge(ends[0] + 0.5 * (ends[1] - ends[0])).measures)
    assert verdicts[1] == pytest.approx(verdicts[0], abs=1e-6)
