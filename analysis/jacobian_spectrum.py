"""Information channels from an early layer to a late one: singular values of stacked Jacobians.

J(x) = ∂late/∂early, (m, n), of every input x (and late cell). Stacked, Σ JᵀJ says along which early directions
anything late changes, and Σ J Jᵀ in which late directions; both are summed as batches stream by, in float64, so that
the stack is never held. A channel per input that is another one for every input shows as a large stacked rank beside a
small rank per input. Whether different early nodes reach the same late space: the late space of one random half of the
early nodes, and how much of what the other half causes lies in it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .effective_rank import effective_ranks
from .layer_activations import LARGEST


class JacobianSums:
    """Sums over blocks J (m, n) as they stream by.

    Args:
        late: m.
        early: n.
        seed: of the two halves of the early nodes.
        device: where sums lie.

    Raises:
        ValueError: JᵀJ would be too large.
    """

    def __init__(self, late: int, early: int, *, seed: int = 0, device: torch.device | str = "cpu"):
        for name, size in (("early", early), ("late", late)):
            if size > LARGEST:
                raise ValueError(
                    f"{name} has {size} nodes: at most {LARGEST} make a dense matrix; give a smaller layer"
                )
        order = torch.randperm(early, generator=torch.Generator().manual_seed(seed)).to(device)
        self._halves = order[: early // 2], order[early // 2 :]
        self._right = torch.zeros(early, early, dtype=torch.float64, device=device)
        self._left = [torch.zeros(late, late, dtype=torch.float64, device=device) for _ in self._halves]
        self._per_block: list[Tensor] = []
        self._blocks = 0

    def add(self, blocks: Tensor) -> None:
        """Take blocks (B, m, n).

        Raises:
            ValueError: of another shape, or not finite.
        """
        wanted = (len(self._left[0]), len(self._right))
        if blocks.ndim != 3 or blocks.shape[1:] != wanted:
            raise ValueError(f"blocks are (B, {wanted[0]}, {wanted[1]}), got {tuple(blocks.shape)}")
        blocks = blocks.double()
        if not torch.isfinite(blocks).all():
            raise ValueError("a Jacobian is not finite: look at the network's parameters and inputs")
        rows = blocks.flatten(0, 1)
        self._right += rows.T @ rows
        for left, half in zip(self._left, self._halves, strict=True):
            columns = blocks[:, :, half].transpose(0, 1).flatten(1)
            left += columns @ columns.T
        m, n = wanted
        small = blocks @ blocks.mT if m <= n else blocks.mT @ blocks
        self._per_block.append(torch.linalg.eigvalsh(small).clamp_min(0).sqrt().cpu())
        self._blocks += len(blocks)

    def spectrum(self) -> "JacobianSpectrum":
        """What was found.

        Raises:
            ValueError: no block was given.
        """
        if not self._blocks:
            raise ValueError("no Jacobian was given: the subject has no inputs")
        return JacobianSpectrum(
            right=(self._right / self._blocks).cpu().numpy(),
            left_halves=tuple((left / self._blocks).cpu().numpy() for left in self._left),  # pyright: ignore[reportArgumentType]
            per_block=torch.cat(self._per_block).numpy(),
            blocks=self._blocks,
        )


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """Means over blocks.

    Attributes:
        right: E[JᵀJ], (n, n).
        left_halves: E[J_H J_Hᵀ] of the columns of two random halves of the early nodes, (m, m) each.
        per_block: singular values of each block, (blocks, min(m, n)).
        blocks: how many there were.
    """

    right: np.ndarray
    left_halves: tuple[np.ndarray, np.ndarray]
    per_block: np.ndarray
    blocks: int

    @property
    def left(self) -> np.ndarray:
        """E[J Jᵀ], (m, m)."""
        return self.left_halves[0] + self.left_halves[1]

    @cached_property
    def _right_eigen(self) -> tuple[np.ndarray, np.ndarray]:
        return descending_eigen(self.right)

    @cached_property
    def _left_eigen(self) -> tuple[np.ndarray, np.ndarray]:
        return descending_eigen(self.left)

    @property
    def singular_values(self) -> np.ndarray:
        """Of the stack over its rows, divided by √blocks, descending, (n,)."""
        return np.sqrt(self._right_eigen[0])

    @property
    def right_vectors(self) -> np.ndarray:
        """Early directions, strongest first, in rows, (n, n)."""
        return self._right_eigen[1].T

    @property
    def late_values(self) -> np.ndarray:
        """Singular values of the blocks side by side, divided by √blocks, descending, (m,)."""
        return np.sqrt(self._left_eigen[0])

    def ranks(self, *, tolerance: float = 1e-6) -> dict[str, dict[str, float]]:
        """Effective ranks: `stacked` (early side), `late`, and the mean `per_input`."""
        of_blocks = [effective_ranks(values, tolerance=tolerance) for values in self.per_block]
        return {
            "stacked": effective_ranks(self.singular_values, tolerance=tolerance),
            "late": effective_ranks(self.late_values, tolerance=tolerance),
            "per_input": {name: float(np.mean([one[name] for one in of_blocks])) for name in of_blocks[0]},
        }

    def shared_late_space(self, *, share: float = 0.9) -> dict[str, float]:
        """Whether early nodes change the same few late directions.

        The k leading late directions of one half of the early nodes hold `share` of what that half causes; then of
        what the other half causes they hold `other_half`, its own k leading ones hold `best`, and random ones k / m,
        `chance`.
        """
        A, B = self.left_halves
        values, vectors = descending_eigen(A)
        if not values.any() or not B.any():
            return {"k": 0.0, "other_half": 0.0, "best": 0.0, "chance": 0.0}
        k = int(np.searchsorted(np.cumsum(values) / values.sum(), share - 1e-12) + 1)
        U = vectors[:, :k]
        return {
            "k": float(k),
            "other_half": float(np.einsum("ik,ij,jk->", U, B, U) / np.trace(B)),
            "best": float(descending_eigen(B)[0][:k].sum() / np.trace(B)),
            "chance": k / len(A),
        }


def spectra_agree(A: np.ndarray, B: np.ndarray) -> dict[str, float]:
    """How far two symmetric positive matrices (m, m), such as E[J Jᵀ] and a covariance, agree.

    Returns:
        `eigenvalues`: correlation of the logarithms of eigenvalues in descending order, over those above 1e-12 of the
        largest in both (1 is a power of one another; any two decaying spectra correlate: see the controls).
        `cosine`: tr(AB) / (‖A‖ ‖B‖), `cosine_chance` the same for a random rotation between them, on average.
        `overlap`: share of the k leading directions that is common, k holding 90 % of A's trace; `overlap_chance` k/m.
    """
    a, U = descending_eigen(A)
    b, V = descending_eigen(B)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return dict.fromkeys(("eigenvalues", "cosine", "cosine_chance", "overlap", "overlap_chance"), 0.0)
    both = (a > 1e-12 * a[0]) & (b > 1e-12 * b[0])
    logs = np.log(a[both]), np.log(b[both])
    varied = both.sum() > 2 and np.ptp(logs[0]) > 0 and np.ptp(logs[1]) > 0
    k = int(np.searchsorted(np.cumsum(a) / a.sum(), 0.9 - 1e-12) + 1)
    return {
        "eigenvalues": float(np.corrcoef(*logs)[0, 1]) if varied else 0.0,
        "cosine": float((A * B).sum() / norms),
        "cosine_chance": float(a.sum() * b.sum() / len(a) / norms),
        "overlap": float(((U[:, :k].T @ V[:, :k]) ** 2).sum() / k),
        "overlap_chance": k / len(a),
    }


def descending_eigen(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a positive matrix, descending, rounding below zero taken off; eigenvectors in columns."""
    values, vectors = np.linalg.eigh(A)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]
