"""What rows hold beyond directions that are known: their temporal SVD with the known span taken out.

G' = (I − U Uᵀ) G. The gradients of a training and what its optimizer applied span different spaces (Adam steps along
preconditioned, averaged gradients): U from the gradients, G of the applied changes, and the two sets together are one
orthonormal set that reaches nearly all that training moved.
"""

from collections.abc import Iterator

import numpy as np
import torch

from .directions import Directions
from .over_panels import over_panels, true_float32
from .rows import PANEL_BYTES, PANELS_HELD, Rows, as_rows, panel_dtype, panels, row_norms
from .temporal_svd import FLOOR_DOUBLE, FLOOR_SINGLE, directions, temporal_svd


class RowsBeyond:
    """Rows (T, P) less what of them lies along orthonormal vectors (k, P).

    Args:
        rows: G^T (T, P).
        vectors: U^T, orthonormal rows (k, P).
        panel_bytes: memory for panels of the pass that is made at construction.
        device: where its products run.

    Raises:
        ValueError: the vectors are of another number of parameters, or a value is not finite.
    """

    def __init__(
        self,
        rows: Rows | np.ndarray | torch.Tensor,
        vectors: np.ndarray,
        *,
        panel_bytes: int = PANEL_BYTES,
        device: str | torch.device = "cpu",
    ):
        self._rows = as_rows(rows)
        self.shape, self.dtype = self._rows.shape, self._rows.dtype
        if vectors.ndim != 2 or vectors.shape[1] != self.shape[1]:
            raise ValueError(
                f"vectors are (k, P) with P = {self.shape[1]}, the rows' own; got {vectors.shape}"
            )
        self._vectors = vectors.astype(panel_dtype(self), copy=False)
        along = np.zeros((self.shape[0], len(vectors)))
        if len(vectors):
            both = [self._rows, as_rows(self._vectors)]
            borders = panels(self._rows, panel_bytes, held=2 * PANELS_HELD)
            with true_float32():
                for _, _, parts in over_panels(_product, both, borders, device=device):
                    along += sum(part.cpu().double().numpy() for part in parts)
        self._along = along.astype(self._vectors.dtype)

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of what is left of every row."""
        return self._rows.panel(start, stop) - self._along @ self._vectors[:, start:stop]


def _product(X: torch.Tensor, U: torch.Tensor) -> Iterator[torch.Tensor]:
    yield X @ U.T


def directions_beyond(
    rows: Rows | np.ndarray | torch.Tensor,
    known: Directions,
    count: int,
    *,
    device: str | torch.device = "cpu",
) -> Directions:
    """The `count` strongest directions of rows beyond known ones, orthogonal to these; fewer where there are fewer.

    Args:
        rows: G^T (T, P), of the same parameters as the known directions.
        known: orthonormal directions.
        count: how many.
        device: where products run.

    Raises:
        ValueError: the shapes do not fit, or a value is not finite.
    """
    found = as_rows(rows)
    beyond = RowsBeyond(found, known.vectors, device=device)
    svd = temporal_svd(beyond, device=device)
    # What rounding leaves of rows inside the known span is no direction: the floor is a share of the rows themselves.
    floor = FLOOR_DOUBLE if found.dtype == np.float64 else FLOOR_SINGLE
    above = int(np.count_nonzero(svd.singular_values > floor * np.linalg.norm(row_norms(found))))
    which = range(min(count, above))
    return directions(svd, beyond, which, layout=known.layout, space=known.space, device=device)


def joined(first: Directions, second: Directions) -> Directions:
    """Both sets of directions as one, the first's before the second's.

    The second's profiles are brought to the first's times where they have others, and are of unit norm again.

    Raises:
        ValueError: they are of other spaces.
    """
    if first.space != second.space or first.vectors.shape[1] != second.vectors.shape[1]:
        raise ValueError(
            f"directions are of {first.vectors.shape[1]} {first.space} and {second.vectors.shape[1]} {second.space}: "
            f"give two sets of one network"
        )
    profiles = _at_times(second.profiles, len(first.profiles))
    return first.replaced(
        vectors=np.concatenate([first.vectors, second.vectors.astype(first.vectors.dtype, copy=False)]),
        singular_values=np.concatenate([first.singular_values, second.singular_values]),
        profiles=np.concatenate([first.profiles, profiles], axis=1),
    )


def _at_times(profiles: np.ndarray, times: int) -> np.ndarray:
    """Profiles (T, k) at so many times (times, k), linear between theirs, of unit norm."""
    held, count = profiles.shape
    if held == times or not count:
        return profiles if count else np.empty((times, 0))
    there, here = (np.arange(times) + 0.5) / times, (np.arange(held) + 0.5) / held
    moved = np.stack([np.interp(there, here, profile) for profile in profiles.T], axis=1)
    return moved / np.linalg.norm(moved, axis=0).clip(1e-30)
