"""What a report reads of a run in Procgen's maze."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..agents.procgen_run import ProcgenRun, ProcgenSettings
from ..agents.run_directory import RunDirectory
from .maze_inputs import MazeInputs


@dataclass(frozen=True)
class ProcgenInputs(MazeInputs):
    """The same of a run in Procgen's maze: its world is cheese in the corner, its levels are Procgen's."""

    run_type: ClassVar[type[RunDirectory[Any]]] = ProcgenRun
    whole: ClassVar[str] = "procgen"
    stages: ClassVar[frozenset[str]] = frozenset({"evaluate", "analyze", "ablate"})

    @property
    def default_settings(self) -> ProcgenSettings:
        """Those of the published agents."""
        return ProcgenSettings()

    @property
    def named_defaults(self) -> list[str]:
        """There is one set of defaults."""
        return []
