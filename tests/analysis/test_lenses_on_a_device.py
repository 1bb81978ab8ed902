"""Every lens on another device than the CPU: the directions and figures of the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.analysis.ansatz_lens import AnsatzSettings
from goalcut.analysis.channels_lens import ChannelsSettings
from goalcut.analysis.coefficient_through_training import CoefficientSettings
from goalcut.analysis.curvature_lens import CurvatureSettings
from goalcut.analysis.features_lens import FeaturesSettings
from goalcut.analysis.lenses import look
from goalcut.analysis.rotation_lens import RotationSettings
from goalcut.analysis.through_training import Course, look_through_training
from goalcut.envs.worlds import CheeseInCorner

SETTINGS: dict[str, Any] = {
    "ansatz": AnsatzSettings(directions=3, draws=2),
    "curvature": CurvatureSettings(
        inputs=20,
        eigenpairs=2,
        bottom=1,
        restarts=2,
        probes=2,
        steps=4,
        trace_probes=2,
        rank_inputs=4,
        measured=1,
        chains=2,
        burn_in=2,
        draws=10,
        tolerance=0.5,
    ),
    "features": FeaturesSettings(directions=3, draws=1, restarts=1, interaction_inputs=8),
    "rotation": RotationSettings(
        inputs=10,
        blocks=10,
        steps=3,
        starts=("identity", "random"),
        control_updates=2,
        toy=False,
        directions=3,
    ),
    "channels": ChannelsSettings(inputs=8, directions=3, late_cells=1, radius=1),
}


# Layers of both kinds, convolutions and not, and each loss: what else there is would take its time and find the same.
SEEN = [
    *(("maze", name) for name in ("ansatz", "features", "channels")),
    *(("digits", name) for name in SETTINGS),
]
FOLLOWED = [("maze", "curvature"), *(("digits", name) for name in ("ansatz", "curvature", "features"))]


@pytest.fixture(scope="module")
def run(
    request: pytest.FixtureRequest, few_digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run | DigitRun:
    directory, threads = tmp_path_factory.mktemp("lenses") / request.param, torch.get_num_threads()
    if request.param == "maze":
        maze = TrainSettings(
            world=CheeseInCorner(size=5, corner_size=2),
            ppo=PPOSettings(rollouts=4, num_envs=8, num_steps=8, minibatches=2, precision="float32"),
            num_levels=32,
            time_limit=10,
            record="none",
            measure_every=0,
            threads=1,
        )
        made: Run | DigitRun = Run.create(directory, maze)
        train(made)
    else:
        digits = DigitSettings(
            hidden=(12, 8),
            epochs=1,
            learning_rate=0.05,
            record="none",
            measure_every=0,
            data_dir=few_digits,
            checkpoint_every=3,
            threads=1,
        )
        made = DigitRun.create(directory, digits)
        train_digits(made)
    torch.set_num_threads(threads)
    return made


def assert_near(there: Any, here: Any, where: str = "figures") -> None:
    """Of one shape and kind throughout, and numbers alike but for rounding."""
    if isinstance(here, dict):
        assert list(there) == list(here), where
        for name in here:
            assert_near(there[name], here[name], f"{where}.{name}")
    elif isinstance(here, list | tuple):
        assert len(there) == len(here), where
        for number, pair in enumerate(zip(there, here, strict=True)):
            assert_near(*pair, f"{where}[{number}]")
    elif isinstance(here, float):
        assert there == pytest.approx(here, rel=2e-2, abs=1e-4, nan_ok=True), where
    else:
        assert there == here, where


@pytest.mark.parametrize(("run", "name"), SEEN, indirect=["run"])
def test_a_lens_finds_on_the_device_what_it_finds_on_the_cpu(
    name: str, run: Run | DigitRun, emulated: str
) -> None:
    here, there = (look(run, name, SETTINGS[name], inputs=40, device=device) for device in ("cpu", emulated))
    assert list(there.directions) == list(here.directions)
    for space, found in here.directions.items():
        other = there.directions[space]
        np.testing.assert_allclose(other.singular_values, found.singular_values, rtol=1e-2)
        assert (np.abs((other.vectors * found.vectors).sum(1))[:1] > 0.99).all()
    assert_near(there.figures, here.figures)


@pytest.mark.parametrize(("run", "name"), FOLLOWED, indirect=["run"])
def test_a_lens_follows_training_on_the_device_as_on_the_cpu(
    name: str, run: Run | DigitRun, emulated: str
) -> None:
    coefficient = CoefficientSettings(levels=4, burn_in=1, draws=10)
    here, there = (
        look_through_training(
            Course(run, run.checkpoints[:4], inputs=40, device=device), SETTINGS[name], coefficient
        )
        for device in ("cpu", emulated)
    )
    assert_near(there, here)
