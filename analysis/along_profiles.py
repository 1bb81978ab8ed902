"""Directions along given profiles: u_k = G v_k / ‖G v_k‖.

A profile says how much each training time counts. Right singular vectors give the left ones; the profiles of a
cross-half spectrum, a rotated set, or a window in time (ones inside, zeros outside) give directions in the same way.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .directions import Directions, Layout
from .over_panels import over_panels, true_float32
from .rows import PANEL_BYTES, PANELS_HELD, Rows, as_rows, panel_dtype, panels

if TYPE_CHECKING:
    from .cluster import Cluster


def directions_along(
    rows: Rows | np.ndarray | torch.Tensor,
    profiles: np.ndarray,
    *,
    layout: Layout | None = None,
    space: str = "parameters",
    source: Mapping[str, Any] | None = None,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
) -> Directions:
    """Unit directions of the gradient summed with the weights of each profile.

    They are orthogonal only if the profiles are right singular vectors of the rows.

    Args:
        rows: G^T (T, P).
        profiles: (T, k); scaled to unit columns here.
        layout: name → (start, stop, shape) of the flat parameter vector.
        space: "parameters", or the layer the rows belong to.
        source: where the rows came from, JSON-able.
        panel_bytes: memory for panels; on a cluster, that of each worker.
        device: where products run.
        cluster: from `open_cluster`, multiplies the panels; None is this process.

    Returns:
        Vectors (k, P), float64 for float64 rows and float32 otherwise; singular values ‖G v_k‖.

    Raises:
        ValueError: shapes do not fit, or a profile is zero or meets no gradient at all.
        OSError: the cluster lost its workers, or they cannot read the rows.
    """
    G = as_rows(rows)
    V = np.asarray(profiles, dtype=np.float64)
    if V.ndim != 2 or len(V) != G.shape[0]:
        raise ValueError(f"profiles are (T, k) with T = {G.shape[0]}, the number of rows; got {V.shape}")
    norms = np.linalg.norm(V, axis=0)
    if not np.all(norms > 0) or not np.isfinite(norms).all():
        raise ValueError(f"profile {int(np.argmin(norms > 0))} is zero or not finite; leave it out")
    V = V / norms
    vectors = np.empty((V.shape[1], G.shape[1]), dtype=panel_dtype(G))
    borders = panels(G, panel_bytes, held=PANELS_HELD)
    with true_float32():
        for start, stop, parts in over_panels(_weighted, [G], borders, V, device=device, cluster=cluster):
            [slices] = parts
            vectors[:, start:stop] = slices.cpu().numpy().T
    strengths = np.array([np.sqrt(np.einsum("p,p->", u, u, dtype=np.float64)) for u in vectors])
    if not np.all(strengths > 0):
        raise ValueError(f"profile {int(np.argmin(strengths > 0))} meets no gradient: its rows are all zero")
    vectors /= strengths.astype(vectors.dtype)[:, None]
    return Directions(
        vectors=vectors,
        singular_values=strengths,
        profiles=V,
        space=space,
        layout=dict(layout or {}),
        source=dict(source or {}),
    )


def _weighted(X: torch.Tensor, V: torch.Tensor) -> Iterator[torch.Tensor]:
    # Not V^T X, whose float32 rounding was seen to change with the number of threads.
    yield X.T @ V
