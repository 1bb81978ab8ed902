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
from ..analysis.directions import Directions, module_of
from ..envs.generator import Split
from .controls import Control, random_controls, same_norm, shrink, span_controls
from .cuts import cut_parameters, relative_norm
from .judge import Judge
from .selection import Selection, by_contrast, by_time, by_window, within_module
from .table import CutRow, DoseCurve
from .tuned import Goal, TuneSettings, tune_doses

OnRow = Callable[[str], None]
# Levels of tuning come in batches: a step on a quarter of them costs a quarter, and takes as good a direction.
_TUNING_BATCHES = 4


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
            ("tuning_levels", 2),
            ("count", 1),
            ("strongest", 1),
            ("draws", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.curve_levels < 2:
            raise ValueError(f"curve_levels is {self.curve_levels}: give at least 2")


@dataclass(frozen=True)
class _Cut:
    """A cut before it is judged."""

    name: str
    removes: Goal
    selection: str
    vectors: Tensor
    doses: Tensor
    centre: float
    recipe: dict[str, Any]
    neighbour: Tensor  # directions of a neighbouring time


class Ablation:
    """Cuts and controls of one trained run.

    Args:
        run: a trained run.
        directions: what a lens gave for it, in parameter space.
        split: the row that parts early from late, for windows.
        settings: which cuts, judged how.
        other: another seed's directions, or None.
    """

    def __init__(
        self,
        run: Run,
        directions: Directions,
        split: int,
        settings: AblateSettings,
        other: Directions | None = None,
    ):
        if directions.space != "parameters":
            raise ValueError(
                f"the directions live in {directions.space!r}: a parameter-space cut wants 'parameters'"
            )
        self.run, self.directions, self.split, self.settings, self.other = (
            run,
            directions,
            split,
            settings,
            other,
        )
        self.theta_0, self.theta = run.parameters_after(0), run.parameters_after()
        self.vectors = torch.from_numpy(np.asarray(directions.vectors, dtype=np.float32))
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
            cut_theta = self._apply(cut)
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
        count, times, split = self.settings.count, len(self.directions.profiles), self.split
        count = min(count, len(self.vectors))
        strongest = self.directions.subset(range(min(self.settings.strongest, len(self.vectors))))
        early, late = (0, split), (split, times)
        before, after = (0, max(1, split // 2)), ((split + times) // 2, times)
        # Per goal: its own time, the other's, and a shifted window as the neighbouring time.
        plans: list[tuple[Goal, bool, tuple[int, int], tuple[int, int], tuple[int, int]]] = [
            ("corner", False, early, late, after),
            ("cheese", True, late, early, before),
        ]
        for goal, latest, window, against, neighbour in plans:
            word = "latest" if latest else "earliest"
            for size in sorted({1, count}):
                chosen = by_time(strongest, size, latest=latest)
                skip = min(size, len(strongest.singular_values) - size)
                beside = by_time(strongest, size, latest=latest, skip=skip)
                yield self._profile_cut(f"{word} {size}", goal, chosen, beside), size > 1 or count == 1
            beside = by_window(self.directions, count, *neighbour)
            yield (
                self._profile_cut(f"{word} window", goal, by_window(self.directions, count, *window), beside),
                False,
            )
            contrast = by_contrast(self.directions, count, window, against)
            beside = by_contrast(self.directions, count, neighbour, window)
            yield self._profile_cut(f"{word} contrast", goal, contrast, beside), False
            largest = self._largest_module()
            skip = min(count, len(strongest.singular_values) - count)
            inside = within_module(strongest, by_time(strongest, count, latest=latest), largest)
            beside = within_module(strongest, by_time(strongest, count, latest=latest, skip=skip), largest)
            yield self._profile_cut(f"{word} {count} in {largest}", goal, inside, beside), False
        for goal in ("corner", "cheese"):
            yield self._tuned_cut(goal, on_row), True

    def _profile_cut(self, how: str, goal: Goal, chosen: Selection, neighbour: Selection) -> _Cut:
        doses = torch.ones(len(chosen.vectors))
        name = f"{how}: remove {goal}"
        return _Cut(
            name, goal, "profile", chosen.vectors, doses, chosen.centre, chosen.recipe, neighbour.vectors
        )

    def _tuned_cut(self, goal: Goal, on_row: OnRow) -> _Cut:
        doses = self._tune(self.vectors, goal)
        on_row(f"tuned doses: remove {goal}")
        times = len(self.directions.profiles)
        centres = ((np.arange(times) + 0.5) / times) @ self.directions.profiles**2
        moved = (doses * (self.vectors @ (self.theta - self.theta_0))).numpy() ** 2
        centre = float(moved @ centres / max(moved.sum(), 1e-30))
        recipe = {
            "by": "tuned",
            "among": len(self.vectors),
            "doses": [round(float(dose), 6) for dose in doses],
            "tuning_levels": self.settings.tuning_levels,
            "level_seeds": list(range(_TUNING_BATCHES)),
        }
        # The same doses given to each direction's neighbour in time.
        order = np.argsort(centres, kind="stable")
        following = np.empty_like(order)
        following[order] = np.roll(order, -1)
        weighted = self.vectors[torch.from_numpy(following)] * doses.sqrt()[:, None]
        return _Cut(f"tuned: remove {goal}", goal, "tuned", self.vectors, doses, centre, recipe, weighted)

    def _apply(self, cut: _Cut, dose: float = 1.0) -> Tensor:
        return cut_parameters(self.theta, self.theta_0, cut.vectors, dose * cut.doses)

    def _controls(self, cut: _Cut, cut_theta: Tensor, draws: int) -> Iterator[Control]:
        theta, theta_0, settings = self.theta, self.theta_0, self.settings
        norm, count = float((cut_theta - theta).norm()), len(cut.vectors)
        yield from random_controls(theta, theta_0, norm, count, draws, settings.seed)
        span_count = min(count, max(1, len(self.vectors) // 2))
        yield from span_controls(
            theta, theta_0, self.vectors, norm, span_count, settings.draws, settings.seed
        )
        yield same_norm(
            "neighbouring time", theta, theta_0, cut.neighbour, norm, {"control": "neighbouring time"}
        )
        if self.other is not None:
            yield self._other_seed(cut, norm)
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

    def _nearest_checkpoint(self, rollout: float) -> int:
        return min(self.run.checkpoints, key=lambda there: abs(there - rollout))

    def _other_seed(self, cut: _Cut, norm: float) -> Control:
        """The cut's recipe on another seed's directions."""
        assert self.other is not None
        theirs = torch.from_numpy(np.asarray(self.other.vectors, dtype=np.float32))
        if cut.selection == "tuned":
            size = min(len(theirs), len(cut.doses))
            vectors = theirs[:size] * cut.doses[:size].sqrt()[:, None]
        else:
            strongest = self.other.subset(range(min(self.settings.strongest, len(theirs))))
            vectors = by_time(strongest, len(cut.vectors), latest=cut.removes == "cheese").vectors
        recipe = {"control": "another seed", "run": str(self.settings.other_run)}
        return same_norm("another seed's directions", self.theta, self.theta_0, vectors, norm, recipe)

    def _tuned_random(self, cut: _Cut) -> Control:
        """The same tuning over as many random pieces of the same norms: is it the directions or the tuning?"""
        generator = torch.Generator().manual_seed(self.settings.seed)
        pieces = torch.randn(self.vectors.shape, generator=generator)
        pieces /= pieces.norm(dim=1, keepdim=True)
        # Random directions hold next to nothing of θ − θ_0; give each piece the norm that the lens's has.
        moved = self.theta - self.theta_0
        ours, theirs = self.vectors @ moved, pieces @ moved
        stretched = pieces * (ours.abs() / theirs.abs().clamp_min(1e-12)).sqrt()[:, None]
        doses = self._tune(stretched, cut.removes)
        tuned = cut_parameters(self.theta, self.theta_0, stretched, doses)
        recipe = {"control": "tuned random", "seed": self.settings.seed, "directions": len(pieces)}
        return Control("tuned over random directions", tuned, recipe)

    def _dose_curves(self, cut: _Cut, cut_theta: Tensor) -> list[DoseCurve]:
        norm = float((cut_theta - self.theta).norm())
        random = next(
            random_controls(self.theta, self.theta_0, norm, len(cut.vectors), 1, self.settings.seed)
        )
        span_count = min(len(cut.vectors), max(1, len(self.vectors) // 2))
        span = next(
            span_controls(self.theta, self.theta_0, self.vectors, norm, span_count, 1, self.settings.seed)
        )
        named = [(cut.name, cut.selection, None, cut_theta)]
        named += [(f"{c.name} | {cut.name}", "control", cut.name, c.theta) for c in (random, span)]
        curves = []
        for name, selection, control_of, full in named:
            thetas = [self.theta + dose * (full - self.theta) for dose in self.settings.doses]
            verdicts = [self._curve_judge.judge(theta) for theta in thetas]
            curves.append(
                DoseCurve(
                    name=name,
                    removes=cut.removes,
                    selection=selection,  # pyright: ignore[reportArgumentType]
                    control_of=control_of,
                    doses=list(self.settings.doses),
                    relative_norm=[relative_norm(theta, self.theta, self.theta_0) for theta in thetas],
                    retention={
                        name: [verdict.retention[name] for verdict in verdicts]
                        for name in verdicts[0].retention
                    },
                )
            )
        return curves

    def _row(
        self,
        cut: _Cut,
        theta: Tensor,
        selection: str,
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

    def _largest_module(self) -> str:
        sizes: dict[str, int] = {}
        for name, (start, stop, _) in self.directions.layout.items():
            module = module_of(name)
            sizes[module] = sizes.get(module, 0) + stop - start
        return max(sizes, key=lambda module: sizes[module])
