"""Which contrast of two windows of training time, no behaviour looked at, cuts a goal best? On development agents.

Contrasts are drawn at random: of what training changed of θ between checkpoints or of its gradients, as they are or
each of unit norm; the window, what it stands against, how many directions, the ridge. All are judged on a few levels of
the first two runs, the best of them on more levels of all runs.

    goalcut study cut --development --seeds 0-3
    python docs/results/recipe_search.py runs/studies/cut/development/default/seed-* --removes paid

A line for each contrast, the best first: mean and lowest selectivity over runs, mean retention of both goals and of
finding the way, mean relative norm. With --report the recipes of studies/recipes.py, judged on a report's levels.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalcut.ablate import Judge, MazeBehaviour, cut_parameters, maze_goals, relative_norm
from goalcut.ablate.maze_cuts import JudgedOn, levels_judged_on
from goalcut.agents import Run
from goalcut.analysis.rows import UnitRows
from goalcut.analysis.temporal_svd import temporal_svd
from goalcut.studies.recipes import RECIPES, DecomposedChanges, Recipe, decomposed_changes

EDGES = (0, 1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)
COUNTS, RIDGES = (1, 2, 3, 5, 8, 12, 20), (0.03, 0.1, 0.3, 1.0)
KINDS = ((False, False), (False, True), (True, False), (True, True))
"""Whether of gradients, whether each of unit norm."""


@dataclass(frozen=True)
class Contrast:
    """What is drawn: a recipe, of applied changes or of gradients."""

    recipe: Recipe
    gradients: bool = False

    def vectors(self, run: Run) -> Tensor:
        """Its directions of a run, unit rows (k, P)."""
        return self.recipe.choose_among(decomposed(run, self.gradients, self.recipe.unit)).vectors


@lru_cache(maxsize=16)
def decomposed(run: Run, gradients: bool, unit: bool) -> DecomposedChanges:
    if not gradients:
        return decomposed_changes(run, unit=unit)
    raw = run.gradient_log().rows()
    rows = UnitRows(raw) if unit else raw
    return DecomposedChanges(rows, np.ones(rows.shape[0]), temporal_svd(rows))


def drawn(count: int, seed: int, removes: Literal["proxy", "paid"]) -> list[Contrast]:
    """So many different ones."""
    rng = np.random.default_rng(seed)
    found: dict[Contrast, None] = {}
    while len(found) < count:
        window, against = (
            tuple(EDGES[i] for i in sorted(rng.choice(len(EDGES), 2, False))) for _ in range(2)
        )
        gradients, unit = KINDS[rng.integers(len(KINDS))]
        several, ridge = COUNTS[rng.integers(len(COUNTS))], RIDGES[rng.integers(len(RIDGES))]
        drawn_now = Recipe(
            "drawn", removes, (window[0], window[1]), (against[0], against[1]), several, ridge, unit
        )
        if window != against:
            found[Contrast(drawn_now, gradients)] = None
    return list(found)


class Judged:
    """A run's cuts by contrasts, on so many levels."""

    def __init__(self, run: Run, levels: int, role: JudgedOn, side: int):
        self.run, world = run, run.settings.world
        split, seed = levels_judged_on(role)
        self.goal = maze_goals(world)[side]
        theta_0, theta = run.parameters_after(0), run.parameters_after()
        behaviour = MazeBehaviour(run.behaviour(levels, split=split, seed=seed))
        self.judge = Judge(run.network(), behaviour, theta_0, theta, goals=[self.goal])

    def figures(self, vectors: Tensor) -> list[float]:
        """Selectivity; retention of the goal removed, the one kept, the way; relative norm."""
        theta_0, theta = self.judge.theta_0, self.judge.theta
        cut = cut_parameters(theta, theta_0, vectors)
        kept = self.judge.retention(cut)
        names = (self.goal.remove, *self.goal.keep, "navigation")
        return [
            float(self.goal.selectivity({name: torch.tensor(value) for name, value in kept.items()})),
            *(kept[name] for name in names),
            relative_norm(cut, theta, theta_0),
        ]


def table(judged: Sequence[Judged], contrasts: Sequence[Contrast]) -> list[tuple[Contrast, np.ndarray]]:
    """Each with its figures (runs, 5), the best first."""
    found = [(one, np.array([of.figures(one.vectors(of.run)) for of in judged])) for one in contrasts]
    return sorted(found, key=lambda pair: -pair[1][:, 0].mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="trained, with checkpoints and gradient logs")
    parser.add_argument("--removes", choices=("proxy", "paid"), required=True)
    parser.add_argument("--drawn", type=int, default=400, help="contrasts")
    parser.add_argument("--kept", type=int, default=30, help="of them, judged on all runs")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--levels", type=int, nargs=2, default=(16, 100), help="of each kind, first and then")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    side = ("proxy", "paid").index(args.removes)
    runs = [Run(directory) for directory in args.runs]
    if args.report:
        contrasts = [Contrast(one) for one in RECIPES if one.removes == args.removes]
    else:
        few = [Judged(run, args.levels[0], "development", side) for run in runs[:2]]
        contrasts = [one for one, _ in table(few, drawn(args.drawn, args.seed, args.removes))[: args.kept]]
    role: JudgedOn = "report" if args.report else "development"
    for one, figures in table([Judged(run, args.levels[1], role, side) for run in runs], contrasts):
        selectivity, *others = figures.mean(0)
        told = ", ".join(f"{value:.2f}" for value in others)
        print(f"{selectivity:.3f} (lowest {figures[:, 0].min():.2f}; {told}): {one}", flush=True)


if __name__ == "__main__":
    main()
