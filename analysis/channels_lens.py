"""The lens `channels`: through how many channels an early layer acts on a late one, and along which directions.

Beside each claim: the untrained network and the trained one with its weights permuted; and, of shared late spaces and
of the agreement with the covariance of late activations, what chance gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from .cell_offsets import OffsetSums
from .control_networks import permuted_weights
from .directions import Directions
from .effective_rank import effective_ranks
from .jacobian_spectrum import JacobianSpectrum, JacobianSums, spectra_agree
from .layer_activations import INPUTS, check_layers, hidden_layers, in_float64, tap
from .layer_jacobian import jacobians
from .lens import Findings
from .subject import Subject

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class ChannelsSettings:
    """Settings of the lens.

    Attributes:
        early: module name of the early layer, or `inputs`; default the first layer.
        late: that of the late one, or the name of an output such as `logits`; default the last hidden layer.
        inputs: so many of the subject's inputs.
        late_cells: of a late layer with cells, those drawn for each input.
        radius: offsets between convolutions go up to so many cells each way.
        directions: at most so many right singular vectors become directions.
        tolerance: singular values above this share of the largest count for the numerical rank.
        shown: singular values that the figures keep.
        seed: of every draw.
    """

    early: str | None = None
    late: str | None = None
    inputs: int = 400
    late_cells: int = 4
    radius: int = 2
    directions: int = 20
    tolerance: float = 1e-6
    shown: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("inputs", 1),
            ("late_cells", 1),
            ("radius", 0),
            ("directions", 1),
            ("shown", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not 1e-8 <= self.tolerance < 1:
            raise ValueError(
                f"tolerance is {self.tolerance}: give 1e-8 to 1, below it singular values are rounding"
            )
        if self.early is not None and self.early == self.late:
            raise ValueError(f"early and late are both {self.early!r}: give two layers")


def channels(
    subject: Subject, settings: ChannelsSettings | None = None, *, on_step: OnStep = lambda step: None
) -> Findings:
    """Channels between two layers of a subject, and the figures about them.

    Args:
        subject: a trained network, an untrained one, and inputs.
        settings: default `ChannelsSettings()`.
        on_step: called with the name of each step as it begins.

    Returns:
        Findings. Directions: leading right singular vectors of the stacked Jacobian, over all activations of the early
        layer, flattened as it gives them; none where `early` is `inputs`. Figures: `early`, `late`, and per network
        (`trained`, `untrained`, `permuted`): singular values, `ranks` stacked, late and per input, `shared_late_space`,
        `covariance` (ranks of the covariance of late activations, and its `agreement` with E[J Jᵀ]), and `offsets`, a
        table for each pair of adjacent convolutions.

    Raises:
        ValueError: a layer is unknown or not called, the late one does not depend on the early one, or values are not
            finite or too many.
    """
    settings = settings or ChannelsSettings()
    exact = in_float64(subject).of(slice(0, settings.inputs))
    early, late = _ends(exact, settings)
    check_layers(exact, [early, late])
    networks = {
        "trained": exact.network,
        "untrained": exact.untrained,
        "permuted": permuted_weights(exact.network, seed=settings.seed),
    }
    figures: dict[str, Any] = {
        "kind": subject.kind,
        "inputs": len(exact),
        "source": dict(subject.source),
        "early": early,
        "late": late,
        "networks": {},
    }
    spectra = {}
    for which, network in networks.items():
        on_step(f"Jacobians from {early} to {late}, {which}")
        spectra[which], figures["networks"][which] = _between(exact.at(network), early, late, settings)
        figures["networks"][which]["offsets"] = {}
        for first, second in _convolutions(exact):
            on_step(f"offsets from {first} to {second}, {which}")
            table = _offsets(exact.at(network), first, second, settings)
            figures["networks"][which]["offsets"][f"{first} to {second}"] = table
    directions = (
        {} if early == INPUTS else {early: _directions(exact, spectra["trained"], early, late, settings)}
    )
    return Findings(figures, directions)


def _ends(subject: Subject, settings: ChannelsSettings) -> tuple[str, str]:
    hidden = hidden_layers(subject) if settings.early is None or settings.late is None else []
    if settings.late is not None and settings.early is not None:
        return settings.early, settings.late
    early = settings.early if settings.early is not None else (hidden[0] if hidden else INPUTS)
    if settings.late is not None:
        return early, settings.late
    after = [name for name in hidden if name != early]
    return early, after[-1] if after else next(iter(subject.outputs))


def _between(
    subject: Subject, early: str, late: str, settings: ChannelsSettings
) -> tuple[JacobianSpectrum, dict[str, Any]]:
    sums: JacobianSums | None = None
    seen: list[torch.Tensor] = []
    for found in jacobians(subject, early, late, cells=settings.late_cells, seed=settings.seed):
        blocks = found.flat
        sums = sums or JacobianSums(
            blocks.shape[1], blocks.shape[2], seed=settings.seed, device=blocks.device
        )
        sums.add(blocks)
        seen.append(found.late.flatten(0, 1))
    if sums is None:
        raise ValueError("inputs: the subject has none")
    spectrum = sums.spectrum()
    values = torch.cat(seen)
    values = values - values.mean(0)
    covariance = (values.T @ values / len(values)).cpu().numpy()
    ranks = spectrum.ranks(tolerance=settings.tolerance)
    squares = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0)
    return spectrum, {
        "singular_values": spectrum.singular_values[: settings.shown].tolist(),
        "late_values": spectrum.late_values[: settings.shown].tolist(),
        "nodes": {"early": len(spectrum.right), "late": len(spectrum.left)},
        "blocks": spectrum.blocks,
        "ranks": ranks,
        "shared_late_space": spectrum.shared_late_space(),
        "covariance": {
            "values": np.sqrt(squares)[: settings.shown].tolist(),
            "ranks": effective_ranks(np.sqrt(squares), tolerance=settings.tolerance),
            "agreement": spectra_agree(spectrum.left, covariance),
        },
    }


def _convolutions(subject: Subject) -> list[tuple[str, str]]:
    return [
        (first, second)
        for (first, one), (second, two) in pairwise(subject.layers.items())
        if isinstance(one, nn.Conv2d) and isinstance(two, nn.Conv2d)
    ]


def _offsets(
    subject: Subject, first: str, second: str, settings: ChannelsSettings
) -> list[dict[str, object]]:
    sums = OffsetSums(settings.radius)
    for found in jacobians(subject, first, second, cells=settings.late_cells, seed=settings.seed):
        sums.add(found)
    return sums.table(tolerance=settings.tolerance)


def _directions(
    subject: Subject, spectrum: JacobianSpectrum, early: str, late: str, settings: ChannelsSettings
) -> Directions:
    values = spectrum.singular_values
    kept = min(settings.directions, int((values > settings.tolerance * values[0]).sum()))
    one = tap(subject.of(slice(0, 1)), [early])
    vectors = spectrum.right_vectors[:kept].reshape(kept, *one.units(early).shape[1:])
    if early in one.last:  # tokens come before units there
        vectors = vectors.transpose(0, 2, 1)
    return Directions(
        vectors=np.ascontiguousarray(vectors.reshape(kept, -1)),
        singular_values=values[:kept],
        profiles=np.zeros((0, kept)),
        space=early,
        source={"lens": "channels", "early": early, "late": late, "inputs": len(subject)},
    )
