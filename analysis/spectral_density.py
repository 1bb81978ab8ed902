"""The whole spectrum of a matrix of which only products are known: stochastic Lanczos quadrature.

For a random z with E[z zᵀ] = I, tr f(A) = E[zᵀ f(A) z]; s Lanczos steps from z give the s-point Gauss quadrature of the
measure that zᵀ f(A) z integrates over the spectrum, exact for polynomials up to degree 2s − 1 (Golub & Meurant 2009,
chapter 6; Ubaru, Chen & Saad 2017). The basis is reorthogonalised in full, twice. Every figure comes with its standard
error over the probes; a probe weighs the spectrum by chance, and counts of few eigenvalues are known no better.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .curvature_products import Product


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """Quadrature of a spectrum.

    Attributes:
        nodes: (probes, steps), places on the eigenvalue axis.
        weights: (probes, steps), share of the spectrum at each; rows sum to 1.
        size: P.
    """

    nodes: np.ndarray
    weights: np.ndarray
    size: int

    def sum_of(self, function: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
        """Σ_i f(λ_i) over all P eigenvalues, and its standard error over probes."""
        sums = self.size * (self.weights * function(self.nodes)).sum(1)
        return float(sums.mean()), float(sums.std(ddof=1) / np.sqrt(len(sums)))

    def trace(self) -> tuple[float, float]:
        """Σ λ."""
        return self.sum_of(lambda nodes: nodes)

    def count_above(self, level: float) -> tuple[float, float]:
        """How many eigenvalues exceed a level: the numerical rank at it."""
        return self.sum_of(lambda nodes: (nodes > level).astype(float))

    def effective_dimension(self, floor: float) -> tuple[float, float]:
        """Σ λ / (λ + ε) over positive eigenvalues (MacKay 1992)."""
        return self.sum_of(lambda nodes: np.maximum(nodes, 0.0) / (np.maximum(nodes, 0.0) + floor))

    def log_volume(self, floor: float) -> tuple[float, float]:
        """−½ Σ log λ over eigenvalues of at least ε: log of the basin's volume there, but for a constant per direction.

        {δ: ½ δᵀ A δ ≤ τ} has half-axes √(2τ/λ). It is of so many directions as `count_above` says.
        """
        return self.sum_of(
            lambda nodes: np.where(nodes >= floor, -0.5 * np.log(np.maximum(nodes, floor)), 0.0)
        )

    def log_volume_share(self, floor: float) -> tuple[float, float]:
        """−½ Σ log(1 + λ / ε): log of the basin's volume over that of a ball, both Gaussian, the ball of precision ε.

        In no direction is the basin taken to be wider than the ball: flat ones count as 0.
        """
        return self.sum_of(lambda nodes: -0.5 * np.log1p(np.maximum(nodes, 0.0) / floor))

    def density(self, grid: np.ndarray, width: float) -> np.ndarray:
        """Share of eigenvalues per unit of λ, by Gaussians of this standard deviation at the nodes; like the grid."""
        heights = np.exp(-0.5 * ((grid[:, None] - self.nodes.reshape(-1)) / width) ** 2) / (
            np.sqrt(2 * np.pi) * width
        )
        return heights @ self.weights.reshape(-1) / len(self.weights)


def spectral_density(
    product: Product,
    size: int,
    *,
    probes: int = 4,
    steps: int = 50,
    rng: np.random.Generator,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> SpectralDensity:
    """The spectrum by `probes` × `steps` products.

    Args:
        product: (P,) to (P,), of a symmetric matrix.
        size: P.
        probes: random start vectors, at least 2.
        steps: Lanczos steps of each, at most P.
        rng: the generator of the probes.
        on_step: called with the products done and all of them.

    Raises:
        ValueError: there are too few probes or steps.
    """
    if probes < 2 or steps < 1:
        raise ValueError(f"probes is {probes} and steps {steps}: give at least 2 and 1")
    steps = min(steps, size)
    nodes, weights = np.zeros((probes, steps)), np.zeros((probes, steps))
    for probe in range(probes):
        start = rng.choice([-1.0, 1.0], size)
        advance = lambda done, probe=probe: on_step(probe * steps + done, probes * steps)  # noqa: E731
        alpha, beta = lanczos(product, start, steps, on_step=advance)
        values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
        nodes[probe, : len(alpha)], weights[probe, : len(alpha)] = values, vectors[0] ** 2
    return SpectralDensity(nodes, weights, size)


def lanczos(
    product: Product, start: np.ndarray, steps: int, *, on_step: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal (s,) and off-diagonal (s − 1,) of the tridiagonal matrix; s < steps where the space is invariant."""
    Q = np.zeros((steps, len(start)))
    alpha, beta = np.zeros(steps), np.zeros(steps)
    Q[0] = start / np.linalg.norm(start)
    for step in range(steps):
        w = product(Q[step])
        alpha[step] = Q[step] @ w
        for _ in range(2):
            w = w - (Q[: step + 1] @ w) @ Q[: step + 1]
        beta[step] = np.linalg.norm(w)
        on_step(step + 1)
        if step + 1 == steps or beta[step] <= 1e-12 * np.abs(alpha[: step + 1]).max():
            return alpha[: step + 1], beta[:step]
        Q[step + 1] = w / beta[step]
    raise AssertionError
