"""The Jacobian ∂late/∂early between two layers, of each input of a batch, by backward passes.

A row is one late unit at one late cell; its entries are the early units at all early cells. The early values are made
the leaf of the graph, so whatever lies between the two counts, and nothing that goes around the early layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .layer_activations import batches, tap
from .subject import Subject

_BATCH_BYTES = 96 * 2**20


@dataclass(frozen=True, eq=False)
class Jacobians:
    """Of B inputs at L late cells each.

    Attributes:
        rows: (B, L, late units, early units, early cells), float64.
        cells: which late cells, (B, L).
        late: late activations there, (B, L, late units).
        early_grid: (height, width) of the early cells; (1, cells) of a layer without a grid.
        late_grid: that of the late cells.
    """

    rows: Tensor
    cells: Tensor
    late: Tensor
    early_grid: tuple[int, int]
    late_grid: tuple[int, int]

    @property
    def flat(self) -> Tensor:
        """(B · L, late units, early units × cells): one block per input and late cell."""
        return self.rows.flatten(3).flatten(0, 1)


def jacobians(
    subject: Subject,
    early: str,
    late: str,
    *,
    cells: int | None = None,
    seed: int = 0,
    batch: int | None = None,
) -> Iterator[Jacobians]:
    """∂late/∂early, batch by batch over all inputs.

    Args:
        subject: in float64, for ranks to mean something (`in_float64`).
        early: layer by its module name, or `inputs`.
        late: layer, or one of the subject's outputs.
        cells: late cells drawn for each input; None is all of them.
        seed: of that draw.
        batch: inputs at a time; default what fits into 96 MB.

    Raises:
        ValueError: a layer is unknown, is not called or gives values that are not finite; the late one does not
            depend on the early one.
    """
    one = tap(subject.of(slice(0, 1)), [early, late])
    late_units, late_cells = one.units(late).shape[1:]
    taken = late_cells if cells is None else min(cells, late_cells)
    if batch is None:
        batch = max(1, _BATCH_BYTES // (8 * late_units * taken * one.values[early].numel()))
    generator = torch.Generator().manual_seed(seed)
    for part in batches(subject, batch):
        chosen = torch.stack(
            [torch.randperm(late_cells, generator=generator)[:taken] for _ in range(len(part))]
        )
        yield _of_batch(part, early, late, chosen.to(part.inputs.device))


def _of_batch(subject: Subject, early: str, late: str, cells: Tensor) -> Jacobians:
    run = tap(subject, [early, late], leaf=early)
    leaf, reached = run.values[early], run.units(late)
    if not reached.requires_grad:
        raise ValueError(f"late is {late!r}: it does not depend on {early!r}; give a layer after it")
    inputs = torch.arange(len(cells), device=cells.device)
    rows = []
    for cell in cells.T:
        for unit in range(reached.shape[1]):
            pushed = torch.zeros_like(reached)
            pushed[inputs, unit, cell] = 1
            (row,) = torch.autograd.grad(reached, leaf, pushed, retain_graph=True, allow_unused=True)
            if row is None:
                raise ValueError(f"late is {late!r}: it does not depend on {early!r}; give a layer after it")
            rows.append(run.units(early, row).double())
    stacked = torch.stack(rows, 1).unflatten(1, (cells.shape[1], reached.shape[1]))
    return Jacobians(
        rows=stacked,
        cells=cells,
        late=reached.detach().double()[inputs[:, None], :, cells],
        early_grid=_grid(run.values[early]),
        late_grid=_grid(run.values[late]),
    )


def _grid(values: Tensor) -> tuple[int, int]:
    if values.ndim == 4:
        return int(values.shape[2]), int(values.shape[3])
    return 1, int(values.shape[1]) if values.ndim == 3 else 1
