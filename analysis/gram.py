"""Gram matrix of gradient rows, K = G^T G, streamed by panels of parameters.

K = Σ_panels X X^T with X a panel (T, width) of the rows. Each row is read once; memory is K and one panel. Only the
blocks on and above the diagonal are multiplied, which halves the work.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from .rows import PANEL_BYTES, Rows, as_rows, panels, read_panel

Progress = Callable[[int, int], None]
"""Called with (parameters done, parameters in all) after each panel."""

_BLOCK = 720
"""Rows per product. Of 360, 720, 1440 at T = 5,760 the quickest, 0.97 of the speed of one whole product."""


def gram(
    rows: Rows | np.ndarray | torch.Tensor,
    other: Rows | np.ndarray | torch.Tensor | None = None,
    *,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Inner products of all rows, or of all rows with all other rows.

    float16 and float32 rows are multiplied in float32 and summed over panels in float64 (noise of about 1e-7 of the
    largest eigenvalue); float64 rows are float64 throughout.

    Args:
        rows: (T, P).
        other: (S, P), for the cross product A^T B.
        panel_bytes: memory for panels.
        device: where products run.
        progress: called after each panel.

    Returns:
        (T, T), exactly symmetric, or (T, S); float64.

    Raises:
        ValueError: a value is not finite or overflows when squared, or the numbers of parameters differ.
    """
    A = as_rows(rows)
    B = A if other is None else as_rows(other)
    if A.shape[1] != B.shape[1]:
        raise ValueError(f"both need the same parameters; got rows of {A.shape[1]} and of {B.shape[1]}")
    dtype = torch.float64 if np.float64 in (A.dtype, B.dtype) else torch.float32
    K = torch.zeros(A.shape[0], B.shape[0], dtype=torch.float64, device=device)
    widest = A if A.shape[0] >= B.shape[0] else B
    with true_float32():
        for start, stop in panels(widest, panel_bytes if B is A else max(1, panel_bytes // 2)):
            X = torch.from_numpy(read_panel(A, start, stop)).to(device, dtype)
            Y = X if B is A else torch.from_numpy(read_panel(B, start, stop)).to(device, dtype)
            for first in range(0, A.shape[0], _BLOCK):
                last = first + _BLOCK
                right = first if B is A else 0
                K[first:last, right:] += X[first:last] @ Y[right:].T
            del X, Y  # before the next panel is read
            if progress is not None:
                progress(stop, A.shape[1])
    if B is A:
        _mirror(K)
    found = K.cpu().numpy()
    if not np.isfinite(found.sum()):
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(
            f"row {row} is too large: its inner products overflow {dtype}; divide all rows by a constant"
        )
    return found


@contextmanager
def true_float32() -> Iterator[None]:
    """Matrix products in full float32: TF32 and bfloat16 keep 10 and 7 bits, far too few for a Gram matrix."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _mirror(K: torch.Tensor) -> None:
    # By blocks and in place: K.triu() + K.triu(1).T would hold three more matrices of this size.
    for first in range(0, K.shape[0], _BLOCK):
        last = first + _BLOCK
        corner = K[first:last, first:last].triu()
        K[first:last, first:last] = corner + corner.triu(1).T
        K[last:, first:last] = K[first:last, last:].T
