"""The engine of cuts on a small classifier really trained on MNIST."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.ablate import (
    DIGIT_GOALS,
    DigitAblateSettings,
    DigitAblation,
    Journal,
    Judge,
    save_table,
)
from goalcut.ablate.table import CutRow, DoseCurve
from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.files import load_tensors
from goalcut.agents.parameters import parameter_layout
from goalcut.analysis import temporal_svd
from goalcut.analysis.directions import Directions
from goalcut.analysis.temporal_svd import directions

TRAINING = DigitSettings(
    hidden=(16,),
    epochs=1,
    batch_size=150,
    learning_rate=0.3,
    record="none",
    checkpoint_every=4,
    measure_every=0,
    threads=1,
)
SETTINGS = DigitAblateSettings(
    images=1000,
    tuning_images=400,
    singles=2,
    count=2,
    strongest=10,
    draws=2,
    doses=(0.0, 1.0),
    headline_digits=(3,),
    tune=replace(DigitAblateSettings().tune, steps=25),
)
Result = tuple[list[CutRow], list[DoseCurve], list[str]]


def directions_of(run: DigitRun) -> Directions:
    """Of what each stretch between checkpoints changed."""
    rows = run.applied_changes()
    return directions(temporal_svd(rows), rows, range(20), layout=parameter_layout(run.network()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DigitRun:
    threads = torch.get_num_threads()
    run = DigitRun.create(tmp_path_factory.mktemp("runs") / "digits", TRAINING)
    train_digits(run)
    torch.set_num_threads(threads)
    return run


@pytest.fixture(scope="module")
def ablation(run: DigitRun) -> DigitAblation:
    found = directions_of(run)
    # Directions of another seed: here the same ones in another order.
    return DigitAblation(run, found, SETTINGS, found.subset(range(19, -1, -1)))


@pytest.fixture(scope="module")
def result(ablation: DigitAblation) -> Result:
    return ablation.rows()


def cuts(result: Result) -> list[CutRow]:
    return [row for row in result[0] if row.control_of is None]


def test_a_classifier_is_cut_direction_by_direction_by_time_and_digit_by_digit(result: Result) -> None:
    how = [(row.name.split(":")[0], row.selection) for row in cuts(result)]
    profile = ["direction 1", "direction 2", "earliest 2", "latest 2"]
    assert how == [(name, "profile") for name in profile] + [("tuned", "tuned")] * 10
    assert [row.removes for row in cuts(result)[4:]] == [goal.name for goal in DIGIT_GOALS]
    assert len(result[2]) == 2
    assert result[2][1] == "tuned: remove digit_3"


def test_every_cut_of_a_classifier_stands_beside_all_its_controls(result: Result) -> None:
    for cut in cuts(result):
        controls = [row for row in result[0] if row.control_of == cut.name]
        kinds = [row.recipe["control"] for row in controls]
        wanted = {"random", "span", "neighbouring time", "another seed", "rewind", "shrink"}
        assert set(kinds) == wanted | ({"tuned random"} if cut.selection == "tuned" else set()), cut.name
        assert kinds.count("random") == kinds.count("span") == (2 if cut.name in result[2] else 1)
        for row in controls:
            assert row.removes == cut.removes
            if row.recipe["control"] not in ("rewind", "tuned random"):
                assert row.relative_norm == pytest.approx(cut.relative_norm, rel=1e-3), row.name


def test_tuned_doses_forget_a_digit_and_keep_nine_on_images_they_were_not_tuned_on(result: Result) -> None:
    tuned = [row for row in cuts(result) if row.selection == "tuned"]
    beside = [row for row in result[0] if row.recipe.get("control") == "tuned random"]
    for row, control in zip(tuned, beside, strict=True):
        low, _ = row.selectivity_interval
        assert low > 0.4 > control.selectivity_interval[1], row.name
        assert low <= row.selectivity <= row.selectivity_interval[1]
    assert sum(row.selectivity for row in tuned) / 10 > 0.8


def test_retention_counts_from_a_guess_and_selectivity_is_the_mean_of_nine(
    ablation: DigitAblation, result: Result
) -> None:
    for row in result[0]:
        for name, kept in row.retention.items():
            trained = float(ablation.judge.trained[name].mean())
            assert kept == pytest.approx((row.measures[name] - 0.1) / (trained - 0.1), abs=1e-6)
        clipped = {name: min(max(kept, 0.0), 1.0) for name, kept in row.retention.items()}
        removed = clipped.pop(row.removes)
        assert row.selectivity == pytest.approx(sum(clipped.values()) / 9 - removed, abs=1e-9)


def test_a_digit_is_named_on_tuning_images_and_judged_on_held_out_ones(ablation: DigitAblation) -> None:
    held_out = ablation.judge.behaviour.digits.digits.images.flatten(1)  # type: ignore[attr-defined]
    tuning = torch.cat([judge.behaviour.digits.digits.images for judge in ablation.tuners])  # type: ignore[attr-defined]
    assert len(tuning) == 400
    assert torch.cdist(held_out.float(), tuning.flatten(1).float()).min() > 1
    assert [plan.name for plan in ablation.planned()] == [plan.name for plan in ablation.planned()]


def test_dose_curves_of_a_classifier_begin_at_the_trained_one_and_end_at_the_cut(result: Result) -> None:
    rows = {row.name: row for row in result[0]}
    assert len(result[1]) == 3 * len(result[2])
    for curve in result[1]:
        for name, kept in curve.retention.items():
            assert kept[0] == pytest.approx(1.0)
            if curve.control_of is None:
                assert kept[1] == pytest.approx(rows[curve.name].retention[name], abs=0.02)


class Killed(BaseException):
    """What ends an ablation midway."""


def test_an_ablation_killed_midway_goes_on_and_ends_in_the_same_table(
    ablation: DigitAblation, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, judged, after = tmp_path / "rows.jsonl", [], 60
    judge = Judge.judge
    monkeypatch.setattr(Judge, "judge", lambda self, theta: judged.append(self) or judge(self, theta))

    def killed(name: str) -> None:
        if len(path.read_bytes().splitlines()) > after:
            raise Killed

    journal = Journal(path, ablation.fingerprint())
    with pytest.raises(Killed):
        ablation.rows(journal, killed)
    journal.close()
    path.write_bytes(path.read_bytes()[:-3])  # its last line half-written
    judged.clear()
    journal = Journal(path, ablation.fingerprint())
    again = ablation.rows(journal)
    journal.close()
    kept = sum(
        "doses |" not in line and "dose–response |" not in line
        for line in path.read_text().splitlines()[1:after]
    )
    assert sum(by is ablation.judge for by in judged) == len(result[0]) - kept
    tables = []
    for name, (rows, curves, headline) in (("whole", result), ("resumed", again)):
        save_table(tmp_path / name, rows, curves, {"headline": headline})
        tables.append((tmp_path / name).read_bytes())
    assert tables[0] == tables[1]


def test_the_fingerprint_follows_from_settings_directions_and_parameters(
    ablation: DigitAblation, run: DigitRun
) -> None:
    found, other = ablation.directions, ablation.other
    same = DigitAblation(run, found, SETTINGS, other).fingerprint()
    assert same == ablation.fingerprint()
    changed = [
        DigitAblation(run, found, replace(SETTINGS, seed=1), other),
        DigitAblation(run, found.subset(range(19)), SETTINGS, other),
        DigitAblation(run, found, SETTINGS),
    ]
    moved = DigitAblation(run, found, SETTINGS, other)
    moved.theta = moved.theta + 1e-6
    fingerprints = [one.fingerprint() for one in (*changed, moved)]
    assert len({same, *fingerprints}) == 5


def test_a_headline_cut_of_a_classifier_is_kept_as_a_file(run: DigitRun, result: Result) -> None:
    row = next(row for row in cuts(result) if row.name == "tuned: remove digit_3")
    assert row.parameters_file is not None
    theta = run.parameters_from(run.directory / row.parameters_file)
    moved = run.parameters_after() - run.parameters_after(0)
    assert float((theta - run.parameters_after()).norm() / moved.norm()) == pytest.approx(row.relative_norm)
    assert load_tensors(run.directory / row.parameters_file)[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"singles": 0}, "singles is 0: give at least 1"),
        ({"tuning_images": 79}, "tuning_images is 79: give at least 80"),
        ({"images": 19}, "images is 19: give at least 20"),
        ({"headline_digits": (3, 10)}, "headline_digits has 10: give digits from 0 to 9"),
        ({"doses": ()}, "doses is empty"),
    ],
)
def test_wrong_settings_of_cuts_of_a_classifier_are_named(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DigitAblateSettings(**wrong)


def test_directions_of_another_network_are_refused(run: DigitRun, ablation: DigitAblation) -> None:
    found, said = ablation.directions, r"the network has 12730 parameters: give a lens's directions"
    other = Directions(np.eye(3, 16), np.ones(3), np.ones((4, 3)))
    with pytest.raises(ValueError, match=f"directions are of 16 parameters, {said}"):
        DigitAblation(run, other, SETTINGS)
    with pytest.raises(ValueError, match=f"directions are of 16 parameters, {said}"):
        DigitAblation(run, found, SETTINGS, other)
    with pytest.raises(ValueError, match=f"directions are of 12730 layer 1, {said}"):
        DigitAblation(run, found.replaced(space="layer 1"), SETTINGS)
