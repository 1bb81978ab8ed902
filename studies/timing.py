"""Question 1: is corner-seeking trained early and cheese-seeking late, and do early directions carry the first?"""

from dataclasses import replace

from ..agents.run import TrainSettings
from ..envs.worlds import CheeseInCorner
from .study import Study
from .timing_judging import JudgeTiming
from .timing_summary import summarise_timing

BASE = TrainSettings()


def _corner(size: int, corner_size: int, start: str = "bottom_left", longer: int = 1) -> TrainSettings:
    world = CheeseInCorner(size=size, corner_size=corner_size, start=start)  # pyright: ignore[reportArgumentType]
    return replace(BASE, world=world, ppo=replace(BASE.ppo, rollouts=longer * BASE.ppo.rollouts))


TIMING = Study(
    name="timing",
    question=(
        "Is corner-seeking trained early and cheese-seeking late, in which worlds do they part most in time, and do "
        "directions that were pushed late carry the goal that was learned late?"
    ),
    variants={
        "default": BASE,
        "n9-k3": _corner(9, 3),
        "n9-k1": _corner(9, 1),
        "n7-k4": _corner(7, 4),
        # In the env steps of the others these agents hardly begin to seek the cheese.
        "n13-k7": _corner(13, 7, longer=3),
        "n9-k5-random": _corner(9, 5, "random"),
        "n9-k3-random": _corner(9, 3, "random"),
    },
    seeds="36-40",
    # Cuts are the study `cut`; here every direction is judged by itself, to first order.
    ablate=None,
    judging=JudgeTiming(),
    judging_version=2,
    summarise=summarise_timing,
)
