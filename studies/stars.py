"""Question 4: can star-seeking be cut and cheese-seeking kept, and what must the training schedule be for that?

Gradient routing will be further variants here, and transfer of cuts a `judging`.
"""

from dataclasses import replace

from ..agents.run import TrainSettings
from ..envs.worlds import StarsAndCheese
from ..envs.worlds.stars_and_cheese import SCHEDULES
from .cut_summary import summarise_cuts
from .study import Study

STARS = Study(
    name="stars",
    question=(
        "Where star and cheese both pay, can the one goal be cut and the other kept, and which training schedule makes "
        "it possible?"
    ),
    variants={
        name.replace("_", "-"): replace(TrainSettings(), world=StarsAndCheese(schedule=name))  # pyright: ignore[reportArgumentType]
        for name in SCHEDULES
    },
    seeds="0-4",
    summarise=summarise_cuts,
)
