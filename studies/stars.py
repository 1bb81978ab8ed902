"""Question 4: can star-seeking be cut and cheese-seeking kept, and what must the training schedule be for that?

Beside the schedules: gradient routing, wholly and of half the samples that could be, after which a part of the network
should hold a goal; routing whose features are also kept quiet where they are not taught, and as its control that term
of the loss alone; data filtering, of half the levels, as many as half routing is told of, and of all of them, where the
star is never taught; and a star that looks like cheese, which no agent can tell apart. Early stopping is among the
controls of every cut.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..ablate.maze_cuts import AblateSettings
from ..ablate.maze_goals import maze_goals
from ..ablate.plan import Choice, PlannedCut
from ..ablate.selection import Selection, by_part
from ..agents.ppo import PPOSettings
from ..agents.routing import Routing, parameters_of_features
from ..agents.run import Run, TrainSettings
from ..analysis.directions import Directions
from ..envs.worlds import StarsAndCheese
from ..envs.worlds.stars_and_cheese import SCHEDULES
from .stars_judging import JudgeStars
from .stars_summary import summarise_stars
from .study import Study

WORLD = StarsAndCheese(size=7)
# On 7×7 both are learned within 80 rollouts.
BASE = TrainSettings(world=WORLD, ppo=PPOSettings(rollouts=80))
TWICE = PPOSettings(rollouts=160)
MIXED = replace(WORLD, schedule="mixed")
# Of weights 0.1, 0.5 and 2 on development seeds (docs/results/routing_strength.py): less leaves the goals mixed, more
# costs return.
QUIET = Routing(share=1.0, quiet_coef=0.5)


def part_cuts(run: Run, found: Directions, other: Run | None) -> Sequence[PlannedCut]:
    """What training moved of the features that routing gives each of the two things, taken back whole.

    Within an agent the other thing's features are the control; over agents, the same features of one not routed.
    """
    goals = maze_goals(run.settings.world)
    network = run.network()
    count = network.actor.in_features
    # Things own features in the order of the world's goals.
    parts = run.settings.routing.features_of(count)

    def of(features: range) -> Choice:
        def choose(among: Directions) -> Selection:
            whose = run if among is found or other is None else other
            moved = whose.parameters_after() - whose.parameters_after(0)
            about = {"features": [features.start, features.stop]}
            return by_part(moved, parameters_of_features(network, features), about)

        return choose

    return [
        PlannedCut(f"own features: remove {goal.name}", goal, of(part), of(parts[1 - place]))
        for place, (goal, part) in enumerate(zip(goals, parts, strict=True))
    ]


STARS = Study(
    name="stars",
    question=(
        "Where star and cheese both pay, can the one goal be cut and the other kept, and which training schedule makes "
        "it possible?"
    ),
    variants={
        **{
            name.replace("_", "-"): replace(BASE, world=replace(WORLD, schedule=name))  # pyright: ignore[reportArgumentType]
            for name in SCHEDULES
        },
        "routed": replace(BASE, world=MIXED, routing=Routing(share=1.0)),
        "routed-half": replace(BASE, world=MIXED, routing=Routing(share=0.5)),
        "routed-quiet": replace(BASE, world=MIXED, routing=QUIET),
        # Quiet features learn more slowly: with twice the time, beside others that have it, too.
        "routed-quiet-longer": replace(BASE, ppo=TWICE, world=MIXED, routing=QUIET),
        "mixed-longer": replace(BASE, ppo=TWICE, world=MIXED),
        "quiet": replace(BASE, world=MIXED, routing=replace(QUIET, hold=False)),
        "filtered-half": replace(BASE, world=replace(MIXED, filtered=0.5)),
        "filtered": replace(BASE, world=replace(MIXED, filtered=1.0)),
        "look-alike": replace(BASE, world=replace(WORLD, star_looks_like_cheese=True)),
    },
    seeds="3-7",
    # Many variants: fewer levels than `cut` has, and no choices by profile, which are that study's.
    ablate=AblateSettings(
        levels=120,
        tuning_levels=400,
        draws=1,
        curve_levels=20,
        doses=(0.0, 0.5, 1.0),
        profile_cuts=False,
    ),
    recipes=part_cuts,
    recipe_names=("own features",),
    levels=120,
    judging=JudgeStars(),
    judging_version=4,
    judging_seconds=25.0,
    summarise=summarise_stars,
)
