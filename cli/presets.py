"""Named starting points for the settings; what is given beside a preset wins."""

from typing import Any

import tyro

from ..agents.run import PRESETS
from .settings import MnistCommand, RunCommand, TrainCommand


def with_preset(kind: Any, argv: list[str]) -> Any:
    """The defaults of a command, from the preset named in `argv` if it takes one.

    Raises:
        ValueError: there is no such preset.
    """
    if kind is MnistCommand:
        return kind()
    if kind not in (RunCommand, TrainCommand):
        return kind(directory=tyro.MISSING)
    name: Any = "default"
    for place, word in enumerate(argv):
        if word == "--preset" and place + 1 < len(argv):
            name = argv[place + 1]
        elif word.startswith("--preset="):
            name = word.partition("=")[2]
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}: give one of {', '.join(PRESETS)}")
    return kind(directory=tyro.MISSING, preset=name, train=PRESETS[name])
