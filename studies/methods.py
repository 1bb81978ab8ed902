"""Question 5: which way of finding directions is best, all through the same harness?

The methods themselves come as `judging`: from one run's directions and subject to rows that say, of each method and
dose, selectivity, retention, navigation, ‖Δθ‖ or ‖Δh‖ and side effects.
"""

from ..agents.run import PRESETS
from .cut_summary import summarise_cuts
from .recipes import RECIPE_NAMES, planned_recipes
from .study import Study

METHODS = Study(
    name="methods",
    question="Which way of finding directions removes one goal and keeps the other at the least cost?",
    variants={"default": PRESETS["default"], "random-start": PRESETS["random-start"]},
    seeds="0-4",
    recipes=planned_recipes,
    recipe_names=RECIPE_NAMES,
    summarise=summarise_cuts,
)
