"""The profile-only recipes that studies judge beside the standard cuts: named choices, fixed before fresh seeds.

A recipe looks at when directions were trained, never at behaviour. To add one, append to RECIPES. Tables are kept by
the names here: rename a recipe when you change what it chooses.

Those here were chosen on seeds 0, 1 and 2 of the default world and tuning levels, among some 700 contrasts of two
windows of time, over raw gradients, gradients of unit norm, applied changes of θ and those of unit norm, with 1 to 20
directions, whole or in one part of the network. What an update applied tells the goals apart better than its gradient,
whose size is mostly noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..ablate.maze_goals import maze_goals
from ..ablate.plan import Choice, PlannedCut
from ..ablate.selection import Selection, by_contrast
from ..agents.parameters import parameter_layout
from ..agents.run import Run
from ..agents.run_directory import AppliedChanges
from ..analysis.directions import Directions
from ..analysis.rows import UnitRows
from ..analysis.temporal_svd import directions, temporal_svd

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
        changes = applied_directions(run, unit=self.unit)
        times = len(changes.profiles)

        def rows(share: Share) -> tuple[int, int]:
            start, stop = (round(times * min(1.0, place + later)) for place in share)
            start = min(start, times - 1)
            return start, max(stop, start + 1)

        count = min(self.count, len(changes))
        chosen = by_contrast(changes, count, rows(self.window), rows(self.against), ridge=self.ridge)
        about = {"of": "applied changes", "unit": self.unit}
        return Selection(chosen.vectors, chosen.centre, chosen.recipe | about)


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "first changes against later ones",
        "proxy",
        window=(0, 1 / 16),
        against=(1 / 6, 1),
        count=3,
        ridge=1.0,
        unit=True,
    ),
    Recipe(
        "early changes against late ones",
        "paid",
        window=(1 / 12, 1 / 4),
        against=(1 / 3, 1),
        count=2,
        ridge=0.1,
    ),
)
RECIPE_NAMES = tuple(recipe.name for recipe in RECIPES)


@lru_cache(maxsize=2)  # a run's, and those of the other seed
def _applied_changes(run: Run) -> AppliedChanges:
    return run.applied_changes()


@lru_cache(maxsize=4)  # both recipes' of a run and of the other seed's
def applied_directions(run: Run, *, unit: bool) -> Directions:
    """All directions of what training changed of θ between checkpoints, as far as the SVD's floor lets them be told."""
    changes = _applied_changes(run)
    rows = UnitRows(changes) if unit else changes
    svd = temporal_svd(rows)
    layout = parameter_layout(run.network())
    return directions(
        svd, rows, range(len(svd)), layout=layout, source={"lens": "temporal SVD", "rows": "applied"}
    )


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
