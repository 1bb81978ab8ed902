import csv
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.agents.training_logs import LogKind, TrainingLogs, check_logs, scalars
from goalcut.envs import CheeseInCorner

SMALL = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=6, num_envs=16, num_steps=8, epochs=1, minibatches=2),
    network="mlp",
    num_levels=32,
    save_every=2,
    measure_every=3,
    measure_levels=4,
    threads=1,
)
BOTH: tuple[LogKind, ...] = ("csv", "tensorboard")


def trained(directory: Path, kinds: Sequence[LogKind], *, stop: int | None = None) -> Run:
    """A small run, trained to its end, or until it is interrupted after the logging of rollout `stop`."""
    run = Run.create(directory, SMALL)
    with TrainingLogs(run, kinds) as logs:

        def on_rollout(record: dict[str, Any]) -> None:
            logs.follow()
            if record["rollout"] == stop:
                raise KeyboardInterrupt

        if stop is None:
            train(run, on_rollout=on_rollout)
        else:
            with pytest.raises(KeyboardInterrupt):
                train(run, on_rollout=on_rollout)
    return run


def in_csv(run: Run | DigitRun) -> list[dict[str, float]]:
    with open(run.directory / "progress.csv", newline="") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def events(run: Run | DigitRun) -> EventAccumulator:
    found = EventAccumulator(str(run.directory / "tensorboard"), size_guidance={"scalars": 0})
    return found.Reload()


def points(found: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)] for name in found.Tags()["scalars"]
    }


def expected(run: Run | DigitRun, step: str) -> dict[str, list[tuple[int, Any]]]:
    curves: dict[str, list[tuple[int, Any]]] = {}
    for record in run.progress():
        for name, value in scalars(record).items():
            curves.setdefault(name, []).append((record[step], pytest.approx(value, rel=1e-6)))
    return curves


def assert_logged_once(run: Run | DigitRun, step: str) -> None:
    assert in_csv(run) == [scalars(record) for record in run.progress()]
    assert points(events(run)) == expected(run, step)


def test_nested_numbers_are_named_by_their_path_and_lists_left_out() -> None:
    record = {
        "loss": 0.5,
        "measures": {"a": 1.0, "of": {"b": 2}},
        "confusion": [[1.0]],
        "none": None,
        "t": "x",
    }
    assert scalars(record) == {"loss": 0.5, "measures/a": 1.0, "measures/of/b": 2}


def test_csv_and_tensorboard_hold_every_number_of_every_record(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", BOTH)
    assert_logged_once(run, "env_steps")
    curve = points(events(run))["measures/corner_reach"]
    assert [step for step, _ in curve] == [0, 3 * 128, 6 * 128]
    # Relative time is time of training, not of logging.
    seconds = [record["seconds"] for record in run.progress()]
    clock = [event.wall_time for event in events(run).Scalars("env_steps")]
    assert clock[-1] - clock[0] == pytest.approx(sum(seconds), rel=1e-3)


def test_logs_change_no_bit_of_the_run(tmp_path: Path) -> None:
    logged, plain = trained(tmp_path / "logged", BOTH), trained(tmp_path / "plain", ())
    assert torch.equal(logged.parameters_after(), plain.parameters_after())
    for name in ("config.json", "gradients/rows.bin"):
        assert (logged.directory / name).read_bytes() == (plain.directory / name).read_bytes()
    assert not {"progress.csv", "tensorboard"} & {path.name for path in plain.directory.iterdir()}


@pytest.mark.parametrize("stop", [1, 3, 4, 5])
def test_rollouts_lost_in_a_kill_and_done_again_are_logged_once(tmp_path: Path, stop: int) -> None:
    run = trained(tmp_path / "run", BOTH, stop=stop)
    assert_logged_once(run, "env_steps")
    watched = events(run)  # as a TensorBoard that is left open
    with open(run.directory / "progress.csv", "a") as file:
        file.write("6,7")  # half a line
    trained(tmp_path / "run", BOTH)
    assert_logged_once(run, "env_steps")
    assert points(watched.Reload()) == expected(run, "env_steps")


def test_logs_asked_for_late_have_the_early_records_too(tmp_path: Path) -> None:
    trained(tmp_path / "run", ("csv",), stop=3)
    assert_logged_once(trained(tmp_path / "run", BOTH), "env_steps")


def test_a_run_that_another_process_trains_keeps_its_logs(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", ("csv",), stop=3)
    before = (run.directory / "progress.csv").stat()
    with run.locked(), pytest.raises(ValueError, match="being trained by another process"):
        trained(tmp_path / "run", BOTH)
    assert (run.directory / "progress.csv").stat() == before
    assert not (run.directory / "tensorboard").exists()


def test_a_classifiers_run_is_logged_by_its_updates(tmp_path: Path, few_digits: Path) -> None:
    settings = DigitSettings(
        hidden=(8,), batch_size=64, epochs=1, save_every=5, measure_every=2, threads=1, data_dir=few_digits
    )
    threads = torch.get_num_threads()
    run = DigitRun.create(tmp_path / "run", settings)
    with TrainingLogs(run, BOTH) as logs:
        train_digits(run, on_record=lambda record: logs.follow())
    torch.set_num_threads(threads)
    assert_logged_once(run, "update")
    assert "measures/digit_3" in points(events(run))


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_log_whose_package_is_missing_names_the_extra(
    kind: LogKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(ValueError, match=rf"log is '{kind}', .* pip install 'goalcut\[{kind}\]'"):
        TrainingLogs(Run.create(tmp_path / "run", SMALL), ["csv", kind])
    check_logs(["csv"])


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    """What an offline run of W&B holds: records of protobuf in blocks of 32 KiB, as LevelDB logs them."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    content, at, whole, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, part = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if part in (1, 4):  # whole, or the last part
            record, whole = Record.FromString(whole), b""
            if record.WhichOneof("record_type") == "history":
                items = {
                    "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                    for item in record.history.item
                }
                rows.append(items | {"_step": record.history.step.num})
    return rows


def test_wandb_gets_every_record_once_and_keeps_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MODE": "offline", "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    import wandb  # reads them

    run = trained(tmp_path / "run", ("wandb",), stop=3)
    name = (run.directory / "wandb" / "run-id").read_text()
    trained(tmp_path / "run", ("wandb",))
    wandb.teardown()  # its service has then written everything
    assert (run.directory / "wandb" / "run-id").read_text() == name
    folders = sorted((run.directory / "wandb").glob(f"offline-run-*-{name}*"))
    rows = wandb_history(folders[-1])
    assert [row["_step"] for row in rows] == [record["env_steps"] for record in run.progress()]
    for row, record in zip(rows, run.progress(), strict=True):
        assert {name: value for name, value in row.items() if not name.startswith("_")} == scalars(record)
