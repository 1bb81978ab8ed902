"""Whether units tell what an input shows."""

import numpy as np
import pytest
import torch
from torch import nn

from goalcut.analysis.feature_selectivity import class_moments, selectivity
from goalcut.analysis.layer_activations import in_float64
from goalcut.analysis.subject import Subject


def passed_through(inputs: torch.Tensor) -> Subject:
    network = nn.Sequential(nn.Linear(inputs.shape[1], inputs.shape[1], bias=False)).requires_grad_(False)
    network[0].weight.data = torch.eye(inputs.shape[1])
    return in_float64(Subject("test", network, network, inputs, {}, {"out": lambda g: g}, lambda g, _: g))


@pytest.fixture
def detectors() -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(200) % 4
    return nn.functional.one_hot(labels, 4).float(), labels


def test_a_detector_of_one_class_explains_all_of_its_variance_and_tells_about_one_class(
    detectors: tuple[torch.Tensor, torch.Tensor],
) -> None:
    inputs, labels = detectors
    moments = class_moments(passed_through(inputs), "0", {"it": labels}, batch=33)["it"]
    found = selectivity(moments)
    assert np.allclose(found.explained, np.array([3, 3, 3, 3]) / 3 * 1.0)
    assert np.allclose(found.classes, (9 + 3) ** 2 / (81 + 3))  # deviations ¾ and −¼ three times


def test_a_rotated_detector_is_found_by_turning_it_back(detectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    inputs, labels = detectors
    Q = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    moments = class_moments(passed_through(inputs @ Q.T), "0", {"it": labels})["it"]
    mixed, back = selectivity(moments), selectivity(moments, Q.numpy())
    assert back.classes.mean() < mixed.classes.mean()
    assert np.allclose(back.classes, 144 / 84, atol=1e-4)


def test_labels_that_are_not_told_do_not_count(detectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    inputs, labels = detectors
    hidden = torch.where(torch.arange(200) < 100, labels, -1)
    both = class_moments(passed_through(inputs), "0", {"all": labels, "half": hidden})
    assert (both["all"].inputs, both["half"].inputs) == (200, 100)
    assert torch.allclose(both["all"].means, both["half"].means)


def test_noise_explains_what_chance_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (1000,), generator=generator)
    moments = class_moments(passed_through(torch.randn(1000, 40, generator=generator)), "0", {"it": labels})
    assert selectivity(moments["it"]).explained.mean() == pytest.approx(4 / 999, rel=0.3)


@pytest.mark.parametrize("labels", [torch.zeros(200).long(), torch.full((200,), -1), torch.arange(100)])
def test_a_label_of_one_class_or_another_length_is_refused(
    detectors: tuple[torch.Tensor, torch.Tensor], labels: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match="label 'it'"):
        class_moments(passed_through(detectors[0]), "0", {"it": labels})
