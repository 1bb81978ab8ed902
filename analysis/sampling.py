"""What a sample of the gradients says of all of them: counts of singular values, and what the sample leaves over.

Everything here follows from the Gram matrix K = G^T G (T, T) of all times: a sample's Gram matrix is a part of it, and
so are the inner products of what was not sampled with what was. G itself is not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from .null_spectra import count_above, matched_noise_spectrum


@dataclass(frozen=True, eq=False)
class SampledCounts:
    """How many singular values of sampled gradients exceed shares of the largest, beside noise of the same norms.

    Attributes:
        thresholds: shares of the largest singular value (n,).
        counts: (draws, n).
        null_counts: of Gaussian rows with the norms of the sampled ones, (draws, n).
        sampled: times per draw.
    """

    thresholds: np.ndarray
    counts: np.ndarray
    null_counts: np.ndarray
    sampled: int


def singular_values_of_gram(K: np.ndarray) -> np.ndarray:
    """Singular values (T,), descending, of the rows whose Gram matrix this is; those lost in rounding are zero."""
    eigenvalues = scipy.linalg.eigvalsh(K, check_finite=False)[::-1]
    return np.sqrt(np.maximum(eigenvalues, 0.0, dtype=np.float64))


def unit_gram(K: np.ndarray) -> np.ndarray:
    """Gram matrix of the same rows, each scaled to norm 1; a row of zeros stays zero."""
    norms = np.sqrt(np.maximum(np.diag(K), 0.0))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return K * scale * scale[:, None]


def centred_gram(K: np.ndarray) -> np.ndarray:
    """Gram matrix of the same rows less their mean over time."""
    means = K.mean(axis=0)
    return K - means - means[:, None] + means.mean()


def sampled_counts(
    K: np.ndarray,
    sampled: int,
    draws: int,
    thresholds: Sequence[float] | np.ndarray,
    *,
    parameters: int,
    rng: np.random.Generator,
) -> SampledCounts:
    """Counts of the singular values of `sampled` times, drawn at random without replacement, `draws` times.

    Args:
        K: (T, T).
        sampled: times per draw.
        draws: how often.
        thresholds: shares of the largest singular value, each in (0, 1).
        parameters: P, for the noise beside each draw.
        rng: the generator to draw from.

    Raises:
        ValueError: more times are sampled than there are, or a setting is below 1.
    """
    if not 1 <= sampled <= len(K):
        raise ValueError(f"sampled is {sampled}: give 1 to {len(K)}, the number of times")
    if draws < 1:
        raise ValueError(f"draws is {draws}: give at least 1")
    shares = np.asarray(thresholds, dtype=np.float64)
    counts, null_counts = np.zeros((2, draws, len(shares)), dtype=np.int64)
    for draw in range(draws):
        times = rng.choice(len(K), sampled, replace=False)
        drawn = K[np.ix_(times, times)]
        null = matched_noise_spectrum(np.sqrt(np.maximum(np.diag(drawn), 0.0)), parameters, rng)
        values = singular_values_of_gram(drawn)
        counts[draw] = [count_above(values, share) for share in shares]
        null_counts[draw] = [count_above(null, share) for share in shares]
    return SampledCounts(shares, counts, null_counts, sampled)


def residual_share(K: np.ndarray, basis: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of each other row's squared norm outside the span of the basis rows, (len(others),).

    Args:
        K: (T, T).
        basis: times whose gradients span the subspace, (n,).
        others: times to explain, (m,).
    """
    weights, kept = _whitened(K[np.ix_(basis, basis)])
    return _left_over(K, K[np.ix_(others, basis)] @ weights[:, kept], others)


def residual_of_directions(
    K: np.ndarray, first: np.ndarray, others: np.ndarray, ranks: Sequence[int]
) -> np.ndarray:
    """Share of the other rows' squared norms outside the strongest directions of the first rows' SVD.

    Args:
        K: (T, T).
        first: times whose SVD gives directions, (n,).
        others: times to explain, (m,).
        ranks: how many of the strongest directions, each at most n.

    Returns:
        (len(ranks), m).
    """
    weights, kept = _whitened(K[np.ix_(first, first)])
    along = K[np.ix_(others, first)] @ weights[:, kept]
    return np.stack([_left_over(K, along[:, :rank], others) for rank in ranks])


def _whitened(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n, n) with G weights orthonormal, strongest first, and which of them are above rounding."""
    eigenvalues, V = scipy.linalg.eigh(K, check_finite=False)
    eigenvalues, V = eigenvalues[::-1], V[:, ::-1]
    kept = eigenvalues > 1e-7 * max(eigenvalues[0], 0.0)  # K of float32 products knows no smaller ones
    return V / np.sqrt(np.where(kept, eigenvalues, 1.0)), kept


def _left_over(K: np.ndarray, along: np.ndarray, others: np.ndarray) -> np.ndarray:
    energy = np.diag(K)[others]
    explained = np.einsum("mk,mk->m", along, along)
    return np.clip(1 - np.divide(explained, energy, out=np.ones_like(energy), where=energy > 0), 0.0, 1.0)
