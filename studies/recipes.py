"""The profile-only recipes that studies judge beside the standard cuts: named choices, fixed before fresh seeds.

To add one, append to RECIPES. A recipe looks at profiles, singular values and vectors alone, never at behaviour. Tables
are kept by the names here: rename a recipe when you change what it chooses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..ablate.maze_goals import maze_goals
from ..ablate.plan import Choice, PlannedCut, timed
from ..agents.run import Run
from ..analysis.directions import Directions


@dataclass(frozen=True, eq=False)
class Context:
    """What a recipe knows of a run besides its directions.

    Attributes:
        directions: the lens's; a choice is later also made among those of another seed.
        split: the row that parts early from late.
        times: rows in all.
    """

    directions: Directions
    split: int
    times: int


@dataclass(frozen=True, eq=False)
class Recipe:
    """A named choice of directions for one goal.

    Attributes:
        name: what it is; the cut is called "NAME: remove GOAL".
        removes: the `proxy` goal or the `paid` one.
        choose: from the context to the choice; see `ablate.selection` for what a choice gives.
        neighbour: the same at a neighbouring time, as its control; None where there is none.
    """

    name: str
    removes: Literal["proxy", "paid"]
    choose: Callable[[Context], Choice]
    neighbour: Callable[[Context], Choice] | None = None


def _timed(count: int, *, latest: bool, skip: int = 0) -> Callable[[Context], Choice]:
    """The earliest or latest `count` among all directions that are kept; fewer where there are not so many."""

    def chosen(context: Context) -> Choice:
        among = len(context.directions)
        size = min(count, max(1, among // 2))
        return timed(size, among, latest=latest, skip=min(skip, among - size))

    return chosen


RECIPES: tuple[Recipe, ...] = (
    Recipe("earliest 20 of all", "proxy", _timed(20, latest=False), _timed(20, latest=False, skip=20)),
    Recipe("latest 20 of all", "paid", _timed(20, latest=True), _timed(20, latest=True, skip=20)),
)


def planned_recipes(
    run: Run, directions: Directions, split: int, recipes: tuple[Recipe, ...] = RECIPES
) -> list[PlannedCut]:
    """The recipes as cuts of this run, each a headline, so that it has all draws of its controls and a dose curve."""
    context = Context(directions, split, len(directions.profiles))
    goals = dict(zip(("proxy", "paid"), maze_goals(run.settings.world), strict=True))
    return [
        PlannedCut(
            f"recipe {recipe.name}: remove {goals[recipe.removes].name}",
            goals[recipe.removes],
            recipe.choose(context),
            None if recipe.neighbour is None else recipe.neighbour(context),
            headline=True,
        )
        for recipe in recipes
    ]


RECIPE_NAMES = tuple(recipe.name for recipe in RECIPES)
