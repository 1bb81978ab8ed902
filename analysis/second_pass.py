"""Pass two of a replay: the directions u_k = Σ_t v_kt g_t / σ_k, summed while the same gradients go by again.

Memory is O(k P). The profiles may be approximate: of W = G V, for any orthonormal V (T, k), the singular vectors and
values are those of the best approximation of G whose profiles lie in the span of V (Rayleigh–Ritz). The values are
lower bounds of G's, and the directions much better than the profiles were: what a profile has too much of v_l comes
out weighted by σ_l / σ_k (one step of a subspace iteration, Halko, Martinsson & Tropp 2011, section 4.5).
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..agents.gradient_log import Row
from .directions import Directions, Layout
from .first_pass import RowProducts
from .gram import gram
from .over_panels import true_float32
from .rows import as_rows, panels
from .temporal_svd import FLOOR_SINGLE, _refined, _signs
from .term_sink import TermSink

_BATCH = 16
"""Rows per product: they share one pass over W, and float32 sums within a product are short."""
_PANEL_BYTES = 2**26


class ReplayError(RuntimeError):
    """A replay gave other gradients than the training it was to repeat; the message says which."""


class SecondPass(TermSink):
    """Takes the rows of the same training again and gives `directions`.

    Args:
        products: of pass one.
        profiles: V (T, k); only their span counts, for they are made orthonormal here.

    Attributes:
        held_bytes: memory of the sums and of the rows not yet added, whatever T is.

    Raises:
        ValueError: the profiles are of another T, or not independent.
    """

    def __init__(self, products: RowProducts, profiles: np.ndarray):
        super().__init__(products.term)
        times, parameters = products.shape
        if profiles.ndim != 2 or len(profiles) != times or not profiles.shape[1]:
            raise ValueError(f"profiles are (T, k) with T = {times} and k at least 1, got {profiles.shape}")
        self._products = products
        self._profiles, R = np.linalg.qr(profiles.astype(np.float64))
        sizes = np.abs(np.diag(R))
        if not len(R) == profiles.shape[1] or not sizes.min() > 1e-10 * sizes.max():
            raise ValueError(
                f"the {profiles.shape[1]} profiles are not independent: leave out what others make up"
            )
        self._weights = torch.from_numpy(self._profiles.astype(np.float32))
        self._sums = torch.zeros(profiles.shape[1], parameters)
        self._batch = torch.zeros(min(_BATCH, times), parameters)
        self._times = self._added = 0  # rows seen whole, and how many of them are in the sums
        self.held_bytes = self._sums.nbytes + self._batch.nbytes

    def directions(
        self,
        count: int | None = None,
        *,
        layout: Layout | None = None,
        floor: float = FLOOR_SINGLE,
        source: Mapping[str, Any] | None = None,
    ) -> Directions:
        """The strongest directions of the span, orthonormal, their profiles turned accordingly.

        The sums become the directions: ask once, when the training has ended.

        Args:
            count: how many at most; None is all.
            layout: name → (start, stop, shape) of the flat parameter vector.
            floor: share of the largest singular value below which none is returned.
            source: where they came from, JSON-able.

        Raises:
            ReplayError: the training ended early.
            ValueError: they were given already.
        """
        if not len(self._sums):
            raise ValueError("the directions of this pass were given already: keep them")
        if self.rows != len(self._products.records):
            raise ReplayError(
                f"the replay ended after {self.rows} rows, pass one had {len(self._products.records)}: {_REMEDY}"
            )
        self._add()
        W, self._sums = self._sums.numpy(), torch.zeros(0, 0)
        singular_values, Q = _refined(gram(W, panel_bytes=_PANEL_BYTES), np.eye(len(W)))
        above = int(np.count_nonzero(singular_values[:count] > floor * singular_values[0]))
        Q = Q[:, :above] * _signs(self._profiles @ Q[:, :above])
        energies = np.zeros(above)
        for start, stop in panels(as_rows(W), _PANEL_BYTES):
            turned = Q.T.astype(np.float32) @ W[:, start:stop]
            W[:above, start:stop] = turned
            energies += np.einsum("kp,kp->k", turned, turned, dtype=np.float64)
        vectors, strengths = W[:above], np.sqrt(energies)
        vectors /= strengths.astype(np.float32)[:, None]
        return Directions(
            vectors=vectors,
            singular_values=strengths,
            profiles=self._profiles @ Q,
            layout=dict(layout or {}),
            source=dict(source or {}),
        )

    def _take(self, row: Row) -> None:
        if self.rows == len(self._products.records):
            raise ReplayError(f"the replay goes on after the {self.rows} rows of pass one: {_REMEDY}")
        _check_same(row, self._products.records[self.rows], self.rows)
        place = self._batch[self._times - self._added]
        gradient = torch.from_numpy(row.gradient)
        if row.half == "B":
            place += gradient
        else:
            place.copy_(gradient)
        if row.half != "A":
            self._times += 1
            if self._times - self._added == len(self._batch):
                self._add()

    def _add(self) -> None:
        waiting = self._times - self._added
        weights = self._weights[self._added : self._times]
        with true_float32():
            self._sums.addmm_(weights.T, self._batch[:waiting])
        self._added = self._times


_REMEDY = (
    "both passes must train alike to the last bit. Run them on one machine with one thread (threads=1), the same "
    "settings and the same versions, and have nothing in the training draw from a generator that goes on"
)


def _check_same(row: Row, record: np.void, number: int) -> None:
    checksum = zlib.crc32(row.gradient.data)
    if (row.update, row.half.encode(), checksum) == (record["update"], record["half"], record["checksum"]):
        return
    half = f", half {row.half}" if row.half else ""
    raise ReplayError(
        f"row {number} of the replay (update {row.update}{half}) is not the one of pass one (update "
        f"{record['update']}, checksum {record['checksum']:08x}, now {checksum:08x}): {_REMEDY}"
    )
