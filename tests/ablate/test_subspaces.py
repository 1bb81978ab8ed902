"""Directions that no one had to find."""

import pytest
import torch

from goalcut.ablate.cuts import cut_parameters
from goalcut.ablate.principal import principal_directions
from goalcut.ablate.selection import vectors_of
from goalcut.ablate.subspaces import module_directions, random_coordinates, random_directions


def test_random_directions_are_orthonormal_and_follow_their_generator() -> None:
    vectors = vectors_of(random_directions(300, 5, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(5), rtol=0, atol=1e-6)
    again = vectors_of(random_directions(300, 5, torch.Generator().manual_seed(0)))
    other = vectors_of(random_directions(300, 5, torch.Generator().manual_seed(1)))
    assert torch.equal(vectors, again)
    assert not torch.equal(vectors, other)


def test_cutting_a_group_of_coordinates_takes_just_them_back_to_the_beginning() -> None:
    theta, theta_0 = torch.randn(2, 103, generator=torch.Generator().manual_seed(0))
    vectors = vectors_of(random_coordinates(theta - theta_0, 10, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(10), rtol=0, atol=1e-6)
    cut = cut_parameters(theta, theta_0, vectors[:1])
    back = (cut - theta_0).abs() < 1e-5
    assert 10 <= int(back.sum()) <= 11
    assert torch.equal(cut[~back], theta[~back])
    torch.testing.assert_close(cut_parameters(theta, theta_0, vectors), theta_0)


def test_cutting_a_module_shrinks_it_and_leaves_the_others() -> None:
    theta, theta_0 = torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    theta[6:9] = theta_0[6:9] + 5
    layout = {
        "a.weight": (0, 4, (4,)),
        "a.bias": (4, 6, (2,)),
        "b.0.weight": (6, 9, (3,)),
        "c.0": (9, 10, (1,)),
    }
    theta[9] = theta_0[9]  # a module that training did not move is no direction
    found = module_directions(theta - theta_0, layout)
    assert found.source["modules"] == ["b.0", "a"]
    cut = cut_parameters(theta, theta_0, vectors_of(found)[:1], 0.4)
    torch.testing.assert_close(cut[6:9], theta[6:9] - 0.4 * (theta - theta_0)[6:9])
    assert torch.equal(cut[:6], theta[:6])


def test_principal_directions_are_those_of_a_dense_decomposition() -> None:
    rows = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    found = principal_directions(torch.cat([rows, rows[:1] * 2]), space="trunk")
    assert found.vectors.shape == (4, 30)  # the fifth row adds none
    vectors = vectors_of(found)
    torch.testing.assert_close(rows @ vectors.T @ vectors, rows, rtol=1e-4, atol=1e-5)
    assert principal_directions(rows, 2).vectors.shape == (2, 30)


def test_what_cannot_be_decomposed_or_shared_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows are \(3,\): give \(n, d\), all finite"):
        principal_directions(torch.zeros(3))
    with pytest.raises(ValueError, match="all finite"):
        principal_directions(torch.full((2, 3), float("inf")))
    with pytest.raises(ValueError, match="groups is 11: give 1 to 10"):
        random_coordinates(torch.ones(10), 11, torch.Generator())
