"""A run directory of whichever kind."""

from pathlib import Path

from .digit_run import DigitRun
from .files import RunConflictError, RunFileError, read_json
from .procgen_run import ProcgenRun
from .run import Run

AnyRun = Run | ProcgenRun | DigitRun
MazeRun = Run | ProcgenRun
"""Of an agent in mazes, whose world has two goals."""
_KINDS: dict[str, type[AnyRun]] = {kind.kind: kind for kind in (Run, ProcgenRun, DigitRun)}


def open_maze_run(directory: Path) -> MazeRun:
    """The run of an agent in mazes, ours or Procgen's, in a directory.

    Raises:
        RunFileError: it is no run directory.
        RunConflictError: it is a classifier's.
    """
    run = open_run(directory)
    if isinstance(run, DigitRun):
        raise RunConflictError(
            f"{directory} holds a run of {run.kind}, wanted one of {Run.kind} or {ProcgenRun.kind}: runs of digits are "
            f"made and gone on with by goalcut mnist"
        )
    return run


def open_run(directory: Path) -> AnyRun:
    """The run in a directory.

    Raises:
        RunFileError: it is no run directory, or of a kind that this goalcut does not know.
    """
    path = Path(directory) / "config.json"
    config = read_json(path)
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise RunFileError(
            f"{path} is of kind {kind!r}, known are {', '.join(_KINDS)}: was it made by a newer goalcut?"
        )
    return _KINDS[kind](directory)
