"""The cuts of a maze agent: for each goal the directions of its own time, chosen in several ways, and tuned doses.

Corner-seeking should be trained early and cheese-seeking late, so cuts of the corner take early directions and cuts of
the cheese late ones. Every cut names its neighbour in time, the same choice made a step away, as a control.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..agents.open_run import MazeRun, open_maze_run
from ..agents.parameters import entries_by_module
from ..agents.rollout_run import REPORT_LEVEL_SEED, HeldOut
from ..agents.run_directory import check_device
from ..analysis.beyond import directions_beyond, joined
from ..analysis.directions import Directions
from .ablation import TUNING_BATCHES, Ablation
from .goal import Goal
from .judge import Judge
from .maze_goals import KEEP_NAVIGATION, MazeBehaviour, maze_goals, tuning_batches
from .plan import Choice, CutSettings, PlannedCut, timed
from .selection import by_contrast, by_window, within_module
from .tuned import FEW_DOSES, TuneSettings

Window = tuple[int, int]
JudgedOn = Literal["report", "development"]
_LEVELS: dict[str, tuple[HeldOut, int]] = {
    "report": ("test", REPORT_LEVEL_SEED),
    "development": ("tune", 1000),
}


def levels_judged_on(role: JudgedOn) -> tuple[HeldOut, int]:
    """The split and the level seed of held-out levels; those of development are no levels of a report."""
    return _LEVELS[role]


@dataclass(frozen=True)
class AblateSettings(CutSettings):
    """Which cuts of a maze agent are made and how they are judged.

    Attributes:
        levels: held-out levels of each kind that every row is judged on.
        tuning_levels: levels of each kind, of another split, that doses are tuned on, some 20 of them per step.
        curve_levels: held-out levels that the dose–response curves use.
        keep_navigation: weight, in tuning, of what is lost of finding the way.
        applied: tuned cuts also have doses for so many directions of what the optimizer applied beyond the lens's
            directions, from the checkpoints: where training moved θ is not where its gradients pointed. That reaches
            further, but so does the same tuning over random directions.
        device: where networks are asked, and tuned through; default where the run was trained.
        profile_cuts: whether directions are also chosen by their profile alone; else doses are tuned and that is all.
        judged_on: `report` levels, or `development` ones to choose recipes by: of the split of tuning levels, others
            than those.
    """

    levels: int = 400
    tuning_levels: int = 800
    curve_levels: int = 100
    keep_navigation: float = KEEP_NAVIGATION
    applied: int = 0
    device: str | None = None
    profile_cuts: bool = True
    judged_on: JudgedOn = "report"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(levels=2, tuning_levels=2 * TUNING_BATCHES, curve_levels=2, applied=0)
        if self.device is not None:
            check_device(self.device)
        if self.judged_on not in _LEVELS:
            raise ValueError(f"judged_on is {self.judged_on!r}: give 'report' or 'development'")


@dataclass(frozen=True)
class ProcgenAblateSettings(AblateSettings):
    """The same in Procgen's maze, where every state of every level is a picture: by default on fewer levels."""

    tune: TuneSettings = field(default_factory=lambda: replace(FEW_DOSES, steps=40))
    levels: int = 40
    tuning_levels: int = 16
    curve_levels: int = 10


class MazeAblation(Ablation):
    """Cuts and controls of one trained maze agent.

    Args:
        run: a trained run.
        directions: what a lens gave for it, in parameter space.
        split: the row that parts early from late, for windows.
        settings: which cuts, judged how.
        other: another seed's directions, or None.
    """

    def __init__(
        self,
        run: MazeRun,
        directions: Directions,
        split: int,
        settings: AblateSettings,
        other: Directions | None = None,
    ):
        super().__init__(run, directions, settings, other)
        self.split, self.goals = split, maze_goals(run.settings.world, settings.keep_navigation)
        self._device = settings.device or run.settings.device
        check_device(self._device)  # the run may be of another machine
        self._applied = settings.applied
        self.tuned_among = with_applied(run, directions, settings.applied)
        held_out = levels_judged_on(settings.judged_on)
        self.judge = self._judge(run, settings.levels, *held_out)
        self.curve_judge = self._judge(run, settings.curve_levels, *held_out)
        batches = tuning_batches(settings.tuning_levels)
        self.tuners = [self._judge(run, levels, "tune", seed, tuning=True) for levels, seed in batches]
        self.tuned_on = {
            "tuning_levels": settings.tuning_levels,
            "level_seeds": [seed for _, seed in batches],
            "applied": len(self.tuned_among) - len(directions),
        }

    def others_tuned_among(self) -> Directions | None:
        """Also what was applied in the other seed's run."""
        if self.other is None or self.settings.other_run is None:
            return self.other
        return with_applied(open_maze_run(self.settings.other_run), self.other, self._applied)

    def planned(self) -> list[PlannedCut]:
        """The profile cuts, then the tuned ones."""
        settings = self.settings
        assert isinstance(settings, AblateSettings)
        count = settings.count if settings.profile_cuts else 0
        return maze_cuts(self.directions, self.split, count, settings.strongest, self.goals)

    def premises(self) -> dict[str, Any]:
        """The settings, and where early ends."""
        return super().premises() | {"split": self.split}

    def _judge(self, run: MazeRun, levels: int, split: HeldOut, seed: int, *, tuning: bool = False) -> Judge:
        behaviour = run.behaviour(levels, split=split, seed=seed, device=self._device)
        if tuning and not behaviour.exact:
            raise ValueError(
                f"{levels} tuning levels at a time are too many for exact measures, whose gradient tuned cuts need: "
                f"give fewer tuning_levels or a smaller world"
            )
        network = run.network().to(self._device)
        return Judge(network, MazeBehaviour(behaviour), self.theta_0, self.theta, goals=self.goals)


def with_applied(run: MazeRun, found: Directions, count: int) -> Directions:
    """Directions of a run and, after them, `count` of what its optimizer applied beyond them.

    Where a run has too few checkpoints for a decomposition, the directions alone.
    """
    if not count:
        return found
    changes = run.applied_changes()
    if changes.shape[0] < 2:
        return found
    return joined(found, directions_beyond(changes, found, count))


def maze_cuts(
    directions: Directions, split: int, count: int, strongest: int, goals: tuple[Goal, Goal]
) -> list[PlannedCut]:
    """The cuts of a run.

    Args:
        directions: the lens's.
        split: the row that parts early from late.
        count: directions of a profile cut; 0 makes none.
        strongest: choices by earliest and latest are made among so many of the strongest directions.
        goals: the one learned early, then the one learned late.
    """
    available, times = len(directions.singular_values), len(directions.profiles)
    strongest = min(strongest, available)
    count = min(count, strongest)
    early, late = (0, split), (split, times)
    module = _largest_module(directions)
    # Of the late goal also back to before it was learned.
    first = _Side(goals[0], "earliest", early, late, ((split + times) // 2, times), ())
    second = _Side(goals[1], "latest", late, early, (0, max(1, split // 2)), (split / times,))
    sides = (first, second)
    chosen = sides if count else ()
    profile = [cut for side in chosen for cut in _profile_cuts(side, count, strongest, module)]
    return profile + [
        PlannedCut(f"tuned: remove {side.goal.name}", side.goal, headline=True, rewinds=side.rewinds)
        for side in sides
    ]


@dataclass(frozen=True)
class _Side:
    """One goal and its time."""

    goal: Goal
    word: str
    window: Window
    against: Window
    beside: Window
    rewinds: tuple[float, ...]


def _profile_cuts(side: _Side, count: int, strongest: int, module: str) -> Iterator[PlannedCut]:
    def by_time(size: int, skip: int = 0) -> Choice:
        return timed(size, strongest, latest=side.word == "latest", skip=skip)

    def inside(choice: Choice) -> Choice:
        return lambda found: within_module(found, choice(found), module)

    def cut(how: str, choose: Choice, neighbour: Choice | None, *, headline: bool = False) -> PlannedCut:
        name = f"{side.word} {how}: remove {side.goal.name}"
        return PlannedCut(name, side.goal, choose, neighbour, headline, side.rewinds)

    for size in sorted({1, count}):
        neighbour = by_time(size, size) if 2 * size <= strongest else None
        yield cut(f"{size}", by_time(size), neighbour, headline=size == count)
    yield cut(
        "window",
        lambda found: by_window(found, count, *side.window),
        lambda found: by_window(found, count, *side.beside),
    )
    yield cut(
        "contrast",
        lambda found: by_contrast(found, count, side.window, side.against),
        lambda found: by_contrast(found, count, side.beside, side.window),
    )
    neighbour = inside(by_time(count, count)) if 2 * count <= strongest else None
    yield cut(f"{count} in {module}", inside(by_time(count)), neighbour)


def _largest_module(directions: Directions) -> str:
    entries = entries_by_module(directions.layout)
    return max(entries, key=lambda module: len(entries[module]))
