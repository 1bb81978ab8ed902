"""Single units of a layer: their order, and what they are as directions."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from goalcut.ablate.activations import EditedNetwork
from goalcut.ablate.edits import ProjectOut, mean_activations
from goalcut.ablate.selection import vectors_of
from goalcut.ablate.single_units import unit_directions, unit_effects
from goalcut.analysis.subject import Subject


def subject_with(network: nn.Module, inputs: Tensor) -> Subject:
    logits: Callable[[Any], Tensor] = lambda given: given  # noqa: E731
    return Subject(
        kind="test",
        network=network.requires_grad_(False),
        untrained=network,
        inputs=inputs,
        targets={},
        outputs={"logits": logits},
        loss=lambda given, _: given.sum(1),
    )


def test_the_effect_of_a_unit_of_a_linear_network_is_what_its_ablation_changes() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 16, 4))
    subject = subject_with(network, torch.randn(50, 2, 4, 4))
    h = network[0](subject.inputs)
    for width in (3, 48):
        mean = mean_activations(h, width)
        ablated = []
        for unit in range(width):
            vector = vectors_of(unit_directions(torch.tensor([unit]), width, "0"))
            changed = EditedNetwork(network, {"0": ProjectOut(vector, mean)})(subject.inputs)
            ablated.append(float((changed - network(subject.inputs)).square().sum(1).mean().sqrt()))
        effects = unit_effects(subject, "0", width)
        torch.testing.assert_close(effects, torch.tensor(ablated).double(), rtol=1e-4, atol=1e-6)


def test_units_that_no_output_reads_have_no_effect() -> None:
    last = nn.Linear(6, 2)
    network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), last)
    with torch.no_grad():
        last.weight[:, 3] = 0
    effects = unit_effects(subject_with(network, torch.randn(40, 5)), "1", 6)
    assert effects[3] == 0
    assert int(effects.argmin()) == 3


def test_another_number_of_entries_is_refused() -> None:
    subject = subject_with(nn.Sequential(nn.Linear(5, 6)), torch.randn(4, 5))
    with pytest.raises(ValueError, match="has 7 entries"):
        unit_effects(subject, "0", 7)
