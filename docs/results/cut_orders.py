"""Does the order of the tuning levels decide what a tuned cut reaches? Each run's, tuned again from other levels on.

One goal alone, where the study tunes both at once, to the same doses but for rounding; turn 0 is its own order.

    python docs/results/cut_orders.py runs/studies/cut/default/seed-* --turns 7 13

A line for each run and turn: selectivity, what is left of finding the way, relative norm, on the report's levels.
"""

import argparse
from pathlib import Path

import torch

from goalcut.ablate import AblateSettings, MazeAblation, relative_norm, tune_doses
from goalcut.ablate.selection import vectors_of
from goalcut.agents.open_run import open_maze_run
from goalcut.studies.stages import saved_analysis


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="trained and analyzed")
    parser.add_argument("--turns", type=int, nargs="+", default=[7, 13], help="batches that others begin at")
    parser.add_argument("--goal", default="corner")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for directory in args.runs:
        run = open_maze_run(directory)
        analysis, found = saved_analysis(run)
        settings = AblateSettings()
        ablation = MazeAblation(run, found, analysis["directions"]["split_row"], settings)
        [goal] = (goal for goal in ablation.goals if goal.name == args.goal)
        for turn in args.turns:
            tuners = [*ablation.tuners[turn:], *ablation.tuners[:turn]]
            vectors = vectors_of(found)
            [doses] = tune_doses(tuners, ablation.theta, ablation.theta_0, vectors, [goal], settings.tune)
            theta = ablation.judge.cut(vectors, doses)
            verdict = ablation.judge.judge(theta)
            norm = relative_norm(theta, ablation.theta, ablation.theta_0)
            kept = verdict.retention["navigation"]
            print(
                f"{directory.name}, from batch {turn}: selectivity {verdict.selectivity[goal.name]:.3f}, "
                f"navigation {kept:.3f}, norm {norm:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
