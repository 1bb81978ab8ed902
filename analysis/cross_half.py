"""Spectrum without noise bias, from gradients of two disjoint halves of the samples.

With A = S + noise_A and B = S + noise_B the noise of the halves is independent, so E[A^T B] = S^T S, without the
noise energy that sits on the diagonal of G^T G. C = (A^T B + B^T A) / 2 is symmetric with signed eigenvalues: noise
alone gives as many below zero as above, agreement of the halves gives large positive ones.

Null: random signs s_t on the rows of B, C_0 = (A^T B S + S B^T A) / 2 with S = diag(s). Where B is noise, symmetric
and independent from row to row, C_0 is distributed as C, so that the largest of C exceeds all of n nulls with
probability 1 / (n + 1), exactly. Rows whose noise is shared (minibatches of one rollout) must share a sign: `block`.

Flipping keeps the singular values of A^T B, so one strong direction σ² v v^T still gives nulls of about σ² / 2: alone
this would hide weaker directions (conservative, never too lenient). Hence the test steps down, as in deflated parallel
analysis (Dobriban & Owen 2019): whatever exceeds its nulls is projected out, and the rest is tested against new nulls.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import torch

from .gram import Progress, gram
from .rows import PANEL_BYTES, Rows, as_rows

if TYPE_CHECKING:
    from .cluster import Cluster

_LANCZOS_STEPS = 100


@dataclass(frozen=True, eq=False)
class CrossHalfSpectrum:
    """Eigenvalues on which both halves agree.

    The eigenvalues are squared singular values of the half-gradient's signal; if A and B are contributions that add
    up to the gradient, four of them make one of the whole.

    Attributes:
        eigenvalues: (T,), descending, signed.
        profiles: (T, T), eigenvectors as columns.
        null_top: largest eigenvalue of each null of the last round (nulls,), strong directions projected out.
        threshold: the quantile of `null_top` that a finding exceeds.
        signal_directions: how many of the leading eigenvalues are findings.
        negative_directions: how many of the last ones lie as far below zero as no null does. Above 0 the halves push
            against each other and are not independent: split by environment at the same parameters.
        noise_floor: the most negative eigenvalue.
    """

    eigenvalues: np.ndarray
    profiles: np.ndarray
    null_top: np.ndarray
    threshold: float
    signal_directions: int
    negative_directions: int
    noise_floor: float


def cross_half_spectrum(
    A: Rows | np.ndarray | torch.Tensor,
    B: Rows | np.ndarray | torch.Tensor,
    *,
    rng: np.random.Generator,
    nulls: int = 20,
    quantile: float = 1.0,
    block: int = 1,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
    progress: Progress | None = None,
) -> CrossHalfSpectrum:
    """Cross-half spectrum and how much of it is signal.

    Args:
        A: rows of one half (T, P).
        B: rows of the other half (T, P), same times.
        rng: draws the signs.
        nulls: sign flips per round; a false finding in pure noise has probability 1 / (nulls + 1).
        quantile: of the nulls' largest eigenvalues that a finding must exceed; 1 is their maximum.
        block: rows that share a sign, for rows whose noise is not independent.
        panel_bytes: memory for panels.
        device: where the panel products run.
        cluster: from `open_cluster`, multiplies the panels; None is this process.
        progress: called with (parameters done, in all) after each panel.

    Raises:
        ValueError: shapes differ, a value is not finite, or a setting is out of range.
    """
    A, B = as_rows(A), as_rows(B)
    if A.shape != B.shape:
        raise ValueError(f"the halves need the same times and parameters, got {A.shape} and {B.shape}")
    _check(nulls, quantile, block)
    M = gram(A, B, panel_bytes=panel_bytes, device=device, cluster=cluster, progress=progress)
    return cross_half_of_product(M, rng=rng, nulls=nulls, quantile=quantile, block=block)


def cross_half_of_product(
    M: np.ndarray,
    *,
    rng: np.random.Generator,
    nulls: int = 20,
    quantile: float = 1.0,
    block: int = 1,
) -> CrossHalfSpectrum:
    """The same from M = A^T B alone, (T, T) float64, where the rows themselves are gone.

    The other arguments are those of `cross_half_spectrum`.

    Raises:
        ValueError: M is not square or not finite, or a setting is out of range.
    """
    _check(nulls, quantile, block)
    if M.ndim != 2 or M.shape[0] != M.shape[1] or not np.isfinite(M).all():
        raise ValueError(f"the product of the halves is a finite matrix (T, T), got shape {M.shape}")
    eigenvalues, V = scipy.linalg.eigh((M + M.T) / 2, driver="evd", overwrite_a=True, check_finite=False)
    eigenvalues, V = eigenvalues[::-1].copy(), V[:, ::-1]

    top, bottom = 0, 0  # findings so far, from either end
    while True:
        found = np.concatenate([V[:, :top], V[:, V.shape[1] - bottom :]], axis=1)
        lowest, highest = _null_extremes(_without(M, found), nulls, block, rng)
        threshold = float(np.quantile(highest, quantile, method="higher"))
        depth = float(np.quantile(lowest, 1 - quantile, method="lower"))
        rest = eigenvalues[top : len(eigenvalues) - bottom]
        new_top, new_bottom = int(np.count_nonzero(rest > threshold)), int(np.count_nonzero(rest < depth))
        if new_top + new_bottom == 0 or top + bottom + new_top + new_bottom >= len(eigenvalues):
            break
        top, bottom = top + new_top, bottom + new_bottom
    return CrossHalfSpectrum(
        eigenvalues=eigenvalues,
        profiles=V,
        null_top=highest,
        threshold=threshold,
        signal_directions=top,
        negative_directions=bottom,
        noise_floor=float(eigenvalues[-1]),
    )


def _check(nulls: int, quantile: float, block: int) -> None:
    if nulls < 1 or not 0 < quantile <= 1 or block < 1:
        raise ValueError(
            f"nulls and block are at least 1 and quantile in (0, 1]; got {nulls}, {block}, {quantile}"
        )


def _without(M: np.ndarray, V: np.ndarray) -> np.ndarray:
    """P M P with P the projection orthogonal to the columns of V (T, k)."""
    M = M - V @ (V.T @ M)
    return M - (M @ V) @ V.T


def _null_extremes(
    M: np.ndarray, nulls: int, block: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest eigenvalue of (M S + S M^T) / 2 for `nulls` draws of S, (nulls,) each.

    Lanczos with full reorthogonalisation, all draws abreast: two products of M with (T, nulls) per step instead of one
    eigendecomposition per draw.
    """
    T = len(M)
    signs = rng.choice([-1.0, 1.0], size=(nulls, -(-T // block))).repeat(block, axis=1)[:, :T]
    steps = min(T, _LANCZOS_STEPS)
    basis = np.zeros((nulls, steps, T))
    diagonal, off_diagonal = np.zeros((nulls, steps)), np.zeros((nulls, steps))
    smallest = 100 * np.finfo(np.float64).eps * np.linalg.norm(M)
    q = rng.standard_normal((nulls, T))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    for step in range(steps):
        basis[:, step] = q
        r = ((signs * q) @ M.T + signs * (q @ M)) / 2
        diagonal[:, step] = np.sum(q * r, axis=1)
        so_far = basis[:, : step + 1]
        for _ in range(2):
            r -= (r[:, None] @ so_far.transpose(0, 2, 1) @ so_far)[:, 0]
        size = np.linalg.norm(r, axis=1)
        # An exhausted Krylov space goes on with zeros: they add eigenvalues 0, between the extremes.
        size[size <= smallest] = 0.0
        off_diagonal[:, step] = size
        q = np.divide(r, size[:, None], out=np.zeros_like(r), where=size[:, None] > 0)
    extremes = [
        np.asarray(scipy.linalg.eigvalsh_tridiagonal(alpha, beta[:-1]))
        for alpha, beta in zip(diagonal, off_diagonal, strict=True)
    ]
    return np.array([values[0] for values in extremes]), np.array([values[-1] for values in extremes])
