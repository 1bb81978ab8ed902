"""The study of timing on agents that learned both goals: what its figures over seeds are made of."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from goalcut.agents.files import read_json
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.analysis.directions import Directions
from goalcut.analysis.profiles import centre_of_mass
from goalcut.envs import CheeseInCorner
from goalcut.report import study_timing
from goalcut.studies import STUDIES
from goalcut.studies.results import JUDGED, RunResult
from goalcut.studies.run_stages import is_done, make
from goalcut.studies.study import Study
from goalcut.studies.timing_summary import summarise_timing

SEEDS = (0, 1)
LEARNED = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=30, num_envs=64, num_steps=16, minibatches=4, precision="float32"),
    network="mlp",
    num_levels=256,
    record_terms_every=5,
    measure_every=5,
    measure_levels=12,
)


@pytest.fixture(scope="module")
def study() -> Study:
    return replace(STUDIES["timing"].tiny(), variants={"small": LEARNED})


@pytest.fixture(scope="module")
def runs(study: Study, tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    threads = torch.get_num_threads()
    found = [RunResult("small", seed, tmp_path_factory.mktemp("timing") / f"seed-{seed}") for seed in SEEDS]
    for run in found:
        for stage in study.stages:
            make(study, stage, run.directory, study.settings("small", run.seed, 1), "report")
    torch.set_num_threads(threads)
    return found


@pytest.fixture(scope="module")
def summary(runs: list[RunResult]) -> dict[str, Any]:
    return summarise_timing(runs)["variants"]["small"]


def test_every_direction_is_told_of_with_its_time_and_its_share_of_either_goal(
    runs: list[RunResult], summary: dict[str, Any]
) -> None:
    found = summary["relation"]["raw, all kept"]["end"]
    assert found["seeds"] == list(SEEDS)
    for run, told in zip(runs, found["directions"], strict=True):
        kept = Directions.load(run.directory / "analysis" / "directions.safetensors")
        times, proxy, paid = np.array(told).T
        np.testing.assert_allclose(times, centre_of_mass(kept.profiles), atol=1e-4)
        shares = np.array(run.judged["kinds"]["raw, all kept"]["end"]["shares"])
        np.testing.assert_allclose(np.stack([proxy, paid], 1), shares, atol=1e-4)


def test_p_over_seeds_is_how_often_the_mean_under_permuted_time_is_as_far_from_zero(
    runs: list[RunResult], summary: dict[str, Any]
) -> None:
    for kind, gradients in summary["relation"].items():
        for which, told in gradients.items():
            judged = [run.judged["kinds"][kind][which] for run in runs]
            mean = np.mean([of["correlation"] for of in judged])
            null = np.mean([of["nulls"]["permuted time"]["draws"] for of in judged], axis=0)
            assert told["p"] == (1 + (abs(null) >= abs(mean)).sum()) / (1 + len(null))
            assert told["p"] <= told["holm_p"] <= 1
    assert set(summary["modules"]) == {"trunk.1", "trunk.3", "actor", "critic"}
    # Neither goal asks for the value: what lies in the critic carries nothing, and says nothing of time.
    assert summary["modules"]["critic"]["end"]["correlations"] == [0, 0]
    assert summary["modules"]["critic"]["end"]["p"] == 1


def test_the_page_draws_every_direction_and_both_tests(
    summary: dict[str, Any], runs: list[RunResult]
) -> None:
    curves = [{"seed": run.seed, "env_steps": [], "retention": {}} for run in runs]
    when, directions, modules = study_timing.sections(
        {"summary": {"variants": {"small": summary}}, "curves": {"small": curves}}
    )
    clouds = directions.exhibits[1].plots[0].figure.data
    drawn = sum(len(told) for told in summary["relation"]["raw"]["path"]["directions"])
    assert [len(cloud.x) for cloud in clouds] == [drawn, drawn]
    assert {"p (Holm)", "sign-flip p", "permuted time"} <= set(directions.tables[0].headings)
    assert "p" in modules.tables[0].headings
    assert when.title == "When each goal is learned"


def test_a_run_is_judged_anew_once_its_judging_or_the_tuning_is_another(
    study: Study, runs: list[RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, settings = runs[0].directory, study.settings("small", SEEDS[0], 1)
    assert read_json(directory / JUDGED)["settings"]["judging"]["draws"] == 99
    assert is_done(study, "judge", directory, settings, "report")
    assert study.judging is not None
    other = replace(study, judging=replace(study.judging, path_points=9))  # pyright: ignore[reportCallIssue]
    assert not is_done(other, "judge", directory, settings, "report")
    monkeypatch.setattr("goalcut.studies.run_stages.TUNING", -1)
    assert not is_done(study, "judge", directory, settings, "report")
    assert Run(directory).trained
