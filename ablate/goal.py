"""A goal: the measure that stands for it, and what a cut of it must leave alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

LEAST_CHANGE = 0.05
"""Below this change of a measure by training its retention is a quotient of noise."""


@dataclass(frozen=True)
class Goal:
    """What a cut is meant to remove, in names of measures.

    Attributes:
        name: what it is called.
        remove: the measure that stands for it.
        keep: the measures of the other goals, which a selective cut keeps.
        guard: further measures that tuning keeps, each with its weight; they tell a cut agent from a broken one and
            take no part in selectivity.
    """

    name: str
    remove: str
    keep: tuple[str, ...]
    guard: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.keep:
            raise ValueError(
                f"keep of goal {self.name!r} is empty: give the measures that its cut should keep"
            )
        if self.remove in self.keep:
            raise ValueError(f"goal {self.name!r} both removes and keeps {self.remove!r}: give it once")

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure that it names."""
        return (self.remove, *self.keep, *self.guard)

    def selectivity(self, retention: Mapping[str, Tensor]) -> Tensor:
        """Mean retention of the measures to keep − that of the one to remove, each clipped to 0…1; any shape."""
        kept = torch.stack([retention[name].clamp(0, 1) for name in self.keep])
        return kept.mean(0) - retention[self.remove].clamp(0, 1)
