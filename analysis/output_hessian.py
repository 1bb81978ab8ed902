"""The loss's Hessian with respect to a network's outputs, as a bilinear form between rows of its Jacobian.

Of a mean loss ℓ(F(x; θ)) the Hessian in θ is E[Jᵀ B J] + E[Σ_j ∂ℓ/∂F_j ∇²_θ F_j], with J = ∂F/∂θ, (M, P), and
B = ∇²_F ℓ, (M, M). Only for a scalar output and squared error is the first term, the generalised Gauss–Newton matrix
(Schraudolph 2002), the plain E[∇f ∇fᵀ]. For cross-entropy, and for the Fisher information of a policy,
B = diag(p) − p pᵀ: it knows no common shift of the logits and weighs the likely classes. B is positive semidefinite
where ℓ is convex in F; the surrogate of PPO is not, its Gauss–Newton matrix is indefinite.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import grad
from torch.utils._pytree import tree_flatten, tree_unflatten

from .forward_mode import pushed_forward
from .subject import Subject


@dataclass(frozen=True, eq=False)
class OutputForm:
    """A bilinear form on a network's outputs.

    Attributes:
        name: what is told of it.
        read: what the network gives → F, (N, M).
        apply: F, tangents U (N, M) and the targets of these inputs → B U, (N, M).
    """

    name: str
    read: Callable[[Any], Tensor]
    apply: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]

    def matrix(self, F: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """B of each input, (N, M, M)."""
        return torch.stack([self.apply(F, basis, targets) for basis in _basis(F)], dim=-1)

    def root(self, F: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """S with SᵀS = B of each input, (N, M, M); negative eigenvalues are left out."""
        values, vectors = torch.linalg.eigh(self.matrix(F, targets))
        return values.clamp_min(0).sqrt()[..., None] * vectors.mT


def loss_form(subject: Subject) -> OutputForm:
    """B = ∇²_F ℓ of the subject's loss, whatever it is, by differentiating it twice."""
    with torch.no_grad():
        leaves, structure = tree_flatten(subject.network(subject.inputs[:1]))
    shapes = [leaf.shape[1:] for leaf in leaves]

    def apply(F: Tensor, U: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        def total(F: Tensor) -> Tensor:
            return subject.loss(_split(F, shapes, structure), targets).sum()

        return pushed_forward(grad(total), F, U)[1]

    return OutputForm("loss", _joined, apply)


def identity_form(subject: Subject) -> OutputForm:
    """B = I on the subject's outputs: E[JᵀJ], what a vector output is not to be taken for."""
    return OutputForm("identity", _outputs(subject), lambda F, U, targets: U)


def fisher_form(subject: Subject) -> OutputForm:
    """Fisher information of softmax(`logits`), and squared error of all other outputs."""
    columns, start = {}, 0
    with torch.no_grad():
        given = subject.network(subject.inputs[:1])
        for name, take in subject.outputs.items():
            width = take(given).shape[1]
            columns[name] = slice(start, start + width)
            start += width

    def apply(F: Tensor, U: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        parts = [
            softmax_form(F[:, which], U[:, which]) if name == "logits" else U[:, which]
            for name, which in columns.items()
        ]
        return torch.cat(parts, dim=1)

    return OutputForm("fisher", _outputs(subject), apply)


def softmax_form(logits: Tensor, U: Tensor) -> Tensor:
    """(diag(p) − p pᵀ) u for each input, p = softmax(logits); (N, m) to (N, m)."""
    p = logits.softmax(-1)
    return p * (U - (p * U).sum(-1, keepdim=True))


def _outputs(subject: Subject) -> Callable[[Any], Tensor]:
    takes = list(subject.outputs.values())
    return lambda given: torch.cat([take(given) for take in takes], dim=1)


def _joined(given: Any) -> Tensor:
    return torch.cat(
        [leaf.flatten(1) if leaf.ndim > 1 else leaf[:, None] for leaf in tree_flatten(given)[0]], 1
    )


def _split(F: Tensor, shapes: list[torch.Size], structure: Any) -> Any:
    parts = F.split([shape.numel() for shape in shapes], dim=1)
    return tree_unflatten(
        [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)], structure
    )


def _basis(F: Tensor) -> list[Tensor]:
    eye = torch.eye(F.shape[1], dtype=F.dtype, device=F.device)
    return [row.expand_as(F) for row in eye]
