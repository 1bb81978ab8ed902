"""How fast worlds are: levels made and environment steps, of every world and layout, and beside Gymnasium's own vector.

Run `python benchmarks/worlds.py`: half a minute, and eight seconds for every world. Every figure is of this machine and
this moment; the ratios of one run are what compares.
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
    WORLDS,
    CheeseInCorner,
    CheeseMaze,
    CheeseMazeEnv,
    CheeseMazeVectorEnv,
    World,
    distances,
    make_levels,
)
from goalcut.envs.layouts import LAYOUTS

SIZES = (5, 9, 13, 25)
BATCHES = (1, 16, 256, 1024, 4096)
STEP_SIZES = (9, 13)
WORLD_BATCHES = (256, 1024, 4096)
SECONDS = 0.6  # per figure
WORLD_SECONDS = 0.3  # the same in the table of all worlds
NUM_LEVELS = 4096


def rate(work: Callable[[], int], seconds: float = SECONDS) -> float:
    """Units of work per second over all repetitions that fit, after one to warm up.

    The mean, not the best: all episodes start together, so the steps between two waves of resets are cheaper.
    """
    work()
    units, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        units += work()
    return units / elapsed


def maker(world: World, split: Any = "train", count: int = 2000) -> Callable[[], int]:
    def work() -> int:
        return len(make_levels(world, count, seed=0, split=split))

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


def worlds_table() -> Table:
    table = Table(
        title="Environment steps per second at the best batch, and levels made, by world and layout",
        title_justify="left",
        min_width=70,
    )
    for column in ("world", "layout"):
        table.add_column(column)
    for column in ("steps / s", "environments", "steps / corner, tree", "levels / s"):
        table.add_column(column, justify="right")
    reference = None
    for name, card in WORLDS.items():
        for layout in LAYOUTS:
            try:
                world = card(layout=layout)  # type: ignore[arg-type]
                levels = make_levels(world, NUM_LEVELS, seed=0)
            except ValueError as error:
                table.add_row(name, layout, "none", "", "", str(error).partition(":")[0])
                continue
            rates = {}
            for num_envs in WORLD_BATCHES:
                maze = CheeseMaze(levels, num_envs, seed=0)
                actions = torch.from_numpy(random_actions(num_envs))
                rates[num_envs] = rate(stepper(maze.step, actions, num_envs), WORLD_SECONDS)
            best = max(rates, key=lambda num_envs: rates[num_envs])
            reference = reference or rates[best]  # the first row's
            table.add_row(
                name,
                layout,
                f"{rates[best]:,.0f}",
                f"{best:,}",
                f"{rates[best] / reference:.2f}",
                f"{rate(maker(world), WORLD_SECONDS):,.0f}",
            )
    return table


def levels_table() -> Table:
    table = Table(title="Levels per second, 2,000 at a time", title_justify="left", min_width=70)
    for column in ("size", "made, train", "made, test", "test / train", "solved", "solved / made"):
        table.add_column(column, justify="right")
    for size in SIZES:
        world = CheeseInCorner(size=size, corner_size=size // 2)
        train, test, solved = rate(maker(world)), rate(maker(world, "test")), rate(solver(size))
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
    console.print(f"one thread, mean over {SECONDS} s a figure, {WORLD_SECONDS} s in the first table")
    console.print(worlds_table())
    console.print(levels_table())
    console.print(steps_table())


if __name__ == "__main__":
    main()
