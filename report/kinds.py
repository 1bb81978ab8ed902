"""Which learner's run a directory holds."""

from pathlib import Path

from ..agents.digit_run import DigitRun
from ..agents.open_run import open_run
from ..agents.procgen_run import ProcgenRun
from .digit_inputs import DigitInputs
from .maze_inputs import MazeInputs
from .procgen_inputs import ProcgenInputs

AnyInputs = MazeInputs | DigitInputs


def inputs_of(directory: Path) -> AnyInputs:
    """Read a run directory of any kind.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
    """
    run = open_run(directory)
    if isinstance(run, DigitRun):
        return DigitInputs.of(directory)
    return (ProcgenInputs if isinstance(run, ProcgenRun) else MazeInputs).of(directory)
