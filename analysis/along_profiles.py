"""Directions along given profiles: u_k = G v_k / ‖G v_k‖.

A profile says how much each training time counts. Right singular vectors give the left ones; the profiles of a
cross-half spectrum, a rotated set, or a window in time (ones inside, zeros outside) give directions in the same way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .directions import Directions, Layout
from .gram import true_float32
from .rows import PANEL_BYTES, Rows, as_rows, panel_dtype, panels, read_panel


def directions_along(
    rows: Rows | np.ndarray | torch.Tensor,
    profiles: np.ndarray,
    *,
    layout: Layout | None = None,
    space: str = "parameters",
    source: Mapping[str, Any] | None = None,
    panel_bytes: int = PANEL_BYTES,
    device: str | torch.device = "cpu",
) -> Directions:
    """Unit directions of the gradient summed with the weights of each profile.

    They are orthogonal only if the profiles are right singular vectors of the rows.

    Args:
        rows: G^T (T, P).
        profiles: (T, k); scaled to unit columns here.
        layout: name → (start, stop, shape) of the flat parameter vector.
        space: "parameters", or the layer the rows belong to.
        source: where the rows came from, JSON-able.
        panel_bytes: memory for panels.
        device: where products run.

    Returns:
        Vectors (k, P), float64 for float64 rows and float32 otherwise; singular values ‖G v_k‖.

    Raises:
        ValueError: shapes do not fit, or a profile is zero or meets no gradient at all.
    """
    G = as_rows(rows)
    V = np.asarray(profiles, dtype=np.float64)
    if V.ndim != 2 or len(V) != G.shape[0]:
        raise ValueError(f"profiles are (T, k) with T = {G.shape[0]}, the number of rows; got {V.shape}")
    norms = np.linalg.norm(V, axis=0)
    if not np.all(norms > 0) or not np.isfinite(norms).all():
        raise ValueError(f"profile {int(np.argmin(norms > 0))} is zero or not finite; leave it out")
    V = V / norms
    weights = torch.from_numpy(V.T.astype(panel_dtype(G))).to(device)
    vectors = np.empty((V.shape[1], G.shape[1]), dtype=panel_dtype(G))
    with true_float32():
        for start, stop in panels(G, panel_bytes):
            X = torch.from_numpy(read_panel(G, start, stop)).to(device)
            vectors[:, start:stop] = (weights @ X).cpu().numpy()
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
