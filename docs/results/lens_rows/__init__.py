"""What lenses found in one run, as figures beside their controls; `lens_tables` tells them over seeds."""

from collections.abc import Callable, Mapping
from typing import Any

from .ansatz import ansatz
from .block import Block
from .channels import channels
from .compare import compare
from .courses import COURSES
from .curvature import curvature
from .features import features
from .rotation import rotation

LENSES: Mapping[str, Callable[[Mapping[str, Any]], list[Block]]] = {
    "ansatz": ansatz,
    "curvature": curvature,
    "features": features,
    "rotation": rotation,
    "channels": channels,
}
"""Name of a lens → the figures of its file to blocks."""

__all__ = ["COURSES", "LENSES", "Block", "compare"]
