"""Edits of activations: what becomes of what a layer gives, each a function of (B, C, …) to the same shape.

A vector of C entries is meant at every position of a convolution; one of C · H · W entries, in this order, for all
positions together. Differentiable in activations, vectors and doses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Dose = float | Tensor
_FEW_CHANNELS = 64


class Edit(Protocol):
    """One edit."""

    def __call__(self, activations: Tensor) -> Tensor:
        """(B, C, …) to the same shape.

        Raises:
            ValueError: it is not for activations of this shape.
        """
        ...


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """h' = h − Σ_k α_k u_k u_kᵀ (h − h̄).

    Attributes:
        vectors: orthonormal u_k, (k, d); k may be 0.
        mean: h̄, (d,); None is 0.
        dose: one α for all, or (k,), each its own. 0 changes no bit.
    """

    vectors: Tensor
    mean: Tensor | None = None
    dose: Dose = 1.0

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise ValueError(f"vectors are {tuple(self.vectors.shape)}: give (k, d)")
        if self.mean is not None and self.mean.shape != self.vectors.shape[1:]:
            raise ValueError(
                f"mean is {tuple(self.mean.shape)}, the directions have {self.vectors.shape[1]} entries: "
                f"give as many"
            )
        if isinstance(self.dose, Tensor) and self.dose.ndim and self.dose.shape != self.vectors.shape[:1]:
            raise ValueError(
                f"dose is of shape {tuple(self.dose.shape)}: give one number or {len(self.vectors)} of them"
            )

    def __call__(self, activations: Tensor) -> Tensor:
        """What training put along the directions goes by its dose."""
        rows, back = as_rows(activations, self.vectors.shape[1])
        if not len(self.vectors) or _is_zero(self.dose):
            return activations
        vectors, dose = self.vectors.to(rows), _as_dose(self.dose, rows)
        mean = None if self.mean is None else self.mean.to(rows)
        if rows.ndim > 2 and rows.shape[-1] <= _FEW_CHANNELS:
            return back(_project_channels(rows, vectors, mean, dose))
        moved = rows if mean is None else rows - mean
        return back(rows - (dose * (moved @ vectors.T)) @ vectors)


@dataclass(frozen=True, eq=False)
class AddVector:
    """h' = h + α v, v of (d,); dose 0 changes no bit."""

    vector: Tensor
    dose: Dose = 1.0

    def __post_init__(self) -> None:
        if self.vector.ndim != 1:
            raise ValueError(f"vector is {tuple(self.vector.shape)}: give (d,)")

    def __call__(self, activations: Tensor) -> Tensor:
        """The vector added."""
        rows, back = as_rows(activations, len(self.vector))
        if _is_zero(self.dose):
            return activations
        return back(rows + _as_dose(self.dose, rows) * self.vector.to(rows))


@dataclass(frozen=True, eq=False)
class MeanAblation:
    """h' = h + α (h̄ − h), in all channels or some: what an input says is replaced by what all say on average.

    Attributes:
        mean: h̄, (d,), as `mean_activations` gives it.
        channels: of C, which; None is all.
        dose: α; 0 changes no bit.
    """

    mean: Tensor
    channels: Sequence[int] | None = None
    dose: Dose = 1.0

    def __call__(self, activations: Tensor) -> Tensor:
        """The mean in place of the activations."""
        rows, back = as_rows(activations, len(self.mean))
        if _is_zero(self.dose):
            return activations
        changed = back(rows + _as_dose(self.dose, rows) * (self.mean.to(rows) - rows))
        return _in_channels(activations, changed, self.channels)


@dataclass(frozen=True, eq=False)
class ResampleAblation:
    """Each input gets the activations of a random other one, in all channels or some.

    Attributes:
        source: activations to draw from, (N, C, …).
        generator: of the draws, on the CPU; every forward pass draws anew.
        channels: of C, which; None is all.
    """

    source: Tensor
    generator: torch.Generator
    channels: Sequence[int] | None = None

    def __call__(self, activations: Tensor) -> Tensor:
        """Drawn activations in place of these."""
        if self.source.shape[1:] != activations.shape[1:] or not len(self.source):
            raise ValueError(
                f"gives {tuple(activations.shape[1:])}, the source of resampling is {tuple(self.source.shape)}: "
                f"give activations of the same layer"
            )
        drawn = torch.randint(len(self.source), (len(activations),), generator=self.generator)
        changed = self.source[drawn.to(self.source.device)].to(activations)
        return _in_channels(activations, changed, self.channels)


@dataclass(frozen=True)
class ClampChannel:
    """One channel held at a value: everywhere, or at one position (row, column), as Turner et al. retarget a mouse.

    "Understanding and controlling a maze-solving policy network", arXiv 2310.08043.
    """

    channel: int
    value: float
    at: tuple[int, ...] | None = None

    def __call__(self, activations: Tensor) -> Tensor:
        """The same but for the channel."""
        place = (self.channel, *(self.at or ()))
        shape = activations.shape[1:]
        whole = self.at is None or len(place) == len(shape)
        if not whole or any(not 0 <= index < size for index, size in zip(place, shape, strict=False)):
            raise ValueError(
                f"gives {tuple(shape)}, clamped are channel {self.channel} and position {self.at}: "
                f"give a channel, and a position or None, inside it"
            )
        clamped = torch.zeros(shape, dtype=torch.bool, device=activations.device)
        clamped[place] = True
        return torch.where(clamped, torch.as_tensor(self.value).to(activations), activations)


def _project_channels(rows: Tensor, vectors: Tensor, mean: Tensor | None, dose: Tensor) -> Tensor:
    """h' at every position, as one product by a C×C matrix: quicker than by two thin ones where channels are few."""
    removed = (vectors.T * dose) @ vectors
    kept = torch.eye(len(removed), dtype=removed.dtype, device=removed.device) - removed
    flat = rows.reshape(-1, len(kept))
    projected = flat @ kept if mean is None else torch.addmm(removed @ mean, flat, kept)
    return projected.view(rows.shape)


def as_rows(activations: Tensor, width: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Activations (B, C, …) as rows (…, width), and the way back to their shape.

    Raises:
        ValueError: `width` is neither C nor the entries of all positions together.
    """
    shape = activations.shape
    if activations.ndim < 2:
        raise ValueError(f"gives {tuple(shape)}: a layer that is edited gives (inputs, channels, …)")
    if width == shape[1]:
        return activations.movedim(1, -1), lambda rows: rows.movedim(-1, 1)
    whole = shape[1:].numel()
    if width == whole:
        return activations.flatten(1), lambda rows: rows.reshape(shape)
    sizes = f"{shape[1]}, one per channel" + ("" if whole == shape[1] else f", or {whole}, all together")
    raise ValueError(f"gives {tuple(shape[1:])}, a direction or mean has {width} entries: give {sizes}")


def mean_activations(activations: Tensor, width: int) -> Tensor:
    """h̄ of so many entries, (width,): over inputs, and over positions where there is one entry per channel.

    Raises:
        ValueError: `width` is neither C nor the entries of all positions together.
    """
    rows, _ = as_rows(activations, width)
    return rows.reshape(-1, width).double().mean(0).to(activations.dtype)


def _is_zero(dose: Dose) -> bool:
    # A dose that is being tuned must stay in the graph, even at zero.
    if isinstance(dose, Tensor):
        return not dose.requires_grad and not bool(dose.any())
    return dose == 0


def _as_dose(dose: Dose, rows: Tensor) -> Tensor:
    return torch.as_tensor(dose, dtype=rows.dtype, device=rows.device)


def _in_channels(activations: Tensor, changed: Tensor, channels: Sequence[int] | None) -> Tensor:
    if channels is None:
        return changed
    count = activations.shape[1]
    if any(not 0 <= channel < count for channel in channels):
        raise ValueError(
            f"has {count} channels, channels are {list(channels)}: give some of 0 to {count - 1}"
        )
    chosen = torch.zeros(count, dtype=torch.bool, device=activations.device)
    chosen[list(channels)] = True
    return torch.where(chosen.view(1, -1, *[1] * (activations.ndim - 2)), changed, activations)
