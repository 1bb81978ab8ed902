"""The controls that stand beside every cut: other changes of θ of the same size.

A cut is only evidence where its controls do less.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .cuts import cut_parameters, moved_along, scaled_step

# Memory for one batch of random directions while they are drawn.
_BATCH = 16
Recipe = dict[str, Any]


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        name: what it is.
        make: gives the parameters θ' (P,) that it leads to, and how to get them again. Called when it is to be judged:
            one judged already needs no θ'.
    """

    name: str
    make: Callable[[], tuple[Tensor, Recipe]]


def random_control(theta: Tensor, theta_0: Tensor, norm: float, count: int, seed: int) -> Control:
    """A cut along `count` random directions of parameter space, scaled to ‖Δθ‖ = `norm`."""

    def make() -> tuple[Tensor, Recipe]:
        generator = torch.Generator().manual_seed(seed)
        step = torch.zeros_like(theta)
        for start in range(0, count, _BATCH):
            # Gaussian directions are as good as orthonormal: in P dimensions k ≪ P of them hardly overlap.
            vectors = torch.randn(min(_BATCH, count - start), len(theta), generator=generator)
            step += moved_along(theta, theta_0, vectors)
        recipe = {"control": "random", "directions": count, "seed": seed, "norm": norm}
        return scaled_step(theta, step, norm), recipe

    return Control("random directions", make)


def span_control(
    theta: Tensor, theta_0: Tensor, vectors: Tensor, norm: float, count: int, seed: int
) -> Control:
    """A cut along `count` random directions inside the span of the lens's directions, scaled to ‖Δθ‖ = `norm`."""

    def make() -> tuple[Tensor, Recipe]:
        generator = torch.Generator().manual_seed(seed)
        basis, _ = torch.linalg.qr(torch.randn(len(vectors), min(count, len(vectors)), generator=generator))
        step = -((basis @ (basis.T @ (vectors @ (theta - theta_0)))) @ vectors)
        recipe = {"control": "span", "directions": count, "seed": seed, "norm": norm}
        return scaled_step(theta, step, norm), recipe

    return Control("random inside span(G)", make)


def same_norm(
    name: str,
    theta: Tensor,
    theta_0: Tensor,
    vectors: Tensor,
    norm: float,
    recipe: Recipe,
    *,
    doses: float | Tensor = 1.0,
    parts: Sequence[tuple[int, int]] = (),
) -> Control:
    """A cut along other directions (a neighbouring time's, another seed's), scaled to ‖Δθ‖ = `norm`."""

    def make() -> tuple[Tensor, Recipe]:
        step = cut_parameters(theta, theta_0, vectors, doses, parts) - theta
        return scaled_step(theta, step, norm), recipe | {"control": name, "norm": norm}

    return Control(name, make)


def shrink(theta: Tensor, theta_0: Tensor, norm: float) -> Control:
    """All of θ − θ_0 shrunk by ‖Δθ‖ = `norm`."""
    return Control(
        "shrink θ − θ₀",
        lambda: (scaled_step(theta, theta_0 - theta, norm), {"control": "shrink", "norm": norm}),
    )
