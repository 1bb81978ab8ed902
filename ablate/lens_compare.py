"""All lenses on one trained network: their leading directions cut, beside temporal SVD and controls."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..agents.digit_behaviour import DigitBehaviour
from ..agents.digit_run import DigitRun, held_out_behaviour
from ..agents.open_run import AnyRun, MazeRun
from ..agents.rollout_run import REPORT_LEVEL_SEED
from ..analysis.directions import Directions
from ..analysis.subject import subject_of
from ..envs.digits import load_digits
from .activations import activations_at
from .compare import Comparison
from .cuts import moved_along
from .digit_goals import DIGIT_GOALS, ClassifierBehaviour
from .edits import mean_activations
from .judge import Behaviour, Judge
from .maze_goals import MazeBehaviour, maze_goals
from .method import Method, cut_ladder, projection_ladder, step_ladder
from .selection import vectors_of
from .side_effects import SideEffects
from .single_units import unit_directions, unit_effects
from .subspaces import random_directions


@dataclass(frozen=True)
class LensCompareSettings:
    """How the cuts of lenses are compared.

    Attributes:
        counts: k of the cuts of so many leading directions.
        doses: of these cuts.
        lengths: of steps within a random subspace of parameters, as shares of ‖θ − θ_0‖.
        draws: random subspaces of each space.
        relative_norm: what a change may cost at most, as share of ‖θ − θ_0‖ or ‖h‖, to be named the best.
        navigation: retention of finding the way that it has to leave on tuning levels.
        levels: held-out levels of each kind that every change of a maze agent is judged on.
        choosing_levels: of the tuning split, that the best change is chosen on.
        images: held-out images that every change of a classifier is judged on; default all.
        choosing_images: training images, that the best change is chosen on.
        inputs: training inputs that side effects and activations are taken over.
        seed: of the random subspaces, and of the units at random.
    """

    counts: tuple[int, ...] = (1, 2, 5, 10, 20)
    doses: tuple[float, ...] = (0.5, 1.0)
    lengths: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    draws: int = 2
    relative_norm: float = 0.5
    navigation: float = 0.9
    levels: int = 400
    choosing_levels: int = 120
    images: int | None = None
    choosing_images: int = 2000
    inputs: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            *(("draws", 1), ("levels", 2), ("choosing_levels", 2), ("choosing_images", 20), ("inputs", 2)),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.images is not None and self.images < 20:
            raise ValueError(f"images is {self.images}: give at least 20, or leave it out for all")
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise ValueError(f"counts is {self.counts}: give different whole numbers from 1 on")
        for name in ("doses", "lengths"):
            if not getattr(self, name) or not all(0 < value < float("inf") for value in getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}: give numbers above 0")
        for name in ("relative_norm", "navigation"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 0")


@dataclass(frozen=True)
class ComparedLens:
    """What a method of the comparison cuts.

    Attributes:
        lens: its name, `temporal SVD`, or of a control `random`, `single units by effect` or `single units at random`.
        space: `parameters`, or a layer.
        entries: of a direction there.
        control: whether no one had to find the directions.
    """

    lens: str
    space: str
    entries: int
    control: bool


class LensComparison(Comparison):
    """The cuts of a run's lenses, and the random ones beside them.

    Args:
        run: a trained run of mazes or digits.
        lenses: name → its directions in one or more spaces, strongest first.
        settings: which cuts, judged how.

    Attributes:
        methods: a ladder for each lens and space, then the controls.
        of: method's name → what it cuts.

    Raises:
        ValueError: there are no directions, or some are not of this network.
    """

    def __init__(
        self, run: AnyRun, lenses: Mapping[str, Sequence[Directions]], settings: LensCompareSettings
    ):
        self.lenses, self.settings = lenses, settings
        self._theta_0, self._theta = run.parameters_after(0), run.parameters_after()
        sets = [(lens, found) for lens, of in lenses.items() for found in of if len(found)]
        if not sets:
            raise ValueError("lenses are none: run one first, for instance goalcut lens features RUN")
        for lens, found in sets:
            if found.space == "parameters" and found.vectors.shape[1] != len(self._theta):
                raise ValueError(
                    f"directions of {lens!r} have {found.vectors.shape[1]} entries, the network has "
                    f"{len(self._theta)} parameters: give a lens's directions of this network"
                )
        subject = subject_of(run, inputs=settings.inputs)
        judge, chooser = (
            _digit_judges(run, settings) if isinstance(run, DigitRun) else _maze_judges(run, settings)
        )
        super().__init__(judge, chooser, SideEffects(subject))
        self._subject = subject
        self.methods: list[Method] = []
        self.of: dict[str, ComparedLens] = {}
        for lens, found in sets:
            self._add(
                f"{lens} at {found.space}",
                ComparedLens(lens, found.space, found.vectors.shape[1], False),
                found,
            )
        self._add_controls([found for _, found in sets])

    def directions(self) -> dict[str, Directions]:
        """Every set by the name of its method."""
        return {f"{lens} at {one.space}": one for lens, of in self.lenses.items() for one in of if len(one)}

    def fingerprint(self) -> int:
        """A checksum of all that the rows follow from, for a journal: settings, parameters, directions."""
        checksum = zlib.crc32(json.dumps([asdict(self.settings), list(self.of)]).encode())
        for found in self.directions().values():
            checksum = zlib.crc32(np.ascontiguousarray(found.vectors).data, checksum)
        for theta in (self._theta_0, self._theta):
            checksum = zlib.crc32(theta.numpy().data, checksum)
        return checksum

    def _add(self, name: str, of: ComparedLens, found: Directions) -> None:
        counts = [count for count in self.settings.counts if count <= len(found)]
        if of.space == "parameters":
            ladder = cut_ladder(self.judge, lambda: found, counts, self.settings.doses)
        else:
            means = cache(lambda width: self._mean(of.space, width))
            ladder = projection_ladder(of.space, lambda: found, means, counts, self.settings.doses)
        self.of[name] = of
        self.methods.append(Method(name, lambda _: ladder, per_goal=False, space=of.space))

    def _add_controls(self, sets: Sequence[Directions]) -> None:
        """Random subspaces: of a layer projected out alike; of parameters a step of given lengths. And units.

        A random subspace of a few among all parameters holds next to nothing of θ − θ_0, and a cut of it is none. A
        lens may name single units: then it has to cut more than those of most effect do.
        """
        settings, spaces = self.settings, sorted({(one.space, one.vectors.shape[1]) for one in sets})
        for space, width in spaces:
            for draw in range(settings.draws):
                name = f"random {draw + 1} at {space}, {width} entries"
                of = ComparedLens("random", space, width, True)
                if space != "parameters":
                    self._add(name, of, self._drawn(space, width, draw))
                    continue
                drawn = cache(partial(self._drawn, space, width, draw))
                ladder = [
                    rung
                    for count in settings.counts
                    for rung in step_ladder(
                        self.judge, partial(self._step, drawn, count), settings.lengths, k=count
                    )
                ]
                self.of[name] = of
                self.methods.append(Method(name, lambda _, ladder=ladder: ladder, per_goal=False))
            if space != "parameters":
                for lens, units in self._units(space, width).items():
                    name = f"{lens} at {space}, {width} entries"
                    self._add(name, ComparedLens(lens, space, width, True), units)

    def _drawn(self, space: str, width: int, draw: int) -> Directions:
        generator = torch.Generator().manual_seed(self._seed(space, width, draw))
        count = min(max(self.settings.counts), width)
        return random_directions(width, count, generator).replaced(space=space)

    def _seed(self, space: str, width: int, draw: int) -> int:
        return zlib.crc32(f"{space} {width} {draw} {self.settings.seed}".encode())

    def _units(self, space: str, width: int) -> dict[str, Directions]:
        generator = torch.Generator().manual_seed(self._seed(space, width, 0))
        most = max(self.settings.counts)
        orders = {
            "single units by effect": unit_effects(self._subject, space, width).argsort(descending=True),
            "single units at random": torch.randperm(width, generator=generator),
        }
        return {lens: unit_directions(order[:most], width, space) for lens, order in orders.items()}

    def _step(self, drawn: Callable[[], Directions], count: int) -> Tensor:
        return moved_along(self.judge.theta, self.judge.theta_0, vectors_of(drawn())[:count])

    def _mean(self, layer: str, width: int) -> Tensor:
        seen = activations_at(self._subject.network, [layer], self._subject.inputs)[layer]
        return mean_activations(seen, width)


def _maze_judges(run: MazeRun, settings: LensCompareSettings) -> tuple[Judge, Judge]:
    world = run.settings.world
    network, theta_0, theta = run.network(), run.parameters_after(0), run.parameters_after()

    def judge(levels: int, split: Any, seed: int) -> Judge:
        behaviour = MazeBehaviour(run.behaviour(levels, split=split, seed=seed))
        return Judge(network, behaviour, theta_0, theta, goals=maze_goals(world))

    return judge(settings.levels, "test", REPORT_LEVEL_SEED), judge(settings.choosing_levels, "tune", 0)


def _digit_judges(run: DigitRun, settings: LensCompareSettings) -> tuple[Judge, Judge]:
    network, theta_0, theta = run.network(), run.parameters_after(0), run.parameters_after()
    digits = load_digits("train", run.settings.data_dir)
    each = settings.choosing_images // len(DIGIT_GOALS)
    chosen = torch.cat([torch.nonzero(digits.labels == d)[:each, 0] for d in range(len(DIGIT_GOALS))])

    def judge(behaviour: DigitBehaviour) -> Judge:
        taken: Behaviour = ClassifierBehaviour(behaviour)
        return Judge(network, taken, theta_0, theta, goals=DIGIT_GOALS)

    return (
        judge(held_out_behaviour(run.settings, settings.images)),
        judge(DigitBehaviour(digits.subset(chosen))),
    )
