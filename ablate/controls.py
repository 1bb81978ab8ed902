"""The controls that stand beside every cut: other changes of θ of the same size.

Each gives named steps Δθ or parameters θ'; a cut is only evidence where its controls do less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .cuts import moved_along, scaled_step

# Memory for one batch of random directions while they are drawn.
_BATCH = 16


@dataclass(frozen=True)
class Control:
    """Parameters θ' (P,) that a control leads to, and how to get them again."""

    name: str
    theta: Tensor
    recipe: dict[str, Any]


def random_controls(
    theta: Tensor, theta_0: Tensor, norm: float, count: int, draws: int, seed: int
) -> Iterator[Control]:
    """Cuts along `count` random directions of parameter space, scaled to ‖Δθ‖ = `norm`."""
    for draw in range(draws):
        generator = torch.Generator().manual_seed(seed + draw)
        step = torch.zeros_like(theta)
        for start in range(0, count, _BATCH):
            # Gaussian directions are as good as orthonormal: in P dimensions k ≪ P of them hardly overlap.
            vectors = torch.randn(min(_BATCH, count - start), len(theta), generator=generator)
            step += moved_along(theta, theta_0, vectors)
        recipe = {"control": "random", "directions": count, "seed": seed + draw, "norm": norm}
        yield Control("random directions", scaled_step(theta, step, norm), recipe)


def span_controls(
    theta: Tensor, theta_0: Tensor, vectors: Tensor, norm: float, count: int, draws: int, seed: int
) -> Iterator[Control]:
    """Cuts along `count` random directions inside the span of the lens's directions, scaled to ‖Δθ‖ = `norm`."""
    moved = vectors @ (theta - theta_0)
    for draw in range(draws):
        generator = torch.Generator().manual_seed(seed + draw)
        basis, _ = torch.linalg.qr(torch.randn(len(vectors), min(count, len(vectors)), generator=generator))
        step = -((basis @ (basis.T @ moved)) @ vectors)
        recipe = {"control": "span", "directions": count, "seed": seed + draw, "norm": norm}
        yield Control("random inside span(G)", scaled_step(theta, step, norm), recipe)


def same_norm(
    name: str, theta: Tensor, theta_0: Tensor, vectors: Tensor, norm: float, recipe: dict[str, Any]
) -> Control:
    """A cut along other directions (a neighbouring time's, another seed's), scaled to ‖Δθ‖ = `norm`."""
    step = moved_along(theta, theta_0, vectors)
    return Control(name, scaled_step(theta, step, norm), recipe | {"norm": norm})


def shrink(theta: Tensor, theta_0: Tensor, norm: float) -> Control:
    """All of θ − θ_0 shrunk by ‖Δθ‖ = `norm`."""
    return Control(
        "shrink θ − θ₀", scaled_step(theta, theta_0 - theta, norm), {"control": "shrink", "norm": norm}
    )
