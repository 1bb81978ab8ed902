"""What a study is: a question, variants of a training, seeds, and what is measured of every run.

A study is a card, one readable file. The runner makes the same stages of every variant and seed: train, evaluate,
analyze, judge (what the study alone asks of a run) and ablate (cuts beside controls); `summarise` then puts the seeds
together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from ..ablate.maze_cuts import AblateSettings
from ..ablate.plan import PlannedCut
from ..ablate.tuned import TuneSettings
from ..agents.run import Run, TrainSettings
from ..analysis.directions import Directions
from ..analysis.lens import OnStep
from ..analysis.maze_analysis import AnalyzeSettings
from .results import RunResult
from .seeds import Role

STAGES = ("train", "evaluate", "analyze", "judge", "ablate")


@dataclass(frozen=True, eq=False)
class Judged:
    """What a study's `judging` is given of one run.

    Attributes:
        run: trained and analyzed.
        analysis: analysis.json.
        directions: the lens's.
        role: whether report or development levels are to be judged on: `levels_judged_on(role)`.
        levels: how many of each kind.
        on_step: to be called with what was done, how much is, and of how much.
    """

    run: Run
    analysis: dict[str, Any]
    directions: Directions
    role: Role
    levels: int
    on_step: OnStep = lambda what, done, of: None


class Judging(Protocol):
    """What a study alone asks of a run: a dataclass of all the settings that it goes by.

    A run judged by other settings is judged anew.
    """

    def __call__(self, judged: Judged, /) -> dict[str, Any]:
        """What it says of one run, JSON-able."""
        ...

    def tiny(self) -> Self:
        """The same within seconds; it finds nothing."""
        ...


Summarise = Callable[[Sequence[RunResult]], dict[str, Any]]
Recipes = Callable[[Run, Directions, Run | None], Sequence[PlannedCut]]
"""Further cuts of a run, from the run, its directions and the other seed's run that is their control."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study's card.

    Attributes:
        name: as `goalcut study NAME` has it.
        question: what it asks, one sentence.
        variants: name → what is trained; the seed of each is the study's to set.
        seeds: report seeds, where none are named.
        analyze: what the lens computes.
        ablate: which cuts are made; None makes none.
        recipes: further cuts, in the same table; named in `recipe_names`.
        recipe_names: of `recipes`: what makes a table of other recipes another table. Rename a recipe when it changes.
        levels: held-out levels of each kind, for the evaluation and for `judging`.
        judging: what this study alone asks of a run; study/judged.json. None asks nothing more.
        judging_version: raise it when what `judging` gives changes, its settings being the same.
        judging_seconds: what `judging` takes of the default run, on the machine of `costs.REFERENCE_KERNEL`.
        summarise: what all runs give together, JSON-able.
    """

    name: str
    question: str
    variants: Mapping[str, TrainSettings]
    summarise: Summarise
    seeds: str = "0-4"
    analyze: AnalyzeSettings = field(default_factory=AnalyzeSettings)
    ablate: AblateSettings | None = field(default_factory=AblateSettings)
    recipes: Recipes | None = None
    recipe_names: tuple[str, ...] = ()
    levels: int = 400
    judging: Judging | None = None
    judging_version: int = 1
    judging_seconds: float = 40.0

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of a run of this study, in their order."""
        left_out = {"judge"} if self.judging is None else set()
        left_out |= {"ablate"} if self.ablate is None else set()
        return tuple(stage for stage in STAGES if stage not in left_out)

    def settings(self, variant: str, seed: int, threads: int) -> TrainSettings:
        """What a run of this variant and seed trains.

        Raises:
            ValueError: there is no such variant.
        """
        if variant not in self.variants:
            raise ValueError(f"variant is {variant!r}: study {self.name} has {', '.join(self.variants)}")
        return replace(self.variants[variant], seed=seed, threads=threads)

    def tiny(self) -> "Study":
        """The same in miniature: every stage within seconds, on 5×5 mazes, to see that it works. It finds nothing."""
        ablate = self.ablate
        if ablate is not None:
            ablate = replace(
                ablate,
                levels=12,
                tuning_levels=8,
                curve_levels=4,
                draws=1,
                count=2,
                doses=(0.0, 1.0),
                tune=TuneSettings(steps=2),
            )
        return replace(
            self,
            variants={name: _tiny(settings) for name, settings in self.variants.items()},
            analyze=replace(self.analyze, directions=8, nulls=2),
            ablate=ablate,
            levels=12,
            judging=None if self.judging is None else self.judging.tiny(),
        )


def _tiny(settings: TrainSettings) -> TrainSettings:
    small = {"rollouts": 10, "num_envs": 16, "num_steps": 8, "epochs": 1, "minibatches": 2}
    return replace(
        settings,
        world=replace(settings.world, size=5, corner_size=min(settings.world.corner_size, 3)),
        ppo=replace(settings.ppo, **small),
        network="mlp",
        num_levels=64,
        measure_every=2,
        measure_levels=8,
        record_terms_every=min(settings.record_terms_every, 2),
    )


def study_directory(root: Path, name: str, role: Role, *, tiny: bool) -> Path:
    """Where a study's runs and results lie: ROOT/NAME, -tiny of a miniature; development has a folder of its own."""
    directory = root / f"{name}{'-tiny' if tiny else ''}"
    return directory / "development" if role == "development" else directory


def run_directory(directory: Path, variant: str, seed: int) -> Path:
    """Where the run of one variant and seed lies."""
    return directory / variant / f"seed-{seed}"
