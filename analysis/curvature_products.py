"""Products with the Hessian and the Gauss–Newton matrix of a mean loss, without either matrix.

H v by differentiating ∇L · v once more (Pearlmutter 1994); G v = E[Jᵀ B J v] by one forward and one backward product
with the Jacobian around the outputs' form B (Schraudolph 2002; `output_hessian`). Streamed over batches in the
network's precision, summed in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vjp

from ..agents.linear import plain_linear
from ..agents.parameters import parameter_layout
from .forward_mode import pushed_forward
from .output_hessian import OutputForm
from .subject import Subject
from .subject_checks import check_still, check_subject

Product = Callable[[np.ndarray], np.ndarray]
"""A symmetric matrix as what it makes of a vector, (P,) to (P,) float64."""


class CurvatureProducts:
    """The curvature of a subject's mean loss at its network's parameters.

    Args:
        subject: network, inputs and loss; evaluation mode; on any device.
        batch_size: inputs at a time.

    Raises:
        ValueError: the subject does not fit.
    """

    def __init__(self, subject: Subject, *, batch_size: int = 500):
        check_still(subject.network)
        check_subject(subject)
        self.subject, self.batch_size = subject, batch_size
        self.layout = parameter_layout(subject.network)
        self.parameters = {name: tensor.detach() for name, tensor in subject.network.named_parameters()}
        self.size = sum(tensor.numel() for tensor in self.parameters.values())

    def loss(self) -> float:
        """Mean loss."""
        with torch.no_grad():
            return self._mean(lambda batch: self._total(self.parameters, batch)[None])[0].item()

    def gradient(self) -> np.ndarray:
        """∇L, (P,)."""
        return self._mean(lambda batch: _flat(self._gradient(batch)[1])).numpy()

    def hessian(self, v: np.ndarray) -> np.ndarray:
        """H v, (P,)."""
        tangents = list(self.named(v).values())

        def of(batch: Subject) -> Tensor:
            parameters, gradients = self._gradient(batch, again=True)
            # A gradient that is constant in θ, or zero, bends nowhere.
            bent = [(g, t) for g, t in zip(gradients, tangents, strict=True) if g.requires_grad]
            if not bent:
                return torch.zeros(self.size, device=gradients[0].device)
            along, weights = zip(*bent, strict=True)
            return _flat(torch.autograd.grad(along, parameters, weights, materialize_grads=True))

        return self._mean(of).numpy()

    def gauss_newton(self, v: np.ndarray, form: OutputForm) -> np.ndarray:
        """G v = E[Jᵀ B J v], (P,)."""
        tangents = self.named(v)

        def of(batch: Subject) -> Tensor:
            read = self._reading(batch, form)
            F, U = pushed_forward(read, self.parameters, tangents)
            pulled_back = vjp(read, self.parameters)[1]
            return _flat(list(pulled_back(form.apply(F, U, batch.targets))[0].values()))

        return self._mean(of).numpy()

    def outputs_along(self, v: np.ndarray, form: OutputForm) -> Tensor:
        """J v of each input, (N, M): how its outputs move when θ moves along v."""
        tangents = self.named(v)
        with plain_linear():
            return torch.cat(
                [
                    pushed_forward(self._reading(batch, form), self.parameters, tangents)[1]
                    for batch in self.subject.batches(self.batch_size)
                ]
            )

    def _reading(self, batch: Subject, form: OutputForm) -> Callable[[dict[str, Tensor]], Tensor]:
        return lambda parameters: form.read(functional_call(batch.network, parameters, (batch.inputs,)))

    def _gradient(self, batch: Subject, *, again: bool = False) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        with torch.enable_grad():
            parameters = {name: tensor.clone().requires_grad_() for name, tensor in self.parameters.items()}
            total, leaves = self._total(parameters, batch), list(parameters.values())
            return leaves, torch.autograd.grad(total, leaves, create_graph=again, materialize_grads=True)

    def _total(self, parameters: dict[str, Tensor], batch: Subject) -> Tensor:
        given: Any = functional_call(batch.network, parameters, (batch.inputs,))
        return batch.loss(given, batch.targets).sum()

    def named(self, v: np.ndarray) -> dict[str, Tensor]:
        """A vector (P,) as tensors of the parameters' names, shapes, precision and device.

        Raises:
            ValueError: it is of another length.
        """
        if v.shape != (self.size,):
            raise ValueError(f"a vector of parameter space is ({self.size},), got {v.shape}")
        return {
            name: torch.as_tensor(v[start:stop]).to(self.parameters[name]).view(shape)
            for name, (start, stop, shape) in self.layout.items()
        }

    def _mean(self, of: Callable[[Subject], Tensor]) -> Tensor:
        with plain_linear():
            parts = (of(batch).double().cpu() for batch in self.subject.batches(self.batch_size))
            total = next(parts)
            for part in parts:
                total = total + part
        return total / len(self.subject)


def dense(product: Product, size: int) -> np.ndarray:
    """The whole matrix (P, P), by P products: for small networks."""
    return np.stack([product(row) for row in np.eye(size)], axis=1)


def _flat(tensors: Any) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
