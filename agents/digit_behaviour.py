"""What a classifier does with each digit: measured on every image, differentiable in the probability."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..envs.digits import Digits
from .classifiers import NUM_DIGITS

Classifier = Callable[[Tensor], Tensor]
"""Images (B, 1, 28, 28) to logits (B, 10)."""

CHANCE = 1 / NUM_DIGITS
"""Accuracy of a guess."""

DIGIT_MEASURES: Mapping[str, str] = {
    f"digit_{digit}": f"images of a {digit} are called a {digit}" for digit in range(NUM_DIGITS)
}
"""Measure name to what it says."""

_BATCH = 2500
# Larger batches leave the processor's cache.


class DigitBehaviour:
    """A classifier on a fixed set of digits.

    Attributes:
        digits: the images and labels.
        measures: name → what it says.
    """

    measures = DIGIT_MEASURES

    def __init__(self, digits: Digits, *, device: str | torch.device = "cpu"):
        self.digits = digits
        self.labels = digits.labels.to(device)
        self._inputs = digits.inputs().to(device)
        self._members = {f"digit_{d}": torch.nonzero(self.labels == d)[:, 0] for d in range(NUM_DIGITS)}
        missing = [name for name, members in self._members.items() if not len(members)]
        if missing:
            raise ValueError(f"the images hold no {missing[0].replace('_', ' ')}: give some of every digit")

    def logits(self, classifier: Classifier) -> Tensor:
        """(N, 10), differentiable."""
        return torch.cat([classifier(images) for images in self._inputs.split(_BATCH)]).float()

    def correct(self, classifier: Classifier) -> dict[str, Tensor]:
        """digit_0 … digit_9: 1 where an image of that digit is recognised, else 0, (n_digit,) float32."""
        right = (self.logits(classifier).argmax(1) == self.labels).float()
        return self._by_digit(right)

    def right_label_probability(self, classifier: Classifier) -> dict[str, Tensor]:
        """digit_0 … digit_9: softmax probability of the right label, (n_digit,): what `correct` is made smooth by."""
        probability = self.logits(classifier).softmax(1).gather(1, self.labels[:, None])[:, 0]
        return self._by_digit(probability)

    def confusion(self, classifier: Classifier) -> Tensor:
        """Share of the images of each digit (row) that are called each digit (column), (10, 10) float64."""
        called = self.logits(classifier).argmax(1)
        counts = torch.bincount(self.labels * NUM_DIGITS + called, minlength=NUM_DIGITS**2)
        table = counts.view(NUM_DIGITS, NUM_DIGITS).double()
        return table / table.sum(1, keepdim=True)

    def _by_digit(self, per_image: Tensor) -> dict[str, Tensor]:
        return {name: per_image[members] for name, members in self._members.items()}
