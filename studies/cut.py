"""Questions 2 and 3: cut cheese-seeking and keep corner-seeking, and the other way round; navigation stays in both."""

from ..ablate.maze_cuts import AblateSettings
from ..agents.run import PRESETS
from .cut_summary import summarise_cuts
from .recipes import RECIPE_NAMES, planned_recipes
from .study import Study

CUT = Study(
    name="cut",
    question=(
        "Can corner-seeking be cut out and cheese-seeking kept, and the other way round: by doses tuned through the "
        "measures, and by profiles alone, beside every control?"
    ),
    variants={"default": PRESETS["default"]},
    seeds="36-45",  # none that recipes or settings of tuning (1000–1003) were chosen on
    # Fewer draws, controls and doses than `goalcut ablate` takes, as the seeds tell.
    ablate=AblateSettings(draws=1, controls_of="headline", curve_levels=60, doses=(0.0, 0.5, 1.0, 1.5, 2.0)),
    recipes=planned_recipes,
    recipe_names=RECIPE_NAMES,
    summarise=summarise_cuts,
)
