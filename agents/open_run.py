"""A run directory of whichever kind."""

from pathlib import Path

from .digit_run import DigitRun
from .files import RunFileError, read_json
from .run import Run

_KINDS: dict[str, type[Run] | type[DigitRun]] = {kind.kind: kind for kind in (Run, DigitRun)}


def open_run(directory: Path) -> Run | DigitRun:
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
