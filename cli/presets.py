"""Named starting points for the settings; what is given beside a preset wins."""

from collections.abc import Container, Sequence
from typing import Any

import tyro

from ..agents.run import PRESETS
from ..envs.world import World
from ..envs.worlds import WORLDS, CheeseInCorner, world_named
from .settings import LevelsCommand, MnistCommand, PlayCommand, RunCommand, TrainCommand


def with_preset(kind: Any, argv: list[str]) -> Any:
    """The defaults of a command, from the preset named in `argv` if it takes one.

    Raises:
        ValueError: there is no such preset or world.
    """
    if kind is MnistCommand:
        return kind()
    if kind in (PlayCommand, LevelsCommand):
        name = first_word(argv, WORLDS) or CheeseInCorner.name
        return kind(world_name=name, world=default_world(name))
    if kind not in (RunCommand, TrainCommand):
        return kind(directory=tyro.MISSING)
    name: Any = word_after(argv, "--preset", "default")
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}: give one of {', '.join(PRESETS)}")
    return kind(directory=tyro.MISSING, preset=name, train=PRESETS[name])


def default_world(name: str) -> World:
    """The card of that name at its own defaults; as a default value it tells tyro which settings there are.

    Raises:
        ValueError: there is no such world.
    """
    return world_named(name)()


def word_after(argv: Sequence[str], option: str, default: str) -> str:
    """The last value given to an option, as `--option value` or `--option=value`."""
    found = default
    for place, word in enumerate(argv):
        if word == option and place + 1 < len(argv):
            found = argv[place + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def first_word(argv: Sequence[str], known: Container[str]) -> str | None:
    """The word in the first place, known or not, or else the first word that is known; None if there is neither."""
    if argv and not argv[0].startswith("-"):
        return argv[0]
    return next((word for word in argv if word in known), None)
