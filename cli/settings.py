"""One frozen dataclass per command: what it takes, and what `--help` says of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..ablate.digit_cuts import DigitAblateSettings
from ..ablate.maze_cuts import AblateSettings
from ..agents.classification import DigitSettings
from ..agents.run import TrainSettings
from ..analysis.digit_analysis import DigitAnalyzeSettings
from ..analysis.maze_analysis import AnalyzeSettings
from ..envs.generator import Split
from ..envs.world import TRAINING, World
from ..envs.worlds import CheeseInCorner

RunDirectory = Annotated[Path, tyro.conf.Positional]
WorldName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="WORLD")]
WorldSettings = Annotated[World, tyro.conf.arg(name="")]
Preset = Literal["default", "random-start"]


@dataclass(frozen=True)
class EvaluateSettings:
    """How the exact measures are taken.

    Attributes:
        levels: held-out levels of each kind.
        rollout: evaluate θ after so many rollouts; default the end of training.
        parameters: evaluate these parameters instead (safetensors, as a cut leaves them).
    """

    levels: int = 400
    rollout: int | None = None
    parameters: Path | None = None

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels is {self.levels}: give at least 2")
        if self.rollout is not None and self.parameters is not None:
            raise ValueError("rollout and parameters are both given: give one of them")


@dataclass(frozen=True)
class RunCommand:
    """Train, evaluate, analyze, ablate and report: all of it, going on where an earlier call stopped.

    Example: `goalcut run runs/demo`, or for a small try of one minute
    `goalcut run runs/small --world.size 7 --world.corner-size 4 --ppo.rollouts 60`.

    Attributes:
        directory: the run directory, made if missing.
        preset: `default` (9×9, mouse bottom left, corner region 5×5: the goals come one after the other) or
            `random-start` (9×9, corner region 3×3: the clearest misgeneralization).
        train: what is trained, as `goalcut train` takes it.
        analyze: what the temporal lens computes.
        ablate: which cuts are made and how they are judged.
        evaluate: how the exact measures are taken.
    """

    directory: RunDirectory
    preset: Preset = "default"
    train: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)
    analyze: AnalyzeSettings = field(default_factory=AnalyzeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)


@dataclass(frozen=True)
class TrainCommand:
    """Train an agent with every gradient on record. A killed training goes on with the same command.

    Example: `goalcut train runs/seed-1 --seed 1`.

    Attributes:
        directory: the run directory, made if missing.
        preset: `default` or `random-start`; single settings given beside it win.
        train: what is trained.
    """

    directory: RunDirectory
    preset: Preset = "default"
    train: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)


@dataclass(frozen=True)
class EvaluateCommand:
    """Measure exactly what the agent does on held-out levels, beside untrained, uniform and shortest path.

    Attributes:
        directory: a trained run.
        evaluate: how.
    """

    directory: RunDirectory
    evaluate: Annotated[EvaluateSettings, tyro.conf.arg(name="")] = field(default_factory=EvaluateSettings)


@dataclass(frozen=True)
class AnalyzeCommand:
    """Find directions by when they were trained: temporal SVD of the gradient log, beside its nulls.

    Attributes:
        directory: a trained run.
        analyze: what is computed.
    """

    directory: RunDirectory
    analyze: Annotated[AnalyzeSettings, tyro.conf.arg(name="")] = field(default_factory=AnalyzeSettings)


@dataclass(frozen=True)
class AblateCommand:
    """Cut directions out, beside controls, and tell which goal went away.

    Attributes:
        directory: an analyzed run.
        ablate: which cuts, judged how.
    """

    directory: RunDirectory
    ablate: Annotated[AblateSettings, tyro.conf.arg(name="")] = field(default_factory=AblateSettings)


@dataclass(frozen=True)
class ReportCommand:
    """Write report.html, one self-contained file, and print a summary.

    Attributes:
        directory: a run, as far as it has come.
    """

    directory: RunDirectory


@dataclass(frozen=True)
class MnistCommand:
    """The baseline that the idea came from: the gradient SVD of a classifier of MNIST, on the whole matrix.

    Trains it with every gradient on record, counts singular values of sampled and of all updates beside their nulls,
    tests whether directions turn when digits do, cuts directions and digits out beside controls, and reports.

    Example: `goalcut mnist` (under 4 minutes on 2 cores), or another seed: `goalcut mnist runs/mnist-1 --seed 1`.
    All networks, optimizers, batch sizes and seeds: `goalcut mnist runs/mnist-table --table` (one to two hours; it
    goes on where it was stopped).

    Attributes:
        directory: the run directory, made if missing; default runs/mnist, or runs/mnist-table with `table`.
        table: fill the table of counts in this directory instead.
        seeds: of the table's main lines.
        train: what is trained; with `table` only its data_dir, epochs, batch_size, device and threads count.
        analyze: what is computed from the gradient log.
        ablate: which cuts are made and how they are judged.
    """

    directory: Annotated[Path | None, tyro.conf.Positional] = None
    table: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    seeds: int = 5
    train: Annotated[DigitSettings, tyro.conf.arg(name="")] = field(default_factory=DigitSettings)
    analyze: DigitAnalyzeSettings = field(default_factory=DigitAnalyzeSettings)
    ablate: DigitAblateSettings = field(default_factory=DigitAblateSettings)

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds}: give at least 1")


@dataclass(frozen=True)
class PlayCommand:
    """Walk the mazes of a world with the keys: arrows, WASD or hjkl; n next level, r again, q quit.

    Example: `goalcut play corner --size 9 --distribution conflict --seed 3`.

    Attributes:
        world_name: which world; each has settings of its own.
        world: its settings.
        distribution: what levels are drawn from: `training`, `shifted`, or another of the world.
        split: of the levels.
        seed: of the levels.
        first: number of the level to begin with.
        time_limit: steps an episode may take; default 8 × size.
    """

    world_name: WorldName = CheeseInCorner.name
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

    Example: `goalcut levels corner --distribution conflict --count 2000 --png levels.png`.

    Attributes:
        world_name: which world; each has settings of its own.
        world: its settings.
        distribution: what levels are drawn from: `training`, `shifted`, or another of the world.
        split: which levels are drawn; all splits are counted.
        seed: of the levels.
        count: levels of each split to count.
        show: how many of them to draw; 0 draws none.
        png: write those drawn as a picture.
        gif: write those drawn, each with a shortest walk to what pays.
        cell: pixels along the side of a cell of these.
    """

    world_name: WorldName = CheeseInCorner.name
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
        _check_world(self.world_name, self.world, self.distribution)


def _check_world(name: str, world: World, distribution: str) -> None:
    if world.name != name:
        raise ValueError(
            f"the world {name!r} is named, the settings are of {world.name!r}: name the world first"
        )
    if distribution not in world.distributions:
        raise ValueError(f"distribution is {distribution!r}: give one of {', '.join(world.distributions)}")
