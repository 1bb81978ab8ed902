import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.files import RunFileError
from goalcut.analysis.digit_analysis import DigitAnalyzeSettings, analyze_digits
from goalcut.analysis.digit_table import Entry, count_run, entries, fill_table, markdown
from goalcut.analysis.directions import Directions
from goalcut.analysis.null_spectra import count_above
from goalcut.analysis.rotations import principal_angles

SETTINGS = DigitAnalyzeSettings(
    directions=12, sampled=20, draws=4, residual_samples=(5, 20, 900), permutations=99, window=9, turning=6
)


@pytest.fixture(scope="module")
def run(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> DigitRun:
    settings = DigitSettings(hidden=(12,), batch_size=16, measure_every=1, data_dir=few_digits)
    run = DigitRun.create(tmp_path_factory.mktemp("digits") / "run", settings)
    train_digits(run)
    return run


@pytest.fixture(scope="module")
def analysed(run: DigitRun) -> tuple[dict, Directions]:
    return analyze_digits(run, SETTINGS)


@pytest.fixture(scope="module")
def gradients(run: DigitRun) -> np.ndarray:
    log = run.gradient_log()
    return log.rows().panel(0, log.parameters).astype(np.float64)


def test_the_analysis_is_that_of_the_dense_matrix(analysed: tuple, gradients: np.ndarray) -> None:
    result, found = analysed
    U, singular_values, _ = np.linalg.svd(gradients.T, full_matrices=False)
    np.testing.assert_allclose(result["singular_values"][:40], singular_values[:40], rtol=1e-4)
    assert result["above_tenth"] == count_above(singular_values)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors[:5] * U.T[:5], axis=1)), 1, atol=1e-3)
    assert result["rows"] == 80
    assert result["updates"] == list(range(80))
    np.testing.assert_allclose(result["row_norms"], np.linalg.norm(gradients, axis=1), rtol=1e-5)


def test_counts_cover_samples_and_the_whole_beside_noise(analysed: tuple, gradients: np.ndarray) -> None:
    counts = analysed[0]["counts"]
    tenth = counts["thresholds"].index(0.1)
    assert counts["raw"]["whole"][tenth] == analysed[0]["above_tenth"]
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    centred = gradients - gradients.mean(axis=0)
    for name, dense in (("unit", unit), ("centred", centred)):
        assert counts[name]["whole"][tenth] == count_above(np.linalg.svd(dense, compute_uv=False))
    assert counts["raw"]["null_mean"][tenth] == 20  # noise of steady norms: every value counts
    half = counts["thresholds"].index(0.5)
    assert counts["raw"]["mean"][half] < counts["raw"]["null_mean"][half]


def test_samples_leave_less_than_white_noise_would_and_the_noise_free_part_less_still(
    analysed: tuple,
) -> None:
    residual = analysed[0]["residual"]
    samples = residual["samples"]
    assert samples["sampled"] == [5, 20]  # a sample larger than the run is left out
    assert samples["mean"][1] < samples["mean"][0] < samples["noise"][0]
    assert samples["signal_mean"][1] < samples["mean"][1]
    epochs = residual["epochs"]
    assert len(epochs["ranks"]) == len(epochs["epoch_1"]) == len(epochs["same_epoch"])
    assert (np.diff(epochs["epoch_1"]) <= 1e-9).all()


def test_directions_are_tested_for_turning_with_digits(analysed: tuple) -> None:
    turning = analysed[0]["turning"]
    assert len(turning["p_value"]) == 6
    assert all(0.01 <= p <= 1 for p in turning["p_value"])
    assert set(turning["curve"]) <= set(turning["curves"])
    assert len(turning["curves"]) == 20
    assert turning["times"] == list(range(1, 81))


def test_the_analysis_is_json_and_repeats_itself(run: DigitRun, analysed: tuple) -> None:
    again, found = analyze_digits(run, SETTINGS)
    assert json.dumps(again, allow_nan=False) == json.dumps(analysed[0], allow_nan=False)
    assert np.array_equal(found.vectors, analysed[1].vectors)
    assert found.source["seed"] == 0


def test_a_replayed_or_clustered_analysis_agrees_with_that_of_the_log(run: DigitRun, analysed: tuple) -> None:
    stored, of_log = analysed
    replayed, of_replay = analyze_digits(run, replace(SETTINGS, replay=True))
    # The log rounds rows to float16, a replay does not.
    np.testing.assert_allclose(replayed["singular_values"][:20], stored["singular_values"][:20], rtol=1e-3)
    assert np.degrees(principal_angles(of_log.subset(range(5)), of_replay.subset(range(5)))).max() < 0.5
    assert replayed["replay"]["sketch_width"] is None
    assert "signal_mean" not in replayed["residual"]["samples"]
    clustered, of_cluster = analyze_digits(run, replace(SETTINGS, dask="local"))
    assert json.dumps(clustered) == json.dumps(stored)
    assert np.array_equal(of_cluster.vectors, of_log.vectors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replay": True, "dask": "local"}, "dask is 'local' beside replay"),
        ({"window": 10}, "window is 10: give an odd number"),
        ({"sampled": 0}, "sampled is 0"),
        ({"residual_samples": (0,)}, "residual_samples"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_wrong_settings_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitAnalyzeSettings(**change)


def test_the_table_is_filled_once_and_taken_up_again(few_digits: Path, tmp_path: Path) -> None:
    base = DigitSettings(hidden=(8,), batch_size=16, data_dir=few_digits)
    lines = [Entry("small", "SGD", base, 2), Entry("small", "batch 32", replace(base, batch_size=32), 1)]
    seen: list[str] = []
    rows = fill_table(tmp_path, lines, on_row=seen.append)
    assert seen == ["small SGD seed 0", "small SGD seed 1", "small batch 32 seed 0"]
    assert [row["rows"] for row in rows] == [80, 80, 40]
    assert not list(tmp_path.glob("*/gradients"))  # they are large, and only their counts are kept
    assert fill_table(tmp_path, lines) == rows
    text = markdown(rows).splitlines()
    assert len(text) == 4
    assert len({line.count("|") for line in text}) == 1
    mean = np.mean([row["raw"]["mean"][1] for row in rows[:2]])
    assert f"| {mean:.1f} ± " in text[2]
    with pytest.raises(RunFileError, match=r"row\.json is of other settings"):
        fill_table(tmp_path, [replace(lines[0], settings=replace(base, learning_rate=0.5))])


def test_a_row_counts_what_the_analysis_counts(run: DigitRun, analysed: tuple) -> None:
    row, result = count_run(run), analysed[0]
    tenth = result["counts"]["thresholds"].index(0.1)
    for kind in ("raw", "unit", "centred"):
        assert row[kind]["whole"][1] == result["counts"][kind]["whole"][tenth]
    assert row["parameters"] == result["parameters"]
    with torch.no_grad():
        confusion = np.array(run.progress()[-1]["confusion"])
    assert 0.1 < row["accuracy"] < 1
    assert row["accuracy"] == pytest.approx(np.mean(np.diag(confusion)), abs=0.05)


def test_the_table_has_every_network_optimizer_and_batch_size() -> None:
    lines = entries(DigitSettings(), 5)
    assert len({(line.network, line.optimizer) for line in lines}) == len(lines) == 4 * 4 + 3
    assert sum(line.settings == DigitSettings() for line in lines) == 1
    assert {line.seeds for line in lines} == {5, 2}
