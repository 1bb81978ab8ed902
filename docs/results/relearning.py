"""Does a goal that was cut come back when training goes on? Agents of the study `stars` whose star was cut, over seeds.

    python docs/results/relearning.py runs/studies/stars/routed-quiet-longer/seed-*

Trains on, all parameters free and nothing routed, at the learning rate that training began with: on fresh mixed levels
without a star, and on some that pay it. Prints the share of stars and of cheese that is reached, each alone in its
maze, after so many rollouts: of agents whose star's own features were taken back, of those with a tuned cut, of agents
that were never taught the star (the variant `filtered` beside them), and of untrained ones. Two minutes for an agent on
one core.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from study_cells import told
from tables import header, row
from torch import Tensor

from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_cuts import MazeAblation
from goalcut.ablate.remake import remade
from goalcut.ablate.table import load_table
from goalcut.agents.open_run import open_maze_run
from goalcut.agents.parameters import flat_parameters, set_parameters
from goalcut.agents.ppo import PPO
from goalcut.agents.routing import parameters_of_features
from goalcut.agents.run import Run
from goalcut.envs import CheeseMaze, make_levels
from goalcut.envs.worlds import StarsAndCheese
from goalcut.studies.stages import saved_analysis
from goalcut.studies.stars import STARS
from goalcut.studies.statistics import over_seeds

ROLLOUTS = (0, 1, 2, 4, 8, 16)
LEVEL_SEED = 2000  # no agent's training levels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="runs of one variant of the study")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[list[tuple[float, float]]]] = defaultdict(list)
    for directory in args.runs:
        run = open_maze_run(directory)
        ablation = _ablation(run)
        for name, theta in _starts(run, ablation):
            for paid, filtered in (("no star", 1.0), ("star and cheese", 0.0)):
                found[f"{name}, {paid}"].append(list(_going_on(run, ablation.judge, theta, filtered)))
    print(header(["cut, trained on", *(f"after {rollouts}: star / cheese" for rollouts in ROLLOUTS)]))
    for name, seeds in found.items():
        cells = (
            " / ".join(told(over_seeds(list(of_goal))) for of_goal in zip(*at, strict=True))
            for at in zip(*seeds, strict=True)
        )
        print(row([name, *cells]))


def _ablation(run: Run) -> MazeAblation:
    analysis, directions = saved_analysis(run)
    assert STARS.ablate is not None
    return MazeAblation(run, directions, analysis["directions"]["split_row"], STARS.ablate)


def _starts(run: Run, ablation: MazeAblation) -> Iterator[tuple[str, Tensor]]:
    """What is trained on, by name."""
    theta_0, theta, network = run.parameters_after(0), run.parameters_after(), run.network()
    star, _ = run.settings.routing.features_of(network.actor.in_features)
    yield "own features back", torch.where(parameters_of_features(network, star), theta_0, theta)
    rows = load_table(run.directory / "ablation" / "table.json")["rows"]
    (tuned,) = (cut for cut in rows if cut.name == "tuned: remove star" and cut.control_of is None)
    yield "tuned", remade(ablation, tuned)
    filtered = run.directory.parents[1] / "filtered" / run.directory.name
    yield "never taught", open_maze_run(filtered).parameters_after()
    yield "untrained", theta_0


def _going_on(run: Run, judge: Judge, theta: Tensor, filtered: float) -> Iterator[tuple[float, float]]:
    """Stars and cheese reached, after each number of rollouts."""
    world = run.settings.world
    assert isinstance(world, StarsAndCheese)
    levels = make_levels(replace(world, filtered=filtered), run.settings.num_levels, seed=LEVEL_SEED)
    settings = replace(run.settings.ppo, anneal=False)
    network = run.settings.new_network()
    set_parameters(network, theta)
    ppo = PPO(settings, network, CheeseMaze(levels, settings.num_envs, seed=LEVEL_SEED), seed=LEVEL_SEED)
    for rollouts in range(ROLLOUTS[-1] + 1):
        if rollouts in ROLLOUTS:
            measures = judge.judge(flat_parameters(network)).measures
            yield measures["star_alone"], measures["cheese_alone"]
        if rollouts < ROLLOUTS[-1]:
            rollout, _ = ppo.collect()
            ppo.learn(rollout)


if __name__ == "__main__":
    main()
