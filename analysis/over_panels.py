"""Work over all panels of parameters, here or on a cluster: the loop that every streamed computation shares.

A work is a module-level function of one panel of each of the rows, then of constants. It gives its parts one by one;
what it does must not depend on other panels, so that panels can go anywhere and a lost one can be done again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from .rows import Rows, panel_dtype, read_ahead, read_panel

if TYPE_CHECKING:
    from .cluster import Cluster

Work = Callable[..., Iterator[torch.Tensor]]
"""Tensors (T, width), one for each of the rows, and constants in; parts out."""


def over_panels(
    work: Work,
    rows: Sequence[Rows],
    borders: Iterable[tuple[int, int]],
    *constants: np.ndarray,
    device: str | torch.device = "cpu",
    cluster: "Cluster | None" = None,
) -> Iterator[tuple[int, int, Iterator[torch.Tensor]]]:
    """(start, stop, parts of the work) for each border, in order.

    Use up the parts before asking for the next panel: only then is this one's memory free.

    Args:
        work: what to do with a panel.
        rows: one or more (T, P), of the same P.
        borders: (start, stop) of the panels.
        constants: further arguments of the work, in the panels' precision.
        device: where products run; with a cluster, the device of each worker, and parts come to the CPU.
        cluster: runs the panels; None is this process, reading one panel ahead.

    Raises:
        ValueError: a value is not finite.
    """
    if cluster is not None:
        for start, stop, arrays in cluster.over_panels(work, rows, borders, constants, torch.device(device)):
            yield start, stop, map(torch.from_numpy, arrays)
        return
    dtype = working_dtype(rows)
    held = [torch.from_numpy(constant).to(device, dtype) for constant in constants]
    for start, stop, arrays in read_ahead(rows, borders):
        parts = work(*(torch.from_numpy(array).to(device, dtype) for array in arrays), *held)
        del arrays
        yield start, stop, parts


def one_panel(
    work: Work,
    rows: Sequence[Rows],
    start: int,
    stop: int,
    constants: Sequence[np.ndarray],
    device: torch.device,
) -> list[np.ndarray]:
    """The parts of one panel: what a worker does."""
    dtype = working_dtype(rows)
    panels = [torch.from_numpy(read_panel(part, start, stop)).to(device, dtype) for part in rows]
    held = [torch.from_numpy(constant).to(device, dtype) for constant in constants]
    with true_float32():
        return [part.cpu().numpy() for part in work(*panels, *held)]


def working_dtype(rows: Sequence[Rows]) -> torch.dtype:
    """Precision of products: float64 if any of the rows is, else float32."""
    return torch.float64 if any(panel_dtype(part) == np.float64 for part in rows) else torch.float32


@contextmanager
def true_float32() -> Iterator[None]:
    """Matrix products in full float32: TF32 and bfloat16 keep 10 and 7 bits, far too few for a Gram matrix."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
