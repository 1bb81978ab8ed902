"""Methods that are compared in activation space, each a ladder of edits of one layer."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from torch import Tensor

from ..agents.run import Run
from ..analysis.directions import Directions
from ..analysis.subject import Subject
from ..envs.generator import make_levels
from ..envs.world import CONFLICT, SHIFTED
from .activations import activations_at
from .contrast_pairs import Pairs, corner_pairs, thing_pairs
from .contrast_vectors import contrast_directions, contrast_vector
from .edits import ProjectOut, mean_activations
from .goal import Goal
from .judge import Judge
from .method import Change, Method, Rung, projection_ladder, vector_ladder
from .method_settings import MethodSettings
from .principal import principal_directions
from .selection import vectors_of
from .tuned_edits import tune_projection


def activation_lens_methods(
    subject: Subject, name: str, found: Directions, settings: MethodSettings
) -> list[Method]:
    """Directions of a lens projected out of their layer."""
    counts = [count for count in settings.counts if count <= len(found)]
    mean = _mean_at(subject, found.space)
    ladder = projection_ladder(found.space, lambda: found, mean, counts, settings.doses)
    return [Method(f"{name} at {found.space}", lambda _: ladder, per_goal=False, space=found.space)]


def activation_methods(
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
            tuning = settings.within(budget)
            return Change(edits={layer: tune_projection(judges, goal, layer, cut, seen(), tuning)})

        return settings.budgeted(settings.components, make)

    named: list[tuple[str, str]] = [("corner", "top right")] if world.corner_is_goal else []
    named += [(name, name) for name in sorted(world.needed)]
    methods = [method for name, called in named for method in vector_methods(name, called)]
    return [*methods, Method(f"activations, tuned at {layer}", tuned, space=layer)]


def _mean_at(subject: Subject, layer: str) -> Callable[[int], Tensor]:
    seen = cache(lambda: activations_at(subject.network, [layer], subject.inputs)[layer])
    return cache(lambda width: mean_activations(seen(), width))
