"""The goals of a classifier, one per digit, and what it does with images as a judge takes it."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..agents.digit_behaviour import CHANCE, DIGIT_MEASURES, DigitBehaviour
from .goal import Goal
from .judge import Asked, Network

DIGIT_GOALS: tuple[Goal, ...] = tuple(
    Goal(name, remove=name, keep=tuple(other for other in DIGIT_MEASURES if other != name))
    for name in DIGIT_MEASURES
)
"""Each forgets one digit and keeps nine."""


class ClassifierBehaviour:
    """Accuracy on each digit; tuning goes through the probability of the right label, which is smooth.

    Retention counts from a guess: what an untrained classifier has right is chance, and all of one digit if that is
    what it always says.

    Args:
        digits: the images.
    """

    measures: Mapping[str, str] = DIGIT_MEASURES
    paired = False
    floor: Literal["untrained", "uniform"] = "uniform"

    def __init__(self, digits: DigitBehaviour):
        self.digits = digits

    def measure(self, network: Network) -> dict[str, Tensor]:
        """1 where an image of the digit is recognised, else 0; name → (n_digit,)."""
        return self.digits.correct(network)

    def surrogates(self, asked: Sequence[Asked]) -> list[dict[str, Tensor]]:
        """Probability of the right label on each image, name → (n_digit,); all digits' come at once."""
        return [self.digits.right_label_probability(network) for network, _ in asked]

    def uniform(self) -> dict[str, Tensor]:
        """What a guess has right on average, 0.1 on every image."""
        counts = torch.bincount(self.digits.labels, minlength=len(DIGIT_MEASURES)).tolist()
        return {name: torch.full((n,), CHANCE) for name, n in zip(DIGIT_MEASURES, counts, strict=True)}
