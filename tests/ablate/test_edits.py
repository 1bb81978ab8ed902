"""Edits against dense formulas in float64, on activations of linear and convolutional layers."""

import pytest
import torch
from torch import Tensor

from goalcut.ablate.edits import (
    AddVector,
    ClampChannel,
    MeanAblation,
    ProjectOut,
    ResampleAblation,
    mean_activations,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def basis(count: int, width: int) -> Tensor:
    return torch.linalg.qr(normal(width, count, seed=1))[0].T


def test_projecting_out_leaves_nothing_along_the_directions_but_the_mean() -> None:
    h, vectors, mean = normal(7, 6), basis(2, 6), normal(6, seed=2)
    after = ProjectOut(vectors, mean)(h)
    torch.testing.assert_close(after @ vectors.T, (mean @ vectors.T).expand(7, 2))
    rest = torch.eye(6, dtype=torch.float64) - vectors.T @ vectors
    torch.testing.assert_close(after @ rest, h @ rest)


@pytest.mark.parametrize("channels", [4, 100])
def test_directions_of_as_many_entries_as_channels_act_at_every_position(channels: int) -> None:
    h, vectors, mean = normal(3, channels, 5, 2), basis(2, channels), normal(channels, seed=2)
    after = ProjectOut(vectors, mean, dose=0.3)(h)
    for row in range(5):
        for column in range(2):
            here = h[:, :, row, column]
            expected = here - 0.3 * (here - mean) @ vectors.T @ vectors
            torch.testing.assert_close(after[:, :, row, column], expected)


def test_directions_of_all_entries_act_on_the_flattened_activations() -> None:
    h, vectors = normal(3, 4, 5, 2), basis(3, 40)
    doses = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    expected = h.flatten(1) - (doses * (h.flatten(1) @ vectors.T)) @ vectors
    torch.testing.assert_close(ProjectOut(vectors, dose=doses)(h).flatten(1), expected)
    lying = h.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ProjectOut(vectors, dose=doses)(lying).flatten(1), expected)


@pytest.mark.parametrize("width", [4, 40])
def test_no_dose_and_no_direction_change_no_bit(width: int) -> None:
    h = normal(3, 4, 5, 2).float()
    h[0, 0] = -0.0  # which any sum would make 0.0
    edits = [
        ProjectOut(basis(2, width).float(), dose=0.0),
        ProjectOut(basis(2, width).float(), dose=torch.zeros(2)),
        ProjectOut(torch.zeros(0, width)),
        AddVector(normal(width).float(), 0.0),
        MeanAblation(normal(width).float(), dose=0.0),
    ]
    for edit in edits:
        assert torch.equal(edit(h).view(torch.int32), h.view(torch.int32))


def test_a_vector_is_added_at_every_position_or_to_all_of_them() -> None:
    h = normal(3, 4, 5, 2)
    assert torch.equal(AddVector(torch.tensor([0.0, 1, 0, 0]), 2.0)(h)[:, 1], h[:, 1] + 2)
    whole = normal(40, seed=3)
    torch.testing.assert_close(AddVector(whole, -1.0)(h), h - whole.view(4, 5, 2))


def test_mean_ablation_leaves_every_input_the_same_in_its_channels_alone() -> None:
    h = normal(9, 4, 5, 2)
    mean = mean_activations(h, 4)
    torch.testing.assert_close(mean, h.mean((0, 2, 3)))
    after = MeanAblation(mean, channels=[1, 3])(h)
    torch.testing.assert_close(after[:, 3], mean[3].expand(9, 5, 2))
    assert torch.equal(after[:, [0, 2]], h[:, [0, 2]])
    whole = MeanAblation(mean_activations(h, 40))(h)
    torch.testing.assert_close(whole, h.mean(0).expand_as(h))


def test_resampling_gives_rows_of_the_source_and_the_same_for_the_same_generator() -> None:
    h, source = normal(50, 4, 2), normal(5, 4, 2, seed=4)

    def resampled(seed: int) -> Tensor:
        return ResampleAblation(source, torch.Generator().manual_seed(seed), channels=[2])(h)

    drawn = (resampled(0)[:, None, 2] == source[None, :, 2]).all(-1)
    assert drawn.any(1).all()
    assert drawn.any(0).all()
    assert torch.equal(resampled(0)[:, [0, 1, 3]], h[:, [0, 1, 3]])
    assert torch.equal(resampled(0), resampled(0))
    assert not torch.equal(resampled(0), resampled(1))


def test_one_channel_is_clamped_everywhere_or_at_one_position() -> None:
    h = normal(3, 4, 5, 2)
    after = ClampChannel(2, 5.5)(h)
    assert (after[:, 2] == 5.5).all()
    assert torch.equal(after[:, [0, 1, 3]], h[:, [0, 1, 3]])
    after = ClampChannel(2, 5.5, at=(4, 1))(h)
    assert torch.nonzero(after != h)[:, 1:].unique(dim=0).tolist() == [[2, 4, 1]]


def test_doses_are_differentiable_also_at_zero() -> None:
    h, vectors = normal(3, 4, 5, 2), basis(2, 4)
    doses = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    ProjectOut(vectors, dose=doses)(h).square().sum().backward()
    along = (h.movedim(1, -1) @ vectors.T).square().sum((0, 1, 2))
    torch.testing.assert_close(doses.grad, -2 * along)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (ProjectOut(torch.zeros(2, 7)), "gives .4, 5, 2.*has 7 entries: give 4, one per channel, or 40"),
        (AddVector(torch.zeros(5)), "has 5 entries: give 4"),
        (MeanAblation(torch.zeros(4), channels=[4]), "has 4 channels, channels are .4.: give some of 0 to 3"),
        (ClampChannel(4, 1.0), "clamped are channel 4 and position None: give"),
        (ClampChannel(0, 1.0, at=(5, 0)), "position .5, 0.: give a channel, and a position"),
        (ClampChannel(0, 1.0, at=(1,)), "position .1,.: give a channel, and a position"),
        (ResampleAblation(torch.zeros(9, 4), torch.Generator()), "give activations of the same layer"),
    ],
)
def test_an_edit_of_another_shape_is_refused(edit, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        edit(torch.zeros(3, 4, 5, 2))


def test_shapes_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vectors are \(4,\): give \(k, d\)"):
        ProjectOut(torch.zeros(4))
    with pytest.raises(ValueError, match=r"mean is \(3,\), the directions have 4 entries"):
        ProjectOut(torch.zeros(2, 4), torch.zeros(3))
    with pytest.raises(ValueError, match=r"dose is of shape \(3,\): give one number or 2 of them"):
        ProjectOut(torch.zeros(2, 4), dose=torch.zeros(3))
