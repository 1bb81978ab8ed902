"""Temporal SVD of a gradient log: which directions were pushed, how hard, and when.

G = U Σ V^T with G (P, T), columns in training time. P >> T, so the T × T Gram matrix K = G^T G = V Σ² V^T carries
all of Σ and V (the "method of snapshots", Sirovich 1987), and u_k = G v_k / σ_k follows for the k asked for. Nothing
of size P × T is ever in memory.

Forming K squares the condition number: σ_k below sqrt(noise of K) σ_1 cannot be told from zero. For float64 rows a
second pass brings every σ_k back to the accuracy of a dense SVD. With V as found, Y = G V has nearly orthogonal
columns; N = Y^T Y = D H D, H of unit diagonal, has small *relative* errors and H is well conditioned (Demmel & Veselić
1992). From H = W Λ W^T follows the small factor R = Λ^(1/2) W^T D with R^T R = N; its SVD gives σ and corrects V.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import torch

from .along_profiles import directions_along
from .directions import Directions, Layout
from .gram import Progress, gram, gram_along
from .rows import PANEL_BYTES, Rows, as_rows

if TYPE_CHECKING:
    from .cluster import Cluster

FLOOR_SINGLE = 3e-4
FLOOR_DOUBLE = 2e-8

_SINGLE_ABOVE = 2048
"""T above which K of float16/float32 rows is decomposed in float32. Its error, 5e-7 σ_1² at T = 3,000, is that of K
itself; at T = 5,760 float32 took 8 s, and float64 more than twice that and a gigabyte."""


@dataclass(frozen=True, eq=False)
class TemporalSVD:
    """Singular values and profiles of a gradient log.

    The sign of each profile makes its direction point along the summed gradient, Σ_t v_kt > 0; where that sum is
    below 1e-3, the entry largest in size is positive.

    Attributes:
        singular_values: σ_k (r,), descending, all above the floor.
        profiles: v_k (T, r), orthonormal columns.
        row_energies: squared norms of the rows (T,).
        floor: share of σ_1 below which a singular value is noise of this route.
        below_floor: how many of the values asked for were dropped as noise (a rank deficiency counts here).
        shape: (T, P) of the rows.
    """

    singular_values: np.ndarray
    profiles: np.ndarray
    row_energies: np.ndarray
    floor: float
    below_floor: int
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.singular_values)

    @property
    def energy(self) -> float:
        """‖G‖_F² = Σ σ² over all of G, what was not returned included."""
        return float(self.row_energies.sum())


def temporal_svd(
    rows: Rows | np.ndarray | torch.Tensor,
    *,
    rank: int | None = None,
    floor: float | None = None,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
    progress: Progress | None = None,
) -> TemporalSVD:
    """Temporal SVD by a streamed Gram matrix.

    Args:
        rows: G^T (T, P), any T and P; all zero gives rank 0.
        rank: how many of the strongest to return; None is all above the floor.
        floor: share of σ_1; None is 3e-4 for float16 and float32 rows, 2e-8 for float64 rows (where the second pass
            allows any down to about 1e-13).
        panel_bytes: memory for panels; changes nothing beyond rounding. On a cluster, that of each worker.
        device: where the panel products run.
        cluster: from `open_cluster`, multiplies the panels; None is this process.
        progress: called with (parameters done, in all) after each panel of the first pass.

    Raises:
        ValueError: a value is not finite, or `rank` or `floor` is out of range.
        OSError: the cluster lost its workers, or they cannot read the rows.
    """
    G = as_rows(rows)
    double = G.dtype == np.float64
    if floor is None:
        floor = FLOOR_DOUBLE if double else FLOOR_SINGLE
    asked = _asked(G.shape, rank, floor)
    K = gram(G, panel_bytes=panel_bytes, device=device, cluster=cluster, progress=progress)
    row_energies = np.diag(K).copy()
    singular_values, V = _of_gram(K, double=double, overwrite=True)
    del K
    if double and row_energies.any():
        products = gram_along(G, V, panel_bytes=panel_bytes, device=device, cluster=cluster)
        singular_values, V = _refined(products, V)
    return _kept(singular_values, V, row_energies, floor, asked, G.shape)


def svd_of_gram(
    K: np.ndarray,
    *,
    parameters: int,
    rank: int | None = None,
    floor: float = FLOOR_SINGLE,
    row_energies: np.ndarray | None = None,
) -> TemporalSVD:
    """Temporal SVD of rows whose Gram matrix is known, for instance from pieces, a sketch or a replay.

    Args:
        K: symmetric (T, T) float64; left as it is.
        parameters: P of the rows.
        rank: how many of the strongest to return; None is all above the floor.
        floor: share of σ_1 that products in float32 can tell from zero.
        row_energies: squared norms of the rows (T,), where the diagonal of K is not exact.

    Raises:
        ValueError: K is not square, or `rank` or `floor` is out of range.
    """
    if K.ndim != 2 or K.shape[0] != K.shape[1] or not len(K):
        raise ValueError(f"K is a Gram matrix (T, T), got {K.shape}")
    shape = (len(K), parameters)
    asked = _asked(shape, rank, floor)
    singular_values, V = _of_gram(K, double=False, overwrite=False)
    energies = np.diag(K).copy() if row_energies is None else row_energies
    return _kept(singular_values, V, energies, floor, asked, shape)


def directions(
    svd: TemporalSVD,
    rows: Rows | np.ndarray | torch.Tensor,
    which: Sequence[int] | np.ndarray | None = None,
    *,
    layout: Layout | None = None,
    space: str = "parameters",
    source: Mapping[str, Any] | None = None,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
) -> Directions:
    """u_k = G v_k / σ_k for the k asked for, unit rows (k, P), by panels.

    Orthogonal up to floor² σ_1² / (σ_k σ_l): those near the floor are mixed among themselves.

    Args:
        svd: of these rows.
        rows: the rows the SVD was computed from, (T, P).
        which: indices k, 0 the strongest; None is all of them.
        layout: name → (start, stop, shape) of the flat parameter vector.
        space: "parameters", or the layer the rows belong to.
        source: where the rows came from, JSON-able.
        panel_bytes: memory for panels.
        device: where products run.
        cluster: from `open_cluster`, multiplies the panels; None is this process.

    Raises:
        ValueError: an index outside 0…r−1, or rows that do not fit this SVD.
    """
    G = as_rows(rows)
    if G.shape != svd.shape:
        raise ValueError(f"this SVD is of rows {svd.shape}, got {tuple(G.shape)}: give the rows it came from")
    indices = np.arange(len(svd)) if which is None else np.atleast_1d(np.asarray(which, dtype=np.int64))
    if len(indices) and not (indices.min() >= 0 and indices.max() < len(svd)):
        raise ValueError(f"directions are 0…{len(svd) - 1} (those above the floor), got {indices.tolist()}")
    found = directions_along(
        G,
        svd.profiles[:, indices],
        layout=layout,
        space=space,
        source=source,
        panel_bytes=panel_bytes,
        device=device,
        cluster=cluster,
    )
    singular_values = svd.singular_values[indices]
    if not np.allclose(found.singular_values, singular_values, rtol=0.5):
        raise ValueError("the rows have other singular values than this SVD: give the rows it came from")
    return found.replaced(singular_values=singular_values)


def _asked(shape: tuple[int, int], rank: int | None, floor: float) -> int:
    """How many singular values are asked for, at most as many as there can be."""
    if not 0 < floor < 1:
        raise ValueError(f"floor is a share of the largest singular value in (0, 1), got {floor}")
    if rank is None:
        return min(shape)
    if rank < 1:
        raise ValueError(f"rank is {rank}; ask for at least 1, or None for all above the floor")
    return min(rank, *shape)


def _of_gram(K: np.ndarray, *, double: bool, overwrite: bool) -> tuple[np.ndarray, np.ndarray]:
    """Singular values (T,) and profiles (T, T), descending; small values are zero or noise."""
    if not double and len(K) > _SINGLE_ABOVE:
        K, overwrite = K.astype(np.float32), True
    # K.T, as LAPACK would copy a matrix in C order.
    eigenvalues, V = scipy.linalg.eigh(K.T, driver="evd", overwrite_a=overwrite, check_finite=False)
    return np.sqrt(np.maximum(eigenvalues[::-1], 0.0, dtype=np.float64)), V[:, ::-1]


def _kept(
    singular_values: np.ndarray,
    V: np.ndarray,
    row_energies: np.ndarray,
    floor: float,
    asked: int,
    shape: tuple[int, int],
) -> TemporalSVD:
    above = int(np.count_nonzero(singular_values[:asked] > floor * singular_values[0]))
    profiles = V[:, :above].astype(np.float64)
    profiles *= _signs(profiles)
    return TemporalSVD(
        singular_values=singular_values[:above].copy(),
        profiles=profiles,
        row_energies=row_energies,
        floor=floor,
        below_floor=asked - above,
        shape=shape,
    )


def _refined(products: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values and profiles to an error of about 1e-15 σ_1, from nearly right profiles V and N (T, T)."""
    D = np.sqrt(np.diag(products))
    scale = np.where(D > 0, D, 1.0)
    shares, W = np.linalg.eigh(products / scale / scale[:, None])
    R = np.sqrt(np.maximum(shares, 0.0))[:, None] * W.T * D
    _, singular_values, rotation = np.linalg.svd(R)
    return singular_values, V @ rotation.T


def _signs(profiles: np.ndarray) -> np.ndarray:
    """±1 for each column (r,)."""
    sums = profiles.sum(axis=0)
    for k in np.flatnonzero(np.abs(sums) <= 1e-3):
        sums[k] = profiles[np.abs(profiles[:, k]).argmax(), k]
    return np.where(sums < 0, -1.0, 1.0)
