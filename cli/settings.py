"""One frozen dataclass per command: what it takes, and what `--help` says of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..ablate.digit_cuts import DigitAblateSettings
from ..ablate.maze_cuts import AblateSettings, ProcgenAblateSettings
from ..agents.classification import DigitSettings
from ..agents.packaged import check_agent, packaged_agents, unpack_agent
from ..agents.procgen_run import ProcgenSettings
from ..agents.run import TrainSettings
from ..agents.run_directory import check_device
from ..agents.training_logs import LogKind
from ..analysis.digit_analysis import DigitAnalyzeSettings
from ..analysis.maze_analysis import AnalyzeSettings
from ..envs.worlds import WORLDS
from ..studies.cards import STUDIES, study_named
from ..studies.seeds import SeedSet, seed_set
from ..studies.study import Study

RunDirectory = Annotated[Path, tyro.conf.Positional]
OptionalDirectory = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DIRECTORY]")]
Preset = Literal["default", "random-start"]
ProcgenPreset = Literal["published", "smoke"]
StudyName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="{" + ",".join(STUDIES) + "}")]
AgentName = Annotated[str | None, tyro.conf.arg(metavar="{" + ",".join(packaged_agents()) + "}")]
WorldName = Annotated[str, tyro.conf.arg(metavar="{" + ",".join(WORLDS) + "}")]


@dataclass(frozen=True)
class EvaluateSettings:
    """How the exact measures are taken.

    Attributes:
        levels: held-out levels of each kind.
        rollout: evaluate θ after so many rollouts; default the end of training.
        parameters: evaluate these parameters instead (safetensors, as a cut leaves them).
        device: where the network is asked; default where the run was trained.
    """

    levels: int = 400
    rollout: int | None = None
    parameters: Path | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.device is not None:
            check_device(self.device)
        if self.levels < 2:
            raise ValueError(f"levels is {self.levels}: give at least 2")
        if self.rollout is not None and self.parameters is not None:
            raise ValueError("rollout and parameters are both given: give one of them")


@dataclass(frozen=True)
class EvaluateProcgenSettings(EvaluateSettings):
    """The same in Procgen's maze, where every state of every level is a picture: by default on fewer levels."""

    levels: int = 50


@dataclass(frozen=True)
class RunCommand:
    """Train, evaluate, analyze, ablate and report: all of it, going on where an earlier call stopped.

    Example: `goalcut run runs/demo`, or for a small try of one minute
    `goalcut run runs/small --world.size 7 --world.corner-size 4 --ppo.rollouts 60`.

    Attributes:
        directory: the run directory, made if missing.
        preset: `default` (9×9, mouse bottom left, corner region 5×5: the goals come one after the other) or
            `random-start` (9×9, corner region 3×3: the clearest misgeneralization).
        world: which world, by name; `--world NAME --help` lists its settings, `--world.size` and so on.
        train: what is trained, as `goalcut train` takes it.
        analyze: what the temporal lens computes.
        ablate: which cuts are made and how they are judged.
        evaluate: how the exact measures are taken.
        log: where training's records go as well: `csv`, `tensorboard` or `wandb`, one or more.
    """

    directory: RunDirectory
    preset: Preset = "default"
    world: WorldName = "corner"
    train: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)
    analyze: AnalyzeSettings = field(default_factory=AnalyzeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    log: tuple[LogKind, ...] = ()


@dataclass(frozen=True)
class TrainCommand:
    """Train an agent with every gradient on record. A killed training goes on with the same command.

    Example: `goalcut train runs/seed-1 --seed 1`.

    Attributes:
        directory: the run directory, made if missing.
        preset: `default` or `random-start`; single settings given beside it win.
        world: which world, by name; `--world NAME --help` lists its settings, `--world.size` and so on.
        train: what is trained.
        log: where the records of progress.jsonl go as well: `csv` (progress.csv in the run directory), `tensorboard`
            (look with: tensorboard --logdir RUN), or `wandb` (Weights & Biases; WANDB_MODE=offline needs no account);
            one or more. Logs are no part of what the run is: a training may go on with other ones.
    """

    directory: RunDirectory
    preset: Preset = "default"
    world: WorldName = "corner"
    train: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)
    log: tuple[LogKind, ...] = ()


@dataclass(frozen=True)
class OnAgent:
    """What is done to a trained agent: one of a run directory, or one that comes with the package.

    Attributes:
        directory: a run directory; with `--agent`, where that agent is to lie, default runs/NAME.
        agent: a trained agent that comes with goalcut, its directions beside it; its gradient log is left out.
    """

    directory: OptionalDirectory = None
    agent: AgentName = None

    def check(self) -> None:
        """Refuse neither, and an agent that is not there.

        Raises:
            ValueError: with what to give.
        """
        if self.directory is None and self.agent is None:
            raise ValueError(
                f"directory is missing: give a run directory, or --agent with one of {', '.join(packaged_agents())}"
            )
        if self.agent is not None:
            check_agent(self.agent)

    def there(self) -> Path:
        """The run directory; a packaged agent is put into it first."""
        if self.agent is not None:
            return unpack_agent(self.agent, self.directory).directory
        assert self.directory is not None
        return self.directory


@dataclass(frozen=True)
class EvaluateCommand(OnAgent):
    """Measure exactly what the agent does on held-out levels, beside untrained, uniform and shortest path.

    Example: `goalcut evaluate runs/demo`, or with no training before it `goalcut evaluate --agent corner-9x9`.

    Attributes:
        evaluate: how.
    """

    evaluate: Annotated[EvaluateSettings, tyro.conf.arg(name="")] = field(default_factory=EvaluateSettings)


@dataclass(frozen=True)
class AnalyzeCommand:
    """Find directions by when they were trained: temporal SVD of the gradient log, beside its nulls.

    Example: `goalcut analyze runs/demo`, or of one loss term's gradients `goalcut analyze runs/demo --rows policy`.

    Attributes:
        directory: a trained run.
        analyze: what is computed.
    """

    directory: RunDirectory
    analyze: Annotated[AnalyzeSettings, tyro.conf.arg(name="")] = field(default_factory=AnalyzeSettings)


@dataclass(frozen=True)
class AblateCommand(OnAgent):
    """Cut directions out, beside controls, and tell which goal went away.

    Example: `goalcut ablate runs/demo`, or with no training before it `goalcut ablate --agent corner-9x9`.

    Attributes:
        ablate: which cuts, judged how.
    """

    ablate: Annotated[AblateSettings, tyro.conf.arg(name="")] = field(default_factory=AblateSettings)


@dataclass(frozen=True)
class ReportCommand(OnAgent):
    """Write report.html, one self-contained file, and print a summary; of a run as far as it has come.

    Example: `goalcut report runs/demo`, then open runs/demo/report.html in a browser.
    """


@dataclass(frozen=True)
class LogsCommand:
    """Write a run's progress.jsonl as logs of other tools. Logs of before are written anew.

    The step is env steps for an agent and updates for a classifier; TensorBoard's relative time is the time spent
    training. To log while training, give `--log` to `goalcut train`, `run` or `mnist`.

    Example: `goalcut logs runs/demo --to csv tensorboard`, then `tensorboard --logdir runs/demo`.

    Attributes:
        directory: a run, as far as it has come.
        to: one or more of `csv`, `tensorboard`, `wandb`.
    """

    directory: RunDirectory
    to: tuple[LogKind, ...] = ("csv",)

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to is empty: give csv, tensorboard or wandb")


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
        log: where training's records go as well: `csv`, `tensorboard` or `wandb`, one or more; not with `table`.
    """

    directory: OptionalDirectory = None
    table: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    seeds: int = 5
    train: Annotated[DigitSettings, tyro.conf.arg(name="")] = field(default_factory=DigitSettings)
    analyze: DigitAnalyzeSettings = field(default_factory=DigitAnalyzeSettings)
    ablate: DigitAblateSettings = field(default_factory=DigitAblateSettings)
    log: tuple[LogKind, ...] = ()

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds}: give at least 1")
        if self.table and self.log:
            raise ValueError(f"log is {' '.join(self.log)} beside table, which logs nothing: leave one out")


@dataclass(frozen=True)
class ProcgenCommand:
    """Train an agent in Procgen's own maze, the cheese moved to the corner; evaluate, analyze, ablate and report.

    Needs goalcut[procgen], and a GPU for the default of 200M env steps, those of the published agents; what is done is
    not done again, and a killed training goes on with the same command. Of a run that is there, `goalcut evaluate`,
    `analyze`, `ablate`, `report` and `logs` do their part alone.

    Example: `goalcut procgen runs/p --device cuda`, or to see it work on a CPU
    `goalcut procgen runs/try --preset smoke`.

    Attributes:
        directory: the run directory, made if missing.
        preset: `published`, or `smoke`: every part of it within about a minute on two CPU cores, on small mazes, from a
            training too short to teach anything; single settings given beside it win.
        train: what is trained.
        analyze: what the temporal lens computes.
        ablate: which cuts are made and how they are judged.
        evaluate: how the exact measures are taken.
        log: where training's records go as well: `csv`, `tensorboard` or `wandb`, one or more.
    """

    directory: RunDirectory
    preset: ProcgenPreset = "published"
    train: Annotated[ProcgenSettings, tyro.conf.arg(name="")] = field(default_factory=ProcgenSettings)
    analyze: AnalyzeSettings = field(default_factory=AnalyzeSettings)
    ablate: ProcgenAblateSettings = field(default_factory=ProcgenAblateSettings)
    evaluate: EvaluateProcgenSettings = field(default_factory=EvaluateProcgenSettings)
    log: tuple[LogKind, ...] = ()


@dataclass(frozen=True)
class StudyCommand:
    """Answer a question over seeds: train, analyze and cut many agents, and put the seeds together.

    Studies: `timing` (when is each goal learned, and do late directions carry the late goal?), `cut` (can one goal be
    cut and the other kept?), `stars` (which schedule lets star-seeking be cut?), `methods` (which way of finding
    directions is best?), `robustness` (in which worlds, networks and learners does it hold, and does what was learned
    early persist?).

    Every run is an ordinary run directory, ROOT/NAME/VARIANT/seed-N, on which the other commands work. What is done is
    not done again: a study that was killed goes on with the same command, seeds can be added later, and any subset of
    those that are done can be told of by itself. A seed that fails is reported and loses nothing else; the exit code is
    then 1. Trained agents of another study with the same settings are taken over. Results: ROOT/NAME/results.json and
    report.html.

    Report seeds are those below 1000, judged on levels of split `test`. Recipes are to be chosen with `--development`
    instead: seeds from 1000 on, judged on other levels, in a folder of their own.

    Example: `goalcut study cut --dry-run` (what it will do, and for how long), then `goalcut study cut --seeds 36-45
    --jobs 2`; or to see the whole of it work within a minute or two, finding nothing: `goalcut study cut --tiny --seeds
    0-1`.

    Attributes:
        name: which study.
        seeds: a range or a list, such as 0-9 or 0,3,7; default those of the study.
        variants: only these of its variants; default all. `--dry-run` lists them.
        development: development seeds and levels instead of those of reports.
        jobs: runs at once, each in a process of its own.
        threads: CPU threads of each process; one makes runs bit-identical on one machine.
        root: where studies lie.
        drop_gradients: remove each run's gradient log once it is analyzed; the default is to keep it.
        only_done: train and measure nothing: tell of the seeds that are done.
        dry_run: print the plan, its time and its disk, and do nothing.
        tiny: the study in miniature, on 5×5 mazes.
    """

    name: StudyName
    seeds: str | None = None
    variants: tuple[str, ...] = ()
    development: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: int = 2
    threads: int = 1
    root: Path = Path("runs/studies")
    drop_gradients: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    only_done: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    tiny: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: with what to give instead.
        """
        for name in ("jobs", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        for variant in self.chosen_variants:
            self.study.settings(variant, 0, 1)
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants is {' '.join(self.variants)}, which names one twice: give each once")
        assert self.seed_set.seeds

    @property
    def study(self) -> Study:
        """The card, or its miniature."""
        study = study_named(self.name)
        return study.tiny() if self.tiny else study

    @property
    def seed_set(self) -> SeedSet:
        """The seeds, of the role asked for."""
        return seed_set(self.seeds or self.study.seeds, "development" if self.development else "report")

    @property
    def chosen_variants(self) -> tuple[str, ...]:
        """In the order of the study where none are named."""
        return self.variants or tuple(self.study.variants)
