"""What recording costs: the same PPO unrecorded, recorded per rollout and per update, taking turns in one process.

    python benchmarks/training.py [--rollouts 12]

Each round is one rollout of each learner, so that all three see the same machine; shares are of the median round.
The whole-minibatch row is the plain way (one forward and backward pass of each minibatch, no halves).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from goalcut.agents.allocator import keep_freed_memory
from goalcut.agents.networks import build_network
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.recorder import GradientRecorder
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels


class WholeMinibatch(PPO):
    """The same learner without halves."""

    def _minibatches(self, rollout):
        for halves in super()._minibatches(rollout):
            yield {"whole": tuple(t.contiguous() for t in map(_joined, zip(*halves.values(), strict=True)))}


def _joined(parts):
    import torch

    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=12, help="rollouts of each learner")
    rounds = parser.parse_args().rollouts
    keep_freed_memory()
    levels = make_levels(CheeseInCorner(), 16384, seed=0)
    settings = PPOSettings(rollouts=rounds + 1)

    def learner(
        kind: type[PPO], record: str | None, directory: Path, **changes: str
    ) -> Callable[[int], None]:
        cfg = PPOSettings(rollouts=rounds + 1, **changes)  # type: ignore[arg-type]
        ppo = kind(
            cfg, build_network("conv", (3, 9, 9), 4, seed=0), CheeseMaze(levels, cfg.num_envs, seed=0), seed=0
        )
        recorder = None
        if record is not None:
            recorder = GradientRecorder(
                ppo.network, ppo.optimizer, directory / record, per_update=record == "update"
            )

        def one(number: int) -> None:
            ppo.learn(ppo.collect()[0], recorder, record_terms=record is not None and number % 8 == 0)

        return one

    with tempfile.TemporaryDirectory() as folder:
        learners = {
            "unrecorded": learner(PPO, None, Path(folder)),
            "recorded per rollout": learner(PPO, "rollout", Path(folder)),
            "recorded per update": learner(PPO, "update", Path(folder)),
            "unrecorded, whole minibatches": learner(WholeMinibatch, None, Path(folder)),
            "unrecorded, float32": learner(PPO, None, Path(folder), precision="float32"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in learners}
        for number in range(rounds + 1):
            for name, one in learners.items():
                began = time.perf_counter()
                one(number)
                if number:  # the first round warms up
                    seconds[name].append(time.perf_counter() - began)
    table = Table(title=f"PPO on the default world, {rounds} rollouts each, in turns")
    for column in ("learner", "s per rollout", "env steps/s", "time against unrecorded"):
        table.add_column(column, justify="left" if column == "learner" else "right")
    base = statistics.median(seconds["unrecorded"])
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = statistics.median(t / b for t, b in zip(times, seconds["unrecorded"], strict=True))
        steps = settings.env_steps_per_rollout / median
        table.add_row(name, f"{median:.3f}", f"{steps:,.0f}", f"{ratio:.3f} (medians {median / base:.3f})")
    Console().print(table)


if __name__ == "__main__":
    main()
