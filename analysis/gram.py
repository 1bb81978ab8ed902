"""Gram matrix of gradient rows, K = G^T G, streamed by panels of parameters.

K = Σ_panels X X^T with X a panel (T, width) of the rows. Each row is read once; memory is K and two panels, the one
being multiplied and the next one on its way from the disk. Only the blocks on and above the diagonal are multiplied,
which halves the work. The sum runs in the order of the panels, wherever they were multiplied.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..agents.linear import times_transposed
from .over_panels import Work, over_panels, true_float32, working_dtype
from .rows import PANEL_BYTES, PANELS_HELD, Rows, as_rows, panels

if TYPE_CHECKING:
    from .cluster import Cluster

Progress = Callable[[int, int], None]
"""Called with (parameters done, parameters in all) after each panel."""

_SMALLEST_BLOCK = 240
"""Rows per product. Eight blocks leave a sixteenth of the needless half; smaller ones lose more in their products."""


def gram(
    rows: Rows | np.ndarray | torch.Tensor,
    other: Rows | np.ndarray | torch.Tensor | None = None,
    *,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Inner products of all rows, or of all rows with all other rows.

    float16 and float32 rows are multiplied in float32 and summed over panels in float64 (noise of about 1e-7 of the
    largest eigenvalue); float64 rows are float64 throughout.

    Args:
        rows: (T, P).
        other: (S, P), for the cross product A^T B.
        panel_bytes: memory for panels; on a cluster, that of each worker.
        device: where products run.
        cluster: from `open_cluster`, multiplies the panels; None is this process.
        progress: called after each panel.

    Returns:
        (T, T), exactly symmetric, or (T, S); float64.

    Raises:
        ValueError: a value is not finite or overflows when squared, or the numbers of parameters differ.
        OSError: the cluster lost its workers, or they cannot read the rows.
    """
    A = as_rows(rows)
    B = A if other is None else as_rows(other)
    if A.shape[1] != B.shape[1]:
        raise ValueError(f"both need the same parameters; got rows of {A.shape[1]} and of {B.shape[1]}")
    pair = [A] if B is A else [A, B]
    widest = A if A.shape[0] >= B.shape[0] else B
    borders = panels(widest, panel_bytes, held=PANELS_HELD * len(pair))
    return _summed(products, pair, borders, (A.shape[0], B.shape[0]), (), device, cluster, progress)


def gram_along(
    rows: Rows | np.ndarray | torch.Tensor,
    profiles: np.ndarray,
    *,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
) -> np.ndarray:
    """Inner products of G V, (k, k) float64, for profiles V (T, k); without the rounding of V^T K V.

    Arguments and errors are those of `gram`.
    """
    G = as_rows(rows)
    k = profiles.shape[1]
    borders = panels(G, panel_bytes, held=PANELS_HELD + 1)  # and the product with V
    return _summed(_products_along, [G], borders, (k, k), (profiles.copy(),), device, cluster, None)


def products(X: torch.Tensor, Y: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
    """The blocks of X Y^T, or those on and above the diagonal of X X^T, in the order of their places."""
    for first, last, right in _places(len(X), Y is None):
        yield times_transposed(X[first:last], (X if Y is None else Y)[right:])


def _products_along(X: torch.Tensor, V: torch.Tensor) -> Iterator[torch.Tensor]:
    yield from products(V.T @ X)


def _places(times: int, symmetric: bool) -> list[tuple[int, int, int]]:
    """(first row, last row, first column) of each block."""
    height = max(_SMALLEST_BLOCK, -(-times // 8))
    return [(first, first + height, first if symmetric else 0) for first in range(0, times, height)]


def _summed(
    work: Work,
    rows: Sequence[Rows],
    borders: Iterator[tuple[int, int]],
    shape: tuple[int, int],
    constants: Sequence[np.ndarray],
    device: str | torch.device,
    cluster: "Cluster | None",
    progress: Progress | None,
) -> np.ndarray:
    """Σ over panels of the blocks that the work gives, float64."""
    K = torch.zeros(shape, dtype=torch.float64, device="cpu" if cluster else device)
    symmetric = len(rows) == 1
    with true_float32():
        for _, stop, blocks in over_panels(work, rows, borders, *constants, device=device, cluster=cluster):
            for (first, last, right), block in zip(_places(shape[0], symmetric), blocks, strict=True):
                K[first:last, right:] += block
            if progress is not None:
                progress(stop, rows[0].shape[1])
    if symmetric:
        _mirror(K)
    found = K.cpu().numpy()
    if not np.isfinite(found.sum()):
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(
            f"row {row} is too large: its inner products overflow {working_dtype(rows)}; "
            "divide all rows by a constant"
        )
    return found


def _mirror(K: torch.Tensor) -> None:
    # By blocks and in place: K.triu() + K.triu(1).T would hold three more matrices of this size.
    for first, last, _ in _places(len(K), True):
        corner = K[first:last, first:last].triu()
        K[first:last, first:last] = corner + corner.triu(1).T
        K[last:, first:last] = K[first:last, last:].T
