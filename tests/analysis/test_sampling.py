import numpy as np
import pytest

from goalcut.analysis.null_spectra import count_above
from goalcut.analysis.sampling import (
    centred_gram,
    residual_of_directions,
    residual_share,
    sampled_counts,
    singular_values_of_gram,
    unit_gram,
)


def rows(times: int = 60, parameters: int = 400, rank: int = 5, noise: float = 0.1) -> np.ndarray:
    """A few smooth profiles and noise, (T, P)."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((times, rank)) @ rng.standard_normal((rank, parameters))
    return signal + noise * rng.standard_normal((times, parameters))


def test_every_gram_matrix_has_the_singular_values_of_its_rows() -> None:
    G = rows()
    K = G @ G.T
    unit = G / np.linalg.norm(G, axis=1, keepdims=True)
    for matrix, dense in ((K, G), (unit_gram(K), unit), (centred_gram(K), G - G.mean(axis=0))):
        expected = np.linalg.svd(dense, compute_uv=False)
        np.testing.assert_allclose(singular_values_of_gram(matrix), expected, atol=1e-6 * expected[0])


def test_a_row_of_zeros_stays_zero_in_unit_rows() -> None:
    G = rows()
    G[3] = 0
    assert np.isfinite(unit_gram(G @ G.T)).all()
    assert not unit_gram(G @ G.T)[3].any()


def test_counts_of_samples_are_those_of_a_dense_svd_of_the_same_times() -> None:
    G = rows(noise=0.5)
    found = sampled_counts(G @ G.T, 20, 4, [0.05, 0.3], parameters=G.shape[1], rng=np.random.default_rng(7))
    rng = np.random.default_rng(7)
    times = rng.choice(60, 20, replace=False)  # the first draw comes first
    dense = np.linalg.svd(G[times], compute_uv=False)
    assert found.counts[0].tolist() == [count_above(dense, 0.05), count_above(dense, 0.3)]
    assert found.counts.shape == found.null_counts.shape == (4, 2)


def test_signal_is_counted_and_noise_counts_as_its_null() -> None:
    rng = np.random.default_rng(1)
    signal = sampled_counts(rows(noise=0.01) @ rows(noise=0.01).T, 40, 5, [0.1], parameters=400, rng=rng)
    assert (signal.counts == 5).all()
    assert (signal.null_counts == 40).all()
    noise = rng.standard_normal((60, 400)) * np.linspace(1, 0.02, 60)[:, None]
    pure = sampled_counts(noise @ noise.T, 40, 5, [0.1], parameters=400, rng=rng)
    assert np.abs(pure.counts.mean() - pure.null_counts.mean()) < 2


def test_residuals_are_those_of_least_squares() -> None:
    G = rows(noise=0.5)
    K, order = G @ G.T, np.random.default_rng(0).permutation(60)
    basis, others = order[:12], order[12:]
    weights, *_ = np.linalg.lstsq(G[basis].T, G[others].T, rcond=None)
    left = np.sum((G[others].T - G[basis].T @ weights) ** 2, axis=0) / np.sum(G[others] ** 2, axis=1)
    np.testing.assert_allclose(residual_share(K, basis, others), left, atol=1e-9)


def test_residuals_of_directions_are_those_of_a_truncated_svd() -> None:
    G = rows(noise=0.5)
    first, others, ranks = np.arange(30), np.arange(30, 60), [1, 5, 30]
    U = np.linalg.svd(G[first], full_matrices=False)[2]
    energy = np.sum(G[others] ** 2, axis=1)
    found = residual_of_directions(G @ G.T, first, others, ranks)
    for rank, left in zip(ranks, found, strict=True):
        expected = 1 - np.sum((G[others] @ U[:rank].T) ** 2, axis=1) / energy
        np.testing.assert_allclose(left, expected, atol=1e-9)
    assert (np.diff(found, axis=0) <= 1e-12).all()


def test_the_span_of_a_degenerate_sample_explains_itself() -> None:
    G = rows(rank=3, noise=0.0)
    K = G @ G.T
    assert residual_share(K, np.arange(10), np.arange(10, 60)).max() < 1e-6


@pytest.mark.parametrize(
    ("sampled", "draws", "message"),
    [(61, 1, "sampled is 61: give 1 to 60"), (0, 1, "sampled is 0"), (10, 0, "draws is 0")],
)
def test_a_wrong_sample_is_refused(sampled: int, draws: int, message: str) -> None:
    G = rows()
    with pytest.raises(ValueError, match=message):
        sampled_counts(G @ G.T, sampled, draws, [0.1], parameters=400, rng=np.random.default_rng(0))
