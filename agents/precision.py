"""In which floating-point format a device runs networks best."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from .blocked import blocked_convolutions

Precision = Literal["auto", "bfloat16", "float32"]
"""`bfloat16` is under autocast, weights staying float32."""


def resolved_precision(precision: Precision, device: torch.device) -> Literal["bfloat16", "float32"]:
    """`auto` made definite: bfloat16 where the device multiplies it quickly.

    A CPU without instructions for it takes 15 times as long as in float32 (measured on AVX2), one with AVX512-BF16
    two thirds.
    """
    if precision != "auto":
        return precision
    if device.type == "cpu":
        quick = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        quick = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if quick else "float32"


def in_precision(
    network: Callable[[Tensor], Any], precision: Precision, device: torch.device
) -> Callable[[Tensor], Any]:
    """The network run in a precision, its output or tuple of outputs in float32; differentiable once."""
    if resolved_precision(precision, device) == "float32":
        return network

    def reduced(inputs: Tensor) -> Any:
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False), blocked_convolutions():
            outputs = network(inputs)
        return outputs.float() if isinstance(outputs, Tensor) else tuple(each.float() for each in outputs)

    return reduced
