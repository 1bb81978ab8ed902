"""All cuts of one run beside all their controls: which goal went away, and was it the cut?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.behaviour import ExactBehaviour
from ..agents.files import save_tensors
from ..agents.parameters import named_parameters_of, parameter_layout
from ..agents.run import Run
from ..agents.training import REPORT_LEVEL_SEED
from ..analysis.directions import Directions
from ..analysis.profiles import centre_of_mass
from ..envs.generator import Split
from .controls import Control, random_controls, same_norm, shrink, span_controls
from .cuts import cut_parameters, relative_norm
from .judge import Judge
from .plan import profile_cuts
from .table import CutRow, DoseCurve, Selected
from .tuned import Goal, TuneSettings, tune_doses

OnRow = Callable[[str], None]
# Levels of tuning come in batches: a step on a quarter of them costs a quarter, and takes as good a direction.
_TUNING_BATCHES = 4
_OTHER_SEED = "another seed"


@dataclass(frozen=True)
class AblateSettings:
    """Which cuts are made and how they are judged.

    Attributes:
        levels: held-out levels of each kind that every row is judged on.
        tuning_levels: levels of each kind, of another split, that doses are tuned on, a quarter of them per step.
        count: directions of a profile cut.
        strongest: profile cuts by earliest and latest choose among so many of the strongest directions.
        draws: draws of each random control of a headline cut; the other cuts have one.
        doses: doses of the dose–response curves.
        curve_levels: held-out levels that these curves use.
        tune: how tuned doses are optimised.
        seed: of the random controls.
        other_run: another seed's analysed run of the same world and network, for the control "another seed".
    """

    levels: int = 400
    tuning_levels: int = 120
    count: int = 5
    strongest: int = 40
    draws: int = 3
    doses: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    curve_levels: int = 100
    tune: TuneSettings = field(default_factory=TuneSettings)
    seed: int = 0
    other_run: Path | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("levels", 2),
            ("tuning_levels", 2 * _TUNING_BATCHES),
            ("curve_levels", 2),
            ("count", 1),
            ("strongest", 1),
            ("draws", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not self.doses:
            raise ValueError("doses is empty: give at least one dose")


@dataclass(frozen=True)
class _Cut:
    """A cut before it is judged."""

    name: str
    removes: Goal
    selection: Selected
    vectors: Tensor
    doses: Tensor
    centre: float
    recipe: dict[str, Any]
    # The controls that take other directions: name, directions, how they were chosen.
    others: list[tuple[str, Tensor, dict[str, Any]]]


class Ablation:
    """Cuts and controls of one trained run.

    Args:
        run: a trained run.
        directions: what a lens gave for it, in parameter space.
        split: the row that parts early from late, for windows.
        settings: which cuts, judged how.
        other: another seed's directions, or None.

    Raises:
        ValueError: the directions are not of this run's parameters.
    """

    def __init__(
        self,
        run: Run,
        directions: Directions,
        split: int,
        settings: AblateSettings,
        other: Directions | None = None,
    ):
        self.theta_0, self.theta = run.parameters_after(0), run.parameters_after()
        for found in (directions, other):
            if found is not None and (
                found.space != "parameters" or found.vectors.shape[1] != len(self.theta)
            ):
                raise ValueError(
                    f"directions are of {found.vectors.shape[1]} {found.space}, the network has {len(self.theta)} "
                    f"parameters: give a lens's directions of this network"
                )
        self.run, self.directions, self.split, self.settings, self.other = (
            run,
            directions,
            split,
            settings,
            other,
        )
        self.vectors = _vectors(directions)
        self.judge = self._judge(settings.levels, "test", REPORT_LEVEL_SEED)
        self._curve_judge = self._judge(settings.curve_levels, "test", REPORT_LEVEL_SEED)
        batch = settings.tuning_levels // _TUNING_BATCHES
        self._tuners = [self._judge(batch, "tune", seed) for seed in range(_TUNING_BATCHES)]

    def rows(self, on_row: OnRow = lambda name: None) -> tuple[list[CutRow], list[DoseCurve], list[str]]:
        """Judge every cut and control; returns the rows, the dose–response curves and the headline cuts' names."""
        rows: list[CutRow] = []
        curves: list[DoseCurve] = []
        headline: list[str] = []
        for cut, in_headline in self._cuts(on_row):
            cut_theta = cut_parameters(self.theta, self.theta_0, cut.vectors, cut.doses)
            file = None
            if in_headline:
                file = f"ablation/cut-{len(headline)}.safetensors"
                layout = parameter_layout(self.judge.network)
                save_tensors(self.run.path(*file.split("/")), named_parameters_of(cut_theta, layout))
                headline.append(cut.name)
            rows.append(self._row(cut, cut_theta, cut.selection, None, cut.name, cut.recipe, file))
            on_row(cut.name)
            for control in self._controls(cut, cut_theta, self.settings.draws if in_headline else 1):
                name = f"{control.name} | {cut.name}"
                rows.append(self._row(cut, control.theta, "control", cut.name, name, control.recipe))
                on_row(name)
            if in_headline:
                curves += self._dose_curves(cut, cut_theta)
                on_row(f"dose–response | {cut.name}")
        return rows, curves, headline

    def _cuts(self, on_row: OnRow) -> Iterator[tuple[_Cut, bool]]:
        """Every cut, and whether it is a headline one: profile cuts first, then the tuned ones."""
        settings = self.settings
        for plan in profile_cuts(self.directions, self.split, settings.count, settings.strongest):
            chosen = plan.choose(self.directions)
            others: list[tuple[str, Tensor, dict[str, Any]]] = []
            if plan.neighbour is not None:
                beside = plan.neighbour(self.directions)
                others.append(("neighbouring time", beside.vectors, beside.recipe))
            if self.other is not None:
                theirs = plan.choose(self.other)
                others.append((_OTHER_SEED, theirs.vectors, theirs.recipe | {"run": str(settings.other_run)}))
            doses = torch.ones(len(chosen.vectors))
            yield (
                _Cut(
                    plan.name,
                    plan.removes,
                    "profile",
                    chosen.vectors,
                    doses,
                    chosen.centre,
                    chosen.recipe,
                    others,
                ),
                plan.headline,
            )
        goals: tuple[Goal, Goal] = ("corner", "cheese")
        for goal in goals:
            yield self._tuned_cut(goal, on_row), True

    def _tuned_cut(self, goal: Goal, on_row: OnRow) -> _Cut:
        doses = self._tune(self.vectors, goal)
        on_row(f"tuned doses: remove {goal}")
        centres = centre_of_mass(self.directions.profiles)
        moved = (doses * (self.vectors @ (self.theta - self.theta_0))).numpy() ** 2
        centre = float(moved @ centres / max(moved.sum(), 1e-30))
        recipe = {
            "by": "tuned",
            "among": len(self.vectors),
            "doses": doses.tolist(),
            "tuning_levels": self.settings.tuning_levels,
            "level_seeds": list(range(_TUNING_BATCHES)),
        }
        # The same doses, given to each direction's neighbour in time, or to another seed's direction of that rank.
        order = np.argsort(centres, kind="stable")
        following = np.empty_like(order)
        following[order] = np.roll(order, -1)
        weights = doses.sqrt()[:, None]
        beside = self.vectors[torch.from_numpy(following)] * weights
        others = [
            ("neighbouring time", beside, {"by": "doses of the tuned cut, one place later by centre of mass"})
        ]
        if self.other is not None:
            theirs = _vectors(self.other)[: len(doses)]
            how = {"by": "doses of the tuned cut, by rank", "run": str(self.settings.other_run)}
            others.append((_OTHER_SEED, theirs * weights[: len(theirs)], how))
        return _Cut(f"tuned: remove {goal}", goal, "tuned", self.vectors, doses, centre, recipe, others)

    def _controls(self, cut: _Cut, cut_theta: Tensor, draws: int) -> Iterator[Control]:
        theta, theta_0, seed = self.theta, self.theta_0, self.settings.seed
        norm, count = float((cut_theta - theta).norm()), len(cut.vectors)
        yield from random_controls(theta, theta_0, norm, count, draws, seed)
        yield from span_controls(theta, theta_0, self.vectors, norm, self._span_count(count), draws, seed)
        for name, vectors, recipe in cut.others:
            yield same_norm(name, theta, theta_0, vectors, norm, recipe | {"control": name})
        total = self.run.settings.ppo.rollouts
        # Back to the time of what was cut; and, for the late goal, to before it was learned.
        times = [cut.centre * total] + [self.split / len(self.directions.profiles) * total] * (
            cut.removes == "cheese"
        )
        for rollout in dict.fromkeys(self._nearest_checkpoint(time) for time in times):
            rewound = self.run.parameters_after(rollout)
            yield Control(f"rewind to rollout {rollout}", rewound, {"control": "rewind", "rollout": rollout})
        yield shrink(theta, theta_0, norm)
        if cut.selection == "tuned":
            yield self._tuned_random(cut)

    def _span_count(self, count: int) -> int:
        """At most half of the directions: more would be nearly the whole span."""
        return min(count, max(1, len(self.vectors) // 2))

    def _nearest_checkpoint(self, rollout: float) -> int:
        return min(self.run.checkpoints, key=lambda there: abs(there - rollout))

    def _tuned_random(self, cut: _Cut) -> Control:
        """The same tuning over as many random pieces of the same norms: is it the directions or the tuning?"""
        generator = torch.Generator().manual_seed(self.settings.seed)
        pieces = torch.randn(self.vectors.shape, generator=generator)
        pieces /= pieces.norm(dim=1, keepdim=True)
        # Random directions hold next to nothing of θ − θ_0; give each piece the norm that the lens's has.
        moved = self.theta - self.theta_0
        ours, theirs = self.vectors @ moved, pieces @ moved
        pieces *= (ours.abs() / theirs.abs().clamp_min(1e-12)).sqrt()[:, None]
        doses = self._tune(pieces, cut.removes)
        tuned = cut_parameters(self.theta, self.theta_0, pieces, doses)
        recipe = {
            "control": "tuned random",
            "seed": self.settings.seed,
            "directions": len(pieces),
            "doses": doses.tolist(),
        }
        return Control("tuned over random directions", tuned, recipe)

    def _dose_curves(self, cut: _Cut, cut_theta: Tensor) -> list[DoseCurve]:
        norm, seed, count = float((cut_theta - self.theta).norm()), self.settings.seed, len(cut.vectors)
        random = next(random_controls(self.theta, self.theta_0, norm, count, 1, seed))
        span = next(
            span_controls(self.theta, self.theta_0, self.vectors, norm, self._span_count(count), 1, seed)
        )
        named: list[tuple[str, Selected, str | None, Tensor]] = [(cut.name, cut.selection, None, cut_theta)]
        named.extend((f"{c.name} | {cut.name}", "control", cut.name, c.theta) for c in (random, span))
        curves = []
        for name, selection, control_of, full in named:
            thetas = [self.theta + dose * (full - self.theta) for dose in self.settings.doses]
            verdicts = [self._curve_judge.judge(theta) for theta in thetas]
            retention = {
                measure: [v.retention[measure] for v in verdicts] for measure in verdicts[0].retention
            }
            norms = [relative_norm(theta, self.theta, self.theta_0) for theta in thetas]
            doses = list(self.settings.doses)
            curves.append(DoseCurve(name, cut.removes, selection, control_of, doses, norms, retention))
        return curves

    def _row(
        self,
        cut: _Cut,
        theta: Tensor,
        selection: Selected,
        control_of: str | None,
        name: str,
        recipe: dict[str, Any],
        file: str | None = None,
    ) -> CutRow:
        return CutRow.of(
            self.judge.judge(theta),
            cut.removes,
            name=name,
            selection=selection,
            control_of=control_of,
            directions=len(cut.vectors),
            dose=float(cut.doses.mean()),
            relative_norm=relative_norm(theta, self.theta, self.theta_0),
            recipe=recipe,
            parameters_file=file,
        )

    def _tune(self, vectors: Tensor, goal: Goal) -> Tensor:
        return tune_doses(self._tuners, self.theta, self.theta_0, vectors, goal, self.settings.tune)

    def _judge(self, levels: int, split: Split, seed: int) -> Judge:
        settings = self.run.settings
        behaviour = ExactBehaviour.of_world(
            settings.world, levels, seed=seed, split=split, time_limit=settings.time_limit
        )
        return Judge(self.run.network(), behaviour, self.theta_0, self.theta)


def _vectors(directions: Directions) -> Tensor:
    return torch.from_numpy(np.asarray(directions.vectors, dtype=np.float32))
