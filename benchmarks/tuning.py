"""What a step of tuned doses costs: of both goals at once, one after the other, and at the least.

    python benchmarks/tuning.py [--directions 160] [--steps 30]

A step is one of Adam on doses per output unit of the packaged agent corner-9x9, on 20 levels, in one thread; the
directions are random. The limit of the products is that of memory: directions are read once forward and once back,
in the precision that the network is tuned in.
"""

import argparse
import statistics
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from behaviour import seconds_of
from rich.console import Console
from rich.table import Table

from goalcut.ablate import TuneSettings, tune_doses
from goalcut.ablate.cuts import DirectionsInParts
from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.agents.allocator import keep_freed_memory
from goalcut.agents.behaviour import ExactBehaviour
from goalcut.agents.packaged import unpack_agent
from goalcut.agents.precision import resolved_precision
from goalcut.envs import CheeseInCorner

WORLD = CheeseInCorner()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directions", type=int, default=160)
    parser.add_argument("--steps", type=int, default=30)
    words = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    with TemporaryDirectory() as directory:
        run = unpack_agent("corner-9x9", Path(directory) / "run")
        theta_0, theta, network = run.parameters_after(0), run.parameters_after(), run.network()
    vectors = torch.randn(words.directions, len(theta), generator=torch.Generator().manual_seed(0))
    vectors /= vectors.norm(dim=1, keepdim=True)
    goals = maze_goals(WORLD)
    behaviour = MazeBehaviour(ExactBehaviour.of_world(WORLD, 20, seed=0, split="tune"))
    judges = [Judge(network, behaviour, theta_0, theta, goals=goals)]
    # Only after a quarter of the steps a goal may be given up.
    settings = TuneSettings(steps=4 * words.steps)
    parts = judges[0].parts("unit")
    reduced = resolved_precision(settings.precision, judges[0].device) == "bfloat16"
    plain, quick = (DirectionsInParts(vectors, parts, dtype) for dtype in (None, torch.bfloat16))

    def products(goals: int, directions: DirectionsInParts) -> None:
        doses = torch.full((goals, len(vectors), len(parts)), 0.1, requires_grad=True)
        directions.sums(doses, vectors[:, 0]).sum().backward()

    def step(*chosen: int) -> float:
        """Median of the first steps, in which all goals go on."""
        moments: list[float] = []
        tune_doses(
            judges,
            theta,
            theta_0,
            vectors,
            [goals[number] for number in chosen],
            settings,
            on_step=lambda _, __: moments.append(time.perf_counter()),
        )
        return statistics.median(later - before for before, later in pairwise(moments[: words.steps]))

    both, apart = step(0, 1), step(0) + step(1)
    rows = {
        "a step of both goals at once": both,
        "one goal after the other": apart,
        "of it the products with the directions": seconds_of(
            lambda: products(2, quick if reduced else plain)
        ),
        "these in float32": seconds_of(lambda: products(2, plain)),
        "these in float32, one goal after the other": 2 * seconds_of(lambda: products(1, plain)),
        "reading the directions twice, in float32": 2 * seconds_of(vectors.sum),
    }
    table = Table(title=f"{words.directions} directions of {len(theta):,} parameters, a dose per output unit")
    table.add_column("what")
    table.add_column("ms", justify="right")
    table.add_column("against both at once", justify="right")
    for name, taken in rows.items():
        table.add_row(name, f"{1e3 * taken:.1f}", f"{taken / both:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
