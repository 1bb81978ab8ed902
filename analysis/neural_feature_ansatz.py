"""Deep neural feature ansatz: WᵀW ∝ M^p, M = Wᵀ N W = E[∇_h f ∇_h fᵀ] (Radhakrishnan et al., arXiv 2212.13881).

How well it holds is the cosine of WᵀW and M^p as matrices: p = 1 as first stated, p = 1/2 as in balanced deep linear
networks (W_2ᵀW_2 = W_1W_1ᵀ makes M = (W_1ᵀW_1)²), and as found since (Beaglehole et al., arXiv 2309.00570). With
p = 1 it holds for every W whatever where N is a multiple of the identity on the range of W; so each cosine has its
critic's controls, which keep N and replace W: by a random matrix of the same singular values, and by its initial value.
All is done in the row space of W, from its thin singular value decomposition: no (d, d) matrix is formed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POWERS = (1.0, 0.5)
_ZERO = 1e-10


@dataclass(frozen=True, eq=False)
class Factors:
    """A positive semidefinite matrix V diag(λ) Vᵀ by its nonzero part.

    Attributes:
        values: λ, descending (r,).
        vectors: V (d, r), orthonormal columns.
    """

    values: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Map:
    """A linear map by its thin singular value decomposition W = U diag(s) Vᵀ, zero singular values left out.

    Attributes:
        U: (m, r).
        s: (r,), descending.
        V: (d, r).
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray

    @classmethod
    def of(cls, W: np.ndarray) -> "Map":
        """Of W (m, d), float64."""
        U, s, Vt = np.linalg.svd(W, full_matrices=False)
        kept = s > _ZERO * max(s[0], 1e-300) if len(s) else np.zeros(0, bool)
        return cls(U[:, kept], s[kept], Vt[kept].T)

    @property
    def gram(self) -> Factors:
        """WᵀW."""
        return Factors(self.s**2, self.V)

    def pulled_back(self, N: np.ndarray) -> Factors:
        """Wᵀ N W of a symmetric positive semidefinite N (m, m)."""
        values, Q = np.linalg.eigh((self.s[:, None] * (self.U.T @ N @ self.U)) * self.s)
        order = np.argsort(-values)
        return Factors(np.maximum(values[order], 0.0), self.V @ Q[:, order])

    def of_same_spectrum(self, rng: np.random.Generator) -> "Map":
        """Random singular vectors of the Haar measure, the same singular values."""
        return Map(_haar(self.U.shape, rng), self.s, _haar(self.V.shape, rng))

    @property
    def matrix(self) -> np.ndarray:
        """W, (m, d)."""
        return (self.U * self.s) @ self.V.T


def power_cosine(A: Factors, B: Factors, power: float) -> float:
    """Cosine of A and B^p as matrices, tr(A B^p) / (‖A‖ ‖B^p‖); 0…1, NaN where one is zero."""
    a, b = A.values, B.values**power
    product = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ (A.vectors.T @ B.vectors) ** 2 @ b / product) if product > 0 else float("nan")


def unrelated_cosine(A: Factors, B: Factors, power: float) -> float:
    """The same for matrices of these eigenvalues in unrelated bases, on average: tr A tr B^p / (d ‖A‖ ‖B^p‖)."""
    a, b = A.values, B.values**power
    product = np.linalg.norm(a) * np.linalg.norm(b) * len(A.vectors)
    return float(a.sum() * b.sum() / product) if product > 0 else float("nan")


def subspace_overlap(A: Factors, B: Factors, k: int) -> float:
    """Mean squared cosine of the leading k eigenvectors of both: 1 the same span, k/d by chance."""
    return float(((A.vectors[:, :k].T @ B.vectors[:, :k]) ** 2).sum() / k)


def ansatz(
    W: Map, N: np.ndarray, *, initial: Map | None, draws: Sequence[Map], powers: Sequence[float] = POWERS
) -> dict[str, Any]:
    """How well WᵀW ∝ (WᵀNW)^p holds, beside the controls that keep N.

    Args:
        W: the map.
        N: (m, m).
        initial: what W was before training.
        draws: maps of W's singular values, from `of_same_spectrum`.
        powers: p.

    Returns:
        p of M^p as text → `cosine`, `same_spectrum` and `same_spectrum_sd` over the draws, `initial`, `unrelated`.
    """
    A, M = W.gram, W.pulled_back(N)
    others = [(V.gram, V.pulled_back(N)) for V in draws]
    before = None if initial is None else (initial.gram, initial.pulled_back(N))
    return {f"{p:g}": _beside(A, M, others, before, p) for p in powers}


def ansatz_of_movement(
    W_0: np.ndarray,
    W: Map,
    N: np.ndarray,
    moved: Map,
    draws: Sequence[tuple[Map, Map]],
    *,
    powers: Sequence[float] = POWERS,
) -> dict[str, Any]:
    """The same with what training added, D = W − W_0: DᵀD ∝ (WᵀNW)^p.

    Args:
        W_0: before training (m, d).
        W: after it.
        N: (m, m).
        moved: D.
        draws: D' of D's singular values, and W_0 + D'; the control keeps W_0 and N.
        powers: p.
    """
    A, M = moved.gram, W.pulled_back(N)
    others = [(D.gram, V.pulled_back(N)) for D, V in draws]
    return {f"{p:g}": _beside(A, M, others, None, p) for p in powers}


def overlaps(W: Map, N: np.ndarray, *, draws: Sequence[Map], ranks: Sequence[int]) -> dict[str, Any]:
    """Overlap of W's leading right singular vectors with the leading eigenvectors of WᵀNW, by rank.

    Returns:
        k as text → `overlap`, `same_spectrum` (mean over draws, keeping N), `chance` in the row space, k / r.
    """
    A, M = W.gram, W.pulled_back(N)
    others = [(V.gram, V.pulled_back(N)) for V in draws]
    return {
        str(k): {
            "overlap": subspace_overlap(A, M, k),
            "same_spectrum": _mean([subspace_overlap(a, b, k) for a, b in others]),
            "chance": k / len(W.s),
        }
        for k in ranks
        if k <= len(W.s)
    }


def _beside(
    A: Factors, M: Factors, others: Sequence[tuple[Factors, Factors]], before: Any, p: float
) -> Mapping[str, float | None]:
    drawn = [power_cosine(a, b, p) for a, b in others]
    return {
        "cosine": power_cosine(A, M, p),
        "same_spectrum": _mean(drawn),
        "same_spectrum_sd": float(np.std(drawn, ddof=1)) if len(drawn) > 1 else None,
        "initial": None if before is None else power_cosine(before[0], before[1], p),
        "unrelated": unrelated_cosine(A, M, p),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _haar(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Orthonormal columns of uniformly random directions."""
    Q, R = np.linalg.qr(rng.standard_normal(shape))
    return Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)
