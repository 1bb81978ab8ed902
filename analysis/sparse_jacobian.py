"""How sparse a stack of Jacobians is: losses that sharply prefer zeros.

Of blocks J (B, m, n) whose entries have mean square 1 (`normalised`; orthogonal rotations keep it so):

- l1: mean |J|;
- log: mean log(1 + J²/ε), a Student-t prior; below √ε an entry counts as zero;
- hoyer: mean over blocks of ‖J‖₁ / (√(mn) ‖J‖₂) (Hoyer 2004), 1 for constant blocks, 1/√(mn) for one entry;
- lp: mean (J² + δ)^{p/2}, p < 1, with a small δ that keeps the gradient at zero finite.

All see only |J|, so the sign of a row of a rotation, and with it the sign of its determinant, changes none of them.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

LossName = Literal["l1", "log", "hoyer", "lp"]
LOSSES: tuple[str, ...] = get_args(LossName)
Sparsity = Callable[[Tensor], Tensor]
_DELTA = 1e-6


def sparsity_loss(name: LossName, *, epsilon: float = 0.01, p: float = 0.5) -> Sparsity:
    """The loss of blocks (B, m, n), a scalar.

    Args:
        name: `l1`, `log`, `hoyer` or `lp`.
        epsilon: of `log`.
        p: of `lp`, between 0 and 1.

    Raises:
        ValueError: there is no such loss, ε is not positive, or p is not between 0 and 1.
    """
    if name not in LOSSES:
        raise ValueError(f"loss is {name!r}: give one of {', '.join(LOSSES)}")
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}: give a number above 0, for instance 0.01")
    if not 0 < p < 1:
        raise ValueError(f"p is {p}: give a power between 0 and 1; l1 is p = 1")
    losses: dict[str, Sparsity] = {
        "l1": lambda J: J.abs().mean(),
        "log": lambda J: torch.log1p(J.square() / epsilon).mean(),
        "hoyer": _hoyer,
        "lp": lambda J: (J.square() + _DELTA).pow(p / 2).mean(),
    }
    return losses[name]


def normalised(J: Tensor) -> Tensor:
    """Blocks divided by the root of the mean square of all their entries.

    Raises:
        ValueError: not (B, m, n), not finite, or all zero.
    """
    if J.ndim != 3 or not torch.isfinite(J).all():
        raise ValueError(f"Jacobians are finite blocks (B, m, n), got shape {tuple(J.shape)}")
    size = J.square().mean().sqrt()
    if size == 0:
        raise ValueError(
            "every Jacobian is zero: the late layer does not depend on the early one at these inputs"
        )
    return J / size


def _hoyer(J: Tensor) -> Tensor:
    flat = J.flatten(1)
    norms = flat.square().sum(1).clamp_min(1e-30).sqrt()
    return (flat.abs().sum(1) / norms).mean() / math.sqrt(flat.shape[1])
