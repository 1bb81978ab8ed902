"""In which floating-point format a device runs networks best."""

from typing import Literal

import torch

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
