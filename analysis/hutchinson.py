"""Traces and Frobenius norms of matrices of which only products are known, by random probes (Hutchinson 1990).

tr A = E[zᵀ A z] and ‖A‖_F² = E[‖A z‖²] for z of random signs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .curvature_products import Product


@dataclass(frozen=True)
class Estimate:
    """A mean over probes.

    Attributes:
        value: the estimate.
        standard_error: of it, over the probes.
    """

    value: float
    standard_error: float


def traces_and_norms(
    products: Mapping[str, Product],
    size: int,
    *,
    differences: Mapping[str, tuple[str, str]],
    probes: int,
    rng: np.random.Generator,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Trace and Frobenius norm of each matrix, and norms of differences, all by the same probes.

    Args:
        products: name → a symmetric matrix.
        size: P.
        differences: name → the two matrices A and B whose ‖A − B‖_F is wanted.
        probes: at least 2.
        rng: the generator of the probes.
        on_step: called with the probes done and all of them.

    Returns:
        Traces by name, and norms by name.

    Raises:
        ValueError: there are fewer than 2 probes.
    """
    if probes < 2:
        raise ValueError(f"probes is {probes}: give at least 2")
    traces: dict[str, list[float]] = {name: [] for name in products}
    squares: dict[str, list[float]] = {name: [] for name in (*products, *differences)}
    for probe in range(probes):
        z = rng.choice([-1.0, 1.0], size)
        made = {name: product(z) for name, product in products.items()}
        for name, of in made.items():
            traces[name].append(z @ of)
            squares[name].append(of @ of)
        for name, (a, b) in differences.items():
            apart = made[a] - made[b]
            squares[name].append(apart @ apart)
        on_step(probe + 1, probes)
    return {name: _mean(of) for name, of in traces.items()}, {
        name: _root(_mean(of)) for name, of in squares.items()
    }


def _mean(values: list[float]) -> Estimate:
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))))


def _root(square: Estimate) -> Estimate:
    root = float(np.sqrt(square.value))
    return Estimate(root, square.standard_error / (2 * root) if root > 0 else 0.0)
