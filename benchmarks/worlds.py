"""How fast worlds are: levels made, environment steps, and the same steps by Gymnasium's own vector.

Run `python benchmarks/worlds.py`: about 30 seconds. Every figure is of this machine and this moment; the ratios of
one run are what compares.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from rich.console import Console
from rich.table import Table

from goalcut.envs import (
    CheeseInCorner,
    CheeseMaze,
    CheeseMazeEnv,
    CheeseMazeVectorEnv,
    distances,
    make_levels,
)

SIZES = (5, 9, 13, 25)
BATCHES = (1, 16, 256, 1024, 4096)
STEP_SIZES = (9, 13)
SECONDS = 0.6  # per figure
NUM_LEVELS = 4096


def rate(work: Callable[[], int]) -> float:
    """Units of work per second over all repetitions that fit, after one to warm up.

    The mean, not the best: all episodes start together, so the steps between two waves of resets are cheaper.
    """
    work()
    units, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        units += work()
    return units / elapsed


def maker(size: int, split: Any, count: int = 2000) -> Callable[[], int]:
    settings = CheeseInCorner(size=size, corner_size=size // 2)

    def work() -> int:
        return len(make_levels(settings, count, seed=0, split=split))

    return work


def solver(size: int, count: int = 2000) -> Callable[[], int]:
    levels = make_levels(CheeseInCorner(size=size, corner_size=size // 2), count, seed=0)

    def work() -> int:
        return len(distances(levels.walls, levels.cheese))

    return work


def stepper(step: Callable[[Any], Any], actions: Any, num_envs: int) -> Callable[[], int]:
    def work() -> int:
        for action in actions:
            step(action)
        return len(actions) * num_envs

    return work


def random_actions(num_envs: int) -> np.ndarray:
    """Enough steps that a repetition takes some hundredths of a second, (steps, N)."""
    steps = max(10, 200 * 16 // max(num_envs, 16))
    return np.random.default_rng(0).integers(4, size=(steps, num_envs))


def levels_table() -> Table:
    table = Table(title="Levels per second, 2,000 at a time", title_justify="left", min_width=70)
    for column in ("size", "made, train", "made, test", "test / train", "solved", "solved / made"):
        table.add_column(column, justify="right")
    for size in SIZES:
        train, test, solved = rate(maker(size, "train")), rate(maker(size, "test")), rate(solver(size))
        figures = (
            f"{train:,.0f}",
            f"{test:,.0f}",
            f"{test / train:.2f}",
            f"{solved:,.0f}",
            f"{solved / train:.1f}",
        )
        table.add_row(f"{size}×{size}", *figures)
    return table


def steps_table() -> Table:
    table = Table(
        title="Environment steps per second, random actions, resets included",
        title_justify="left",
        min_width=70,
    )
    for column in (
        "size",
        "environments",
        "CheeseMaze",
        "vector env",
        "SyncVectorEnv",
        "vector / Sync",
        "core / Sync",
    ):
        table.add_column(column, justify="right")
    for size in STEP_SIZES:
        settings = CheeseInCorner(size=size, corner_size=size // 2)
        levels = make_levels(settings, NUM_LEVELS, seed=0)
        options = {"size": size, "corner_size": size // 2, "num_levels": NUM_LEVELS}
        for num_envs in BATCHES:
            actions = random_actions(num_envs)
            core = CheeseMaze(levels, num_envs, seed=0)
            core_rate = rate(stepper(core.step, torch.from_numpy(actions), num_envs))
            vector = CheeseMazeVectorEnv(num_envs, **options)
            vector.reset(seed=0)
            vector_rate = rate(stepper(vector.step, actions, num_envs))
            figures = [f"{core_rate:,.0f}", f"{vector_rate:,.0f}"]
            if num_envs <= 256:  # beyond, one mouse after the other only takes longer
                one = partial(CheeseMazeEnv, **options)
                sync = SyncVectorEnv([one] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
                sync.reset(seed=0)
                sync_rate = rate(stepper(sync.step, actions[:20], num_envs))
                figures += [
                    f"{sync_rate:,.0f}",
                    f"{vector_rate / sync_rate:.1f}",
                    f"{core_rate / sync_rate:.1f}",
                ]
            table.add_row(f"{size}×{size}", f"{num_envs:,}", *figures)
    return table


def main() -> None:
    # A step is ten small operations: threads do not help, and on a busy machine they wait for each other.
    torch.set_num_threads(1)
    console = Console(width=110)
    console.print(f"one thread, mean over {SECONDS} s a figure")
    console.print(levels_table())
    console.print(steps_table())


if __name__ == "__main__":
    main()
