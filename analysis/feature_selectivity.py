"""How selective single units are for what an input shows, in the neuron basis or any other.

A unit is monosemantic for a label if it says which class an input is of, and of few classes. Of a unit u with class
means μ_c, shares w_c, mean μ and variance v: η² = Σ_c w_c (μ_c − μ)² / v is the share of its variance that the class
tells, and with d_c = (μ_c − μ)² the number of classes that it tells apart is (Σ d)² / Σ d², near 1 for a detector of
one class. Both follow for any basis from the class means and covariances of the units, so one pass serves all bases.
The variance-weighted mean of η² is the same in all orthogonal bases: what a basis can change is how it is spread.

A unit at several cells is told by the cell where η² is largest. Chance is that of shuffled labels, the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .layer_activations import batches, tap
from .subject import Subject


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """Moments of a layer over inputs with a label.

    Attributes:
        shares: of each class among them, (K,).
        means: of each class, (K, units, cells).
        covariances: of all of them, per cell, (cells, units, units).
        inputs: how many there are.
    """

    shares: Tensor
    means: Tensor
    covariances: Tensor
    inputs: int


def class_moments(
    subject: Subject, layer: str, labels: Mapping[str, Tensor], *, batch: int = 256
) -> dict[str, ClassMoments]:
    """Moments under several labels at once.

    Args:
        subject: in float64.
        layer: its module name.
        labels: name → (N,) whole numbers, −1 where it is not told.
        batch: inputs at a time.

    Raises:
        ValueError: a label has another length, or tells fewer than two classes.
    """
    codes = {name: _codes(name, values, len(subject)) for name, values in labels.items()}
    sums: dict[str, list[Tensor]] = {}
    start = 0
    for part in batches(subject, batch):
        h = tap(part, [layer]).units(layer).double()
        for name, (code, classes) in codes.items():
            here = code[start : start + len(h)].to(h.device)
            told = h[here >= 0]
            one_hot = torch.nn.functional.one_hot(here[here >= 0], classes).double()
            new = [
                one_hot.sum(0),
                torch.einsum("bk,buc->kuc", one_hot, told),
                torch.einsum("buc,bvc->cuv", told, told),
            ]
            sums[name] = [a + b for a, b in zip(sums[name], new, strict=True)] if name in sums else new
        start += len(h)
    found = {}
    for name, (counts, firsts, seconds) in sums.items():
        n = counts.sum()
        mean = firsts.sum(0) / n
        covariances = seconds / n - torch.einsum("uc,vc->cuv", mean, mean)
        found[name] = ClassMoments(counts / n, firsts / counts[:, None, None], covariances, int(n))
    return found


@dataclass(frozen=True, eq=False)
class Selectivity:
    """Of every unit, at its most selective cell: η², classes told apart, and variance, all (units,)."""

    explained: np.ndarray
    classes: np.ndarray
    variance: np.ndarray


def selectivity(moments: ClassMoments, basis: np.ndarray | None = None) -> Selectivity:
    """η² and the number of classes of every unit of a basis.

    Args:
        moments: of the neurons.
        basis: a unit per column, (neurons, units); None is the neurons.
    """
    means, covariances = moments.means, moments.covariances
    if basis is None:
        variances = covariances.diagonal(dim1=1, dim2=2).T  # (units, cells)
    else:
        U = torch.as_tensor(basis, dtype=means.dtype, device=means.device)
        means = torch.einsum("nu,knc->kuc", U, means)
        variances = torch.einsum("nu,cnm,mu->uc", U, covariances, U)
    shares = moments.shares[:, None, None]
    apart = (means - (shares * means).sum(0)) ** 2
    # A unit that hardly varies anywhere tells nothing: its η² would be rounding.
    varies = variances > 1e-12 * variances.max().clamp_min(1e-300)
    explained = torch.where(varies, (shares * apart).sum(0) / variances.clamp_min(1e-300), 0.0)
    best = explained.argmax(1)
    at = torch.arange(len(best), device=best.device)
    d = apart[:, at, best]
    classes = d.sum(0) ** 2 / d.square().sum(0).clamp_min(1e-300)
    return Selectivity(*(x.cpu().numpy() for x in (explained[at, best], classes, variances[at, best])))


def _codes(name: str, values: Tensor, inputs: int) -> tuple[Tensor, int]:
    if values.shape != (inputs,):
        raise ValueError(
            f"label {name!r} is of shape {tuple(values.shape)}: give one number per input, ({inputs},)"
        )
    told = values >= 0
    classes, code = torch.unique(values[told], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"label {name!r} tells {len(classes)} classes: give one with at least 2")
    codes = torch.full_like(values, -1)
    codes[told] = code
    return codes, len(classes)
