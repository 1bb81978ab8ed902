"""Classifiers of digits: images in, logits out."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from ..envs.digits import PIXELS

ClassifierName = Literal["mlp", "cnn"]
NUM_DIGITS = 10


def build_classifier(name: ClassifierName, hidden: Sequence[int] = (128,), *, seed: int) -> nn.Module:
    """A freshly initialised classifier, as torch initialises its layers (uniform, ±1/√fan-in).

    `mlp`: 784 pixels, ReLU layers of the `hidden` widths, 10 logits. (128,) has 101,770 parameters, (512, 512)
    669,706. `cnn`: 5×5 convolutions of 8 and 16 channels, each with ReLU and 2×2 pooling, then ReLU layers of the
    `hidden` widths.

    Raises:
        ValueError: `name` is neither, or a width is below 1.
    """
    if name not in ("mlp", "cnn"):
        raise ValueError(f"network is {name!r}: give 'mlp' or 'cnn'")
    if any(width < 1 for width in hidden):
        raise ValueError(f"hidden is {tuple(hidden)}: give widths of at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        features = PIXELS * PIXELS
        if name == "cnn":
            layers += [nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2)]
            layers += [nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
            features = 16 * 4 * 4
        layers.append(nn.Flatten())
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU()]
            features = width
        layers.append(nn.Linear(features, NUM_DIGITS))
        return nn.Sequential(*layers)
