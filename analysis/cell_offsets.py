"""Channels between convolutions, apart for each offset between the early and the late cell.

A convolution does the same at every cell, so cells may be pooled once they are aligned: J_d is the Jacobian of the late
channels at cell p with respect to the early channels at p + d, one block per input and p. E[J_dᵀJ_d] and E[J_d J_dᵀ]
over both say how many channels carry information over the offset d = (rows down, columns right).
"""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from .effective_rank import effective_ranks
from .jacobian_spectrum import descending_eigen
from .layer_jacobian import Jacobians

Offset = tuple[int, int]


class OffsetSums:
    """Sums per offset over Jacobians as they stream by, offsets up to `radius` cells each way."""

    def __init__(self, radius: int = 2):
        self._radius = radius
        self._right: dict[Offset, Tensor] = {}
        self._left: dict[Offset, Tensor] = {}
        self._counts: dict[Offset, int] = defaultdict(int)

    def add(self, found: Jacobians) -> None:
        """Take a batch between two layers that both have a grid.

        Raises:
            ValueError: a layer has none.
        """
        (height, width), (late_height, late_width) = found.early_grid, found.late_grid
        if min(height, late_height) < 2:
            raise ValueError(f"offsets need two grids, got {found.early_grid} and {found.late_grid}")
        # Where pooling or strides lie between, a late cell is over the early one at the same share of the grid.
        row = found.cells // late_width * height // late_height
        column = found.cells % late_width * width // late_width
        for down in range(-self._radius, self._radius + 1):
            for right in range(-self._radius, self._radius + 1):
                i, j = row + down, column + right
                inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
                if not inside.any():
                    continue
                cells = (i * width + j).clamp(0, height * width - 1)
                index = cells[:, :, None, None, None].expand(*found.rows.shape[:4], 1)
                J = found.rows.gather(4, index)[..., 0][inside]  # (blocks, late, early)
                offset = (down, right)
                self._right[offset] = self._right.get(offset, 0) + torch.einsum("bij,bik->jk", J, J)
                self._left[offset] = self._left.get(offset, 0) + torch.einsum("bij,bkj->ik", J, J)
                self._counts[offset] += len(J)

    def table(self, *, tolerance: float = 1e-6) -> list[dict[str, object]]:
        """Of every offset: `offset`, `energy` E‖J_d‖² as a share of all, and ranks on the early and the late side."""
        energies = {d: float(right.trace()) / self._counts[d] for d, right in self._right.items()}
        total = sum(energies.values()) or 1.0

        def ranks(sums: Tensor) -> dict[str, float]:
            values, _ = descending_eigen(sums.cpu().numpy())
            return effective_ranks(np.sqrt(values), tolerance=tolerance)

        return [
            {
                "offset": list(d),
                "energy": energy / total,
                "early": ranks(self._right[d] / self._counts[d]),
                "late": ranks(self._left[d] / self._counts[d]),
            }
            for d, energy in energies.items()
        ]
