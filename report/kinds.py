"""Which learner's run a directory holds."""

from pathlib import Path

from ..agents.digit_run import DigitRun
from ..agents.open_run import open_run
from .digit_inputs import DigitInputs
from .maze_inputs import MazeInputs

AnyInputs = MazeInputs | DigitInputs


def inputs_of(directory: Path) -> AnyInputs:
    """Read a run directory of either kind.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
    """
    return (DigitInputs if isinstance(open_run(directory), DigitRun) else MazeInputs).of(directory)
