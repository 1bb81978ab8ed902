"""The profile-only recipes that studies judge beside the standard cuts: named choices, fixed before fresh seeds.

A recipe looks at when directions were trained, never at behaviour. To add one, append to RECIPES. Tables are kept by
the names here: rename a recipe when you change what it chooses.

Those here are the best of 400 contrasts of two windows of time on development agents of the default world and
development levels (docs/results/recipe_search.py; all on seeds 1000 and 1001, the best 30 on 1000 to 1003), over
gradients and applied changes of θ, as they are or of unit norm, with 1 to 20 directions. Their windows may overlap.
What an update applied tells the goals apart better than its gradient, whose size is mostly noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from torch import Tensor

from ..ablate.maze_goals import maze_goals
from ..ablate.plan import Choice, PlannedCut
from ..ablate.selection import Selection, rotation_by_windows, vectors_of
from ..agents.run import Run
from ..agents.run_directory import AppliedChanges
from ..analysis.along_profiles import directions_along
from ..analysis.directions import Directions
from ..analysis.gram import gram
from ..analysis.rows import Rows
from ..analysis.temporal_svd import TemporalSVD, svd_of_gram

Share = tuple[float, float]
"""A window of time, as shares of the training."""


@dataclass(frozen=True)
class Recipe:
    """A contrast of two windows of time, over what training changed of θ between checkpoints.

    Attributes:
        name: what it is; the cut is called "recipe NAME: remove GOAL".
        removes: the `proxy` goal or the `paid` one.
        window: where its directions have most energy,
        against: for their energy there.
        count: of directions.
        ridge: see `by_contrast`.
        unit: whether every change is first brought to unit norm.
    """

    name: str
    removes: Literal["proxy", "paid"]
    window: Share
    against: Share
    count: int
    ridge: float
    unit: bool = False

    def choose(self, run: Run, *, later: float = 0.0) -> Selection:
        """The directions of a run; with `later` those of windows so much later, as a control."""
        chosen = self.choose_among(decomposed_changes(run, unit=self.unit), later=later)
        about = {"of": "applied changes", "unit": self.unit}
        return replace(chosen, recipe=chosen.recipe | about)

    def choose_among(self, changes: "DecomposedChanges", *, later: float = 0.0) -> Selection:
        """The same among rows that are decomposed already, of whatever kind."""
        times = len(changes.svd.profiles)

        def rows(share: Share) -> tuple[int, int]:
            start, stop = (round(times * min(1.0, place + later)) for place in share)
            start = min(start, times - 1)
            return start, max(stop, start + 1)

        count = min(self.count, len(changes.svd))
        window, against = rows(self.window), rows(self.against)
        values, profiles = changes.svd.singular_values, changes.svd.profiles
        chosen = rotation_by_windows(values, profiles, count, window, against, ridge=self.ridge)
        return Selection(changes.directions(chosen.coefficients), chosen.centre, chosen.recipe)


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "first sixth against what follows",
        "proxy",
        window=(0, 1 / 6),
        against=(1 / 16, 1 / 3),
        count=1,
        ridge=0.03,
        unit=True,
    ),
    Recipe(
        "up to a quarter against later changes",
        "paid",
        window=(1 / 6, 1 / 4),
        against=(1 / 4, 5 / 6),
        count=8,
        ridge=1.0,
    ),
)
RECIPE_NAMES = tuple(recipe.name for recipe in RECIPES)


@dataclass(frozen=True, eq=False)
class DecomposedChanges:
    """The temporal SVD of what training changed of θ between checkpoints.

    To make all directions takes longer than what is done with the few that are chosen: only those asked for are made.

    Attributes:
        changes: rows (T, P).
        scale: what each row was multiplied by first, (T,).
        svd: of the rows so scaled, as far as its floor lets them be told.
    """

    changes: Rows
    scale: np.ndarray
    svd: TemporalSVD

    def directions(self, coefficients: np.ndarray) -> Tensor:
        """Σ_j r_j u_j for columns r of coefficients (m, k), unit rows (k, P)."""
        # u_j = G v_j / σ_j.
        along = self.svd.profiles / self.svd.singular_values @ coefficients * self.scale[:, None]
        return vectors_of(directions_along(self.changes, along))


@lru_cache(maxsize=2)  # a run's, and those of the other seed
def _with_gram(run: Run) -> tuple[AppliedChanges, np.ndarray]:
    changes = run.applied_changes()
    return changes, gram(changes)


@lru_cache(maxsize=4)  # both recipes' of a run and of the other seed's
def decomposed_changes(run: Run, *, unit: bool) -> DecomposedChanges:
    """What training changed of θ between checkpoints, decomposed; `unit`: every change brought to norm 1 first."""
    changes, K = _with_gram(run)
    norms = np.sqrt(np.diag(K))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0) if unit else np.ones_like(norms)
    svd = svd_of_gram(K * scale * scale[:, None], parameters=changes.shape[1])
    return DecomposedChanges(changes, scale, svd)


def planned_recipes(
    run: Run, found: Directions, other: Run | None, recipes: Sequence[Recipe] = RECIPES
) -> list[PlannedCut]:
    """The recipes as cuts of this run, each a headline, so that it has all draws of its controls and a dose curve.

    Args:
        run: to be cut.
        found: its lens's directions; among those of another seed a recipe takes that seed's changes.
        other: the run of that seed, or None.
        recipes: which.
    """
    goals = dict(zip(("proxy", "paid"), maze_goals(run.settings.world), strict=True))

    def of(recipe: Recipe, later: float = 0.0) -> Choice:
        def choose(among: Directions) -> Selection:
            whose = run if among is found or other is None else other
            return recipe.choose(whose, later=later)

        return choose

    return [
        PlannedCut(
            f"recipe {recipe.name}: remove {goals[recipe.removes].name}",
            goals[recipe.removes],
            of(recipe),
            of(recipe, later=recipe.window[1] - recipe.window[0]),
            headline=True,
            rewinds=(recipe.window[1],),
        )
        for recipe in recipes
    ]
