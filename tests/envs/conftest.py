"""A world with several things, for the tests of what levels look like and how they are edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from goalcut.envs.ground import Ground, Places
from goalcut.envs.world import NAVIGATION, SHIFTED, TRAINING, Measure, Progress, Thing, World, WorldGoal


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
