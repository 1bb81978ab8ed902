"""The methods that are compared on a maze agent: every way of finding what to change that goalcut knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from ..agents.parameters import parameter_layout
from ..agents.run import Run
from ..analysis.directions import Directions
from ..analysis.subject import Subject
from ..envs.generator import make_levels
from ..envs.world import CONFLICT, SHIFTED
from .activations import activations_at
from .contrast_pairs import Pairs, corner_pairs, thing_pairs
from .contrast_vectors import contrast_directions, contrast_vector
from .cuts import cut_parameters, moved_along
from .edits import ProjectOut, mean_activations
from .goal import Goal
from .judge import Judge
from .measure_gradients import gradient_directions, measure_gradients
from .method import (
    Change,
    Method,
    Rung,
    cut_ladder,
    projection_ladder,
    rewind_ladder,
    step_ladder,
    vector_ladder,
)
from .principal import principal_directions
from .selection import by_time, vectors_of
from .sparse_masks import Kind, SparseSettings, found_change, sparse_change
from .subspaces import module_directions, random_coordinates, random_directions
from .tuned import TuneSettings, tune_doses
from .tuned_edits import tune_projection


@dataclass(frozen=True)
class MethodSettings:
    """How far the ladders of methods reach.

    Attributes:
        counts: k of cuts of so many directions.
        doses: of these cuts.
        lengths: of steps along one direction, as shares of ‖θ − θ_0‖.
        norm_budgets: relative norms that tuned changes are held to.
        groups: random groups of coordinates.
        tuned: so many of the strongest directions have their doses tuned.
        strongest: choices by time choose among so many of the strongest directions.
        times: checkpoints to rewind to.
        entries: parameters that sparse changes move.
        layers: whose activations are edited; empty is all that a forward pass calls, and the trunk.
        vector_doses: of vectors that are added to activations.
        pairs: pairs of mazes that such vectors are taken from.
        components: principal directions of activations that tuned cuts choose among.
        tune: how doses are tuned.
        sparse: how sparse changes are found.
        seed: of all draws.
    """

    counts: tuple[int, ...] = (1, 2, 5, 10)
    doses: tuple[float, ...] = (0.5, 1.0)
    lengths: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    norm_budgets: tuple[float, ...] = (0.03, 0.05, 0.09)
    groups: int = 160
    tuned: int = 160
    strongest: int = 40
    times: int = 8
    entries: tuple[int, ...] = (30, 300, 3000, 30000)
    layers: tuple[str, ...] = ()
    vector_doses: tuple[float, ...] = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
    pairs: int = 400
    components: int = 64
    tune: TuneSettings = field(default_factory=partial(TuneSettings, steps=60))
    sparse: SparseSettings = field(default_factory=SparseSettings)
    seed: int = 0


def maze_methods(
    run: Run,
    judges: Sequence[Judge],
    subject: Subject,
    lenses: dict[str, Directions],
    settings: MethodSettings,
) -> list[Method]:
    """All of them, those in parameters first.

    Args:
        run: a trained run with its checkpoints.
        judges: of tuning units; measures are differentiated and doses tuned on them.
        subject: of the run: its inputs are what activations are taken over.
        lenses: name → what a lens gave, in parameter space or a layer's, strongest first.
        settings: how far ladders reach.
    """
    judge = judges[0]
    methods = []
    for name, found in lenses.items():
        if found.space == "parameters":
            methods += _of_lens(judges, name, found, settings)
        else:
            methods += _of_activation_lens(subject, name, found, settings)
    methods += [*_of_gradients(judges, settings), *_of_plain_directions(judges, settings)]
    methods += [*_of_time(run, judge, settings), *_of_few_entries(judges, settings)]
    for layer in settings.layers or ("trunk", *subject.layers):
        methods += _of_activations(run, judges, subject, layer, settings)
    return methods


def _of_lens(judges: Sequence[Judge], name: str, found: Directions, settings: MethodSettings) -> list[Method]:
    judge, counts = judges[0], [count for count in settings.counts if count <= len(found)]
    methods = [
        Method(
            f"{name}, strongest",
            lambda _: cut_ladder(judge, lambda: found, counts, settings.doses),
            per_goal=False,
        ),
        _tuned(judges, f"{name}, tuned", found.subset(range(min(settings.tuned, len(found)))), settings),
    ]
    if len(found.profiles):
        among = found.subset(range(min(settings.strongest, len(found))))

        def by_its_time(goal: Goal) -> list[Rung]:
            latest = goal.name != judge.goals[0].name

            def make(count: int, dose: float) -> Change:
                vectors = by_time(among, count, latest=latest).vectors
                return Change(cut_parameters(judge.theta, judge.theta_0, vectors, dose))

            when = {"time": "latest" if latest else "earliest"}
            return [
                Rung(count, dose, partial(make, count, dose), when)
                for count in counts
                if count <= len(among)
                for dose in settings.doses
            ]

        methods.append(Method(f"{name}, by time", by_its_time))
    return methods


def _tuned(judges: Sequence[Judge], name: str, found: Directions, settings: MethodSettings) -> Method:
    judge, vectors = judges[0], vectors_of(found)

    def make(goal: Goal, budget: float) -> Change:
        tuning = _within(settings.tune, budget)
        doses = tune_doses(judges, judge.theta, judge.theta_0, vectors, goal, tuning)
        return Change(cut_parameters(judge.theta, judge.theta_0, vectors, doses))

    return Method(name, lambda goal: _budgeted(settings, len(vectors), lambda budget: make(goal, budget)))


def _of_activation_lens(
    subject: Subject, name: str, found: Directions, settings: MethodSettings
) -> list[Method]:
    counts = [count for count in settings.counts if count <= len(found)]
    mean = _mean_at(subject, found.space)
    ladder = projection_ladder(found.space, lambda: found, mean, counts, settings.doses)
    return [Method(f"{name} at {found.space}", lambda _: ladder, per_goal=False, space=found.space)]


def _of_gradients(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    judge = judges[0]
    directions = cache(lambda name: gradient_directions(judges, _goal(judge, name)))
    counts = sorted({count for count in settings.counts if count <= len(judges)} | {len(judges)})

    def stepping(goal: Goal) -> list[Rung]:
        step = cache(lambda: -measure_gradients(judges, goal).mean(0))
        return step_ladder(judge, step, settings.lengths)

    return [
        Method(
            "measure gradients",
            lambda goal: cut_ladder(judge, lambda: directions(goal.name), counts, settings.doses),
        ),
        Method("step along the measure gradient", stepping),
    ]


def _of_plain_directions(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    judge, count = judges[0], max(settings.counts)
    moved = judge.theta - judge.theta_0
    groups = random_coordinates(moved, settings.groups, torch.Generator().manual_seed(settings.seed))
    modules = module_directions(moved, parameter_layout(judge.network))
    doses = (*settings.lengths, *settings.doses)

    @cache
    def random_step() -> Tensor:
        generator = torch.Generator().manual_seed(settings.seed)
        drawn = vectors_of(random_directions(len(moved), count, generator))
        return moved_along(judge.theta, judge.theta_0, drawn)

    def of_modules(_: Goal) -> list[Rung]:
        return [
            Rung(
                number,
                dose,
                partial(_cut_one, judge, modules, number, dose),
                {"module": modules.source["modules"][number]},
            )
            for number in range(len(modules))
            for dose in doses
        ]

    return [
        Method(
            "random directions",
            lambda _: step_ladder(judge, random_step, settings.lengths, k=count),
            per_goal=False,
        ),
        Method(
            "shrink θ − θ₀",
            lambda _: step_ladder(judge, lambda: -moved, settings.lengths, k=len(moved)),
            per_goal=False,
        ),
        Method(
            "random coordinates",
            lambda _: cut_ladder(judge, lambda: groups, settings.counts, settings.doses),
            per_goal=False,
        ),
        _tuned(judges, "random coordinates, tuned", groups, settings),
        Method("one module shrunk", of_modules, per_goal=False),
    ]


def _of_time(run: Run, judge: Judge, settings: MethodSettings) -> list[Method]:
    before = np.array([time for time in run.checkpoints if time < run.last_time])
    chosen = np.linspace(0, len(before) - 1, min(settings.times, len(before))).round().astype(int)
    times = before[chosen].tolist()
    return [
        Method(
            "early stopping",
            lambda _: rewind_ladder(judge, run.parameters_after, times),
            per_goal=False,
        ),
        Method(
            "rewind by a dose",
            lambda _: rewind_ladder(judge, run.parameters_after, times, settings.lengths[-2:]),
            per_goal=False,
        ),
    ]


def _of_few_entries(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    most = len(judges[0].theta)
    goals = judges[0]

    def method(name: str, kind: Kind) -> Method:
        whole = cache(lambda goal: found_change(judges, _goal(goals, goal), kind, settings.sparse))

        def make(goal: Goal, count: int) -> Change:
            found = sparse_change(judges, goal, kind, count, settings.sparse, whole(goal.name))
            return Change(judges[0].theta + found)

        def ladder(goal: Goal) -> list[Rung]:
            counts = [count for count in settings.entries if count <= most]
            return [Rung(count, 1.0, partial(make, goal, count)) for count in counts]

        return Method(name, ladder)

    return [method("sparse doses", "doses"), method("sparse fine-tuning", "fine-tuning")]


def _of_activations(
    run: Run, judges: Sequence[Judge], subject: Subject, layer: str, settings: MethodSettings
) -> list[Method]:
    """The vectors of Turner et al., their subspaces projected out, and tuned doses, at one layer."""
    world, mean = run.settings.world, _mean_at(subject, layer)
    seen = cache(lambda: activations_at(subject.network, [layer], subject.inputs)[layer])

    def pairs_of(name: str) -> Pairs:
        generator = np.random.default_rng(settings.seed)
        of_corner = name == "corner"
        levels = make_levels(
            world,
            settings.pairs,
            seed=settings.seed,
            split="tune",
            distribution=CONFLICT if of_corner else SHIFTED,
        )
        return corner_pairs(levels, generator) if of_corner else thing_pairs(levels, name, generator)

    def vector_methods(name: str, called: str) -> list[Method]:
        pairs = cache(lambda: pairs_of(name))
        vector = cache(lambda: contrast_vector(subject.network, layer, pairs()))
        found = cache(lambda: contrast_directions(subject.network, layer, pairs()))
        return [
            Method(
                f"{called} vector at {layer}",
                lambda _: vector_ladder(layer, vector, settings.vector_doses),
                per_goal=False,
                space=layer,
            ),
            Method(
                f"{called} subspace at {layer}",
                lambda _: projection_ladder(layer, found, mean, settings.counts, settings.doses),
                per_goal=False,
                space=layer,
            ),
        ]

    def tuned(goal: Goal) -> list[Rung]:
        def make(budget: float) -> Change:
            rows = seen().flatten(1)
            centre = mean(rows.shape[1])
            found = principal_directions(rows - centre, settings.components, space=layer)
            cut = ProjectOut(vectors_of(found), centre)
            tuning = _within(settings.tune, budget)
            return Change(edits={layer: tune_projection(judges, goal, layer, cut, seen(), tuning)})

        return _budgeted(settings, settings.components, make)

    named: list[tuple[str, str]] = [("corner", "top right")] if world.corner_is_goal else []
    named += [(name, name) for name in sorted(world.needed)]
    methods = [method for name, called in named for method in vector_methods(name, called)]
    return [*methods, Method(f"activations, tuned at {layer}", tuned, space=layer)]


def _within(tune: TuneSettings, budget: float) -> TuneSettings:
    return replace(tune, norm_budget=budget)


def _budgeted(settings: MethodSettings, k: int, make: Callable[[float], Change]) -> list[Rung]:
    return [Rung(k, budget, partial(make, budget), {"dose": "budget"}) for budget in settings.norm_budgets]


def _cut_one(judge: Judge, found: Directions, number: int, dose: float) -> Change:
    vector = vectors_of(found)[number : number + 1]
    return Change(cut_parameters(judge.theta, judge.theta_0, vector, dose))


def _mean_at(subject: Subject, layer: str) -> Callable[[int], Tensor]:
    seen = cache(lambda: activations_at(subject.network, [layer], subject.inputs)[layer])
    return cache(lambda width: mean_activations(seen(), width))


def _goal(judge: Judge, name: str) -> Goal:
    return next(goal for goal in judge.goals if goal.name == name)
