"""What an exact evaluation costs, beside Monte Carlo of the same precision.

    python benchmarks/behaviour.py [--levels 400]

One evaluation is all measures of one policy on `levels` conflict levels and as many training levels. Monte Carlo plays
episodes of the real environment; its time is scaled to the episodes that would bring its standard error, on the same
levels, to 0.001. The limit is that of the forward passes: states that walks can be in × operations of the network.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from goalcut.agents.allocator import keep_freed_memory
from goalcut.agents.behaviour import ExactBehaviour, action_probabilities, network_policy
from goalcut.agents.networks import build_network
from goalcut.envs import CheeseInCorner, CheeseMaze


def seconds_of(action: Callable[[], object], times: int = 5) -> float:
    """Median wall time, after one warm-up."""
    action()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--levels", type=int, default=400)
    count = parser.parse_args().levels
    keep_freed_memory()
    behaviour = ExactBehaviour.of_world(CheeseInCorner(), count, seed=0, split="test")
    network = build_network("conv", (3, 9, 9), 4, seed=0).to(memory_format=torch.channels_last)
    policy = network_policy(network)
    env = CheeseMaze(behaviour.graphs["training"].levels, 4096, seed=0)

    def episodes() -> None:
        for _ in range(env.time_limit):
            env.step(torch.multinomial(policy(env.observations), 1)[:, 0])

    with torch.no_grad():
        exact = seconds_of(lambda: behaviour.measure(policy))
        graphs = {id(graph): graph for graph in behaviour.graphs.values()}.values()
        everywhere = seconds_of(lambda: [action_probabilities(policy, graph) for graph in graphs])
        played = seconds_of(episodes, 1)
    needed = 0.25 / 0.001**2  # episodes for a standard error of 0.001 at a probability of 1/2, per measure
    table = Table(title=f"all measures on {count} + {count} levels of 9×9")
    table.add_column("way")
    table.add_column("seconds", justify="right")
    table.add_column("against exact", justify="right")
    table.add_row("exact", f"{exact:.2f}", "1")
    share = behaviour.states_asked / sum(graph.real.numel() for graph in graphs)
    asked = share * everywhere
    table.add_row(
        f"of which forward passes, in {share:.0%} of states", f"{asked:.2f}", f"{asked / exact:.2f}"
    )
    table.add_row("forward passes in every state", f"{everywhere:.2f}", f"{everywhere / exact:.2f}")
    mc = played * needed / 4096
    table.add_row("Monte Carlo to ±0.001, one measure", f"{mc:.1f}", f"{mc / exact:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
