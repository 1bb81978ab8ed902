"""Question 6: does it hold in other corners, sizes, shares of shifted levels, networks, starts, and with SB3's PPO?"""

from dataclasses import replace

from ..ablate.maze_cuts import AblateSettings
from ..ablate.tuned import TuneSettings
from ..agents.run import TrainSettings
from ..envs.worlds import CheeseInCorner
from .robustness_summary import summarise_robustness
from .study import Study
from .timing import TIMING

BASE = TrainSettings()
WORLD = CheeseInCorner()


def _world(**changes: object) -> TrainSettings:
    return replace(BASE, world=replace(WORLD, **changes))  # pyright: ignore[reportArgumentType]


ROBUSTNESS = Study(
    name="robustness",
    question=(
        "Where is the border beyond which there is no misgeneralization to cut: over corner size, maze size, shares of "
        "shifted levels, networks, starts and learners? And does what was learned early persist, when training goes on "
        "with the cheese anywhere?"
    ),
    variants={
        "default": BASE,
        **{f"corner-{size}": _world(corner_size=size) for size in (1, 3)},
        # About the same share of the maze as 5 of 9; so has n13.
        "n7": _world(size=7, corner_size=4),
        **{f"ood-{share}": _world(ood_share=share) for share in (0.001, 0.01, 0.1, 1.0)},
        "then-anywhere": _world(anywhere_from=0.5),
        "random-start": _world(start="random"),
        "sb3": replace(BASE, learner="sb3"),
        **{
            network.replace("_", "-"): replace(BASE, network=network)
            for network in ("mlp", "residual_mlp", "impala")
        },
        # Three times as long: in the env steps of the others these agents hardly begin to seek the cheese.
        "n13": TIMING.variants["n13-k7"],
    },
    seeds="36-38",
    # Half of the levels of `cut` and less tuning: many worlds, and their order is the question.
    ablate=AblateSettings(
        levels=200,
        draws=1,
        curve_levels=60,
        doses=(0.0, 0.5, 1.0, 1.5, 2.0),
        tune=TuneSettings(steps=200, learning_rate=0.05, guarding=(0.5, 1.5), guard_floor=1.0),
    ),
    levels=200,
    summarise=summarise_robustness,
)
