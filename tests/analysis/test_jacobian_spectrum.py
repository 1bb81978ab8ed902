"""Effective ranks, and spectra of stacked Jacobians."""

import numpy as np
import pytest
import torch

from goalcut.analysis.cell_offsets import OffsetSums
from goalcut.analysis.effective_rank import effective_ranks
from goalcut.analysis.jacobian_spectrum import JacobianSums, spectra_agree
from goalcut.analysis.layer_jacobian import Jacobians


def sums_of(blocks: torch.Tensor, size: int = 5) -> JacobianSums:
    sums = JacobianSums(blocks.shape[1], blocks.shape[2])
    for part in blocks.split(size):
        sums.add(part)
    return sums


def test_every_definition_counts_equal_values() -> None:
    assert effective_ranks(np.array([2.0, 2, 2, 0, 0])) == pytest.approx(
        {"numerical": 3, "entropy": 3, "participation": 3, "stable": 3, "energy_90": 3, "energy_99": 3}
    )


def test_definitions_of_a_spectrum_that_is_not_flat() -> None:
    found = effective_ranks(np.array([1.0, 3.0, 1e-9]))
    entropy = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert found == pytest.approx(
        {
            "numerical": 2,
            "entropy": entropy,
            "participation": 100 / 82,
            "stable": 10 / 9,
            "energy_90": 1,
            "energy_99": 2,
        },
        rel=1e-6,
    )


def test_a_spectrum_of_zeros_has_rank_zero_and_a_negative_one_none() -> None:
    assert set(effective_ranks(np.zeros(3)).values()) == {0.0}
    with pytest.raises(ValueError, match="singular values are finite, not negative"):
        effective_ranks(np.array([1.0, -1.0]))


def test_streamed_singular_values_and_vectors_are_those_of_the_dense_stack() -> None:
    blocks = torch.randn(23, 4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = sums_of(blocks).spectrum()
    dense = np.linalg.svd(blocks.flatten(0, 1).numpy() / np.sqrt(23))
    assert np.allclose(found.singular_values, dense.S)
    assert np.allclose(np.abs(np.einsum("ij,ij->i", found.right_vectors, dense.Vh)), 1)
    wide = np.linalg.svd(blocks.transpose(0, 1).flatten(1).numpy() / np.sqrt(23), compute_uv=False)
    assert np.allclose(found.late_values, wide)
    alone = np.stack([np.linalg.svd(J, compute_uv=False) for J in blocks.numpy()])
    assert np.allclose(np.sort(found.per_block), np.sort(alone))


def test_planted_ranks_are_recovered_per_input_stacked_and_late() -> None:
    # Each input has 2 channels of its own out of 6 early directions, all into the same 2 late ones.
    rng = np.random.default_rng(0)
    early, late = np.linalg.qr(rng.normal(size=(20, 6)))[0], np.linalg.qr(rng.normal(size=(9, 2)))[0]
    blocks = np.stack(
        [late @ rng.normal(size=(2, 2)) @ early[:, rng.permutation(6)[:2]].T for _ in range(60)]
    )
    ranks = sums_of(torch.from_numpy(blocks)).spectrum().ranks()
    assert {side: of["numerical"] for side, of in ranks.items()} == {"stacked": 6, "late": 2, "per_input": 2}


def test_a_late_space_that_early_nodes_share_holds_what_the_other_half_causes() -> None:
    rng = np.random.default_rng(1)
    late = np.linalg.qr(rng.normal(size=(30, 3)))[0]
    shared = sums_of(torch.from_numpy(late @ rng.normal(size=(40, 3, 16)))).spectrum().shared_late_space()
    assert shared["k"] <= 3
    assert shared["other_half"] > 0.6
    apart = torch.zeros(40, 30, 16, dtype=torch.float64)
    apart[:, torch.arange(16), torch.arange(16)] = 1.0  # every early node changes a late one of its own
    found = sums_of(apart).spectrum().shared_late_space()
    assert found["other_half"] == pytest.approx(0, abs=1e-12)


def test_a_spectrum_agrees_with_itself_and_no_more_than_chance_with_a_rotated_one() -> None:
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    A = np.diag(0.8 ** np.arange(40))
    assert spectra_agree(A, 3 * A) == pytest.approx(
        {
            "eigenvalues": 1,
            "cosine": 1,
            "cosine_chance": spectra_agree(A, A)["cosine_chance"],
            "overlap": 1,
            "overlap_chance": 11 / 40,
        }
    )
    turned = spectra_agree(A, Q @ A @ Q.T)
    assert turned["cosine"] == pytest.approx(turned["cosine_chance"], rel=0.5)
    assert turned["overlap"] == pytest.approx(turned["overlap_chance"], rel=0.5)
    assert turned["eigenvalues"] == pytest.approx(1)


def test_blocks_of_another_shape_or_not_finite_are_refused() -> None:
    sums = JacobianSums(3, 4)
    with pytest.raises(ValueError, match=r"blocks are \(B, 3, 4\), got \(2, 4, 3\)"):
        sums.add(torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match="not finite"):
        sums.add(torch.full((1, 3, 4), torch.nan))
    with pytest.raises(ValueError, match="no Jacobian was given"):
        sums.spectrum()
    with pytest.raises(ValueError, match="early has 9000 nodes: at most 8192"):
        JacobianSums(3, 9000)


def test_offsets_tell_the_taps_of_a_convolution_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=generator)
    kernel[:, :, 0, 2] = kernel[:, :1, 0, 2] * torch.ones(3)  # the tap above right has rank 1
    kernel[:, :, 2, 2] = 0
    x = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    J = torch.autograd.functional.jacobian(
        lambda h: torch.nn.functional.conv2d(h, kernel, padding=1)[0].flatten(1), x
    )  # (4, 36, 1, 3, 6, 6)
    rows = J[:, :, 0].permute(1, 0, 2, 3, 4).flatten(3)[None]  # (1, 36 cells, 4, 3, 36)
    sums = OffsetSums(2)
    sums.add(Jacobians(rows, torch.arange(36)[None], torch.zeros(1, 36, 4), (6, 6), (6, 6)))
    table = {tuple(line["offset"]): line for line in sums.table()}  # pyright: ignore[reportArgumentType]
    assert table[(-1, 1)]["early"]["numerical"] == 1  # pyright: ignore[reportIndexIssue]
    assert table[(0, 0)]["late"]["numerical"] == 3  # pyright: ignore[reportIndexIssue]
    total = kernel.square().sum()
    for down in range(-2, 3):
        for right in range(-2, 3):
            near = max(abs(down), abs(right)) < 2
            wanted = kernel[:, :, down + 1, right + 1].square().sum() / total if near else torch.zeros(())
            assert table[(down, right)]["energy"] == pytest.approx(float(wanted))
