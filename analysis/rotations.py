"""Rotations within a span, and angles between spans.

Directions of nearly equal singular values mix freely: single vectors then mean little, their span does. Varimax picks
the rotation whose profiles (or vectors) are concentrated; principal angles compare spans whatever their bases.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .directions import Directions


@dataclass(frozen=True, eq=False)
class Varimax:
    """A rotation towards simple structure.

    Attributes:
        rotation: orthogonal (k, k); rotated = loadings @ rotation.
        rotated: (n, k).
        converged: False if the last sweep still turned a plane by more than the tolerance.
        sweeps: sweeps over all planes that were made.
    """

    rotation: np.ndarray
    rotated: np.ndarray
    converged: bool
    sweeps: int


def varimax(loadings: np.ndarray, *, sweeps: int = 100, tolerance: float = 1e-8) -> Varimax:
    """Rotate columns so that the variance of their squared entries is largest (Kaiser 1958, raw varimax).

    Plane by plane, each turned by the angle that maximises the criterion in closed form (Kaiser's eq. 9), which unlike
    gradient methods also leaves saddles such as an exact half-and-half mixture.

    Args:
        loadings: (n, k), for instance profiles (T, k).
        sweeps: at most so many sweeps over all k (k − 1) / 2 planes.
        tolerance: largest angle in radians of a sweep that counts as converged.

    Raises:
        ValueError: not two-dimensional or not finite.
    """
    L = np.array(loadings, dtype=np.float64, order="F")
    if L.ndim != 2 or not np.isfinite(L).all():
        raise ValueError(f"loadings are a finite matrix (n, k), got shape {L.shape}")
    n, k = L.shape
    R = np.eye(k, order="F")
    for sweep in range(1, sweeps + 1):
        largest = 0.0
        for i in range(k - 1):
            for j in range(i + 1, k):
                x, y = L[:, i].copy(), L[:, j].copy()
                u, v = x * x - y * y, 2 * x * y
                numerator = 2 * (u @ v - u.sum() * v.sum() / n)
                denominator = u @ u - v @ v - (u.sum() ** 2 - v.sum() ** 2) / n
                # Where both vanish every angle is as good: two columns of nothing, or of equal spread.
                if np.hypot(numerator, denominator) <= 1e-15 * (x @ x + y @ y) ** 2:
                    continue
                angle = np.arctan2(numerator, denominator) / 4
                largest = max(largest, abs(angle))
                if abs(angle) > tolerance / 10:
                    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
                    L[:, [i, j]] = np.stack([x, y], axis=1) @ turn
                    R[:, [i, j]] = R[:, [i, j]] @ turn
        if largest <= tolerance:
            return Varimax(R, np.asarray(loadings, dtype=np.float64) @ R, True, sweep)
    return Varimax(R, np.asarray(loadings, dtype=np.float64) @ R, False, sweeps)


def rotated(
    directions: Directions, rotation: np.ndarray, *, of: Literal["profiles", "vectors"] = "profiles"
) -> Directions:
    """The same span in a rotated basis, with singular values that keep Σ_k σ_k u_k v_k^T as it was.

    Of "profiles": V' = V R stays orthonormal, σ'_k u'_k = Σ_l R_lk σ_l u_l are unit but no longer orthogonal. Of
    "vectors": U' = U R stays orthonormal and the profiles are unit but no longer orthogonal. Sorted by σ', descending.

    Args:
        directions: singular directions (k, d), with orthonormal vectors and profiles.
        rotation: orthogonal (k, k).
        of: what stays orthonormal.

    Raises:
        ValueError: the rotation is of another size or not orthogonal.
    """
    k = len(directions)
    if rotation.shape != (k, k) or not np.allclose(rotation.T @ rotation, np.eye(k), atol=1e-6):
        raise ValueError(f"rotation is an orthogonal ({k}, {k}) matrix, got one of shape {rotation.shape}")
    U, sigma, V = directions.vectors.T, directions.singular_values, directions.profiles
    mixed = sigma[:, None] * rotation
    if of == "profiles":
        V, U = V @ rotation, U @ mixed.astype(U.dtype)
        strengths = np.linalg.norm(U, axis=0).astype(np.float64)
        U = U / strengths.astype(U.dtype)
    else:
        U, V = U @ rotation.astype(U.dtype), V @ mixed
        U = U / np.linalg.norm(U, axis=0)
        strengths = np.linalg.norm(V, axis=0)
        V = V / strengths
    order = np.argsort(-strengths, kind="stable")
    return directions.replaced(
        vectors=np.ascontiguousarray(U.T[order]), singular_values=strengths[order], profiles=V[:, order]
    )


def principal_angles(A: np.ndarray | Directions, B: np.ndarray | Directions) -> np.ndarray:
    """Angles between the spans of two sets of directions, radians in 0…π/2, ascending, (min of both ranks,).

    Cosines are the singular values of Q_A Q_B^T; below 45° the angle comes from its sine, which is accurate where the
    cosine is 1 to rounding (Björck & Golub 1973). The order is theirs, the reverse of `scipy.linalg.subspace_angles`.

    Args:
        A: (k, d), rows need be neither unit nor orthogonal; dependent rows do not count.
        B: (l, d).

    Raises:
        ValueError: the spaces differ, or a set spans nothing.
    """
    Q_A, Q_B = (_orthonormal(np.asarray(X.vectors if isinstance(X, Directions) else X)) for X in (A, B))
    if Q_A.shape[1] != Q_B.shape[1]:
        raise ValueError(f"both sets must lie in one space; got {Q_A.shape[1]} and {Q_B.shape[1]} dimensions")
    if len(Q_A) < len(Q_B):
        Q_A, Q_B = Q_B, Q_A
    overlap = Q_A @ Q_B.T
    cosines = np.linalg.svd(overlap, compute_uv=False)
    # What of the smaller span lies outside of the larger one.
    sines = np.linalg.svd(Q_B - overlap.T @ Q_A, compute_uv=False)[::-1]
    return np.where(cosines**2 > 0.5, np.arcsin(np.minimum(sines, 1.0)), np.arccos(np.minimum(cosines, 1.0)))


def _orthonormal(X: np.ndarray) -> np.ndarray:
    """Orthonormal rows (rank, d) with the span of the rows of X (k, d)."""
    if X.ndim != 2:
        raise ValueError(f"directions are (k, d), got shape {X.shape}")
    if not np.isfinite(X).all() or not np.any(X):
        raise ValueError("directions must be finite and span something; these are all zero or not finite")
    _, values, Q = np.linalg.svd(X.astype(np.float64), full_matrices=False)
    return Q[
        values > max(X.shape) * np.finfo(X.dtype if X.dtype == np.float32 else np.float64).eps * values[0]
    ]
