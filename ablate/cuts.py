"""The cut: take back what training moved along some directions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def cut_parameters(
    theta: Tensor,
    theta_0: Tensor,
    vectors: Tensor,
    dose: float | Tensor = 1.0,
    parts: Sequence[tuple[int, int]] = (),
) -> Tensor:
    """θ' = θ − Σ_k α_k u_k u_kᵀ (θ − θ_0): what training moved along each u_k goes back by its dose α_k.

    With a dose for each direction and part of the parameters, Σ_k Σ_m α_km 1_m ∘ u_k u_kᵀ (θ − θ_0): of what training
    moved along u_k, that which lies in part m goes back by α_km.

    Args:
        theta: trained parameters, (P,).
        theta_0: initial parameters, (P,).
        vectors: orthonormal directions u_k, (k, P); k may be 0.
        dose: one α for all, or (k,), each its own, or (k, M); differentiable. 0 changes no bit, 1 takes it all back.
        parts: of doses (k, M): where each of the M parts lies, (start, stop), one after the other.

    Returns:
        (P,).

    Raises:
        ValueError: the shapes do not fit.
    """
    if theta.shape != theta_0.shape or vectors.ndim != 2 or vectors.shape[1:] != theta.shape:
        raise ValueError(
            f"a cut wants θ and θ_0 (P,) and directions (k, P); got {tuple(theta.shape)}, "
            f"{tuple(theta_0.shape)} and {tuple(vectors.shape)}: directions of another network?"
        )
    doses = torch.as_tensor(dose, dtype=theta.dtype, device=theta.device)
    wanted = ((), vectors.shape[:1], (len(vectors), len(parts)))
    if tuple(doses.shape) not in wanted:
        each = f" or ({len(vectors)}, {len(parts)}), one for each part" if parts else ""
        raise ValueError(
            f"dose is of shape {tuple(doses.shape)}: give one number or {len(vectors)} of them{each}"
        )
    vectors = vectors.to(theta)
    directions = DirectionsInParts(vectors, parts if doses.ndim == 2 else ())
    return theta - directions.sums(doses, vectors @ (theta - theta_0))


class DirectionsInParts:
    """Directions part by part, for sums of them that are taken many times.

    A sum takes about as long as reading the directions, two sums at once hardly longer than one
    (`benchmarks/tuning.py`).

    Args:
        vectors: u_k, (k, P).
        parts: (start, stop) of each of the M, one after the other; () for one of all.
        dtype: that directions, a copy of them, are multiplied in, and sums and gradients are rounded to; default as
            they are, which copies nothing.
    """

    def __init__(
        self, vectors: Tensor, parts: Sequence[tuple[int, int]] = (), dtype: torch.dtype | None = None
    ):
        self._parted = bool(parts)
        parts = parts or [(0, vectors.shape[1])]
        self._runs: list[tuple[int, int, Tensor]] = []
        for first, last in _runs(parts):
            (start, _), (_, stop) = parts[first], parts[last - 1]
            of_parts = vectors[:, start:stop].unflatten(1, (last - first, -1)).transpose(0, 1)
            if dtype not in (None, vectors.dtype):
                of_parts = of_parts.to(dtype).contiguous()
            self._runs.append((first, last, of_parts))

    def sums(self, doses: Tensor, along: Tensor) -> Tensor:
        """Σ_k α_k c_k u_k, or part by part Σ_k α_km c_k u_k, (…, P) of the doses' dtype; differentiable in them.

        Args:
            doses: α, () or (…, k), or with parts (…, k, M).
            along: c, (k,).
        """
        weights = doses * along[:, None] if self._parted else (doses * along)[..., None]
        by_part = weights[None].flatten(0, -3).permute(2, 0, 1)  # (M, sums, k)
        count = by_part.shape[1]
        if self._runs[0][-1].dtype == torch.bfloat16 and count == 1:
            by_part = nn.functional.pad(by_part, (0, 0, 0, 1))  # a lone row is multiplied slower than two
        pieces = [
            (by_part[first:last].to(of_parts.dtype) @ of_parts).transpose(0, 1)[:count].flatten(1)
            for first, last, of_parts in self._runs
        ]
        return torch.cat(pieces, dim=-1).to(weights.dtype).view(*weights.shape[:-2], -1)


def _runs(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Parts of one length that follow one another, (first, last + 1) of each run: they are taken at once."""
    lengths = [stop - start for start, stop in parts]
    ends = [m for m in range(1, len(parts)) if lengths[m] != lengths[m - 1]]
    return list(pairwise([0, *ends, len(parts)]))


def relative_norm(cut: Tensor, theta: Tensor, theta_0: Tensor) -> float:
    """‖θ' − θ‖ / ‖θ − θ_0‖: how much of what training moved the cut takes back."""
    return float((cut - theta).norm() / (theta - theta_0).norm())


def orthonormal(vectors: Tensor) -> Tensor:
    """An orthonormal basis (k, P) of the span of the rows, in float64 inside; dependent rows are left out."""
    basis, singular_values, _ = torch.linalg.svd(vectors.double() @ vectors.double().T)
    keep = singular_values > 1e-10 * singular_values[:1].clamp_min(1e-300)
    weights = basis[:, keep] / singular_values[keep].sqrt()
    return (weights.T @ vectors.double()).to(vectors.dtype)


def scaled_step(theta: Tensor, step: Tensor, norm: float) -> Tensor:
    """θ moved along `step` by exactly `norm`: a control of a cut of that norm."""
    length = step.norm()
    return theta + step * (norm / length) if length > 0 else theta.clone()


def moved_along(theta: Tensor, theta_0: Tensor, vectors: Tensor) -> Tensor:
    """The step that takes back what training moved along orthonormal directions (k, P): −Σ u uᵀ(θ − θ_0), (P,)."""
    return -((vectors @ (theta - theta_0)) @ vectors)
