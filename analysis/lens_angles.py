"""How far the subspaces of several lenses coincide: principal angles, in the spaces that they share."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from .directions import Directions
from .rotations import principal_angles


def lens_angles(lenses: Mapping[str, Directions], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Angles between the spans of the leading k directions of every two sets of one space.

    Two sets share a space if they name the same one and have as many entries: directions of a convolution's channels
    and of its flattened activations do not.

    Args:
        lenses: name → directions, strongest first.
        counts: k; those that a set has too few directions for are left out.

    Returns:
        A row per pair and k: `a`, `b`, `space`, `dimensions` d, `k`, `angles` in degrees, ascending, `overlap` (mean
        squared cosine: 1 the same span), and `chance`, k/d, what two random spans have on average.
    """
    rows: list[dict[str, Any]] = []
    for (a, A), (b, B) in combinations(lenses.items(), 2):
        if A.space != B.space or A.vectors.shape[1] != B.vectors.shape[1]:
            continue
        d = A.vectors.shape[1]
        for k in counts:
            if k > min(len(A), len(B)):
                continue
            angles = principal_angles(A.vectors[:k], B.vectors[:k])
            rows.append(
                {
                    "a": a,
                    "b": b,
                    "space": A.space,
                    "dimensions": d,
                    "k": k,
                    "angles": np.degrees(angles).tolist(),
                    "overlap": float((np.cos(angles) ** 2).mean()),
                    "chance": k / d,
                }
            )
    return rows
