from dataclasses import replace
from pathlib import Path

import pytest

from goalcut.agents.run import Run, TrainSettings
from goalcut.envs import CheeseInCorner
from goalcut.studies import STUDIES, seed_set
from goalcut.studies.costs import REFERENCE_SECONDS, Cost, Costs, parallel, work
from goalcut.studies.plan import make_plan
from goalcut.studies.run_stages import is_done
from goalcut.studies.study import study_directory


def test_a_stage_that_was_measured_costs_what_it_took(tmp_path: Path) -> None:
    costs = Costs(STUDIES["timing"], tmp_path, 1.0)
    for seconds in (50.0, 70.0, 60.0):
        costs.add(Cost("default", "train", seconds))
    assert costs.seconds("default", "train") == 60.0
    # Kept for the next call, and taken for the other variants in proportion.
    again = Costs(STUDIES["timing"], tmp_path, 1.0)
    assert again.seconds("default", "train") == 60.0
    fresh = Costs(STUDIES["timing"], tmp_path / "fresh", 1.0)
    scale = fresh.seconds("n13-k7", "train") / fresh.seconds("default", "train")
    assert again.seconds("n13-k7", "train") == pytest.approx(60.0 * scale)
    assert scale > 1.5


def test_nothing_measured_is_told_from_stored_costs_and_the_machine(tmp_path: Path) -> None:
    slow, fast = (Costs(STUDIES["cut"], tmp_path, machine) for machine in (2.0, 1.0))
    assert slow.seconds("default", "train") == pytest.approx(2 * fast.seconds("default", "train"))
    assert fast.seconds("default", "train") == pytest.approx(REFERENCE_SECONDS["train"], rel=0.02)


def test_half_of_the_levels_and_of_the_tuning_is_half_of_the_cutting(tmp_path: Path) -> None:
    study = STUDIES["cut"]
    assert study.ablate is not None
    tune = replace(study.ablate.tune, steps=study.ablate.tune.steps // 2)
    halved = replace(study, ablate=replace(study.ablate, levels=study.ablate.levels // 2, tune=tune))
    whole, half = (Costs(of, tmp_path / str(i), 1.0) for i, of in enumerate((study, halved)))
    assert half.seconds("default", "ablate") == pytest.approx(
        whole.seconds("default", "ablate") / 2, rel=0.05
    )
    assert half.seconds("default", "train") == whole.seconds("default", "train")


def test_a_half_written_cost_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "costs.jsonl").write_text('{"variant": "default", "stage": "train", "seconds": 5.0}\n{"vari')
    assert Costs(STUDIES["cut"], tmp_path, 1.0).seconds("default", "train") == 5.0


def test_more_rollouts_are_more_work_in_proportion() -> None:
    settings, study = TrainSettings(), STUDIES["cut"]
    double = replace(settings, ppo=replace(settings.ppo, rollouts=480))
    assert work(double, "train", study) == pytest.approx(2 * work(settings, "train", study))
    small = replace(settings, world=CheeseInCorner(size=5, corner_size=3))
    assert work(small, "evaluate", study) < 0.5 * work(settings, "evaluate", study)


def test_cores_bound_what_runs_at_once() -> None:
    assert parallel(2, 1, 2) == 2
    assert parallel(4, 1, 2) == 2
    assert parallel(2, 2, 2) == 1
    assert parallel(1, 1, 8) == 1


@pytest.mark.parametrize("name", list(STUDIES))
def test_the_plan_of_every_study_counts_all_stages_of_nothing(name: str, tmp_path: Path) -> None:
    study, seeds = STUDIES[name], seed_set("0-1")
    plan = make_plan(study, tmp_path, tuple(study.variants), seeds, Costs(study, tmp_path, 1.0))
    assert plan.stages == 2 * len(study.variants) * len(study.stages)
    assert plan.seconds > 100 * len(study.variants)
    assert plan.disk(1, drop_gradients=True) < plan.disk(1, drop_gradients=False)
    assert all(run.missing == study.stages for run in plan.runs)


def test_a_run_of_other_settings_is_not_done(tmp_path: Path) -> None:
    study = STUDIES["cut"].tiny()
    settings = study.settings("default", 0, 1)
    run = Run.create(tmp_path / "seed-0", settings)
    run.save_checkpoint(run.last_time, settings.new_network())
    assert is_done(study, "train", run.directory, settings, "report")
    # Threads are the run's own affair; a learning rate is not.
    assert is_done(study, "train", run.directory, replace(settings, threads=2), "report")
    other = replace(settings, ppo=replace(settings.ppo, learning_rate=0.5))
    assert not is_done(study, "train", run.directory, other, "report")


def test_disk_of_the_default_run_is_about_what_it_takes(tmp_path: Path) -> None:
    """Seen: 386 MB of gradient log and 165 MB of checkpoints."""
    study = STUDIES["cut"]
    plan = make_plan(study, tmp_path, ("default",), seed_set("0"), Costs(study, tmp_path, 1.0))
    assert plan.log_bytes == pytest.approx(386e6, rel=0.02)
    assert plan.checkpoint_bytes == pytest.approx(165e6, rel=0.02)


def test_development_and_miniatures_have_folders_of_their_own() -> None:
    places = {
        study_directory(Path("runs"), "cut", role, tiny=tiny)
        for role in ("report", "development")
        for tiny in (True, False)
    }
    assert len(places) == 4
