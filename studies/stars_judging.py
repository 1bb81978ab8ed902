"""What the study of stars asks of one run: are star and cheese one thing to the network, or two?

Three ways to ask. *Gradients*: the angle between the span of the star's gradients and the cheese's, and between their
means in every module, beside two draws of levels for one measure (what "the same thing" looks like) and random
subspaces (what "nothing in common" looks like). *Activations*: the same of the vectors that a star, or a cheese, adds
to a layer. *Transfer*: doses tuned to remove one goal with no care for the other: does the other go as well?
Beside them what cuts are measured by: the best checkpoint, and the agent that cannot see one of the things.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..ablate.contrast_pairs import thing_pairs
from ..ablate.contrast_vectors import contrast_vector
from ..ablate.cuts import relative_norm
from ..ablate.goal import Goal
from ..ablate.judge import Judge
from ..ablate.maze_cuts import levels_judged_on
from ..ablate.maze_goals import MazeBehaviour, maze_goals, tuning_batches
from ..ablate.principal import principal_directions
from ..ablate.selection import vectors_of
from ..ablate.subspaces import random_directions
from ..ablate.tuned import FEW_DOSES, TuneSettings, tune_doses
from ..agents.parameters import entries_by_module, parameter_layout
from ..analysis.directions import Directions, Layout
from ..analysis.rotations import principal_angles
from ..analysis.subject import subject_of
from ..envs.generator import make_levels
from ..envs.planes import plane_names
from ..envs.world import SHIFTED
from .causal import measure_gradients
from .study import Judged


@dataclass(frozen=True)
class JudgeStars:
    """How much star and cheese have in common.

    Attributes:
        batches: gradients of each measure that span its subspace.
        levels_of_a_batch: levels of each kind that a gradient is of.
        tuning_levels: of each kind, that doses are tuned and checkpoints chosen on.
        pairs: of mazes, with and without a thing, that tell what it adds to a layer.
        checkpoints: that early stopping chooses from, about so many, evenly spaced.
        tune: of the cuts that care for nothing but finding the way.
    """

    batches: int = 8
    levels_of_a_batch: int = 12
    tuning_levels: int = 400
    pairs: int = 400
    checkpoints: int = 20
    tune: TuneSettings = field(default_factory=lambda: replace(FEW_DOSES, steps=60))

    def tiny(self) -> "JudgeStars":
        """The same on a few levels."""
        return replace(self, levels_of_a_batch=4, tuning_levels=8, pairs=8, tune=TuneSettings(steps=2))

    def __call__(self, judged: Judged) -> dict[str, Any]:
        """Early stopping and blindness, then what gradients, activations and tuned cuts have in common."""
        split, level_seed = levels_judged_on(judged.role)
        goals = maze_goals(judged.run.settings.world)
        # Other levels of the split than those that the measures are told on: two draws of them.
        draws = [
            [
                _judge(
                    judged,
                    self.levels_of_a_batch,
                    split,
                    level_seed + 1 + draw * self.batches + number,
                    goals,
                )
                for number in range(self.batches)
            ]
            for draw in range(2)
        ]
        batches = tuning_batches(self.tuning_levels)
        tuners = [_judge(judged, size, "tune", seed, goals) for size, seed in batches]
        reported = _judge(judged, judged.levels, split, level_seed, goals)
        every = max(1, judged.run.last_time // self.checkpoints)
        found = {
            "early_stopping": _early_stopping(judged, tuners, reported, goals, every),
            "blind": _blind(judged, reported, goals),
            "gradients": _gradients(draws, (goals[0].remove, goals[1].remove)),
            "activations": _activations(judged, [goal.name for goal in goals], self.pairs),
            "transfer": _transfer(judged, tuners, reported, goals, self.tune),
        }
        judged.on_step("transfer", 1, 1)
        return found


def _judge(judged: Judged, levels: int, split: Any, seed: int, goals: Sequence[Goal]) -> Judge:
    run = judged.run
    behaviour = run.behaviour(levels, split=split, seed=seed)
    theta_0, theta = run.parameters_after(0), run.parameters_after()
    return Judge(run.network(), MazeBehaviour(behaviour), theta_0, theta, goals=goals)


def _gradients(draws: Sequence[Sequence[Judge]], names: tuple[str, str]) -> dict[str, Any]:
    """Angles between spans of gradients and cosines of their means, beside one measure on other levels, and chance."""
    # (draws, batches, measures, P)
    rows = torch.stack(
        [torch.stack([measure_gradients(judge, judge.theta, names) for judge in judges]) for judges in draws]
    )
    unit = rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    spans = [
        [principal_directions(unit[draw, :, measure], space="parameters") for measure in range(2)]
        for draw in range(2)
    ]
    generator = torch.Generator().manual_seed(0)
    parameters = rows.shape[-1]
    chance = [random_directions(parameters, len(spans[0][measure]), generator) for measure in range(2)]
    layout = parameter_layout(draws[0][0].network)
    means = rows.mean(1)
    same = [_by_module(means[0, of], means[1, of], layout) for of in range(2)]
    return {
        "angles": {
            "star and cheese": _degrees(principal_angles(spans[0][0], spans[1][1])),
            "one goal, other levels": _degrees(mean_angles(spans)),
            "random": _degrees(principal_angles(chance[0], chance[1])),
        },
        "cosines": {
            "star and cheese": _by_module(means[0, 0], means[1, 1], layout),
            "one goal, other levels": {
                module: float(np.mean([cosines[module] for cosines in same])) for module in same[0]
            },
        },
    }


def mean_angles(spans: Sequence[Sequence[Directions]]) -> np.ndarray:
    """Of either goal's span on two draws of levels, as many as both goals have: a span may lack dimensions."""
    angles = [principal_angles(first, second) for first, second in zip(*spans, strict=True)]
    fewest = min(map(len, angles))
    return np.mean([of[:fewest] for of in angles], axis=0)


def _degrees(angles: np.ndarray) -> list[float]:
    return np.rad2deg(angles).tolist()


def _by_module(a: torch.Tensor, b: torch.Tensor, layout: Layout) -> dict[str, float]:
    """Cosine of two vectors of parameters, of all and in every module."""
    parts = {"all": torch.arange(len(a))} | entries_by_module(layout)
    return {
        module: float(torch.cosine_similarity(a[inside], b[inside], dim=0))
        for module, inside in parts.items()
    }


def _activations(judged: Judged, things: Sequence[str], pairs: int) -> dict[str, Any]:
    """Cosine, by layer, of what a star and what a cheese adds to it; and of one thing's vectors from other mazes."""
    world, run = judged.run.settings.world, judged.run
    if len({thing.planes for thing in world.things}) < 2:
        return {"left_out": "star and cheese share their plane: no picture has one and not the other"}
    network, layers = run.network(), subject_of(run, inputs=8).layers
    vectors: dict[str, list[dict[str, torch.Tensor]]] = {}
    for thing in things:
        vectors[thing] = []
        for seed in range(2):
            levels = make_levels(world, pairs, seed=seed, split="tune", distribution=SHIFTED)
            of = thing_pairs(levels, thing, np.random.default_rng(seed))
            vectors[thing].append({layer: contrast_vector(network, layer, of).flatten() for layer in layers})
    star, cheese = (vectors[thing] for thing in things)

    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.cosine_similarity(a, b, dim=0))

    return {
        "layers": {
            layer: {
                "star and cheese": cosine(star[0][layer], cheese[1][layer]),
                "one thing, other mazes": float(
                    np.mean([cosine(of[0][layer], of[1][layer]) for of in (star, cheese)])
                ),
            }
            for layer in layers
        }
    }


def _early_stopping(
    judged: Judged, tuners: Sequence[Judge], reported: Judge, goals: Sequence[Goal], every: int
) -> dict[str, Any]:
    """Goal → the checkpoint where the other is furthest ahead of it on tuning levels, measured on others."""
    names, run = [goal.remove for goal in goals], judged.run

    def on_tuning_levels(theta: torch.Tensor) -> dict[str, float]:
        found = [tuner.surrogate(theta, names) for tuner in tuners]
        return _means({name: torch.cat([of[name] for of in found]) for name in names}, names)

    with torch.no_grad():
        through = {time: on_tuning_levels(run.parameters_after(time)) for time in run.checkpoints[::every]}

    def stopped(goal: Goal) -> dict[str, Any]:
        best = max(through, key=lambda time: through[time][goal.keep[0]] - through[time][goal.remove])
        return {"time": best} | _means(reported.measure(run.parameters_after(best)), names)

    return {goal.name: stopped(goal) for goal in goals}


def _means(measured: Mapping[str, torch.Tensor], names: Sequence[str]) -> dict[str, float]:
    return {name: float(measured[name].mean()) for name in names}


def _blind(judged: Judged, reported: Judge, goals: Sequence[Goal]) -> dict[str, Any]:
    """Goal → the agent that cannot see its thing: the first layer's weights of the planes it alone shows on are 0.

    What it reaches all the same it finds on its way; a cut that leaves less has taught it to avoid the thing. A thing
    without a plane of its own has no entry.
    """
    world, network = judged.run.settings.world, judged.run.network()
    planes = plane_names(world)
    start, stop, shape = next(iter(parameter_layout(network).values()))
    entries = torch.arange(start, stop).view(shape[0], len(planes), -1)  # of a kernel, or of a whole picture
    shown = [{thing.name for thing in world.things if plane in thing.planes} for plane in planes]
    found = {}
    for goal in goals:
        own = [place for place, names in enumerate(shown) if names == {goal.name}]
        if not own:
            continue
        theta = reported.theta.clone()
        theta[entries[:, own].flatten()] = 0
        verdict = reported.judge(theta)
        found[goal.name] = {
            "measures": verdict.measures,
            "retention": verdict.retention,
            "selectivity": verdict.selectivity[goal.name],
            "relative_norm": relative_norm(theta, reported.theta, reported.theta_0),
        }
    return found


def _transfer(
    judged: Judged, tuners: Sequence[Judge], reported: Judge, goals: Sequence[Goal], tune: TuneSettings
) -> dict[str, Any]:
    """What a cut of one goal leaves of the other when its tuning cared for nothing but finding the way."""
    vectors = vectors_of(judged.directions)
    careless = [replace(goal, keep=tuple(goal.guard), guard={}) for goal in goals]
    tuned = tune_doses(tuners, reported.theta, reported.theta_0, vectors, careless, tune)
    found = {}
    for goal, doses in zip(goals, tuned, strict=True):
        theta = reported.cut(vectors, doses)
        kept = reported.retention(theta)
        found[goal.name] = {
            "removed": kept[goal.remove],
            "other": kept[goal.keep[0]],
            "navigation": kept.get("navigation"),
            "relative_norm": relative_norm(theta, reported.theta, reported.theta_0),
        }
    return found
