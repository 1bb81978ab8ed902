"""The settings of `goalcut play` and `goalcut levels`: a world by name, its own settings, and which levels of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ..envs.generator import Split
from ..envs.world import TRAINING, World
from ..envs.worlds import WORLDS, CheeseInCorner

NamedWorld = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="{" + ",".join(WORLDS) + "}")]
WorldSettings = Annotated[World, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class PlayCommand:
    """Walk the mazes of a world with the keys: arrows, WASD or hjkl; n next level, r again, q quit.

    Example: `goalcut play corner --size 9 --distribution conflict --seed 3`. The words of `goalcut train` do as well:
    `--world corner --world.size 9`.

    Attributes:
        world_name: which world; each has settings of its own.
        world: its settings.
        distribution: what levels are drawn from: `training`, `shifted`, or another of the world.
        split: of the levels.
        seed: of the levels.
        first: number of the level to begin with.
        time_limit: steps an episode may take; default 8 × size.
    """

    world_name: NamedWorld = CheeseInCorner.name
    world: WorldSettings = field(default_factory=CheeseInCorner)
    distribution: str = TRAINING
    split: Split = "train"
    seed: int = 0
    first: int = 0
    time_limit: int | None = None

    def check(self) -> None:
        """Refuse settings out of range; not while parsing, where tyro would draw a box around one line.

        Raises:
            ValueError: which, and what to give.
        """
        for name in ("seed", "first"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")
        if self.time_limit is not None and self.time_limit < 1:
            raise ValueError(f"time_limit is {self.time_limit}: give at least 1 step")
        _check_world(self.world_name, self.world, self.distribution)


@dataclass(frozen=True)
class LevelsCommand:
    """Look at the levels of a world, and count them: repeats within and between splits, lengths, solvable share.

    Example: `goalcut levels corner --distribution conflict --count 2000 --png levels.png`. The words of `goalcut train`
    do as well: `--world corner --world.size 9`.

    Attributes:
        world_name: which world; each has settings of its own.
        world: its settings.
        distribution: what levels are drawn from: `training`, `shifted`, or another of the world.
        split: which levels are drawn; all splits are counted.
        seed: of the levels.
        count: levels of each split to count.
        show: how many of them to draw; 0 draws none.
        png: write those drawn as a picture.
        gif: write those drawn, each walked as pays best, by the shortest way.
        cell: pixels along the side of a cell of these.
    """

    world_name: NamedWorld = CheeseInCorner.name
    world: WorldSettings = field(default_factory=CheeseInCorner)
    distribution: str = TRAINING
    split: Split = "train"
    seed: int = 0
    count: int = 1000
    show: int = 8
    png: Path | None = None
    gif: Path | None = None
    cell: int = 16

    def check(self) -> None:
        """Refuse settings out of range; not while parsing, where tyro would draw a box around one line.

        Raises:
            ValueError: which, and what to give.
        """
        for name, least in (("seed", 0), ("count", 1), ("show", 0), ("cell", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.show == 0 and (self.png or self.gif):
            raise ValueError("show is 0, so there is nothing to write to png or gif: give at least 1")
        for name, path in (("png", self.png), ("gif", self.gif)):
            if path is not None and not path.parent.is_dir():
                raise ValueError(
                    f"{name} is {path}: there is no folder {path.parent}; make it, or give another"
                )
            if path is not None and path.is_dir():
                raise ValueError(f"{name} is {path}, which is a folder: give the name of a file in it")
        _check_world(self.world_name, self.world, self.distribution)


def _check_world(name: str, world: World, distribution: str) -> None:
    if world.name != name:
        raise ValueError(
            f"the world {name!r} is named, the settings are of {world.name!r}: name the world first"
        )
    if distribution not in world.distributions:
        raise ValueError(f"distribution is {distribution!r}: give one of {', '.join(world.distributions)}")
