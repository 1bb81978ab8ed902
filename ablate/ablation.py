"""All cuts of one run beside all their controls: which goal went away, and was it the cut?"""

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.files import save_tensors
from ..agents.parameters import named_parameters_of, parameter_layout
from ..agents.run_directory import RunDirectory
from ..agents.settings_json import settings_to_json
from ..analysis.directions import Directions
from .controls import Control, Recipe, random_control, same_norm, shrink, span_control
from .cuts import relative_norm
from .goal import Goal
from .journal import Journal
from .judge import Judge
from .made import MadeCut, chosen_cut, tuned_cut, written_doses
from .plan import CutSettings, PlannedCut
from .selection import vectors_of
from .table import CutRow, DoseCurve, Selected
from .tuned import tune_doses

OnRow = Callable[[str], None]
OnCut = Callable[[CutRow], None]
Make = Callable[[], dict[str, Any]]
# Units of tuning come in batches: a step on a quarter of them costs a quarter, and takes as good a direction.
TUNING_BATCHES = 4
TUNING = 2
"""Raise it when the same settings tune otherwise than before: tables and journals of cuts are then made anew."""
# Goals whose doses are tuned at once, the directions being read once for both; an ablation that is killed loses no
# more tunings than that.
_TOGETHER = 2


class Ablation(ABC):
    """Cuts and controls of one trained run; what a kind of learner adds is its judges and its plan of cuts.

    Args:
        run: a trained run.
        directions: what a lens gave for it, in parameter space.
        settings: which cuts, judged how.
        other: another seed's directions, or None.

    Attributes:
        judge: of held-out units, which every row is judged on.
        curve_judge: of the held-out units of dose–response curves.
        tuners: of tuning units, which no result is reported on.
        tuned_on: which units these are, as recipes say it.
        tuned_among: the orthonormal directions that tuned cuts give doses to; the lens's, where a kind has no others.

    Raises:
        ValueError: the directions are not of this run's parameters.
    """

    judge: Judge
    curve_judge: Judge
    tuners: Sequence[Judge]
    tuned_on: Recipe

    def __init__(
        self,
        run: RunDirectory[Any],
        directions: Directions,
        settings: CutSettings,
        other: Directions | None = None,
    ):
        self.run, self.directions, self.settings, self.other = run, directions, settings, other
        self.theta_0, self.theta = run.parameters_after(0), run.parameters_after()
        for found in filter(None, (directions, other)):
            if found.space != "parameters" or found.vectors.shape[1] != len(self.theta):
                raise ValueError(
                    f"directions are of {found.vectors.shape[1]} {found.space}, the network has {len(self.theta)} "
                    f"parameters: give a lens's directions of this network"
                )
        self.vectors, self.tuned_among = vectors_of(directions), directions
        self._tuned_goals: dict[str, list[Goal]] = {}
        self._doses: dict[tuple[str, int], list[Any]] = {}

    def others_tuned_among(self) -> Directions | None:
        """What `tuned_among` is, of the other seed."""
        return self.other

    @abstractmethod
    def planned(self) -> list[PlannedCut]:
        """The cuts, in the order of the table; the same at every call."""

    def premises(self) -> dict[str, Any]:
        """What the rows follow from besides parameters and directions, JSON-able."""
        return {"kind": self.run.kind, "tuning": TUNING, "settings": settings_to_json(self.settings)}

    def fingerprint(self) -> int:
        """A checksum of all that the rows follow from: settings, parameters, directions."""
        checksum = zlib.crc32(json.dumps(self.premises()).encode())
        for found in filter(None, (self.directions, self.other)):
            for array in (found.vectors, found.singular_values, found.profiles):
                checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        for theta in (self.theta_0, self.theta):
            checksum = zlib.crc32(theta.numpy().data, checksum)
        return checksum

    def rows(
        self,
        journal: Journal | None = None,
        on_row: OnRow = lambda name: None,
        on_cut: OnCut = lambda row: None,
    ) -> tuple[list[CutRow], list[DoseCurve], list[str]]:
        """Judge every cut and control; returns the rows, the dose–response curves and the headline cuts' names.

        Args:
            journal: of this ablation's fingerprint; what it holds is not made again.
            on_row: called with the name of each tuning, row and curve that is done.
            on_cut: called with the row of each cut before its controls are judged.
        """
        rows: list[CutRow] = []
        curves: list[DoseCurve] = []
        headline: list[str] = []
        planned = self.planned()
        tuned = [plan for plan in planned if plan.choose is None]
        controlled = [plan for plan in tuned if plan.controlled(self.settings)]
        self._tuned_goals = {
            over: [plan.goal for plan in plans] for over, plans in (("found", tuned), ("random", controlled))
        }
        self._doses.clear()

        def done(name: str, make: Make) -> dict[str, Any]:
            entry = make() if journal is None else journal.entry(name, make)
            on_row(name)
            return entry

        for plan in planned:
            cut = self._made(plan, done)
            theta = self.judge.cut(cut.vectors, cut.doses)
            norm = float((theta - self.theta).norm())
            itself = _Change(cut, plan.name, lambda theta=theta, cut=cut: (theta, cut.recipe))
            file = None
            if plan.headline:
                file = f"ablation/cut-{len(headline)}.safetensors"
                layout = parameter_layout(self.judge.network)
                save_tensors(self.run.path(*file.split("/")), named_parameters_of(theta, layout))
                headline.append(plan.name)
            rows.append(CutRow(**done(itself.name, partial(self._row, itself, file))))
            on_cut(rows[-1])
            for control in self._controls(cut, norm):
                change = _Change.of(control, cut)
                rows.append(CutRow(**done(change.name, partial(self._row, change))))
            beside = (self._random(cut, norm), self._in_span(cut, norm))
            shown = (itself, *(_Change.of(control, cut) for control in beside)) if plan.headline else ()
            for change in shown:
                entry = done(f"dose–response | {change.name}", partial(self._dose_curve, change))
                curves.append(DoseCurve(**entry))
        return rows, curves, headline

    def _made(self, plan: PlannedCut, done: Callable[[str, Make], dict[str, Any]]) -> MadeCut:
        about_other = {"run": str(self.settings.other_run)}
        if plan.choose is not None:
            return chosen_cut(plan, plan.choose, self.directions, self.other, about_other)
        name, among = f"doses | {plan.name}", self.span_of(tuned=True)
        written = done(name, lambda: {"doses": self._tuned("found", among, plan.goal)})["doses"]
        moved, other = self.theta - self.theta_0, self.others_tuned_among()
        doses = torch.tensor(written)
        parts = self.judge.parts_of(doses)
        cut = tuned_cut(plan, doses, parts, moved, self.tuned_among, other, about_other)
        return replace(cut, recipe=cut.recipe | self.tuned_on)

    def _controls(self, cut: MadeCut, norm: float) -> Iterator[Control]:
        if not cut.plan.controlled(self.settings):
            return
        draws = self.settings.draws if cut.plan.headline else 1
        yield from (self._random(cut, norm, draw) for draw in range(draws))
        yield from (self._in_span(cut, norm, draw) for draw in range(draws))
        for name, vectors, doses, recipe in cut.others:
            yield same_norm(
                name,
                self.theta,
                self.theta_0,
                vectors,
                norm,
                recipe,
                doses=doses,
                parts=self.judge.parts_of(doses),
            )
        times = [share * self.run.last_time for share in (cut.centre, *cut.plan.rewinds)]
        yield from map(self._rewind, dict.fromkeys(self._nearest_checkpoint(time) for time in times))
        yield shrink(self.theta, self.theta_0, norm)
        if cut.selection == "tuned":
            yield Control("tuned over random directions", partial(self._tuned_random, cut.plan.goal))

    def _random(self, cut: MadeCut, norm: float, draw: int = 0) -> Control:
        seed = self.settings.seed + draw
        return random_control(self.theta, self.theta_0, norm, len(cut.vectors), seed)

    def _in_span(self, cut: MadeCut, norm: float, draw: int = 0) -> Control:
        among = self.span_of(tuned=cut.selection == "tuned")
        # At most half of the directions: more would be nearly the whole span.
        count = min(len(cut.vectors), max(1, len(among) // 2))
        seed = self.settings.seed + draw
        return span_control(self.theta, self.theta_0, among, norm, count, seed)

    def _rewind(self, time: int) -> Control:
        unit = self.run.time_unit
        recipe = {"control": "rewind", unit: time}
        return Control(f"rewind to {unit} {time}", lambda: (self.run.parameters_after(time), recipe))

    def _nearest_checkpoint(self, time: float) -> int:
        return min(self.run.checkpoints, key=lambda there: abs(there - time))

    def span_of(self, *, tuned: bool) -> Tensor:
        """The directions (k, P) that a cut was chosen among: of a tuned one `tuned_among`, else the lens's."""
        return vectors_of(self.tuned_among) if tuned else self.vectors

    def random_pieces(self, seed: int) -> Tensor:
        """As many random directions as doses are tuned among, (k, P), each scaled to make its piece as long as theirs.

        Unscaled, random directions hold next to nothing of θ − θ_0.
        """
        among = self.span_of(tuned=True)
        pieces = torch.randn(among.shape, generator=torch.Generator().manual_seed(seed))
        pieces /= pieces.norm(dim=1, keepdim=True)
        moved = self.theta - self.theta_0
        ours, theirs = among @ moved, pieces @ moved
        return pieces * (ours.abs() / theirs.abs().clamp_min(1e-12)).sqrt()[:, None]

    def _tuned_random(self, goal: Goal) -> tuple[Tensor, Recipe]:
        """The same tuning over as many random pieces of the same norms: is it the directions or the tuning?"""
        seed = self.settings.seed
        pieces = self.random_pieces(seed)
        written = self._tuned("random", pieces, goal)
        recipe = {"control": "tuned random", "seed": seed, "directions": len(pieces), "doses": written}
        return self.judge.cut(pieces, torch.tensor(written)), recipe

    def _tuned(self, what: str, vectors: Tensor, goal: Goal) -> list[Any]:
        """Doses of one goal over some directions; those of its partner in the plan are tuned with them, and kept."""
        together = self._tuned_goals[what]
        place = together.index(goal)
        if (what, place) not in self._doses:
            first = place // _TOGETHER * _TOGETHER
            goals = together[first : first + _TOGETHER]
            tuned = tune_doses(self.tuners, self.theta, self.theta_0, vectors, goals, self.settings.tune)
            for number, doses in enumerate(tuned, first):
                self._doses[what, number] = written_doses(doses)
        return self._doses.pop((what, place))

    def _row(self, change: "_Change", file: str | None = None) -> dict[str, Any]:
        theta, recipe = change.make()
        row = CutRow.of(
            self.judge.judge(theta),
            change.cut.plan.goal.name,
            name=change.name,
            selection=change.selection,
            control_of=change.control_of,
            **change.size(recipe),
            relative_norm=relative_norm(theta, self.theta, self.theta_0),
            recipe=recipe,
            parameters_file=file,
        )
        return asdict(row)

    def _dose_curve(self, change: "_Change") -> dict[str, Any]:
        whole, _ = change.make()
        doses = list(self.settings.doses)
        thetas = [self.theta + dose * (whole - self.theta) for dose in doses]
        kept = [self.curve_judge.retention(theta) for theta in thetas]
        curve = DoseCurve(
            name=change.name,
            removes=change.cut.plan.goal.name,
            selection=change.selection,
            control_of=change.control_of,
            doses=doses,
            relative_norm=[relative_norm(theta, self.theta, self.theta_0) for theta in thetas],
            retention={name: [retention[name] for retention in kept] for name in kept[0]},
        )
        return asdict(curve)

    def planned_entries(self) -> int:
        """Tunings, rows and curves to be made, for a progress bar; fewer come where rewinds meet at one checkpoint."""
        total = 0
        for plan in self.planned():
            tuned, draws = plan.choose is None, self.settings.draws if plan.headline else 1
            total += 1 + tuned + 3 * plan.headline  # itself, its doses, its curves
            if plan.controlled(self.settings):
                beside = int(tuned or plan.neighbour is not None) + int(self.other is not None)
                # Also a shrinking, a rewind to its own time, and doses over random directions.
                total += 2 + len(plan.rewinds) + 2 * draws + beside + tuned
        return total


@dataclass(frozen=True)
class _Change:
    """A cut or one of its controls: what a row or a curve of the table is of."""

    cut: MadeCut
    name: str
    make: Callable[[], tuple[Tensor, Recipe]]
    control_of: str | None = None

    @classmethod
    def of(cls, control: Control, cut: MadeCut) -> "_Change":
        return cls(cut, f"{control.name} | {cut.plan.name}", control.make, cut.plan.name)

    def size(self, recipe: Recipe) -> dict[str, Any]:
        """How many directions, and the mean dose; None of a control that has none, or is scaled to the cut's norm."""
        if self.control_of is None:
            return {"directions": len(self.cut.vectors), "dose": float(self.cut.doses.mean())}
        doses = recipe.get("doses")
        alike = next(
            (len(vectors) for name, vectors, _, _ in self.cut.others if name == recipe["control"]), None
        )
        return {
            "directions": recipe.get("directions", alike),
            "dose": None if doses is None else float(torch.tensor(doses).mean()),
        }

    @property
    def selection(self) -> Selected:
        return self.cut.selection if self.control_of is None else "control"
