"""A network written in the bases of its features: both sides of every weight transformed, the function unchanged.

A layer z = W h + b is A = [[W, b], [0, 1]] on (h, 1). With orthogonal bases U of (h, 1) and U' of (z, 1) it is
Ã = U'ᵀ A U on the features f = Uᵀ (h, 1), and z is the first part of U' Ã f. A convolution has one such matrix per tap
of its kernel; its bias, and the constant's way through, lie at the middle tap, which no padding reaches.
"""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

Bases = tuple[Tensor, Tensor]
"""U of what a layer takes, with the constant node, and U' of what it gives; columns are features."""


def is_transformable(module: nn.Module) -> bool:
    """Whether a layer is one of those whose weight can be written in other bases: linear, or a plain convolution."""
    if isinstance(module, nn.Conv2d):
        centred = all(
            isinstance(pad, int) and pad <= size - 1 - size // 2
            for pad, size in zip(module.padding, module.kernel_size, strict=False)
        )
        return module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros" and centred
    return isinstance(module, nn.Linear)


def augmented(module: nn.Module) -> Tensor:
    """A = [[W, b], [0, 1]] of a layer, (n' + 1, n + 1, taps), float64; a linear layer has one tap.

    Raises:
        ValueError: the layer is neither linear nor a plain convolution.
    """
    if not is_transformable(module):
        raise ValueError(
            f"{type(module).__name__} cannot be written in other bases: give an nn.Linear or an nn.Conv2d of one "
            "group, padded with zeros by at most half its kernel"
        )
    weight = module.weight
    assert isinstance(weight, Tensor)
    weight = weight.detach().double()
    n_out, n_in = weight.shape[:2]
    taps = weight.reshape(n_out, n_in, -1)
    A = taps.new_zeros(n_out + 1, n_in + 1, taps.shape[2])
    A[:-1, :-1] = taps
    middle = _middle(module)
    bias = module.bias
    if isinstance(bias, Tensor):
        A[:-1, -1, middle] = bias.detach().double()
    A[-1, -1, middle] = 1
    return A


def in_bases(A: Tensor, bases: Bases) -> Tensor:
    """Ã = U'ᵀ A U, tap by tap, (n' + 1, n + 1, taps)."""
    U, U_out = (basis.to(A) for basis in bases)
    return torch.einsum("ip,ijt,jq->pqt", U_out, A, U)


class FeatureLayer(nn.Module):
    """A layer that computes in features: into the basis of what it takes, through Ã, and out of that of what it gives.

    `forward` takes and gives what the layer it stands for does, in float64.
    """

    U: Tensor
    U_out: Tensor
    A: Tensor

    def __init__(self, module: nn.Module, bases: Bases):
        super().__init__()
        self.stands_for = module
        self.register_buffer("U", bases[0].double())
        self.register_buffer("U_out", bases[1].double())
        self.register_buffer("A", in_bases(augmented(module), bases))

    def forward(self, h: Tensor) -> Tensor:
        """What the layer gives."""
        if isinstance(self.stands_for, nn.Conv2d):
            kernel = self.A.unflatten(2, self.stands_for.kernel_size)
            a = torch.cat([h, torch.ones_like(h[:, :1])], 1)
            f = torch.einsum("jq,bj...->bq...", self.U, a)
            g = functional.conv2d(f, kernel, None, self.stands_for.stride, self.stands_for.padding)
            return torch.einsum("ip,bp...->bi...", self.U_out[:-1], g)
        f = torch.cat([h, torch.ones_like(h[..., :1])], -1) @ self.U
        return f @ self.A[:, :, 0].T @ self.U_out[:-1].T


def in_feature_bases(network: nn.Module, bases: Mapping[str, Bases]) -> nn.Module:
    """A copy of the network, in float64, whose named layers compute in features; what it computes is the same.

    Raises:
        ValueError: a layer cannot be written in other bases.
    """
    network = deepcopy(network).double()
    for name, pair in bases.items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, FeatureLayer(network.get_submodule(name), pair))
    return network


def _middle(module: nn.Module) -> int:
    if not isinstance(module, nn.Conv2d):
        return 0
    height, width = module.kernel_size
    return (height // 2) * width + width // 2
