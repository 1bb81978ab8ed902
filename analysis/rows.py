"""Gradient rows, read by panels of parameters.

The gradient matrix G of the documentation is (P, T), one column per training time. On disk and here the times are
rows, G^T (T, P), so that a run appends to it; a panel is all times for a slice of the parameters, (T, width).
"""

import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

PANEL_BYTES = 288 * 2**20
"""Default memory for panels in working precision: the one at work and the one being read. Narrower panels slow the
matrix products down."""

PANELS_HELD = 2
"""Panels that `read_ahead` holds at once."""

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

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._array, np.memmap):
            raise ValueError(
                f"memory-mapped rows {self.shape} would be sent whole; give FileRows(path, shape, dtype), "
                "which each worker opens itself"
            )
        return self.__dict__

    def _mapped_panel(self, array: np.memmap, start: int, stop: int) -> np.ndarray:
        # A page once touched stays resident, with its neighbours: a single panel would map most of the file.
        panel = np.empty((len(array), stop - start), dtype=panel_dtype(self))
        for first in range(0, len(array), _ROWS_MAPPED):
            panel[first : first + _ROWS_MAPPED] = array[first : first + _ROWS_MAPPED, start:stop]
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)
        return panel


class FileRows:
    """Rows of a raw file in C order, native bytes. It pickles as its path, so that workers open the file themselves.

    Args:
        path: the file; made absolute.
        shape: (T, P).
        dtype: float16, float32 or float64.
        offset: bytes before the first row.

    Raises:
        ValueError: the precision is another, or the file is shorter than the shape needs.
        FileNotFoundError: there is no such file.
    """

    def __init__(
        self, path: str | Path, shape: tuple[int, int], dtype: str | type | np.dtype, *, offset: int = 0
    ):
        self.path = Path(path).absolute()
        self.shape, self.dtype, self.offset = shape, np.dtype(dtype), offset
        if self.dtype not in _STORED:
            raise ValueError(f"rows are float16, float32 or float64, got {self.dtype}; convert them first")
        needed, size = offset + shape[0] * shape[1] * self.dtype.itemsize, self.path.stat().st_size
        if size < needed:
            raise ValueError(
                f"{self.path} holds {size:,} bytes, but {self.dtype} rows {shape} need {needed:,}; "
                "give the shape and dtype that it was written with"
            )

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of every row."""
        panel = np.empty((self.shape[0], stop - start), dtype=panel_dtype(self))
        stored = np.empty(0 if panel.dtype == self.dtype else stop - start, dtype=self.dtype)
        # Row by row through read calls: a memory map would make nearly the whole file resident.
        file = os.open(self.path, os.O_RDONLY)
        try:
            for row in range(len(panel)):
                entry = row * self.shape[1] + start
                _read_whole(file, stored if len(stored) else panel[row], self.offset, entry, self.path)
                if len(stored):
                    panel[row] = stored
        finally:
            os.close(file)
        return panel


def _read_whole(file: int, into: np.ndarray, offset: int, entry: int, path: Path) -> None:
    view, place = into.data.cast("B"), offset + entry * into.itemsize
    while view:
        count = os.preadv(file, [view], place)
        if not count:
            raise OSError(f"{path} ends at byte {place}: it was cut off while in use; restore it")
        view, place = view[count:], place + count  # a network file system may give less than was asked for


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


def panels(rows: Rows, panel_bytes: int = PANEL_BYTES, *, held: int = 1) -> Iterator[tuple[int, int]]:
    """(start, stop) of panels that tile the parameters, `held` of them within `panel_bytes`, a column at least."""
    if panel_bytes < 1:
        raise ValueError(
            f"panel_bytes is {panel_bytes}; give the memory of a panel in bytes, for instance 2**26"
        )
    times, parameters = rows.shape
    width = max(1, panel_bytes // (held * times * panel_dtype(rows).itemsize))
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


def read_ahead(
    rows: Sequence[Rows], borders: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int, list[np.ndarray]]]:
    """(start, stop, one panel of each of `rows`); a thread reads the next ones while the caller works on these.

    Drop the panels before asking for the next ones, or three are held instead of `PANELS_HELD`.
    """

    def read(start: int, stop: int) -> tuple[int, int, list[np.ndarray]]:
        return start, stop, [read_panel(part, start, stop) for part in rows]

    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="panels")
    try:
        coming = deque()
        for border in borders:
            coming.append(reader.submit(read, *border))
            if len(coming) == PANELS_HELD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        reader.shutdown(cancel_futures=True)


def row_norms(rows: "Rows | np.ndarray | torch.Tensor", *, panel_bytes: int = PANEL_BYTES) -> np.ndarray:
    """Euclidean norm of every row, (T,) float64.

    Raises:
        ValueError: a value is not finite.
    """
    found = as_rows(rows)
    squares = np.zeros(found.shape[0])
    for _, _, [panel] in read_ahead([found], panels(found, panel_bytes, held=PANELS_HELD)):
        squares += np.einsum("tp,tp->t", panel, panel, dtype=np.float64)
        del panel  # before the next one is asked for
    return np.sqrt(squares)
