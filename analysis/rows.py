"""Gradient rows, read by panels of parameters.

The gradient matrix G of the documentation is (P, T), one column per training time. On disk and here the times are
rows, G^T (T, P), so that a run appends to it; a panel is all times for a slice of the parameters, (T, width).
"""

import mmap
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

PANEL_BYTES = 288 * 2**20
"""Default memory of one panel in working precision. Narrower panels slow the matrix products down."""

_ROWS_MAPPED = 256
"""Rows of a memory-mapped file that are read before its pages are handed back."""

_STORED = tuple(np.dtype(name) for name in ("float16", "float32", "float64"))


class Rows(Protocol):
    """Anything that serves rows (T, P) by panels: an array, or a log on disk.

    `dtype` is the precision of the stored rows (float16, float32 or float64), which decides the precision of all
    that is computed from them. `panel` gives float64 for float64 rows and float32 otherwise.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """T times, P parameters."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Precision as stored."""
        ...

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of every row, (T, stop − start)."""
        ...


class ArrayRows:
    """Rows of an array (T, P) in memory or memory-mapped."""

    def __init__(self, array: np.ndarray):
        if array.ndim != 2:
            raise ValueError(f"rows are (times, parameters); got an array of shape {array.shape}")
        if array.dtype not in _STORED:
            raise ValueError(f"rows are float16, float32 or float64, got {array.dtype}; convert them first")
        self._array = array
        self.shape: tuple[int, int] = (array.shape[0], array.shape[1])
        self.dtype = array.dtype

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of every row."""
        if isinstance(self._array, np.memmap) and self._array.mode != "c":
            return self._mapped_panel(self._array, start, stop)
        return np.ascontiguousarray(self._array[:, start:stop], dtype=panel_dtype(self))

    def _mapped_panel(self, array: np.memmap, start: int, stop: int) -> np.ndarray:
        # A page once touched stays resident, with its neighbours: a single panel would map most of the file.
        panel = np.empty((len(array), stop - start), dtype=panel_dtype(self))
        for first in range(0, len(array), _ROWS_MAPPED):
            panel[first : first + _ROWS_MAPPED] = array[first : first + _ROWS_MAPPED, start:stop]
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)
        return panel


class UnitRows:
    """The same rows, each scaled to norm 1, so that late, large gradients do not hide early ones.

    A row of zeros stays zero. Norms `(T,)` come from one streamed pass at construction.
    """

    def __init__(self, rows: "Rows | np.ndarray | torch.Tensor", *, panel_bytes: int = PANEL_BYTES):
        self._rows = as_rows(rows)
        self.shape, self.dtype = self._rows.shape, self._rows.dtype
        self.norms = row_norms(self._rows, panel_bytes=panel_bytes)
        self._scale = np.divide(1.0, self.norms, out=np.zeros_like(self.norms), where=self.norms > 0)

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of every unit row."""
        panel = self._rows.panel(start, stop)
        return panel * self._scale.astype(panel.dtype)[:, None]


def as_rows(rows: "Rows | np.ndarray | torch.Tensor") -> Rows:
    """An array or tensor (T, P) as `Rows`; `Rows` pass through.

    Raises:
        ValueError: not two-dimensional, not of a supported precision, or without a single time or parameter.
    """
    if isinstance(rows, torch.Tensor):
        tensor = rows.detach().cpu()
        rows = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    found = ArrayRows(rows) if isinstance(rows, np.ndarray) else rows
    if min(found.shape) < 1:
        raise ValueError(f"rows are (times, parameters) with at least one of each, got {tuple(found.shape)}")
    return found


def panel_dtype(rows: Rows) -> np.dtype:
    """Precision of panels and their products: float64 for float64 rows, else float32."""
    return np.dtype(np.float64 if rows.dtype == np.float64 else np.float32)


def panels(rows: Rows, panel_bytes: int = PANEL_BYTES) -> Iterator[tuple[int, int]]:
    """(start, stop) of panels that tile the parameters, each of at most `panel_bytes` and one column at least."""
    if panel_bytes < 1:
        raise ValueError(
            f"panel_bytes is {panel_bytes}; give the memory of a panel in bytes, for instance 2**26"
        )
    times, parameters = rows.shape
    width = max(1, panel_bytes // (times * panel_dtype(rows).itemsize))
    for start in range(0, parameters, width):
        yield start, min(start + width, parameters)


def read_panel(rows: Rows, start: int, stop: int) -> np.ndarray:
    """One panel (T, stop − start), contiguous and checked.

    Raises:
        ValueError: a value is not finite (the first such row is named), or the panel has another shape.
    """
    panel = np.require(rows.panel(start, stop), dtype=panel_dtype(rows), requirements=["C", "W"])
    if panel.shape != (rows.shape[0], stop - start):
        raise ValueError(f"panel({start}, {stop}) gave {panel.shape}, wanted {(rows.shape[0], stop - start)}")
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(
            ~np.isfinite(panel.sum(axis=1))
        )  # one pass without a temporary of panel size
    for row in suspects:
        columns = np.flatnonzero(~np.isfinite(panel[row]))
        if len(columns):
            raise ValueError(
                f"row {row} holds {panel[row, columns[0]]} at parameter {start + columns[0]}; "
                "leave out the rows from there on, or find why training diverged"
            )
    return panel


def row_norms(rows: "Rows | np.ndarray | torch.Tensor", *, panel_bytes: int = PANEL_BYTES) -> np.ndarray:
    """Euclidean norm of every row, (T,) float64.

    Raises:
        ValueError: a value is not finite.
    """
    found = as_rows(rows)
    squares = np.zeros(found.shape[0])
    for start, stop in panels(found, panel_bytes):
        panel = read_panel(found, start, stop)
        squares += np.einsum("tp,tp->t", panel, panel, dtype=np.float64)
    return np.sqrt(squares)
