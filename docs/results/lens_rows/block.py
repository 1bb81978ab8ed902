"""A table of one run, as `lens_tables` tells it over seeds."""

from dataclasses import dataclass
from typing import Any

Rows = dict[str, dict[str, Any]]
"""What a row is → column → the figure of one run."""
RANKS = {
    "participation": "participation",
    "stable": "stable rank",
    "entropy": "entropy",
    "energy_90": "90 % of energy",
    "energy_99": "99 % of energy",
    "numerical": "numerical",
}
"""Definition of an effective rank → what a table calls it."""


@dataclass(frozen=True)
class Block:
    """A table of one run.

    Attributes:
        caption: the sentence above it.
        rows: its figures.
        held: the column that is held against others, in every run by itself.
        against: those; none is no comparison.
        digits: after the point; None is three of any size.
        once: whether the figures are the same in every run, whatever its seed.
    """

    caption: str
    rows: Rows
    held: str = ""
    against: tuple[str, ...] = ()
    digits: int | None = 2
    once: bool = False
