"""Named starting points for the settings; what is given beside a preset or a world wins."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import tyro

from ..ablate.maze_cuts import ProcgenAblateSettings
from ..ablate.tuned import TuneSettings
from ..agents.files import RunFileError, read_json
from ..agents.procgen_run import ProcgenRun, ProcgenSettings
from ..agents.run import PRESETS
from ..envs.worlds import WORLDS, CheeseInCorner, world_named
from .parsing import UsageError
from .settings import (
    AblateCommand,
    EvaluateCommand,
    EvaluateProcgenSettings,
    MnistCommand,
    OnAgent,
    ProcgenCommand,
    RunCommand,
    StudyCommand,
    TrainCommand,
)
from .world_settings import LevelsCommand, PlayCommand

T = TypeVar("T")
_PUBLISHED = ProcgenSettings()
# The levels held out after 2,630 of training are of 3×3 to 7×7 cells, which take few forward passes.
PROCGEN_PRESETS = {
    "published": ProcgenCommand(directory=tyro.MISSING),
    "smoke": ProcgenCommand(
        directory=tyro.MISSING,
        preset="smoke",
        train=ProcgenSettings(
            mode="easy",
            corner_size=2,
            num_levels=2630,
            ppo=replace(_PUBLISHED.ppo, rollouts=4, num_envs=8, num_steps=16),
            measure_every=2,
            measure_levels=2,
        ),
        evaluate=EvaluateProcgenSettings(levels=4),
        ablate=ProcgenAblateSettings(
            levels=2,
            tuning_levels=8,
            curve_levels=2,
            count=1,
            tune=TuneSettings(steps=1),
            draws=1,
            doses=(0.0, 1.0),
        ),
    ),
}


def with_preset(kind: Any, argv: list[str]) -> Any:
    """The defaults of a command, from the preset and the world named in `argv` if it takes them.

    Raises:
        ValueError: there is no such preset or world, or both are given.
    """
    if kind is StudyCommand:
        return kind(name=tyro.MISSING)
    if kind in (PlayCommand, LevelsCommand):
        name = first_word(argv, WORLDS) or CheeseInCorner.name
        return kind(world_name=name, world=world_named(name)())
    if kind is EvaluateCommand and _names_procgen_run(argv):
        return EvaluateCommand(evaluate=EvaluateProcgenSettings())
    if kind is AblateCommand and _names_procgen_run(argv):
        return AblateCommand(ablate=ProcgenAblateSettings())
    if kind is MnistCommand or issubclass(kind, OnAgent):
        return kind()
    if kind is ProcgenCommand:
        return _known(option(argv, "--preset") or "published", PROCGEN_PRESETS)
    if kind not in (RunCommand, TrainCommand):
        return kind(directory=tyro.MISSING)
    preset, world = option(argv, "--preset"), option(argv, "--world")
    name: Any = preset or "default"
    train = _known(name, PRESETS)
    if world is not None:
        card = world_named(world)
        if not isinstance(train.world, card):
            if preset is not None:
                raise ValueError(
                    f"world is {world!r} beside preset {preset!r}, which is of the world {train.world.name!r}: give one"
                )
            train = replace(train, world=card())
    return kind(directory=tyro.MISSING, preset=name, world=train.world.name, train=train)


def _known(preset: str, presets: Mapping[str, T]) -> T:
    if preset not in presets:
        raise ValueError(f"preset is {preset!r}: give one of {', '.join(presets)}")
    return presets[preset]


def _names_procgen_run(argv: Sequence[str]) -> bool:
    """Whether one of the words is the directory of a run in Procgen's maze; what else it may be is told elsewhere."""
    for word in argv:
        try:
            if read_json(Path(word) / "config.json")["kind"] == ProcgenRun.kind:
                return True
        except (RunFileError, OSError, KeyError, TypeError, ValueError):
            continue
    return False


def option(argv: list[str], name: str) -> str | None:
    """The word after `name`, or after `name=`; the last one given counts."""
    found = None
    for place, word in enumerate(argv):
        if word == name and place + 1 < len(argv):
            found = argv[place + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def first_word(argv: Sequence[str], known: Container[str]) -> str | None:
    """The word in the first place, known or not, or else the first word that is known; None if there is neither."""
    if argv and not argv[0].startswith("-"):
        return argv[0]
    return next((word for word in argv if word in known), None)


def named_as_in_training(argv: Sequence[str]) -> list[str]:
    """The words of `goalcut play` and `levels` with `--world NAME --world.size 7` said as `NAME --size 7`.

    Raises:
        UsageError: the world is named in both ways.
    """
    world, words, value = option(list(argv), "--world"), [], False
    for word in argv:
        if not value and word != "--world" and not word.startswith("--world="):
            words.append(re.sub(r"^--world\.", "--", word))
        value = word == "--world"
    if world is None:
        return words
    other = first_word(words, WORLDS)
    if other is not None:
        raise UsageError(f"world is {other!r} beside --world {world!r}: give one")
    return [world, *words]
