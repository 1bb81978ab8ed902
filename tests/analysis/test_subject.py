"""A lens's subject: the network and inputs of a run."""

import pytest
import torch

from goalcut.agents.run import Run
from goalcut.analysis.subject import Subject, subject_of


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
    below, right = cheese // 5 > mouse // 5, cheese % 5 > mouse % 5
    assert torch.equal(subject.labels["cheese"], 2 * below.long() + right.long())


def test_layers_are_those_that_a_forward_pass_calls(subject: Subject) -> None:
    assert list(subject.layers) == ["trunk.0", "trunk.2", "trunk.5"]


def test_a_layer_that_is_not_there_is_refused_by_name(subject: Subject) -> None:
    with pytest.raises(ValueError, match=r"layer is 'trunk.9': the network has trunk, trunk.0"):
        subject.layer("trunk.9")
