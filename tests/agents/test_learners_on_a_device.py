"""Trainings on another device than the CPU: the same parameters, rows of gradients and files as on the CPU.

The emulated device computes and draws what the CPU does; in bfloat16 it casts as a GPU does, so that figures are near.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.routing import Routing
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import replay_training, train
from goalcut.envs import CheeseInCorner
from goalcut.envs.worlds import StarsAndCheese

SMALL = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=2),
    ppo=PPOSettings(rollouts=2, num_envs=8, num_steps=8, epochs=2, minibatches=2, precision="float32"),
    network="mlp",
    num_levels=32,
    record_terms_every=2,
    save_every=1,
    measure_every=1,
    measure_levels=4,
    threads=1,
)
ROUTED = replace(SMALL, world=StarsAndCheese(size=5, schedule="mixed"), routing=Routing(share=0.5))
LEARNERS = {
    "mlp": SMALL,
    "conv": replace(SMALL, network="conv"),
    "impala": replace(SMALL, network="impala"),
    "each update": replace(SMALL, record="update"),
    "routed": ROUTED,
    "routed and quiet": replace(ROUTED, routing=Routing(share=0.5, quiet_coef=0.5)),
    "sb3": replace(SMALL, learner="sb3"),
}
DEVICES = ("cpu", "cuda")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Stopped(Exception):
    pass


def trained(directory: Path, settings: Any, *, killed: bool = False) -> Any:
    """A run, trained; or killed after its first rollout, and trained on."""
    run = Run.create(directory, settings)

    def stop(record: dict[str, Any]) -> None:
        raise Stopped

    if killed:
        with pytest.raises(Stopped):
            train(run, on_rollout=stop)
    train(run)
    return run


def assert_same(here: Any, there: Any) -> None:
    """Parameters, rows of gradients and measures alike."""
    theta_0, theta = here.parameters_after(0), here.parameters_after()
    assert torch.equal(there.parameters_after(0), theta_0)
    moved = (theta - theta_0).norm()
    assert (there.parameters_after() - theta).norm() < 1e-3 * moved
    log, other = here.gradient_log(), there.gradient_log()
    for field in ("update", "env_steps", "averaged", "term", "half", "lr"):
        assert (other.index[field] == log.index[field]).all(), field
    np.testing.assert_allclose(other.index["clip"], log.index["clip"], rtol=1e-3)
    rows, others = (one.memmap() * one.index["scale"][:, None] for one in (log, other))
    assert (np.linalg.norm(others - rows, axis=1) < 2e-3 * np.linalg.norm(rows, axis=1)).all()
    for record, expected in zip(there.progress(), here.progress(), strict=True):
        assert record.keys() == expected.keys()
        if "measures" in record:
            assert record["measures"] == pytest.approx(expected["measures"], rel=1e-3)


@pytest.mark.parametrize("settings", LEARNERS.values(), ids=LEARNERS)
def test_a_training_on_the_device_is_that_on_the_cpu(
    settings: TrainSettings, tmp_path: Path, emulated: str
) -> None:
    here, there = (trained(tmp_path / device, replace(settings, device=device)) for device in DEVICES)
    assert_same(here, there)


@pytest.mark.parametrize("learner", ["goalcut", "sb3"])
def test_a_training_that_was_killed_goes_on_to_the_very_same_bits_on_the_device(
    learner: str, tmp_path: Path, emulated: str
) -> None:
    settings = replace(SMALL, network="conv", learner=learner, device=emulated)
    whole, killed = (trained(tmp_path / str(k), settings, killed=k) for k in (False, True))
    assert torch.equal(killed.parameters_after(), whole.parameters_after())
    assert (killed.gradient_log().memmap() == whole.gradient_log().memmap()).all()


@pytest.mark.parametrize("learner", ["goalcut", "sb3"])
def test_bfloat16_is_what_auto_means_on_a_gpu_and_learns_the_same_about(
    learner: str, tmp_path: Path, emulated: str
) -> None:
    ppo = replace(SMALL.ppo, precision="auto")
    reduced = trained(
        tmp_path / "auto", replace(SMALL, network="conv", learner=learner, ppo=ppo, device=emulated)
    )
    assert reduced.settings.ppo.precision == "bfloat16"
    full = trained(tmp_path / "float32", replace(SMALL, network="conv", learner=learner, device=emulated))
    rows, others = (run.gradient_log().rows().panel(0, 1000) for run in (full, reduced))
    assert 0 < np.linalg.norm(others - rows) < 0.5 * np.linalg.norm(rows)


def test_a_replay_on_the_device_gives_the_rows_that_were_recorded(tmp_path: Path, emulated: str) -> None:
    settings = replace(SMALL, device=emulated)
    recorded, seen = trained(tmp_path / "run", settings).gradient_log(), []

    class Sink:
        rows = 0

        def append(self, row: Any) -> None:
            seen.append(np.linalg.norm(row.gradient.astype(np.float64)))

        def sync(self) -> None: ...

        def close(self) -> None: ...

    replay_training(settings)(Sink())
    np.testing.assert_allclose(seen, recorded.index["norm"], rtol=1e-6)


@pytest.mark.parametrize(("network", "optimizer"), [("mlp", "sgd"), ("cnn", "adam")])
def test_a_classifier_trained_on_the_device_is_that_of_the_cpu(
    network: Any, optimizer: Any, few_digits: Path, tmp_path: Path, emulated: str
) -> None:
    settings = DigitSettings(
        network=network,
        hidden=(8, 16),
        optimizer=optimizer,
        momentum=0.9 if optimizer == "sgd" else 0.0,
        epochs=1,
        measure_every=5,
        measure_images=200,
        save_every=4,
        data_dir=few_digits,
        threads=1,
    )
    runs = [DigitRun.create(tmp_path / device, replace(settings, device=device)) for device in DEVICES]
    for run in runs:
        if run.settings.device == emulated:
            with pytest.raises(Stopped):
                train_digits(run, on_record=_stop_at_five)
        train_digits(run)
    assert_same(*runs)


def _stop_at_five(record: dict[str, Any]) -> None:
    if record["update"] == 5:
        raise Stopped
