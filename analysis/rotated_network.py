"""A network with R and its inverse inserted at layers: what it computes is the same, what it thinks in is not.

The layer gives R z instead of z (R is folded into its weight and bias), and R⁻¹ comes right after it. Of a convolution
R acts on the channels at every cell.
"""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from .feature_basis import is_transformable


class RotatedLayer(nn.Module):
    """A linear layer or convolution that computes rotated values, and turns them back.

    Attributes:
        rotated: the layer with R folded in; what it gives is R z.
    """

    inverse: Tensor

    def __init__(self, module: nn.Module, R: np.ndarray):
        super().__init__()
        if not is_transformable(module):
            raise ValueError(f"{type(module).__name__} cannot be rotated: give an nn.Linear or an nn.Conv2d")
        matrix = torch.from_numpy(np.array(R, dtype=np.float64))
        self.rotated = deepcopy(module).double()
        weight, bias = self.rotated.weight, self.rotated.bias
        assert isinstance(weight, Tensor)
        if matrix.shape != (len(weight),) * 2:
            raise ValueError(f"R is of shape {tuple(matrix.shape)}: the layer has {len(weight)} units")
        matrix = matrix.to(weight)
        with torch.no_grad():
            weight.copy_(torch.einsum("ij,j...->i...", matrix, weight))
            if isinstance(bias, Tensor):
                bias.copy_(matrix @ bias)
        self.register_buffer("inverse", torch.linalg.inv(matrix))

    def forward(self, h: Tensor) -> Tensor:
        """What the layer gives, in float64."""
        given = self.rotated(h)
        if isinstance(self.rotated, nn.Conv2d):
            return torch.einsum("ij,bj...->bi...", self.inverse, given)
        return given @ self.inverse.T


def rotated_network(network: nn.Module, rotations: Mapping[str, np.ndarray]) -> nn.Module:
    """A copy of the network, in float64, rotated at the named layers.

    Raises:
        ValueError: a layer is neither linear nor a plain convolution, or R does not fit it.
    """
    network = deepcopy(network).double()
    for name, R in rotations.items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, RotatedLayer(network.get_submodule(name), R))
    return network
