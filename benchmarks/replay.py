"""Directions of gradients that are never stored, beside those of a stored log: seconds, bytes, angles.

    python benchmarks/replay.py            MNIST 784-256-128-10, 938 updates; mazes, conv, 12 rollouts per update
    python benchmarks/replay.py --whole    2 epochs of MNIST with 784-512-512-10 (669,706 parameters) as well

Every training runs with one thread, as a replay wants. The log stores rows as float16 with a scale, a replay takes them
as they are; angles are between the spans of the strongest directions of either.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, replay_digit_training, train_digits
from goalcut.agents.gradient_log import Training
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import replay_training, train
from goalcut.analysis import Directions, directions, principal_angles, replay_directions, temporal_svd

COUNT = 20
SPANS = (5, 10, 20)


def stored(run: Run | DigitRun, trained: Callable[[Any], None]) -> tuple[Directions, int, float, int]:
    """Directions, times, seconds and bytes on disk of the route through a log."""
    began = time.perf_counter()
    trained(run)
    rows = run.gradient_log().rows()
    svd = temporal_svd(rows)
    found = directions(svd, rows, range(COUNT))
    size = (run.gradients / "rows.bin").stat().st_size
    return found, rows.shape[0], time.perf_counter() - began, size


def compare(name: str, run: Run | DigitRun, trained: Callable[[Any], None], training: Training) -> None:
    """Print one line for the stored route and one for each replay."""
    found, times, seconds, size = stored(run, trained)
    layout = parameter_layout(run.settings.new_network())
    shape = f"{times:,} × {found.vectors.shape[1]:,}"
    print(f"{name:<8}{shape:>18}  stored        {seconds:>6.1f} s          {size / 1e6:>7,.0f} MB on disk")
    for route, options in (("exact", {"window_bytes": 2**40}), ("sketched", {"window_bytes": 0})):
        replay = replay_directions(training, layout=layout, count=COUNT, times=times, **options)
        cost, ours = replay.cost, replay.directions
        angles = [
            float(np.degrees(principal_angles(ours.subset(range(n)), found.subset(range(n))).max()))
            for n in SPANS
        ]
        held = max(cost.first_bytes, cost.second_bytes) / 1e6
        passes = f"{cost.first_seconds:.1f} + {cost.second_seconds:.1f} s"
        print(
            f"{'':<28}replay {route:<9}{passes:>14}  {held:>7,.0f} MB in memory   "
            + "  ".join(f"top {n}: {angle:.4f}°" for n, angle in zip(SPANS, angles, strict=True))
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="1,876 × 669,706 as well (several minutes)")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    digits = {"MNIST": DigitSettings(epochs=1, measure_every=0, checkpoint_every=10**9, threads=1)}
    if settings.whole:
        digits["MNIST "] = DigitSettings(
            hidden=(512, 512), measure_every=0, checkpoint_every=10**9, threads=1
        )
    mazes = TrainSettings(
        ppo=PPOSettings(rollouts=12, precision="float32"),
        record="update",
        record_terms_every=0,
        measure_every=0,
        checkpoint_every=10**9,
        threads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, chosen) in enumerate(digits.items()):
            run = DigitRun.create(Path(folder) / f"digits-{number}", chosen)
            compare(name, run, train_digits, replay_digit_training(chosen))
        compare("mazes", Run.create(Path(folder) / "mazes", mazes), train, replay_training(mazes))


if __name__ == "__main__":
    main()
