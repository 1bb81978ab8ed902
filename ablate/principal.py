"""Principal directions of any rows: gradients, differences of activations, activations."""

import numpy as np
import torch
from torch import Tensor

from ..analysis.directions import Directions


def principal_directions(rows: Tensor, count: int | None = None, **fields: object) -> Directions:
    """Right singular vectors of rows (n, d), strongest first, in float64; the rows are not centred.

    Args:
        rows: (n, d).
        count: so many at most; those of no strength are left out.
        fields: of the `Directions`: `space`, `layout`, `source`.

    Raises:
        ValueError: the rows are not (n, d), or not finite.
    """
    if rows.ndim != 2 or not bool(torch.isfinite(rows).all()):
        raise ValueError(f"rows are {tuple(rows.shape)}: give (n, d), all finite")
    _, strengths, vectors = torch.linalg.svd(rows.double(), full_matrices=False)
    strong = int((strengths > 1e-7 * strengths[:1].clamp_min(1e-300)).sum())
    kept = strong if count is None else min(count, strong)
    return Directions(
        vectors=vectors[:kept].float().cpu().numpy(),
        singular_values=strengths[:kept].cpu().numpy(),
        profiles=np.zeros((0, kept)),
        **fields,  # pyright: ignore[reportArgumentType]
    )
