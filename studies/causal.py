"""What each direction carries of each goal, to first order: the gradient of an exact measure along its piece.

A direction u holds the piece w = u uᵀ(θ − θ_0) of what training moved. Taking it back changes a measure m by −gᵀw to
first order, g the gradient of m. Its *causal share* is gᵀw / (m(θ) − m(θ_0)). With g at θ it says what a small cut
does; with g averaged over the straight line from θ_0 to θ the shares of any orthonormal basis of parameter space add up
to 1 (integrated gradients, Sundararajan et al. 2017, arXiv 1703.01365).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..ablate.goal import LEAST_CHANGE
from ..ablate.judge import Judge


def measure_gradients(judge: Judge, theta: Tensor, names: Sequence[str]) -> Tensor:
    """The gradient of each measure's mean over units at θ, (M, P) float32.

    Args:
        judge: of exact measures.
        theta: parameters (P,).
        names: of M measures.
    """
    theta = theta.detach().clone().requires_grad_(True)
    measured = judge.surrogate(theta, names)
    return torch.stack(
        [
            torch.autograd.grad(measured[name].mean(), theta, retain_graph=name != names[-1])[0]
            for name in names
        ]
    )


def path_gradients(judge: Judge, theta_0: Tensor, theta: Tensor, names: Sequence[str], points: int) -> Tensor:
    """The same averaged over the straight line from θ_0 to θ by the midpoint rule, (M, P).

    Raises:
        ValueError: `points` is below 1.
    """
    if points < 1:
        raise ValueError(f"points is {points}: give at least 1")
    total = torch.zeros(len(names), len(theta))
    for point in range(points):
        at = theta_0 + (point + 0.5) / points * (theta - theta_0)
        total += measure_gradients(judge, at, names)
    return total / points


def learned(judge: Judge, names: Sequence[str]) -> np.ndarray:
    """What training added to each measure's mean, (M,); NaN where it is less than 0.05 in size."""
    added = np.array([float(judge.trained[name].mean() - judge.untrained[name].mean()) for name in names])
    return np.where(np.abs(added) < LEAST_CHANGE, np.nan, added)


def causal_shares(
    vectors: np.ndarray, moved: np.ndarray, gradients: np.ndarray, added: np.ndarray
) -> np.ndarray:
    """gᵀ u uᵀ(θ − θ_0) / (m(θ) − m(θ_0)) of every direction and measure, (k, M).

    Args:
        vectors: unit directions (k, P).
        moved: θ − θ_0 (P,).
        gradients: (M, P).
        added: (M,), as `learned` gives it.
    """
    return (vectors @ moved)[:, None] * (vectors @ gradients.T) / added


def module_shares_of(
    vectors: np.ndarray, moved: np.ndarray, gradients: np.ndarray, added: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """The part of the causal shares that lies in some of the parameters, (k, M); all parts add up to the whole.

    Args:
        vectors: unit directions (k, P).
        moved: θ − θ_0 (P,).
        gradients: (M, P).
        added: (M,).
        inside: (P,) bool, which parameters.
    """
    return (vectors @ moved)[:, None] * (vectors[:, inside] @ gradients[:, inside].T) / added
