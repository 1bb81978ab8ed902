"""Speed of Procgen's maze with the cheese moved, beside the stock game: env steps/s, alternately, random actions.

    python benchmarks/procgen_maze.py

Each repetition steps every side once, in a new order; a ratio is the median over the repetitions of one side's time
to the stock game's in the same repetition, of wall time and of CPU time, which other work on the machine disturbs
less. `stock game` is Procgen's own gym3 interface; `not moved` is `ProcgenMaze`
with the cheese left where it is; the others move it.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from goalcut.envs.procgen_game import ProcgenMissingError, import_procgen, stock_environments
from goalcut.envs.procgen_maze import ProcgenMaze
from goalcut.envs.procgen_state import WORLD_SIZES


def stock_game(mode: str, num_envs: int) -> Callable[[torch.Tensor], int]:
    env = stock_environments(num=num_envs, env_name="maze", distribution_mode=mode, rand_seed=0)

    def steps(actions: torch.Tensor) -> int:
        ends = 0
        for chosen in actions.numpy():
            env.act(chosen)
            ends += int(env.observe()[2].sum())
        return ends

    return steps


def maze(mode: str, num_envs: int, **cheese) -> Callable[[torch.Tensor], int]:
    env = ProcgenMaze(num_envs, seed=0, mode=mode, **cheese)
    return lambda actions: sum(len(env.step(chosen).ended) for chosen in actions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=150, help="vector steps per repetition and side")
    parser.add_argument("--repetitions", type=int, default=24)
    arguments = parser.parse_args()
    try:
        import_procgen()
    except ProcgenMissingError as error:
        print(f"skipped: {error}")
        return
    generator = torch.Generator().manual_seed(0)
    order = np.random.default_rng(0)
    print(f"{arguments.num_envs} environments, {arguments.repetitions} × {arguments.steps} steps")
    print(
        f"{'mode':8}{'side':14}{'env steps/s':>12}{'speed beside stock':>20}{'quartiles':>16}"
        f"{'by CPU time':>13}{'ends/step':>11}"
    )
    for mode in WORLD_SIZES:
        sides = {
            "stock game": stock_game(mode, arguments.num_envs),
            "not moved": maze(mode, arguments.num_envs),
            "corner": maze(mode, arguments.num_envs, cheese="corner"),
            "region": maze(mode, arguments.num_envs, cheese="region"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        ends = dict.fromkeys(sides, 0)
        for _ in range(arguments.repetitions):
            actions = torch.randint(15, (arguments.steps, arguments.num_envs), generator=generator)
            for name in order.permutation(list(sides)).tolist():
                began, cpu_began = time.perf_counter(), time.process_time()
                ends[name] += sides[name](actions)
                seconds[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - cpu_began)
        stock, stock_cpu = np.array(seconds["stock game"]), np.array(cpu["stock game"])
        for name, spent in seconds.items():
            ratio = stock / np.array(spent)
            low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
            rate = arguments.num_envs * arguments.steps / np.median(spent)
            per_step = ends[name] / arguments.repetitions / arguments.steps
            spread, by_cpu = f"{low:.3f}–{high:.3f}", np.median(stock_cpu / np.array(cpu[name]))
            print(f"{mode:8}{name:14}{rate:12,.0f}{middle:20.3f}{spread:>16}{by_cpu:13.3f}{per_step:11.3f}")


if __name__ == "__main__":
    main()
