"""What is planned of an ablation: its settings, and cuts by the goal each is meant to remove and how it is chosen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ..analysis.directions import Directions
from .goal import Goal
from .selection import Selection, by_time
from .tuned import TuneSettings

Choice = Callable[[Directions], Selection]
ControlsOf = Literal["all", "headline"]
"""Which cuts stand beside their controls."""


@dataclass(frozen=True)
class CutSettings:
    """Which cuts are made, whatever was learned.

    Attributes:
        count: directions of a profile cut.
        strongest: profile cuts by earliest and latest choose among so many of the strongest directions.
        draws: draws of each random control of a headline cut; the other cuts have one, or none.
        controls_of: `all` cuts stand beside their controls, or the `headline` ones only.
        doses: doses of the dose–response curves.
        tune: how tuned doses are optimised.
        seed: of the random controls.
        other_run: another seed's analysed run of the same world and network, for the control "another seed".
    """

    count: int = 5
    strongest: int = 40
    draws: int = 3
    controls_of: ControlsOf = "all"
    doses: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    tune: TuneSettings = field(default_factory=TuneSettings)
    seed: int = 0
    other_run: Path | None = None

    def __post_init__(self) -> None:
        self._check_least(count=1, strongest=1, draws=1)
        if self.controls_of not in get_args(ControlsOf):
            known = ", ".join(get_args(ControlsOf))
            raise ValueError(f"controls_of is {self.controls_of!r}: give one of {known}")
        if not self.doses:
            raise ValueError("doses is empty: give at least one dose")
        for dose in self.doses:
            if dose < 0:
                raise ValueError(f"doses is {dose}: give doses of 0 or more")

    def _check_least(self, **least: int) -> None:
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {value}")


@dataclass(frozen=True)
class PlannedCut:
    """A cut before it is made.

    Attributes:
        name: what it is.
        goal: what it is meant to remove.
        choose: the choice, to be made among any lens's directions (this run's, or another seed's); None takes all of
            them, each at a dose of its own, tuned.
        neighbour: the same choice at a neighbouring time; None where there is none, or doses are tuned.
        headline: whether it is shown in dose–response curves, with more draws of its random controls.
        rewinds: times to rewind to besides that of the directions, as shares of the training.
    """

    name: str
    goal: Goal
    choose: Choice | None = None
    neighbour: Choice | None = None
    headline: bool = False
    rewinds: tuple[float, ...] = ()

    def controlled(self, settings: CutSettings) -> bool:
        """Whether it stands beside its controls."""
        return self.headline or settings.controls_of == "all"


def timed(count: int, among: int, *, latest: bool = False, skip: int = 0) -> Choice:
    """The choice by time among so many of the strongest directions of whatever lens it meets."""

    def choose(found: Directions) -> Selection:
        strongest = found.subset(range(min(among, len(found))))
        return by_time(strongest, count, latest=latest, skip=skip)

    return choose
