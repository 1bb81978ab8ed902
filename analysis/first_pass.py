"""Pass one of a replay: the inner products of gradient rows that are never stored.

Rows are held in memory while they fit in a window; K = G^T G is then that of the rows themselves. Once one more would
not fit, every row from the first on is replaced by its sketch, and K is that of the sketches.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch

from ..agents.gradient_log import TOTAL, Row
from .gram import gram
from .sketch import Sketch, spectral_error
from .temporal_svd import FLOOR_SINGLE, TemporalSVD, svd_of_gram
from .term_sink import TermSink

WINDOW_BYTES = 2**30
SKETCH_WIDTH = 8192

_MAY_FOLLOW = {None: ("", "A"), "": ("",), "A": ("B",), "B": ("A",)}


@dataclass(frozen=True, eq=False)
class RowProducts:
    """Inner products of all rows of one term, and what tells these rows from others.

    Attributes:
        gram: K (T, T) float64, of the whole gradients.
        cross: A^T B (T, T) float64, for `cross_half_of_product`; None where rows are not halved.
        row_energies: squared norms of the whole gradients (T,), never sketched.
        records: one `RECORD` of the gradient log per row, each half its own; the checksum is of the float32 row.
        shape: (T, P).
        term: whose rows these are.
        sketch_width: m, None where K is exact.
        sketch_seed: drew the sketch.
    """

    gram: np.ndarray
    cross: np.ndarray | None
    row_energies: np.ndarray
    records: np.ndarray
    shape: tuple[int, int]
    term: str
    sketch_width: int | None
    sketch_seed: int

    @property
    def time_records(self) -> np.ndarray:
        """One record per training time (T,); of halved rows that of half B."""
        return self.records[self.records["half"] != b"A"]

    def temporal_svd(self, *, rank: int | None = None, floor: float = FLOOR_SINGLE) -> TemporalSVD:
        """Singular values and profiles of these rows; with a sketch, those of the sketched rows.

        Arguments and result are those of `goalcut.analysis.temporal_svd`.

        Raises:
            ValueError: `rank` or `floor` is out of range.
        """
        return svd_of_gram(
            self.gram, parameters=self.shape[1], rank=rank, floor=floor, row_energies=self.row_energies
        )

    def spectral_error(self) -> float:
        """How far K is from that of the rows, in the spectral norm, as `sketch.spectral_error` says; exact is 0."""
        if self.sketch_width is None:
            return 0.0
        largest = scipy.linalg.eigvalsh(self.gram, subset_by_index=[self.shape[0] - 1] * 2)
        return spectral_error(float(self.row_energies.sum()), float(largest[0]), self.sketch_width)


class FirstPass(TermSink):
    """Takes the rows of a training and gives their `products`.

    Args:
        parameters: P.
        times: rows to come, each pair of halves counted once, if known: rows that will not fit are then sketched from
            the first on, with the same result, and no window is filled in vain.
        term: whose rows are taken.
        window_bytes: memory for rows as they come, float32, each half its own row; 0 is always to sketch.
        width: m of the sketch; its memory is 4 m bytes per row, and 8 P for its table.
        seed: draws the sketch.

    Attributes:
        held_bytes: most memory that rows, sketches and the sketch's table took.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        parameters: int,
        *,
        times: int | None = None,
        term: str = TOTAL,
        window_bytes: int = WINDOW_BYTES,
        width: int = SKETCH_WIDTH,
        seed: int = 0,
    ):
        super().__init__(term)
        if parameters < 1 or (times is not None and times < 1) or window_bytes < 0:
            raise ValueError(
                f"parameters and times are at least 1 and window_bytes at least 0; got {parameters}, {times} and "
                f"{window_bytes}"
            )
        self._parameters, self._times, self._window_bytes = parameters, times, window_bytes
        self._width, self._seed = width, seed
        self._sketch: Sketch | None = None
        self._held: dict[str, list[np.ndarray]] = {"": [], "A": [], "B": []}
        self._half_a = np.zeros(0, dtype=np.float32)
        self._energies: list[float] = []
        self._records: list[np.ndarray] = []
        self.held_bytes = 0

    def products(self) -> RowProducts:
        """Inner products of all rows taken.

        Raises:
            ValueError: there are none, the last one is a half without its other half, or a value is not finite.
        """
        if len(self._held["A"]) != len(self._held["B"]):
            raise ValueError(f"row {self.rows - 1} is half A, and the training ended without its half B")
        times = len(self._energies)
        if not times:
            raise ValueError(f"the training gave no rows of the term {self.term!r}: give one that it records")
        halves = [_HeldRows([self._held[half]]) for half in "AB" if self._held[half]]
        whole = _HeldRows([self._held["A"], self._held["B"]] if halves else [self._held[""]])
        return RowProducts(
            gram=gram(whole),
            cross=gram(*halves) if halves else None,
            row_energies=np.array(self._energies),
            records=np.concatenate(self._records),
            shape=(times, self._parameters),
            term=self.term,
            sketch_width=None if self._sketch is None else self._width,
            sketch_seed=self._seed,
        )

    def _take(self, row: Row) -> None:
        self._check(row)
        self._records.append(row.record(scale=1.0, checksum=zlib.crc32(row.gradient.data)))
        if self._sketch is None and not self._fits(row):
            self._sketch = Sketch(self._parameters, self._width, seed=self._seed)
            for rows in self._held.values():
                for number, held in enumerate(rows):  # one by one, so that the window empties meanwhile
                    rows[number] = self._sketch(held)
        self._held[row.half].append(
            row.gradient.copy() if self._sketch is None else self._sketch(row.gradient)
        )
        if row.half == "A":
            self._half_a = row.gradient.copy()
        else:
            whole = torch.from_numpy(self._half_a + row.gradient if row.half else row.gradient)
            self._energies.append(float(torch.linalg.vector_norm(whole, dtype=torch.float64)) ** 2)
        table = self._sketch.table_bytes if self._sketch is not None else 0
        size = table + (self.rows + 1) * self._held[row.half][-1].nbytes
        self.held_bytes = max(self.held_bytes, size)

    def _fits(self, row: Row) -> bool:
        expected = (self._times or 0) * (2 if row.half else 1)
        return max(self.rows + 1, expected) * row.gradient.nbytes <= self._window_bytes

    def _check(self, row: Row) -> None:
        if row.gradient.shape != (self._parameters,) or row.gradient.dtype != np.float32:
            raise ValueError(
                f"row {self.rows} is {row.gradient.dtype} {row.gradient.shape}, wanted float32 "
                f"({self._parameters},): give the layout of the module that trains"
            )
        before = self._records[-1]["half"][0].decode() if self._records else None
        if row.half not in _MAY_FOLLOW[before]:
            raise ValueError(
                f"row {self.rows} is of half {row.half!r} after half {before!r}: rows come whole, as half '', or as "
                f"halves 'A' and 'B' by turns"
            )


class _HeldRows:
    """Rows (T, P) that lie in memory one by one; each is the sum of its parts."""

    dtype = np.dtype(np.float32)

    def __init__(self, parts: list[list[np.ndarray]]):
        self._parts = parts
        self.shape = (len(parts[0]), len(parts[0][0]))

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Columns start…stop of all rows."""
        panel = np.stack([row[start:stop] for row in self._parts[0]])
        for part in self._parts[1:]:
            for target, row in zip(panel, part, strict=True):
                target += row[start:stop]
        return panel
