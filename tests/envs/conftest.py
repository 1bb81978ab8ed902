"""A small world whose progress shows, beside the registered ones, and its environments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import gymnasium

from goalcut.envs import CheeseMazeEnv, CheeseMazeVectorEnv
from goalcut.envs.ground import Ground, Places
from goalcut.envs.world import SHIFTED, TRAINING, Event, Measure, Progress, Thing, World, WorldGoal

NAMES = ("crumb_0", "crumb_1")


@dataclass(frozen=True)
class Crumbs(World):
    """Two crumbs, a half each; both vanish when eaten, and the second ends the episode."""

    name: ClassVar[str] = "crumbs"
    title: ClassVar[str] = "crumbs"
    distributions: ClassVar[Mapping[str, str]] = {TRAINING: "anywhere", SHIFTED: "anywhere"}

    @property
    def things(self) -> tuple[Thing, ...]:
        return tuple(Thing(name, ("cheese",), "C") for name in NAMES)

    @property
    def initial(self) -> Progress:
        return frozenset()

    def place(self, distribution: str, ground: Ground) -> Places:
        return ground.place(self.start, ground.free, dict.fromkeys(NAMES, ground.free))

    def arrive(self, progress: Progress, touched: frozenset[str]) -> tuple[Progress, float]:
        assert isinstance(progress, frozenset)
        return progress | touched, 0.5 * len(touched - progress)

    def over(self, progress: Progress, touched: frozenset[str]) -> bool:
        assert isinstance(progress, frozenset)
        return len(progress) == len(NAMES)

    def shown(self, progress: Progress) -> frozenset[str]:
        assert isinstance(progress, frozenset)
        return frozenset(NAMES) - progress

    @property
    def measures(self) -> tuple[Measure, ...]:
        eaten = Event(when=bool)
        return (
            Measure("corner_first", "corner before any crumb", SHIFTED, Event("corner"), avoid=eaten),
            Measure("second_from_first", "both", SHIFTED, Event(("crumb_0", "crumb_1"), when=bool)),
            Measure("crumb_return", "both crumbs", TRAINING, kind="reward"),
        )

    @property
    def goals(self) -> tuple[WorldGoal, WorldGoal]:
        return WorldGoal("corner", "corner_first"), WorldGoal("crumbs", "crumb_return")


gymnasium.register(
    "goalcut-tests/Crumbs-v0",
    entry_point=CheeseMazeEnv,
    vector_entry_point=CheeseMazeVectorEnv,
    kwargs={"world": Crumbs()},
)
