"""Products whose float32 goes through oneDNN: a linear layer, and a plain product.

torch leaves float32 matrix products on a CPU to MKL, which on AMD processors keeps to AVX2; oneDNN, which torch has in
it for convolutions and bfloat16, uses what the processor has. On two AVX-512 cores of an AMD EPYC a layer of 1296 × 128
takes half of MKL's time, forward and backward, as does a Gram matrix; held to AVX2 (`ONEDNN_MAX_CPU_ISA=AVX2`) still a
sixth less.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# (m, k), weight (n, k) and bias (n,) or None to (m, n); what torch.compile's CPU code calls.
_product = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
)

_plainly: ContextVar[bool] = ContextVar("plainly", default=False)


def times_transposed(A: Tensor, B: Tensor) -> Tensor:
    """A B^T (m, n) of A (m, k) and B (n, k), not differentiable; float32 on a CPU through oneDNN."""
    plain = any(part.device.type != "cpu" or part.dtype != torch.float32 for part in (A, B))
    if _product is None or plain or not min(*A.shape, *B.shape):
        return A @ B.T
    return _product(A, B, None, "none", [], "")


@contextmanager
def plain_linear() -> Iterator[None]:
    """Within it `linear` is torch's own: differentiable twice, forwards, and by torch.func; slower."""
    before = _plainly.set(True)
    try:
        yield
    finally:
        _plainly.reset(before)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        assert _product is not None
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias, "none", [], "")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert _product is not None
        inputs, weight = ctx.saved_tensors
        to_inputs = None
        if ctx.needs_input_grad[0]:
            to_inputs = _product(gradient, weight.t(), None, "none", [], "")
        to_weight = _product(gradient.t(), inputs.t(), None, "none", [], "")
        return to_inputs, to_weight, gradient.sum(0)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`torch.nn.functional.linear` of (m, k) inputs, differentiable once where it takes oneDNN's way.

    See `plain_linear` for more derivatives.
    """
    plain = inputs.device.type != "cpu" or inputs.dtype != torch.float32 or weight.dtype != torch.float32
    shaped = inputs.dim() == 2 and len(inputs) > 0  # oneDNN knows no empty batch
    if _product is None or plain or not shaped or _plainly.get() or torch.is_autocast_enabled("cpu"):
        return nn.functional.linear(inputs, weight, bias)
    return _Linear.apply(inputs, weight, bias)  # pyright: ignore[reportReturnType]


class Linear(nn.Linear):
    """`torch.nn.Linear` with a bias, through `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """(m, k) to (m, n)."""
        return linear(input, self.weight, self.bias)
