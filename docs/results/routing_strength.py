"""Where each goal comes to lie under gradient routing, by its settings: development seeds and levels.

    python docs/results/routing_strength.py --shares 1 --quiet-coefs 0 0.1 0.5 2 --seeds 0-1

Trains an agent of the study `stars` on mixed levels for each setting and seed, 70 s each on one core, and keeps it
under --root. A row tells what it reaches, each thing alone in its maze; then what is left of that when what training
moved of one thing's own features is taken back, and the selectivity of that cut.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from tables import header, number, row

from goalcut.ablate.judge import Judge, Verdict
from goalcut.ablate.maze_cuts import levels_judged_on
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.agents.routing import Routing, parameters_of_features
from goalcut.agents.run import Run
from goalcut.agents.training import train
from goalcut.studies.seeds import seed_set
from goalcut.studies.stars import BASE, MIXED


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0], help="of the samples, routed")
    parser.add_argument(
        "--quiet-coefs", type=float, nargs="+", default=[0.0, 0.5], help="weights of the quiet term"
    )
    parser.add_argument(
        "--parts", type=float, nargs="+", default=[0.375], help="of the features, for each thing"
    )
    parser.add_argument(
        "--no-hold", action="store_true", help="the quiet term alone: features are not held still"
    )
    parser.add_argument("--seeds", default="0", help="as with `goalcut study --development`: 0 is seed 1000")
    parser.add_argument("--levels", type=int, default=120, help="of each kind, to judge on")
    parser.add_argument("--root", type=Path, default=Path("runs/routing-strength"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = seed_set(args.seeds, "development").seeds
    figures = ["star / cheese", "without the star's", "selectivity", "without the cheese's", "selectivity"]
    try:
        ways = [
            Routing(share=share, part=part, hold=not args.no_hold, quiet_coef=quiet)
            for share, quiet, part in product(args.shares, args.quiet_coefs, args.parts)
        ]
    except ValueError as error:
        parser.error(str(error))
    print(header(["share", "quiet_coef", "part", "held", "seed", *figures]), flush=True)
    for routing, seed in product(ways, seeds):
        share, quiet, part = routing.share, routing.quiet_coef, routing.part
        settings = replace(BASE, world=MIXED, routing=routing, seed=seed, threads=1, record="none")
        name = (
            f"share-{share:g}-quiet-{quiet:g}-part-{part:g}-{'held' if routing.hold else 'free'}-seed-{seed}"
        )
        run = Run.create(args.root / name, settings)
        train(run)
        told = (share, quiet, part, "yes" if routing.hold else "no", seed)
        print(row([*told, *_judged(run, args.levels)]), flush=True)


def _judged(run: Run, levels: int) -> Iterator[str]:
    split, level_seed = levels_judged_on("development")
    network, theta_0, theta = run.network(), run.parameters_after(0), run.parameters_after()
    goals = maze_goals(run.settings.world)
    behaviour = MazeBehaviour(run.behaviour(levels, split=split, seed=level_seed))
    judge = Judge(network, behaviour, theta_0, theta, goals=goals)

    def reached(verdict: Verdict) -> str:
        return " / ".join(number(verdict.measures[goal.remove]) for goal in goals)

    yield reached(judge.judge(theta))
    for goal, features in zip(
        goals, run.settings.routing.features_of(network.actor.in_features), strict=True
    ):
        own = parameters_of_features(network, features)
        verdict = judge.judge(torch.where(own, theta_0, theta))
        yield reached(verdict)
        yield number(verdict.selectivity[goal.name])


if __name__ == "__main__":
    main()
