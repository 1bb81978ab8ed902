"""Rotations fitted to planted and to known Jacobians, and what they are held against."""

import numpy as np
import pytest
import torch
from torch import nn

from goalcut.agents.classifiers import build_classifier
from goalcut.agents.networks import build_network
from goalcut.analysis.ica import independent_components
from goalcut.analysis.matched_bases import (
    chance_cosine,
    matched_cosine,
    nearest_rotation,
    random_rotation,
    with_sign,
)
from goalcut.analysis.rotated_network import RotatedLayer, rotated_network
from goalcut.analysis.rotation_fit import fit_rotations, rotated, rotated_loss, start_bases
from goalcut.analysis.sparse_jacobian import LOSSES, LossName, normalised, sparsity_loss
from goalcut.analysis.superposition import ToyAutoencoder, rotation_of_toy, train_toy

N = 8


@pytest.fixture(scope="module")
def planted() -> tuple[list[torch.Tensor], dict[int, np.ndarray]]:
    """Jacobians between three layers that are sparse in the bases given, and only there."""
    generator = torch.Generator().manual_seed(0)
    bases = {layer: random_rotation(N, layer) for layer in range(3)}
    stacks = []
    for pair in range(2):
        zero = torch.rand(100, N, N, generator=generator) > 0.15
        sparse = torch.randn(100, N, N, generator=generator).masked_fill(zero, 0).double()
        stacks.append((torch.from_numpy(bases[pair + 1].T) @ sparse @ torch.from_numpy(bases[pair])).float())
    return stacks, bases


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_prefers_zeros_and_sees_neither_signs_nor_order(name: LossName) -> None:
    loss = sparsity_loss(name)
    sparse = normalised(torch.eye(6).expand(3, 6, 6))
    dense = normalised(torch.ones(3, 6, 6))
    assert loss(sparse) < 0.6 * loss(dense)
    J = normalised(torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0)))
    assert loss(sparse) < loss(J) < loss(dense)
    assert loss(-J.flip(1)) == pytest.approx(float(loss(J)), rel=1e-5)


def test_the_hoyer_loss_runs_from_one_entry_to_constant_blocks() -> None:
    loss = sparsity_loss("hoyer")
    one = torch.zeros(2, 4, 4)
    one[:, 1, 2] = 5
    assert loss(one) == pytest.approx(1 / 4)
    assert loss(torch.ones(2, 4, 4)) == pytest.approx(1)


@pytest.mark.parametrize("name", LOSSES)
def test_a_joint_fit_recovers_planted_bases_from_the_identity(
    planted: tuple[list[torch.Tensor], dict[int, np.ndarray]], name: LossName
) -> None:
    stacks, bases = planted
    fit = fit_rotations(stacks, [0, 1, 2], sparsity_loss(name), steps=150, learning_rate=0.1)
    true = rotated_loss([normalised(J) for J in stacks], bases, sparsity_loss(name))
    assert fit.loss < 1.05 * true < 0.8 * fit.start
    assert all(matched_cosine(fit.bases[layer], bases[layer]) > 0.98 for layer in bases)
    assert all(np.allclose(R @ R.T, np.eye(N), atol=1e-12) for R in fit.bases.values())


@pytest.mark.parametrize(("order", "fixed"), [("forward", 0), ("backward", 2)])
def test_fits_from_one_side_recover_what_follows_from_the_basis_there(
    planted: tuple[list[torch.Tensor], dict[int, np.ndarray]], order: str, fixed: int
) -> None:
    stacks, bases = planted
    free = [layer for layer in range(3) if layer != fixed]
    fit = fit_rotations(
        stacks,
        free,
        sparsity_loss("log"),
        starts={fixed: bases[fixed]},
        order=order,  # pyright: ignore[reportArgumentType]
        steps=150,
        learning_rate=0.1,
    )
    assert np.array_equal(fit.bases[fixed], bases[fixed])
    if order == "backward":  # layer 1 from layer 2, then 0 from 1
        assert matched_cosine(fit.bases[1], bases[1]) > 0.98
    assert matched_cosine(fit.bases[2 - fixed], bases[2 - fixed]) > 0.98


def test_an_invertible_fit_finds_a_basis_that_is_not_orthogonal() -> None:
    generator = torch.Generator().manual_seed(0)
    A = np.eye(5) + 0.2 * np.random.default_rng(0).normal(size=(5, 5))
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    sparse = torch.randn(300, 5, 5, generator=generator).double()
    sparse = sparse.masked_fill(torch.rand(300, 5, 5, generator=generator) > 0.15, 0)
    J = (sparse @ torch.from_numpy(A)).float()  # Ĵ = J A⁻¹
    settings = {"steps": 200, "learning_rate": 0.05}
    loss = sparsity_loss("log")
    fit = fit_rotations([J], [0], loss, kind="invertible", **settings)  # pyright: ignore[reportArgumentType]
    orthogonal = fit_rotations([J], [0], loss, **settings)  # pyright: ignore[reportArgumentType]
    assert fit.loss < 0.8 * orthogonal.loss
    assert matched_cosine(fit.bases[0], A) > 0.99
    assert np.allclose(np.linalg.norm(fit.bases[0], axis=1), 1, atol=1e-6)


def test_the_sign_of_the_determinant_is_kept_and_changes_no_loss(
    planted: tuple[list[torch.Tensor], dict[int, np.ndarray]],
) -> None:
    stacks, _ = planted
    fits = {}
    for sign in (1, -1):
        starts = start_bases("random", stacks, [1], sign=sign, seed=3)
        fits[sign] = fit_rotations(stacks, [1], sparsity_loss("l1"), starts=starts, steps=20)
        assert np.linalg.det(fits[sign].bases[1]) == pytest.approx(sign)
    assert fits[1].loss == pytest.approx(fits[-1].loss, rel=1e-4)


@pytest.mark.parametrize("name", ["identity", "svd", "pca", "random"])
def test_starts_are_orthogonal_and_of_the_sign_asked_for(
    planted: tuple[list[torch.Tensor], dict[int, np.ndarray]], name: str
) -> None:
    stacks, bases = planted
    for sign in (1, -1):
        found = start_bases(name, stacks, [0, 1, 2], pca=bases, sign=sign)  # pyright: ignore[reportArgumentType]
        assert [np.linalg.det(R) for R in found.values()] == pytest.approx([sign] * 3)


def test_the_start_from_the_svd_makes_the_mean_jacobian_diagonal() -> None:
    J = torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(0))
    starts = start_bases("svd", [J], [0, 1])
    turned = rotated(J, starts[1], starts[0])[0]
    assert torch.allclose(turned, torch.diag(turned.diagonal()), atol=1e-5)


def test_stacks_and_starts_that_do_not_fit_are_refused() -> None:
    loss = sparsity_loss("l1")
    with pytest.raises(ValueError, match="stack 1 takes 4 units: the layer before gives 3"):
        fit_rotations([torch.ones(2, 3, 4), torch.ones(2, 3, 4)], [1], loss)
    with pytest.raises(ValueError, match=r"free is \[2\]: give some of the layers 0 to 1"):
        fit_rotations([torch.ones(2, 3, 3)], [2], loss)
    with pytest.raises(ValueError, match="start of layer 1 is not orthogonal"):
        fit_rotations([torch.ones(2, 3, 3)], [1], loss, starts={1: np.ones((3, 3))})
    with pytest.raises(ValueError, match="forward cannot fit layer 0"):
        fit_rotations([torch.ones(2, 3, 3)], [0], loss, order="forward")
    with pytest.raises(ValueError, match="every Jacobian is zero"):
        fit_rotations([torch.zeros(2, 3, 3)], [0], loss)
    with pytest.raises(ValueError, match="loss is 'l2'"):
        sparsity_loss("l2")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"p is 1.5"):
        sparsity_loss("lp", p=1.5)


@pytest.mark.parametrize("which", ["mlp", "cnn", "maze"])
def test_a_rotated_network_computes_the_same(which: str) -> None:
    if which == "maze":
        network: nn.Module = build_network("conv", (3, 7, 7), 4, seed=0)
        widths, inputs = {"trunk.0": 16, "trunk.2": 16, "trunk.5": 128}, torch.rand(9, 3, 7, 7).double()
    else:
        network = build_classifier("mlp" if which == "mlp" else "cnn", (16,), seed=0)
        widths = {"1": 16, "3": 10} if which == "mlp" else {"0": 8, "3": 16, "7": 16}
        inputs = torch.rand(9, 1, 28, 28).double()
    turned = rotated_network(network, {name: random_rotation(n, 0) for name, n in widths.items()})
    skewed = rotated_network(
        network, {name: random_rotation(n, 0) + 0.3 * np.eye(n) for name, n in widths.items()}
    )
    run = network.trunk if which == "maze" else network  # pyright: ignore[reportAssignmentType]
    wanted = run.double()(inputs)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    for one in (turned, skewed):
        layer = one.get_submodule(next(iter(widths)))
        assert isinstance(layer, RotatedLayer)
        given = (one.trunk if which == "maze" else one)(inputs)  # pyright: ignore[reportCallIssue]
        assert (given - wanted).abs().max() < 1e-10
        name = next(iter(widths))
        assert not torch.allclose(layer.rotated.weight, network.get_submodule(name).weight)  # pyright: ignore[reportArgumentType]


def test_matching_sees_through_order_and_sign_and_random_bases_stay_at_chance() -> None:
    R = random_rotation(20, 0)
    shuffled = R[np.random.default_rng(0).permutation(20)] * np.where(np.arange(20) % 2, 1.0, -1.0)[:, None]
    assert matched_cosine(R, shuffled) == pytest.approx(1)
    chance = chance_cosine(20)
    assert abs(matched_cosine(R, random_rotation(20, 99)) - chance["mean"]) < 5 * chance["sd"]
    assert np.linalg.det(with_sign(R, -1)) == pytest.approx(-1)
    assert np.allclose(nearest_rotation(3 * R), R)
    with pytest.raises(ValueError, match="a row is zero"):
        matched_cosine(np.zeros((2, 3)), np.eye(3))


def test_independent_sources_are_found_again() -> None:
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(4000, 4))
    mixing = rng.normal(size=(4, 4))
    rows = independent_components(sources @ mixing.T)
    cosines = matched_cosine(rows, np.linalg.inv(mixing))
    assert cosines > 0.99
    with pytest.raises(ValueError, match="do not vary"):
        independent_components(np.ones((5, 3)))


def test_rotation_finds_the_features_of_a_toy_without_superposition() -> None:
    found = rotation_of_toy(train_toy(4, 4, 0.5, steps=400), sparsity_loss("log"), restarts=2, steps=150)
    assert found["kept"] == found["dimensions"] == 4
    assert found["found"] == 4
    assert found["matched"] > 0.99 > found["chance"]


def test_of_antipodal_features_each_row_of_the_rotation_finds_a_pair() -> None:
    # Six features in three dimensions, as the toy keeps them when they are sparse: ± pairs on turned axes.
    Q = random_rotation(3, 5)
    toy = ToyAutoencoder(torch.from_numpy(np.hstack([Q, -Q])).float(), torch.zeros(6), sparsity=0.9)
    found = rotation_of_toy(toy, sparsity_loss("log"), restarts=2, steps=150)
    assert (found["kept"], found["dimensions"], found["found"]) == (6, 3, 6)


def test_of_features_in_general_position_at_most_as_many_as_dimensions_are_found() -> None:
    angles = np.arange(5) * 2 * np.pi / 5  # the pentagon of Elhage et al.
    W = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)])).float()
    found = rotation_of_toy(
        ToyAutoencoder(W, torch.zeros(5), sparsity=0.8), sparsity_loss("log"), restarts=2, steps=100
    )
    assert found["kept"] == 5
    assert found["found"] <= 2


def test_a_toy_of_impossible_widths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features, hidden and sparsity are 0, 2, 0.5"):
        train_toy(0, 2, 0.5)
