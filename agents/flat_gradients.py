"""An update's gradient as one flat vector, summed of two parts, for recorder and optimizer at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .recorder import GradientRecorder


class FlatGradients:
    """The gradient of an update, summed of two parts that are computed apart; flat, where a recorder keeps it.

    Args:
        parameters: whose gradient; each gets a `grad`, a view of the clipped sum.
        recorder: its buffers take the whole and the first part; it is told of every update by hand.
    """

    def __init__(self, parameters: list[nn.Parameter], recorder: GradientRecorder | None):
        self._parameters, self._recorder = parameters, recorder
        sizes = [parameter.numel() for parameter in parameters]
        # A part that is never put stays zero.
        self._second, self._clipped, *own = [
            torch.zeros(sum(sizes), device=parameters[0].device) for _ in range(4 if recorder is None else 2)
        ]
        if recorder is None:
            self._whole, self._first = own
        else:
            recorder.by_hand()
            self._whole, self._first = recorder.gradient, recorder.half_a
        for part, parameter in zip(self._clipped.split(sizes), parameters, strict=True):
            parameter.grad = part.view_as(parameter)

    def put(self, number: int, outputs: Sequence[Tensor], derivative: Sequence[Tensor]) -> None:
        """Part 0 or 1 is the gradient of a loss whose derivative by these outputs of the network is given."""
        parts = torch.autograd.grad(outputs, self._parameters, derivative)
        torch.cat([part.reshape(-1) for part in parts], out=(self._first, self._second)[number])

    def clip(self, max_norm: float) -> float:
        """Sum the parts, and leave the sum in the parameters' `grad`, clipped to this norm; returns by which factor.

        Raises:
            GradientError: the sum is not finite, and a recorder is there to say where.
        """
        torch.add(self._first, self._second, out=self._whole)
        norm = float(torch.linalg.vector_norm(self._whole))
        if self._recorder is not None:
            self._recorder.check(norm)
        factor = min(1.0, max_norm / (norm + 1e-6))
        torch.mul(self._whole, factor, out=self._clipped)
        return factor
