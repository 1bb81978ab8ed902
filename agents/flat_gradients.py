"""An update's gradient as one flat vector, summed of two parts, for recorder and optimizer at once."""

import torch
from torch import Tensor, nn

from .recorder import GradientRecorder


class FlatGradients:
    """The gradient of an update, summed of parts that are computed apart; flat, where a recorder keeps it.

    Args:
        parameters: whose gradient; each gets a `grad` of its own memory layout, as fused Adam wants it.
        recorder: its buffers take the whole and the first part.
    """

    def __init__(self, parameters: list[nn.Parameter], recorder: GradientRecorder | None):
        self._parameters = parameters
        sizes = [parameter.numel() for parameter in parameters]
        # A part that is never put stays zero.
        own = [
            torch.zeros(sum(sizes), device=parameters[0].device) for _ in range(3 if recorder is None else 1)
        ]
        self._second = own[0]
        self._whole, self._first = own[1:] if recorder is None else (recorder.gradient, recorder.half_a)
        self._views = [
            part.view_as(parameter)
            for part, parameter in zip(self._whole.split(sizes), parameters, strict=True)
        ]
        for parameter in parameters:
            parameter.grad = torch.empty_like(parameter)

    def put(self, number: int, loss: Tensor) -> None:
        """Part 0 or 1 is the gradient of this loss."""
        parts = torch.autograd.grad(loss, self._parameters)
        torch.cat([part.reshape(-1) for part in parts], out=(self._first, self._second)[number])

    def clip(self, max_norm: float) -> None:
        """Sum the parts, and leave the sum in the parameters' `grad`, clipped to this norm."""
        torch.add(self._first, self._second, out=self._whole)
        norm = nn.utils.get_total_norm(self._views)
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for view, parameter in zip(self._views, self._parameters, strict=True):
            torch.mul(view, factor, out=parameter.grad)
