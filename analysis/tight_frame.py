"""Is a set of vectors a tight frame? N = E[g gᵀ] a multiple of the identity, all directions alike (isotropic position).

Frame bounds are the extreme eigenvalues of N: A ‖x‖² ≤ E[(g·x)²] ≤ B ‖x‖² (Duffin & Schaeffer 1952; Christensen 2016,
section 1.1); the frame is tight where A = B. The distance ‖N − (tr N / m) I‖ / ‖N‖ is a function of the participation
ratio R = (tr N)² / tr N² alone, √(1 − R / m).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Frame:
    """How isotropic N is.

    Attributes:
        dimensions: m, of the range asked about.
        lower: frame bound A, the smallest eigenvalue.
        upper: frame bound B, the largest.
        condition_number: B / A; None where A is zero to rounding.
        effective_rank: participation ratio (tr N)² / tr N², 1…m.
        entropy_rank: exp of the entropy of the eigenvalues' shares, 1…m.
        distance: ‖N − (tr N / m) I‖ / ‖N‖, 0…√(1 − 1/m).
        isotropic_distance: the same, expected of as many isotropic Gaussian vectors: below it nothing can be told.
        isotropic_condition_number: of those, ((1 + √q) / (1 − √q))² with q = m / count (Marchenko & Pastur 1967);
            None where there are fewer vectors than dimensions.
    """

    dimensions: int
    lower: float
    upper: float
    condition_number: float | None
    effective_rank: float
    entropy_rank: float
    distance: float
    isotropic_distance: float
    isotropic_condition_number: float | None

    def figures(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def frame(N: np.ndarray, count: int, within: np.ndarray | None = None) -> Frame:
    """How far N is from a multiple of the identity, on the span of `within`.

    Args:
        N: second moment E[g gᵀ], (m, m).
        count: independent vectors it was averaged over.
        within: orthonormal columns (m, r), such as the left singular vectors of W; default the whole space.

    Raises:
        ValueError: N is zero there, or not square.
    """
    if N.ndim != 2 or N.shape[0] != N.shape[1]:
        raise ValueError(f"N is a second moment (m, m), got {N.shape}")
    if within is not None:
        N = within.T @ N @ within
    m = len(N)
    values = np.maximum(np.linalg.eigvalsh(N), 0.0)
    trace, square = values.sum(), (values**2).sum()
    if not square > 0:
        raise ValueError("N is zero: every gradient is, there is no frame; take another function or layer")
    shares = values[values > 0] / trace
    rank = float(trace**2 / square)
    lower, upper, q = float(values[0]), float(values[-1]), m / count
    spread = (m + 1) / count
    return Frame(
        dimensions=m,
        lower=lower,
        upper=upper,
        condition_number=upper / lower if lower > 1e-12 * upper else None,
        effective_rank=rank,
        entropy_rank=float(np.exp(-(shares * np.log(shares)).sum())),
        distance=float(np.sqrt(max(0.0, 1 - rank / m))),
        isotropic_distance=float(np.sqrt(spread / (1 + spread))),
        isotropic_condition_number=((1 + np.sqrt(q)) / (1 - np.sqrt(q))) ** 2 if q < 1 else None,
    )
