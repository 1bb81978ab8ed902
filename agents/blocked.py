"""Convolutions in oneDNN's own layout, in blocks of channels, from one to the next.

Planes that lie as channels_last go to a kernel of oneDNN (`brg_conv`) that, for the few channels of maze networks on
AVX-512 cores, takes 1.6 to 2.8 times as long as its kernel for planes in blocks (`jit_bf16`), though 16 channels lie
alike in both: 1.33 and 0.46 ms for 3 to 16 channels on 1,024 planes of 9×9 in bfloat16, 2.4 and 1.5 for 16 to 16,
forward as backward. torch takes the second for tensors of its opaque layout `torch._mkldnn`. In float32 a pass forward
of network `conv` gains a third, mostly for what need not be copied between layouts; one backward nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_blocked: ContextVar[bool] = ContextVar("blocked", default=False)


@contextmanager
def blocked_convolutions(asked: bool = True) -> Iterator[None]:
    """Within it, where it pays, network `conv` passes by its inner modules and hooks on them; differentiable once.

    Args:
        asked: False undoes it where it is asked for outside.
    """
    before = _blocked.set(asked)
    try:
        yield
    finally:
        _blocked.reset(before)


def in_blocks(planes: Tensor) -> bool:
    """Whether to convolve these planes in blocks: it pays, and is asked for."""
    pays = blocks_pay(planes.dtype, planes.device, backward=torch.is_grad_enabled())
    return _blocked.get() and pays and len(planes) > 0


def blocks_pay(dtype: torch.dtype, device: torch.device, *, backward: bool = True) -> bool:
    """Whether planes in blocks are convolved the quicker: bfloat16, on AVX-512, and float32 without a pass backward.

    AMX has kernels of its own for channels_last. Float32 was measured on such processors alone.
    """
    gains = dtype == torch.bfloat16 or (dtype == torch.float32 and not backward)
    return gains and device.type == "cpu" and _processor_has_the_kernel()


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, weight: Tensor, bias: Tensor, padding: list[int]) -> Tensor:
        ctx.save_for_backward(planes, weight)
        ctx.padding = padding
        return torch.ops.aten.mkldnn_convolution(planes, weight, bias, padding, [1, 1], [1, 1], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        planes, weight = ctx.saved_tensors
        once = [1, 1]
        to_planes, to_weight, to_bias = torch.ops.aten.convolution_backward(
            gradient, planes, weight, weight.shape[:1], once, ctx.padding, once, False, [0, 0], 1,
            list(ctx.needs_input_grad[:3]),
        )  # fmt: skip
        return to_planes, to_weight, to_bias, None


def convolve(planes: Tensor, layer: nn.Conv2d) -> Tensor:
    """What the layer, of stride 1, makes of planes in blocks (`Tensor.to_mkldnn`); in blocks again."""
    assert layer.bias is not None
    weight, bias = layer.weight.to(planes.dtype), layer.bias.to(planes.dtype)
    return _Convolution.apply(planes, weight, bias, list(layer.padding))  # pyright: ignore[reportReturnType]


@cache
def _processor_has_the_kernel() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
