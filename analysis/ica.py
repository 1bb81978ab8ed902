"""Independent components of activations, by symmetric FastICA (Hyvärinen & Oja 2000), with g = tanh.

Activations, centred and whitened, z = D^{-1/2} Eᵀ (h − h̄); W ← E[g(Wz) zᵀ] − diag E[g'(Wz)] W, made orthogonal by its
polar factor, until it stands. Directions that hardly vary (below `tolerance` of the largest) have no components.
"""

import numpy as np

from .matched_bases import nearest_rotation, random_rotation


def independent_components(
    activations: np.ndarray, *, sweeps: int = 100, tolerance: float = 1e-4, seed: int = 0
) -> np.ndarray:
    """Unit rows that read components off activations, (components, n).

    Args:
        activations: (samples, n).
        sweeps: at most so many.
        tolerance: of the last turn, and of directions that vary at all.
        seed: of the start.

    Raises:
        ValueError: not finite, not a matrix, or nothing varies.
    """
    H = np.asarray(activations, dtype=np.float64)
    if H.ndim != 2 or len(H) < 2 or not np.isfinite(H).all():
        raise ValueError(f"activations are finite, (samples, n), got shape {H.shape}")
    H = H - H.mean(0)
    values, vectors = np.linalg.eigh(H.T @ H / len(H))
    kept = values > tolerance**2 * values[-1]
    if not kept.any() or values[-1] <= 0:
        raise ValueError("activations do not vary: there are no components")
    whitening = vectors[:, kept] / np.sqrt(values[kept])
    Z = H @ whitening
    W = random_rotation(Z.shape[1], seed)
    for _ in range(sweeps):
        G = np.tanh(Z @ W.T)
        turned = nearest_rotation(G.T @ Z / len(Z) - (1 - G**2).mean(0)[:, None] * W)
        moved = float(np.abs(1 - np.abs(np.einsum("ij,ij->i", turned, W))).max())
        W = turned
        if moved < tolerance:
            break
    rows = W @ whitening.T
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
