"""Methods that are compared in parameter space, each a ladder of changes of θ."""

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from ..agents.parameters import parameter_layout
from ..agents.run import Run
from ..analysis.directions import Directions
from .cuts import cut_parameters, moved_along
from .goal import Goal
from .judge import Judge
from .measure_gradients import gradient_directions, measure_gradients
from .method import Change, Method, Rung, cut_ladder, rewind_ladder, step_ladder
from .method_settings import MethodSettings
from .selection import by_time, vectors_of
from .sparse_masks import Kind, found_change, largest_entries, moved_in, sparse_change
from .subspaces import module_directions, random_coordinates, random_directions
from .tuned import tune_doses


def lens_methods(
    judges: Sequence[Judge], name: str, found: Directions, settings: MethodSettings
) -> list[Method]:
    """The strongest directions of a lens, the earliest or latest where it tells time, and tuned doses of them."""
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
        tuning = settings.within(budget)
        (doses,) = tune_doses(judges, judge.theta, judge.theta_0, vectors, [goal], tuning)
        return Change(judge.cut(vectors, doses))

    return Method(name, lambda goal: settings.budgeted(len(vectors), lambda budget: make(goal, budget)))


def gradient_methods(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    """Directions of the gradients of the measures, and steps against their mean."""
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


def plain_methods(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    """What no one had to find: random directions and coordinates, modules, few parameters, all of θ − θ_0."""
    judge, count = judges[0], max(settings.counts)
    moved = judge.theta - judge.theta_0
    groups = random_coordinates(moved, settings.groups, torch.Generator().manual_seed(settings.seed))
    modules = module_directions(moved, parameter_layout(judge.network))
    doses = (*settings.lengths, *settings.doses)
    at_random = torch.rand(len(moved), generator=torch.Generator().manual_seed(settings.seed))

    def of_few(name: str, order: Tensor) -> Method:
        def make(entries: int) -> Change:
            return _few_moved(judge, torch.where(largest_entries(order, entries) != 0, -moved, 0.0))

        return Method(name, lambda _: settings.by_entries(len(moved), make), per_goal=False)

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
        of_few("parameters that moved most, taken back", moved.abs()),
        of_few("random parameters, taken back", at_random),
    ]


def time_methods(run: Run, judge: Judge, settings: MethodSettings) -> list[Method]:
    """Rewinding to checkpoints, wholly or by a dose."""
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


def sparse_methods(judges: Sequence[Judge], settings: MethodSettings) -> list[Method]:
    """Few parameters moved: taken back, or fine-tuned."""
    judge = judges[0]

    def method(name: str, kind: Kind) -> Method:
        whole = cache(lambda goal: found_change(judges, _goal(judge, goal), kind, settings.sparse))

        def make(goal: Goal, count: int) -> Change:
            found = sparse_change(judges, goal, kind, count, settings.sparse, whole(goal.name))
            return _few_moved(judge, found)

        return Method(name, lambda goal: settings.by_entries(len(judge.theta), partial(make, goal)))

    return [method("sparse doses", "doses"), method("sparse fine-tuning", "fine-tuning")]


def _few_moved(judge: Judge, change: Tensor) -> Change:
    """A change of few parameters, (P,), which tells which modules they lie in."""
    layout = parameter_layout(judge.network)
    return Change(judge.theta + change, about={"moved in": moved_in(change, layout)})


def _cut_one(judge: Judge, found: Directions, number: int, dose: float) -> Change:
    vector = vectors_of(found)[number : number + 1]
    return Change(cut_parameters(judge.theta, judge.theta_0, vector, dose))


def _goal(judge: Judge, name: str) -> Goal:
    return next(goal for goal in judge.goals if goal.name == name)
