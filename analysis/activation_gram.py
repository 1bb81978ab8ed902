"""The features of a layer that are orthogonal over the data: eigenvectors of its Gram matrix.

The activations h(x) of a layer, with a constant node 1 for the bias, span functions of x with the inner product
⟨f, g⟩ = E[f(x) g(x)]. G = E[a aᵀ] with a = (h, 1); G = U Λ Uᵀ. The features Uᵀ a are orthogonal in L², their squared
norms are Λ; those of norm zero are linear dependences between units. A convolution's units are its channels, and E is
over inputs and cells.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from .effective_rank import effective_ranks
from .layer_activations import LARGEST, batches, tap
from .subject import Subject


@dataclass(frozen=True, eq=False)
class ActivationGram:
    """A Gram matrix of n units and the constant node, which is the last.

    Attributes:
        gram: E[a aᵀ], (n + 1, n + 1), float64.
        samples: inputs × cells that it is the mean of.
    """

    gram: np.ndarray
    samples: int

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(self.gram)
        vectors = vectors[:, ::-1]
        # Of ±u the one whose largest entry is positive.
        largest = np.abs(vectors).argmax(0)
        vectors = vectors * np.where(vectors[largest, np.arange(len(largest))] < 0, -1.0, 1.0)
        return np.maximum(values[::-1], 0.0), vectors

    @property
    def eigenvalues(self) -> np.ndarray:
        """Squared L² norms of the features, descending, (n + 1,)."""
        return self._eigen[0]

    @property
    def basis(self) -> np.ndarray:
        """U: orthogonal, a feature per column, (n + 1, n + 1)."""
        return self._eigen[1]

    @property
    def covariance(self) -> np.ndarray:
        """Cov[h], (n, n): the Gram matrix with the constant projected out."""
        mean = self.gram[:-1, -1]
        return self.gram[:-1, :-1] - np.outer(mean, mean)

    def independent(self, tolerance: float = 1e-6) -> dict[str, float]:
        """How many independent features there are, by every definition of the effective rank of their norms."""
        return effective_ranks(np.sqrt(self.eigenvalues), tolerance=tolerance)


def activation_gram(
    subject: Subject, layer: str, *, side: Literal["given", "taken"] = "given", batch: int = 256
) -> ActivationGram:
    """Gram matrix of what a layer gives, or takes, over all inputs.

    Args:
        subject: in float64.
        layer: its module name.
        side: `given` is the layer's values; `taken` what comes in, units as the layer's weight has them.
        batch: inputs at a time.

    Raises:
        ValueError: no such layer, values that are not finite, or more units than a dense matrix is formed of.
    """
    G, samples = None, 0
    for part in batches(subject, batch):
        run = tap(part, [layer])
        a = (run.units(layer) if side == "given" else run.units_taken(layer)).double()
        if a.shape[1] > LARGEST:
            raise ValueError(f"layer {layer!r} has {a.shape[1]} units: give one of at most {LARGEST}")
        a = torch.cat([a, torch.ones_like(a[:, :1])], 1).transpose(0, 1).flatten(1)
        G = a @ a.T if G is None else G + a @ a.T
        samples += a.shape[1]
    if G is None or not torch.isfinite(G).all():
        raise ValueError(f"activations of {layer!r} are {'none' if G is None else 'too large to square'}")
    return ActivationGram((G / samples).cpu().numpy(), samples)
