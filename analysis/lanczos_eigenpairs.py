"""Extreme eigenpairs of a symmetric matrix given by its products: implicitly restarted Lanczos, with what it left open.

ARPACK through `scipy.sparse.linalg.eigsh` (Lehoucq, Sorensen & Yang 1998) reorthogonalises its basis at every step, so
that no eigenvalue comes twice. Each pair carries its residual ‖A v − λ v‖, computed anew: within it there is an
eigenvalue of A for certain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from .curvature_products import Product, dense
from .spectral_density import lanczos

_DENSE_BELOW = 100
# Their stubs know neither a callable nor a tolerance.
_linear_operator: Any = LinearOperator
_eigsh: Any = eigsh


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues from one end of the spectrum.

    Attributes:
        values: (k,), the end first.
        vectors: (k, P), unit rows.
        residuals: ‖A v − λ v‖ over the largest |λ| of the matrix, or of those found, (k,).
        converged: residual within the tolerance, (k,) bool.
        asked: how many were wanted; fewer come where Lanczos stopped early.
        products: with the matrix.
        orthogonality: largest |v_i · v_j|, i ≠ j.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    asked: int
    products: int
    orthogonality: float

    def figures(self) -> dict[str, Any]:
        """All but the vectors, as JSON takes it."""
        return {
            "values": self.values.tolist(),
            "residuals": self.residuals.tolist(),
            "converged": self.converged.tolist(),
            "all_converged": bool(len(self.values) == self.asked and self.converged.all()),
            "asked": self.asked,
            "products": self.products,
            "orthogonality": self.orthogonality,
        }


def eigenpairs(
    product: Product,
    size: int,
    k: int,
    *,
    end: Literal["top", "bottom"] = "top",
    tolerance: float = 1e-4,
    most_restarts: int = 20,
    rng: np.random.Generator,
    on_step: Callable[[int], None] = lambda products: None,
) -> Eigenpairs:
    """The k largest or smallest eigenvalues, by sign and not by size.

    Args:
        product: (P,) to (P,), of a symmetric matrix.
        size: P.
        k: at most P.
        end: `top` or `bottom`.
        tolerance: residual over the largest |λ|, as in `Eigenpairs`, at which a pair counts as converged.
        most_restarts: after which what has converged is given.
        rng: the generator of the start vector.
        on_step: called with the products done.

    Raises:
        ValueError: k is not in 1…P, or a product is not finite.
    """
    if not 1 <= k <= size:
        raise ValueError(f"k is {k}: give 1 to {size}, as many as there are parameters")
    done, scale = 0, 0.0

    def counted(v: np.ndarray) -> np.ndarray:
        nonlocal done
        result = product(np.asarray(v, dtype=np.float64).reshape(-1))
        if not np.isfinite(result).all():
            raise ValueError("a product with the matrix is not finite: check the network and its inputs")
        done += 1
        on_step(done)
        return result

    if size <= max(_DENSE_BELOW, 2 * k + 2):
        values, vectors = np.linalg.eigh(dense(counted, size))
        scale = float(np.abs(values).max())
    else:
        start, shift = rng.standard_normal(size), 0.0
        if end == "bottom":
            # ARPACK holds each pair to a share of its own λ, which lies near 0 here: move it away, and turn about.
            alpha, beta = lanczos(counted, start, 10)
            shift = float(
                np.abs(np.linalg.eigvalsh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))).max()
            )
            scale = shift
        sign = 1.0 if end == "top" else -1.0
        A = _linear_operator(
            (size, size), matvec=lambda v: shift * v.reshape(-1) + sign * counted(v), dtype=np.float64
        )
        try:
            values, vectors = _eigsh(
                A,
                k,
                which="LA",
                v0=start,
                ncv=min(size, max(2 * k + 1, 30)),
                tol=tolerance / 2,
                maxiter=most_restarts,
            )
        except ArpackNoConvergence as stopped:
            values, vectors = stopped.eigenvalues, stopped.eigenvectors
        values = sign * (values - shift)
    order = np.argsort(-values if end == "top" else values)[:k]
    values, vectors = values[order], np.ascontiguousarray(vectors[:, order].T)
    left = np.array(
        [np.linalg.norm(counted(v) - value * v) for value, v in zip(values, vectors, strict=True)]
    )
    residuals = left / max(np.abs(values).max(initial=0.0), scale, 1e-300)
    inner = np.abs(vectors @ vectors.T - np.eye(len(vectors)))
    return Eigenpairs(
        values, vectors, residuals, residuals <= tolerance, k, done, float(inner.max(initial=0.0))
    )
