"""Spectra of rows that carry nothing, to set beside a count of singular values.

"How many σ_k exceed a tenth of σ_1" proves nothing alone: white noise gives nearly all, a random walk a handful,
whatever was learned. Here is the same count for noise of the same row norms, and of the same momentum.
"""

import numpy as np
import scipy.signal


def count_above(singular_values: np.ndarray, share: float = 0.1) -> int:
    """How many singular values exceed this share of the largest.

    Raises:
        ValueError: the share is outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share is of the largest singular value, in (0, 1); got {share}")
    if not len(singular_values):
        return 0
    return int(np.count_nonzero(singular_values > share * np.max(singular_values)))


def matched_noise_spectrum(
    row_norms: np.ndarray,
    parameters: int,
    rng: np.random.Generator,
    *,
    momentum: float = 0.0,
) -> np.ndarray:
    """Singular values of Gaussian noise rows (T, P) with exactly these norms, at the cost of a T × T matrix.

    The Gram matrix of T Gaussian rows of length P is Wishart, Z Z^T = L L^T with L lower triangular, L_tt² ~ χ²(P − t)
    and standard normal entries below (Bartlett 1933). Z equals L up to a rotation of parameter space, so scaling and
    averaging over time act on L as they would on Z: the draw is exact, for T > P as well.

    Args:
        row_norms: (T,), of the rows to compare with.
        parameters: P.
        rng: the generator to draw from.
        momentum: each row is white noise plus this share of the row before, x_t = z_t + momentum x_{t−1}: 0 is white,
            0.9 a moving average such as Adam's, 1 a random walk. Norms are matched afterwards.

    Returns:
        One draw, (min(T, P),) descending.

    Raises:
        ValueError: norms are negative or not finite, or a setting is out of range.
    """
    norms = np.asarray(row_norms, dtype=np.float64)
    if norms.ndim != 1 or not len(norms) or not np.isfinite(norms).all() or norms.min() < 0:
        raise ValueError(f"row_norms are (T,), finite and not negative; got shape {norms.shape}")
    if parameters < 1 or not 0 <= momentum <= 1:
        raise ValueError(f"parameters is at least 1 and momentum in 0…1; got {parameters} and {momentum}")
    width = min(len(norms), parameters)
    L = np.tril(rng.standard_normal((len(norms), width)), -1)
    L[np.arange(width), np.arange(width)] = np.sqrt(rng.chisquare(parameters - np.arange(width)))
    if momentum:
        L = scipy.signal.lfilter([1.0], [1.0, -momentum], L, axis=0)
    L *= (norms / np.linalg.norm(L, axis=1))[:, None]
    return np.linalg.svd(L, compute_uv=False)


def random_walk_shares(count: int) -> np.ndarray:
    """Shares of variance of the principal components of a long random walk, 6 / (π² k²), (count,): 61 %, 15 %, 7 %, …

    For trajectories of parameters, centred over time (Antognini & Sohl-Dickstein 2018, eq. 8).
    """
    return 6.0 / (np.pi * np.arange(1, count + 1)) ** 2
