"""Single units of a layer, as directions that no one had to find: the neuron basis, in which rectifiers act.

A lens whose directions are units, or nearly so, ablates channels; it is worth something where it does better than the
channels that act most on the outputs.
"""

import numpy as np
import torch
from torch import Tensor

from ..analysis.directions import Directions
from ..analysis.subject import Subject
from .activations import EditedNetwork, activations_at
from .edits import as_rows, mean_activations

_INPUTS = 256


def unit_effects(subject: Subject, layer: str, width: int) -> Tensor:
    """How much the outputs change, to first order, when one unit is put at its mean: √ E_x Σ_c (Σ_p ∂f_c/∂h (h − h̄))².

    Args:
        subject: its first 256 inputs, and its logits, or its first output where it has none.
        layer: of its network.
        width: C, a unit per channel, summed over positions p; or all entries of a layer, a unit each.

    Returns:
        (width,) float64.

    Raises:
        ValueError: there is no such layer, or it gives neither so many channels nor so many entries.
    """
    few = subject.of(slice(0, _INPUTS))
    h = activations_at(few.network, [layer], few.inputs)[layer]
    rows, _ = as_rows(h, width)
    away = rows - mean_activations(h, width)
    moved = torch.zeros_like(h).requires_grad_()
    given = EditedNetwork(few.network, {layer: lambda activations: activations + moved})(few.inputs)
    outputs = few.outputs.get("logits", next(iter(few.outputs.values())))(given)
    squares = torch.zeros(width, dtype=torch.float64, device=h.device)
    for c in range(outputs.shape[1]):
        (gradient,) = torch.autograd.grad(outputs[:, c].sum(), moved, retain_graph=True)
        change = (as_rows(gradient, width)[0] * away).double()
        squares += change.reshape(len(h), -1, width).sum(1).square().mean(0)
    return squares.sqrt().cpu()


def unit_directions(order: Tensor, width: int, space: str) -> Directions:
    """Unit vectors e_i of so many entries, for i in this order, (k,)."""
    vectors = np.zeros((len(order), width), dtype=np.float32)
    vectors[np.arange(len(order)), order.numpy()] = 1
    return Directions(
        vectors=vectors,
        singular_values=np.ones(len(order)),
        profiles=np.zeros((0, len(order))),
        space=space,
        source={"lens": "single units"},
    )
