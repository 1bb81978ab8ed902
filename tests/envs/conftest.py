"""Worlds beside the registered ones: a small one whose progress shows, with its environments, and a crowded one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import pytest

from goalcut.envs import CheeseMazeEnv, CheeseMazeVectorEnv
from goalcut.envs.ground import Ground, Places
from goalcut.envs.world import (
    NAVIGATION,
    SHIFTED,
    TRAINING,
    Event,
    Measure,
    Progress,
    Thing,
    World,
    WorldGoal,
)

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


@dataclass(frozen=True)
class Crowded(World):
    """Two keys of one look, a chest that a key opens and that pays, a red gem of two planes, a dish, lava."""

    name: ClassVar[str] = "crowded"
    title: ClassVar[str] = "a crowd of things"
    distributions: ClassVar[Mapping[str, str]] = {TRAINING: "anywhere", SHIFTED: "anywhere"}
    status_planes: ClassVar[tuple[str, ...]] = ("keys held",)

    @property
    def things(self) -> tuple[Thing, ...]:
        return (
            Thing("key_1", ("keys",), "K"),
            Thing("key_2", ("keys",), "K"),
            Thing("chest_1", ("chests",), "T"),
            Thing("red_gem", ("red", "gem"), "G", acts=False),
            Thing("yellow_line", ("yellow", "line"), "Y", acts=False),
            Thing("red_line", ("red", "line"), "R", acts=False),
            Thing("dish", ("dish",), "D", count=2, acts=False),
            Thing("lava", ("lava",), "L", count=3),
        )

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(["chest_1"])

    def place(self, distribution: str, ground: Ground) -> Places:
        names = ("key_1", "key_2", "chest_1", "red_gem", "yellow_line", "red_line")
        return ground.place("random", ground.free, dict.fromkeys(names, ground.free))

    @property
    def initial(self) -> Progress:
        return (frozenset[str](), False)

    def arrive(self, progress: Progress, touched: frozenset[str]) -> tuple[Progress, float]:
        taken, opened = progress  # pyright: ignore
        taken = taken | (touched & {"key_1", "key_2"})
        opens = "chest_1" in touched and bool(taken) and not opened
        return (taken, opened or opens), float(opens)

    def over(self, progress: Progress, touched: frozenset[str]) -> bool:
        return progress[1] or "lava" in touched  # pyright: ignore

    def shown(self, progress: Progress) -> frozenset[str]:
        return super().shown(progress) - progress[0]  # pyright: ignore

    def status(self, progress: Progress) -> tuple[int, ...]:
        return (len(progress[0]),)  # pyright: ignore

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (NAVIGATION,)

    @property
    def goals(self) -> tuple[WorldGoal, WorldGoal]:
        return WorldGoal("keys", "navigation"), WorldGoal("chest", "navigation")


@pytest.fixture(scope="session")
def crowded() -> World:
    return Crowded(size=9)
