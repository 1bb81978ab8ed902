"""A toy network that is known to hold features in superposition, for a method that claims to find features.

x has F features, each zero with probability `sparsity` and else uniform on 0…1; h = W x has d dimensions;
x̂ = ReLU(Wᵀ h + b), trained on ‖x − x̂‖² (Elhage et al. 2022, "Toy models of superposition"). The direction of feature i
in h is column i of W. With dense features d of them are kept, orthogonal; with sparse ones more than d are, at angles.
A rotation of h has d rows: where more features are kept than that, at most d can be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .matched_bases import matched_cosine, random_rotation
from .rotation_fit import fit_rotations, start_bases
from .sparse_jacobian import Sparsity


@dataclass(frozen=True, eq=False)
class ToyAutoencoder:
    """Trained parameters.

    Attributes:
        W: (d, F).
        b: (F,).
        sparsity: probability that a feature is zero.
    """

    W: Tensor
    b: Tensor
    sparsity: float

    def kept(self) -> np.ndarray:
        """Unit directions of the features that are kept (‖W_i‖ > 0.5), (kept, d)."""
        norms = self.W.norm(dim=0)
        return (self.W / norms.clamp_min(1e-12)).T[norms > 0.5].double().numpy()

    def jacobians(self, count: int, *, seed: int = 0) -> Tensor:
        """∂x̂/∂h at so many inputs, (count, F, d)."""
        x = _features(count, self.W.shape[1], self.sparsity, torch.Generator().manual_seed(seed))
        on = (x @ self.W.T @ self.W + self.b > 0).float()
        return on[:, :, None] * self.W.T


def train_toy(
    features: int, hidden: int, sparsity: float, *, steps: int = 2000, batch: int = 256, seed: int = 0
) -> ToyAutoencoder:
    """Train the autoencoder by Adam.

    Raises:
        ValueError: a width is below 1, or the sparsity is not in 0 … 1.
    """
    if features < 1 or hidden < 1 or not 0 <= sparsity < 1:
        raise ValueError(
            f"features, hidden and sparsity are {features}, {hidden}, {sparsity}: give widths of at least 1 and a "
            "probability below 1"
        )
    generator = torch.Generator().manual_seed(seed)
    W = (torch.randn(hidden, features, generator=generator) / hidden**0.5).requires_grad_()
    b = torch.zeros(features, requires_grad=True)
    optimizer = torch.optim.Adam([W, b], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x = _features(batch, features, sparsity, generator)
        loss = (x - torch.relu(x @ W.T @ W + b)).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return ToyAutoencoder(W.detach(), b.detach(), sparsity)


def rotation_of_toy(
    toy: ToyAutoencoder, sparsity: Sparsity, *, restarts: int = 2, steps: int = 300, seed: int = 0
) -> dict[str, float]:
    """Fit a rotation of h and hold its rows against the features that are known to be there.

    Returns:
        `kept`: features kept; `dimensions`; `matched`: mean |cosine| of the rows with their matches; `chance`: that of
        random rotations; `found`: features with a row at |cosine| above 0.97; `loss` fitted, `loss_random`.
    """
    J = toy.jacobians(512, seed=seed)
    J = J[J.flatten(1).any(1)]
    fits = [
        fit_rotations(
            [J],
            [0],
            sparsity,
            starts=start_bases("random", [J], [0], seed=seed + restart),
            steps=steps,
            learning_rate=0.05,
        )
        for restart in range(restarts)
    ]
    best = min(fits, key=lambda fit: fit.loss)
    kept, rows = toy.kept(), best.bases[0]
    d = len(rows)
    if not len(kept):
        raise ValueError("the autoencoder keeps no feature: train it longer")
    chance = [matched_cosine(random_rotation(d, seed + 100 + draw), kept) for draw in range(10)]
    return {
        "kept": float(len(kept)),
        "dimensions": float(d),
        "matched": matched_cosine(rows, kept),
        "chance": float(np.mean(chance)),
        "found": float((np.abs(kept @ rows.T).max(1) > 0.97).sum()),
        "loss": best.loss,
        "loss_random": float(np.mean([fit.start for fit in fits])),
    }


def superposition_table(
    sparsity: Sparsity,
    *,
    widths: Sequence[tuple[int, int]] = ((6, 6), (8, 4), (20, 5)),
    sparsities: Sequence[float] = (0.0, 0.95),
    train_steps: int = 1000,
    steps: int = 150,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rotations of toys of several (features, hidden) and sparsities."""
    return [
        {
            "features": features,
            "hidden": hidden,
            "sparsity": zero,
            **rotation_of_toy(
                train_toy(features, hidden, zero, steps=train_steps, seed=seed),
                sparsity,
                steps=steps,
                seed=seed,
            ),
        }
        for features, hidden in widths
        for zero in sparsities
    ]


def _features(count: int, features: int, sparsity: float, generator: torch.Generator) -> Tensor:
    x = torch.rand(count, features, generator=generator)
    return x * (torch.rand(count, features, generator=generator) >= sparsity)
