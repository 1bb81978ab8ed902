import gzip
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_behaviour import DigitBehaviour
from goalcut.agents.digit_run import DigitRun, held_out_behaviour, replay_digit_training, train_digits
from goalcut.agents.files import RunConflictError, RunFileError
from goalcut.agents.gradient_log import GradientLogWriter
from goalcut.agents.run import Run
from goalcut.envs.digits import DigitFileError, load_digits

SETTINGS = DigitSettings(
    hidden=(16,), batch_size=32, epochs=2, checkpoint_every=10, save_every=8, measure_every=4, threads=1
)


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def settings(few_digits: Path) -> DigitSettings:
    return replace(SETTINGS, data_dir=few_digits)


def trained(directory: Path, settings: DigitSettings) -> DigitRun:
    run = DigitRun.create(directory, settings)
    train_digits(run)
    return run


def bytes_of(run: DigitRun) -> dict[str, bytes]:
    names = ["gradients/rows.bin", "gradients/rows.index", "checkpoints/update-00040.safetensors"]
    return {name: (run.directory / name).read_bytes() for name in names}


def without_seconds(run: DigitRun) -> list[dict]:
    return [{k: v for k, v in record.items() if "seconds" not in k} for record in run.progress()]


def test_a_run_keeps_what_its_learner_did(tmp_path: Path, settings: DigitSettings) -> None:
    run = trained(tmp_path / "run", settings)
    assert run.trained
    assert run.checkpoints == [0, 10, 20, 30, 40]
    log = run.gradient_log()
    assert log.rows().shape == (40, 784 * 16 + 16 + 160 + 10)
    records = run.progress()
    assert [record["update"] for record in records] == list(range(0, 41, 4))
    assert records[-1]["images"] == 1280
    assert records[-1]["loss"] < records[1]["loss"]
    with torch.no_grad():
        confusion = held_out_behaviour(settings).confusion(run.network())
    assert records[-1]["measures"]["digit_3"] == pytest.approx(float(confusion[3, 3]))
    # Plain SGD moves against the gradient: what was applied lies along minus the rows.
    plain = trained(tmp_path / "plain", replace(settings, momentum=0.0, epochs=1))
    rows = plain.gradient_log().rows().panel(0, log.parameters)
    moved = plain.parameters_after() - plain.parameters_after(0)
    np.testing.assert_allclose(moved.numpy(), -settings.learning_rate * rows.sum(0), atol=2e-5)


def test_one_seed_and_one_thread_give_the_same_bytes(tmp_path: Path, settings: DigitSettings) -> None:
    first, again = (trained(tmp_path / name, settings) for name in ("first", "again"))
    assert bytes_of(first) == bytes_of(again)
    assert without_seconds(first) == without_seconds(again)
    other = trained(tmp_path / "other", replace(settings, seed=1))
    assert bytes_of(other)["gradients/rows.bin"] != bytes_of(first)["gradients/rows.bin"]


def test_a_killed_training_resumes_to_the_same_end(tmp_path: Path, settings: DigitSettings) -> None:
    whole = bytes_of(trained(tmp_path / "whole", settings))
    run = DigitRun.create(tmp_path / "killed", settings)
    code = (
        "import sys; from pathlib import Path; from goalcut.agents.digit_run import *; import time\n"
        "train_digits(DigitRun(Path(sys.argv[1])), on_record=lambda record: time.sleep(0.05))"
    )
    for records in (3, 6, 9):
        process = subprocess.Popen([sys.executable, "-c", code, str(run.directory)])
        while len(run.progress()) < records and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not run.trained
    train_digits(run)
    assert bytes_of(run) == whole


def test_a_replay_gives_every_row_of_the_run_to_the_last_bit(tmp_path: Path, settings: DigitSettings) -> None:
    run = trained(tmp_path / "run", settings)
    layout = {name: shape for name, (_, _, shape) in run.gradient_log().layout.items()}
    log = GradientLogWriter(tmp_path / "replayed", layout)
    before = torch.get_num_threads()
    replay_digit_training(replace(settings, measure_every=0))(log)
    assert torch.get_num_threads() == before
    for name in ("rows.bin", "rows.index"):
        assert (tmp_path / "replayed" / name).read_bytes() == (run.gradients / name).read_bytes()
    with pytest.raises(ValueError, match="record is 'none': there is no gradient to replay"):
        replay_digit_training(replace(settings, record="none"))


def test_kinds_of_runs_are_told_apart(tmp_path: Path, settings: DigitSettings) -> None:
    DigitRun.create(tmp_path / "run", settings)
    with pytest.raises(RunConflictError, match=r"holds a run of digits, wanted one of maze: .*goalcut mnist"):
        Run(tmp_path / "run")


def test_a_run_is_not_gone_on_with_on_other_digits(
    tmp_path: Path, settings: DigitSettings, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(few_digits, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    given = replace(settings, data_dir=Path("digits"))
    run = DigitRun.create(tmp_path / "run", given)
    monkeypatch.chdir("/")
    assert DigitRun(run.directory).settings.data_dir == folder  # absolute, wherever it is read from
    labels = folder / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[100] = (content[100] + 1) % 10
    labels.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(RunFileError, match=r"are other ones than when .*run began"):
        train_digits(run)
    shutil.rmtree(folder)
    assert run.last_time == 40  # a finished run is read without its digits
    with pytest.raises(DigitFileError, match=r"data_dir is .*digits, which is no folder"):
        DigitRun.create(tmp_path / "typo", given)
    assert not (tmp_path / "typo").exists()


def test_settings_come_back_from_config(tmp_path: Path, settings: DigitSettings) -> None:
    run = DigitRun.create(tmp_path / "run", settings)
    assert DigitRun(run.directory).settings == settings
    assert json.loads((run.directory / "config.json").read_text())["kind"] == "digits"


def test_behaviour_says_the_same_in_all_its_ways(few_digits: Path) -> None:
    digits = load_digits("test", few_digits)
    behaviour = DigitBehaviour(digits)
    network = SETTINGS.new_network()
    with torch.no_grad():
        correct, smooth = behaviour.correct(network), behaviour.right_label_probability(network)
        confusion = behaviour.confusion(network)
        logits = network(digits.inputs())
    assert list(correct) == list(smooth) == list(behaviour.measures) == [f"digit_{d}" for d in range(10)]
    for digit in range(10):
        members = digits.labels == digit
        assert correct[f"digit_{digit}"].tolist() == (logits[members].argmax(1) == digit).float().tolist()
        torch.testing.assert_close(smooth[f"digit_{digit}"], logits[members].softmax(1)[:, digit])
        assert float(confusion[digit, digit]) == pytest.approx(float(correct[f"digit_{digit}"].mean()))
    torch.testing.assert_close(confusion.sum(1), torch.ones(10, dtype=torch.float64))


def test_a_subset_of_the_test_images_has_as_many_of_each_digit(few_digits: Path) -> None:
    some = held_out_behaviour(replace(SETTINGS, data_dir=few_digits), 100)
    assert some.labels.bincount().tolist() == [10] * 10


def test_images_without_some_digit_are_refused(few_digits: Path) -> None:
    digits = load_digits("test", few_digits)
    with pytest.raises(ValueError, match="hold no digit 7"):
        DigitBehaviour(digits.subset(digits.labels != 7))
