"""What a lens gives: directions to be cut, and the figures that say what it found beside its controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .directions import Directions

OnStep = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, eq=False)
class Findings:
    """What a lens found in one subject.

    Attributes:
        figures: numbers, strings, lists and dictionaries of them, as lenses/NAME.json keeps them; each claim beside
            its controls.
        directions: name → directions, strongest first. One set per space: `parameters`, or a layer's activations,
            named as `Directions.space` says.
    """

    figures: Mapping[str, Any]
    directions: Mapping[str, Directions] = field(default_factory=dict)
