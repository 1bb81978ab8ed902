"""The normalised Jacobian between layers before and after a rotation, small enough to be drawn."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .jacobian_chain import JacobianChain
from .rotation_fit import RotationFit, rotated


def jacobian_images(
    chain: JacobianChain,
    fit: RotationFit,
    random: Mapping[int, np.ndarray],
    ordered: Mapping[int, tuple[np.ndarray, np.ndarray]],
    shown: int,
) -> dict[str, Any]:
    """Per pair of layers, before, after and in random bases, of the normalised Jacobian with its largest entry 1.

    `mean` is its entries' root mean square over blocks of held-out inputs, `one` the first of these blocks.

    Args:
        chain: the Jacobians.
        fit: the bases of `after`.
        random: of every layer, the bases of `random`.
        ordered: of layers that were fitted, the order that their rows are shown in, and how strong each is.
        shown: rows and columns kept.
    """
    found = {}
    for pair, (early, late) in enumerate(pairwise(chain.nodes)):
        J = chain.held_out[pair]
        eye = [np.eye(J.shape[2]), np.eye(J.shape[1])]
        after = rotated(J, fit.bases[pair + 1], fit.bases[pair])
        for side, layer in ((2, pair), (1, pair + 1)):
            if layer in ordered:
                order = torch.from_numpy(ordered[layer][0].copy()).to(after.device)
                after = after.index_select(side, order)
        found[f"{early} to {late}"] = {
            name: {
                "mean": _image(X.square().mean(0).sqrt(), shown),
                "one": _image(X[0], shown),
            }
            for name, X in (
                ("before", rotated(J, eye[1], eye[0])),
                ("after", after),
                ("random", rotated(J, random[pair + 1], random[pair])),
            )
        }
    return found


def _image(X: Tensor, shown: int) -> list[list[float]]:
    X = X[:shown, :shown]
    return (X / X.abs().max().clamp_min(1e-30)).double().cpu().numpy().round(3).tolist()
