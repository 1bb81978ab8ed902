"""How many dimensions a spectrum has, by several definitions: they differ as much as networks do.

Of singular values σ_1 ≥ … ≥ σ_n, with p_i = σ_i / Σσ and q_i = σ_i² / Σσ²:

- numerical: how many σ_i > tolerance · σ_1;
- entropy: exp(−Σ p log p) (Roy & Vetterli 2007, "The effective rank");
- participation: 1 / Σ q² = (Σσ²)² / Σσ⁴;
- stable: Σσ² / σ_1², at most the rank and insensitive to small values;
- energy_90, energy_99: how many of the largest hold that share of Σσ².
"""

import numpy as np

DEFINITIONS = ("numerical", "entropy", "participation", "stable", "energy_90", "energy_99")


def effective_ranks(singular_values: np.ndarray, *, tolerance: float = 1e-6) -> dict[str, float]:
    """Every definition, of one spectrum.

    Args:
        singular_values: (n,), in any order; those of a matrix, not their squares.
        tolerance: of the numerical rank. Values found through a Gram matrix in float64 are noise below 1e-8 σ_1.

    Returns:
        Name → rank; all 0 of a spectrum of zeros.

    Raises:
        ValueError: a value is negative or not finite, or there is none.
    """
    sigma = np.sort(np.asarray(singular_values, dtype=np.float64))[::-1]
    if sigma.ndim != 1 or not len(sigma) or not np.isfinite(sigma).all() or sigma[-1] < 0:
        raise ValueError(
            f"singular values are finite, not negative, (n,); got shape {np.shape(singular_values)}, "
            f"smallest {sigma.min() if sigma.size else 'none'}"
        )
    if sigma[0] == 0:
        return dict.fromkeys(DEFINITIONS, 0.0)
    sigma = sigma / sigma[0]
    p, q = sigma / sigma.sum(), sigma**2 / (sigma**2).sum()
    held = np.cumsum(q)
    return {
        "numerical": float((sigma > tolerance).sum()),
        "entropy": float(np.exp(-(p[p > 0] * np.log(p[p > 0])).sum())),
        "participation": float(1 / (q**2).sum()),
        "stable": float((sigma**2).sum()),
        "energy_90": float(np.searchsorted(held, 0.90 - 1e-12) + 1),
        "energy_99": float(np.searchsorted(held, 0.99 - 1e-12) + 1),
    }
