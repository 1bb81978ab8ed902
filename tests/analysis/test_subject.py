"""A lens's subject: the network and inputs of a run."""

from pathlib import Path

import pytest
import torch
from procgen_installed import needs_procgen

from goalcut.agents.ppo import PPOSettings
from goalcut.agents.procgen_run import ProcgenRun, ProcgenSettings, train_procgen
from goalcut.agents.run import Run
from goalcut.analysis.subject import Subject, subject_of
from goalcut.envs.procgen_maze import ProcgenMaze


@pytest.fixture(scope="module")
def subject(run: Run) -> Subject:
    return subject_of(run, inputs=50)


def test_a_maze_subject_has_as_many_inputs_as_asked_for(subject: Subject) -> None:
    assert len(subject) == 50
    assert subject.inputs.shape == (50, 3, 5, 5)
    assert all(len(values) == 50 for values in (*subject.targets.values(), *subject.labels.values()))


def test_the_loss_of_the_trained_network_is_zero_and_of_the_untrained_is_not(subject: Subject) -> None:
    def loss(network: torch.nn.Module) -> torch.Tensor:
        return subject.loss(network(subject.inputs), subject.targets)

    assert loss(subject.network).abs().max() < 1e-5
    assert loss(subject.untrained).mean() > 1e-4


def test_labels_say_where_the_cheese_lies(subject: Subject) -> None:
    planes = subject.inputs
    mouse, cheese = (planes[:, plane].flatten(1).argmax(1) for plane in (1, 2))
    down, right = cheese // 5 - mouse // 5, cheese % 5 - mouse % 5
    assert torch.equal(subject.labels["cheese"], 3 * (1 + down.sign()) + 1 + right.sign())
    assert 4 not in subject.labels["cheese"]  # the mouse's own cell, where the episode is over


def test_straight_up_and_straight_right_are_directions_of_their_own(subject: Subject) -> None:
    mouse = subject.inputs[:, 1].flatten(1).argmax(1)
    row, column = mouse // 5, mouse % 5
    # The corner, at the right of the first row, lies straight up, straight right or up and right.
    expected = 3 * (row == 0).long() + (column < 4).long() + 1
    assert torch.equal(subject.labels["corner"], expected)
    assert {1, 2, 5} == set(expected.tolist()) - {4}


def test_layers_are_those_that_a_forward_pass_calls(subject: Subject) -> None:
    assert list(subject.layers) == ["trunk.0", "trunk.2", "trunk.5"]


def test_a_layer_that_is_not_there_is_refused_by_name(subject: Subject) -> None:
    with pytest.raises(ValueError, match=r"layer is 'trunk.9': the network has trunk, trunk.0"):
        subject.layer("trunk.9")


@needs_procgen
def test_a_procgen_subject_has_every_picture_that_play_of_its_levels_shows(tmp_path: Path) -> None:
    # A level of few cells.
    level = {"mode": "easy", "corner_size": 2, "num_levels": 1, "start_level": 2630}
    settings = ProcgenSettings(
        **level,
        ppo=PPOSettings(rollouts=1, num_envs=4, num_steps=4, epochs=1, minibatches=1, precision="float32"),
        measure_every=0,
        threads=1,
        game_threads=0,
    )
    run = ProcgenRun.create(tmp_path / "run", settings)
    train_procgen(run)
    subject = subject_of(run, inputs=1000)
    env = ProcgenMaze(8, seed=0, threads=0, cheese="region", **level)
    free = int((~env.levels.levels.walls[0]).sum())
    # Every free cell but that of the cheese, the mouse looking left and right.
    assert subject.inputs.shape == (2 * (free - 1), 3, 64, 64)
    known = {picture.numpy().tobytes() for picture in subject.inputs.to(torch.uint8)}
    seen = set()
    for actions in torch.randint(15, (60, 8), generator=torch.Generator().manual_seed(0)):
        seen |= {picture.contiguous().numpy().tobytes() for picture in env.step(actions).observations}
    assert len(seen) > 4
    assert seen <= known
    loss = subject.loss(subject.network(subject.inputs), subject.targets)
    assert loss.abs().max() < 1e-5
    assert subject.loss(subject.untrained(subject.inputs), subject.targets).mean() > 1e-8
    assert set(subject.labels["gaze"].tolist()) == {0, 1}
    assert set(subject.labels["corner"].tolist()) <= set(range(9))
    assert set(subject.labels) == {"walls", "corner", "cheese", "gaze"}
