"""Whether two bases hold the same directions: each direction of one matched with one of the other.

The matching of rows of A with rows of B that makes the sum of |cosines| largest (assignment problem), and its mean. In
n dimensions random rotations reach about √(2 log n / n), well above 0: always see it beside theirs.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import ortho_group


def matched_cosine(A: np.ndarray, B: np.ndarray) -> float:
    """Mean |cosine| of the best matching of the rows of A (k, n) with those of B (l, n), over min(k, l) pairs.

    Raises:
        ValueError: the rows lie in different spaces, or one is zero or not finite.
    """
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[1]:
        raise ValueError(f"both bases are rows of one space, got shapes {A.shape} and {B.shape}")
    norms = [np.linalg.norm(X, axis=1, keepdims=True) for X in (A, B)]
    if not all(np.isfinite(norm).all() and (norm > 0).all() for norm in norms):
        raise ValueError("a row is zero or not finite: it has no direction")
    cosines = np.abs((A / norms[0]) @ (B / norms[1]).T)
    rows, columns = linear_sum_assignment(-cosines)
    return float(cosines[rows, columns].mean())


def chance_cosine(n: int, *, draws: int = 10, seed: int = 0) -> dict[str, float]:
    """Mean and standard deviation of the matched cosine of random rotations of n dimensions with the identity."""
    found = [matched_cosine(R, np.eye(n)) for R in (random_rotation(n, seed + draw) for draw in range(draws))]
    return {"mean": float(np.mean(found)), "sd": float(np.std(found))}


def random_rotation(n: int, seed: int, *, sign: int | None = None) -> np.ndarray:
    """An orthogonal matrix (n, n), uniform; with determinant `sign` (1 or −1) if one is given."""
    rng = np.random.default_rng(seed)
    R = ortho_group.rvs(n, random_state=rng) if n > 1 else np.ones((1, 1))
    return R if sign is None else with_sign(R, sign)


def with_sign(R: np.ndarray, sign: int) -> np.ndarray:
    """The same directions, the first one turned round if that is what gives the determinant this sign."""
    R = np.array(R, dtype=np.float64)
    if np.linalg.slogdet(R)[0] * sign < 0:
        R[0] *= -1
    return R


def nearest_rotation(A: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to a square one: its polar factor."""
    U, _, V = np.linalg.svd(A)
    return U @ V
