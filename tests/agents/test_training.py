import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.agents.files import RunConflictError, RunFileError, SettingError
from goalcut.agents.gradient_log import GradientLog
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.routing import Routing
from goalcut.agents.run import PRESETS, Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import CheeseInCorner
from goalcut.envs.worlds import StarsAndCheese

SMALL = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=8, num_envs=16, num_steps=8, epochs=2, minibatches=2),
    network="mlp",
    num_levels=64,
    record_terms_every=3,
    save_every=2,
    measure_every=4,
    measure_levels=4,
    threads=1,
)


def trained(directory: Path, settings: TrainSettings = SMALL) -> Run:
    run = Run.create(directory, settings)
    train(run)
    return run


def contents(directory: Path) -> dict[str, bytes]:
    """All that must be the same in two runs of one seed: everything but wall times."""
    files = sorted([*(directory / "checkpoints").glob("rollout-*"), *(directory / "gradients").iterdir()])
    kept: dict[str, bytes] = {str(path.relative_to(directory)): path.read_bytes() for path in files}
    records = [json.loads(line) for line in (directory / "progress.jsonl").read_text().splitlines()]
    for record in records:
        del record["seconds"], record["recording_seconds"]
    return kept | {"progress.jsonl": json.dumps(records).encode()}


def assert_same(first: Path, second: Path) -> None:
    one, other = contents(first), contents(second)
    assert list(one) == list(other)
    for name in one:
        assert one[name] == other[name], name


@pytest.mark.parametrize("record", ["rollout", "update"])
def test_two_runs_of_one_seed_have_the_same_bytes(tmp_path: Path, record: str) -> None:
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)  # the global generator must not matter
        trained(tmp_path / name, replace(SMALL, record=record))
    assert_same(tmp_path / "a", tmp_path / "b")
    trained(tmp_path / "c", replace(SMALL, record=record, seed=1))
    assert contents(tmp_path / "c")["gradients/rows.bin"] != contents(tmp_path / "a")["gradients/rows.bin"]


def test_recording_changes_no_bit_of_what_is_learned(tmp_path: Path) -> None:
    recorded = trained(tmp_path / "a").parameters_after()
    unrecorded = trained(tmp_path / "b", replace(SMALL, record="none")).parameters_after()
    assert torch.equal(recorded, unrecorded)


# The default network lies in memory as channels_last, which a resumed optimizer must follow.
CONV = replace(SMALL, network="conv")
UPDATES = replace(SMALL, record="update", ppo=replace(SMALL.ppo, precision="float32"), checkpoint_every=3)


@pytest.mark.parametrize("settings", [SMALL, CONV, UPDATES], ids=["mlp", "conv", "updates"])
@pytest.mark.parametrize("stop", [1, 2, 3, 5, 7])
def test_a_run_stopped_anywhere_resumes_to_the_same_end(
    tmp_path: Path, stop: int, settings: TrainSettings
) -> None:
    trained(tmp_path / "whole", settings)
    run = Run.create(tmp_path / "stopped", settings)

    def interrupt(record: dict) -> None:
        if record["rollout"] == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, on_rollout=interrupt)
    assert not run.trained
    trained(tmp_path / "stopped", settings)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_in_bfloat16_resumes_to_the_same_end(tmp_path: Path) -> None:
    """On any processor, quick or not."""
    settings = replace(CONV, ppo=replace(CONV.ppo, rollouts=4, precision="bfloat16"))
    test_a_run_stopped_anywhere_resumes_to_the_same_end(tmp_path, 2, settings)


KILLED = replace(CONV, ppo=replace(CONV.ppo, rollouts=50))


def test_a_run_killed_at_twenty_random_moments_resumes_to_the_same_end(tmp_path: Path) -> None:
    trained(tmp_path / "whole", KILLED)
    directory, moments = tmp_path / "killed", random.Random(0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["goalcut.agents.training"])
    kills = 0
    while kills < 20:
        child = context.Process(target=train, args=(Run.create(directory, KILLED),))
        child.start()
        progress = directory / "progress.jsonl"
        before = progress.stat().st_size if progress.exists() else 0
        if moments.random() < 0.8:  # else it dies wherever it is: importing, making levels, resuming
            while child.is_alive() and (not progress.exists() or progress.stat().st_size <= before):
                time.sleep(0.0005)
        time.sleep(moments.random() * 0.08)
        assert child.pid is not None
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        if Run.create(directory, KILLED).trained:
            assert_same(tmp_path / "whole", directory)
            directory = tmp_path / f"killed-{kills}"
        elif (directory / "gradients").exists() and (directory / "gradients" / "rows.index").exists():
            GradientLog(directory / "gradients")  # every whole row reads back, with its checksum
    trained(directory, KILLED)
    assert_same(tmp_path / "whole", directory)


def test_the_run_directory_holds_what_the_design_says(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    assert run.checkpoints == list(range(9))
    assert torch.equal(run.parameters_after(0), flat_parameters(SMALL.new_network()))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["settings"]["world"]["size"] == 5
    assert config["versions"]["torch"].startswith("2.")
    log = run.gradient_log()
    assert log.rows().shape == (8, run.parameters_after().numel())
    assert log.terms == ["total", "entropy", "first_epoch", "policy", "value"]
    assert log.rows("policy").records["env_steps"].tolist() == [128, 512, 896]
    measured = [record["rollout"] for record in run.progress() if "measures" in record]
    assert measured == [0, 4, 8]


def test_applied_changes_sum_to_what_training_moved(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    changes = run.applied_changes()
    moved = run.parameters_after() - run.parameters_after(0)
    torch.testing.assert_close(
        torch.from_numpy(changes.panel(0, changes.shape[1])).sum(0), moved, atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("routing", "terms"),
    [
        (Routing(), ("policy", "value", "entropy")),
        (Routing(share=1.0, quiet_coef=0.5), ("policy", "value", "entropy", "quiet")),
    ],
)
def test_the_loss_terms_rows_sum_to_the_first_updates_gradient(
    tmp_path: Path, routing: Routing, terms: tuple[str, ...]
) -> None:
    world = StarsAndCheese(size=5, schedule="mixed") if routing.share else SMALL.world
    once = replace(SMALL, ppo=replace(SMALL.ppo, rollouts=1), record="update", record_terms_every=1)
    run = trained(tmp_path / "run", replace(once, world=world, routing=routing))
    log = run.gradient_log()
    whole = log.rows(half="A").panel(0, log.parameters)[0]
    parts = [log.rows(term, "A").panel(0, log.parameters)[0] for term in terms]
    assert all(abs(part).max() > 0 for part in parts)
    assert abs(whole - sum(parts)).max() < 3e-3 * abs(whole).max()
    assert ("quiet_loss" in list(run.progress())[-1]) == ("quiet" in terms)


def test_a_lost_bundle_never_wipes_what_was_recorded(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "rollout-00008.safetensors").unlink()
    before = contents(tmp_path / "run")
    bundle = tmp_path / "run" / "checkpoints" / "resume.safetensors"
    kept = bundle.read_bytes()
    bundle.unlink()
    with pytest.raises(RunFileError, match=r"resume.safetensors is missing, though 8 rollouts are recorded"):
        train(run)
    assert contents(tmp_path / "run") == before
    bundle.write_bytes(kept)
    train(run)  # and with its bundle the run ends as it had
    trained(tmp_path / "again")
    assert_same(tmp_path / "run", tmp_path / "again")


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", SMALL)
    with run.locked(), pytest.raises(RunConflictError, match="being trained by another process"):
        train(run)


def test_another_run_in_the_directory_is_refused_by_setting(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", SMALL)
    with pytest.raises(RunConflictError, match=r"holds another run: world\.corner_size is 3 there, 2 here"):
        Run.create(tmp_path / "run", replace(SMALL, world=CheeseInCorner(size=5, corner_size=2)))


def test_a_directory_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(RunConflictError, match="not empty"):
        Run.create(tmp_path, SMALL)


def test_a_damaged_bundle_or_checkpoint_is_named(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "rollout-00008.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=r"rollout-00008.safetensors is cut off or damaged.*checksum"):
        run.parameters_after()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunFileError, match=r"rollout-00008.safetensors is cut off or damaged"):
        run.parameters_after()
    path.unlink()
    with pytest.raises(
        RunFileError, match=r"rollout-00008.safetensors is missing.*to rollout 7 of 8; train it"
    ):
        run.parameters_after()
    bundle = tmp_path / "run" / "checkpoints" / "resume.safetensors"
    bundle.write_bytes(bundle.read_bytes()[:-9])
    with pytest.raises(RunFileError, match=r"resume.safetensors is cut off.*, or train in another directory"):
        train(run)


def test_a_checkpoint_that_is_not_there_is_told_by_why(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", replace(SMALL, checkpoint_every=2))
    with pytest.raises(SettingError, match="rollout is 9, but the run is of 8 rollouts: give one of 0 to 8"):
        run.parameters_after(9)
    with pytest.raises(SettingError, match="rollout is 3, but parameters are kept every 2 rollouts"):
        run.parameters_after(3)
    (tmp_path / "run" / "checkpoints" / "rollout-00000.safetensors").unlink()
    with pytest.raises(RunFileError, match=r"rollout-00000.safetensors is missing.*or restore it"):
        run.parameters_after(0)


def test_progress_that_was_lost_is_told_and_not_begun_anew(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "rollout-00008.safetensors").unlink()
    progress = tmp_path / "run" / "progress.jsonl"
    progress.unlink()
    with pytest.raises(RunFileError, match=r"progress.jsonl is missing or shorter.*restore it"):
        train(run)
    assert not progress.exists()


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", SMALL)
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"seed"', '"sead"'))
    with pytest.raises(RunFileError, match=r"config.json is damaged \(unknown setting sead\)"):
        Run(tmp_path / "run")


def test_presets_are_the_worlds_that_the_docs_report() -> None:
    assert PRESETS["default"].world == CheeseInCorner(9, 5, "bottom_left")
    assert PRESETS["random-start"].world == CheeseInCorner(9, 3, "random")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("num_levels", 0, "num_levels is 0"),
        ("record", "always", "record is 'always'"),
        ("network", "lstm", "network is 'lstm'"),
        ("threads", 0, "threads is 0"),
        ("time_limit", 0, "time_limit is 0"),
        ("world", CheeseInCorner(size=7, corner_size=7), "corner_size is 7, the whole maze"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(setting: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings(**{setting: value})  # type: ignore[arg-type]
