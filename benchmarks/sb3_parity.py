"""Do our PPO and Stable-Baselines3's learn the same? Both at the same settings and seeds; prints Markdown tables.

    python benchmarks/sb3_parity.py                                   # 20 rollouts: a look
    python benchmarks/sb3_parity.py --rollouts 240 --directory runs/parity    # what docs/results/sb3-parity.md shows

Runs go into DIRECTORY/LEARNER-SEED, whatever is there already is not trained again, and every command of goalcut works
on them. The seed is the unit of replication: means and standard deviations are over seeds, and the interval of the
difference is Welch's, 95 %: `within noise` says that it holds 0, which few seeds make easy, so look at its width as
well. Levels are held out, and the same for all.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from goalcut.agents import ExactBehaviour, Run, network_policy, train
from goalcut.agents.run import PRESETS, TrainSettings

LEARNERS = {"goalcut": "our PPO", "sb3": "Stable-Baselines3's PPO"}


def trained(directory: Path, settings: TrainSettings) -> Run:
    run = Run.create(directory, settings)
    train(run)
    return run


def exact_measures(behaviour: ExactBehaviour, network: torch.nn.Module) -> dict[str, float]:
    with torch.no_grad():
        return {
            name: float(values.mean()) for name, values in behaviour.measure(network_policy(network)).items()
        }


def compared(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Mean ± standard deviation of each, and the difference with Welch's interval."""
    cells = [f"{x.mean():.3f} ± {x.std(ddof=1):.3f}" for x in (ours, theirs)]
    interval = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval()
    cells.append(
        f"{theirs.mean() - ours.mean():+.3f} ({interval.low:+.2f} to {interval.high:+.2f}) | "
        f"{'yes' if interval.low <= 0 <= interval.high else 'no'}"
    )
    return " | ".join(cells)


def table(title: str, first: str, rows: list[str]) -> str:
    head = f"| {first} | {' | '.join(LEARNERS.values())} | difference (95 %) | within noise |"
    return "\n".join([f"\n{title}\n", head, "| --- " * 5 + "|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=20, help="of each run; the default training has 240")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each learner, at least 2")
    parser.add_argument("--levels", type=int, default=400, help="held-out levels of each kind")
    parser.add_argument("--threads", type=int, help="CPU threads; default all")
    parser.add_argument("--directory", type=Path, help="where the runs go; default a folder that is removed")
    asked = parser.parse_args()
    if asked.seeds < 2:
        parser.error(f"seeds is {asked.seeds}: give at least 2, a deviation over seeds wants them")
    with tempfile.TemporaryDirectory() as folder:
        base = PRESETS["default"]
        base = replace(base, ppo=replace(base.ppo, rollouts=asked.rollouts), threads=asked.threads)
        compare(asked.directory or Path(folder), base, asked.seeds, asked.levels)


def compare(directory: Path, base: TrainSettings, seeds: int, levels: int) -> None:
    runs: dict[str, list[Run]] = {learner: [] for learner in LEARNERS}
    for seed in range(seeds):
        for learner in LEARNERS:  # in turns: both see the same machine
            settings = replace(base, learner=learner, seed=seed)
            runs[learner].append(trained(directory / f"{learner}-{seed}", settings))
    behaviour = ExactBehaviour.of_world(base.world, levels, seed=0, split="test")
    ends = {
        learner: [exact_measures(behaviour, run.network()) for run in runs[learner]] for learner in LEARNERS
    }
    untrained = exact_measures(behaviour, runs["goalcut"][0].network(0))
    env_steps = base.ppo.rollouts * base.ppo.env_steps_per_rollout
    print(
        f"{env_steps / 1e6:.2f}M env steps, {seeds} seeds each, {levels} held-out levels of each kind, "
        f"{runs['goalcut'][0].settings.ppo.precision}"
    )

    def both(figure: Callable[[Run, dict[str, float]], float]) -> str:
        ours, theirs = (
            np.array([figure(run, end) for run, end in zip(runs[learner], ends[learner], strict=True)])
            for learner in LEARNERS
        )
        return compared(ours, theirs)

    rows = [
        f"| `{name}` (untrained, seed 0: {untrained[name]:.3f}) | {both(lambda run, end, name=name: end[name])} |"
        for name in untrained
    ]
    print(table("At the end of training:", "measure", rows))

    measured = [record["rollout"] for record in runs["goalcut"][0].progress() if "measures" in record]
    times = sorted({measured[round(share * (len(measured) - 1))] for share in (0.25, 0.5, 0.75)} - {0})
    rows = [
        f"| `{name}` after {time} rollouts | "
        f"{both(lambda run, end, name=name, time=time: run.progress()[time]['measures'][name])} |"
        for name in ("corner_reach", "cheese_from_corner", "cheese_return")
        for time in times
    ]
    print(table(f"On the way (measured on {base.measure_levels} levels of each kind):", "measure", rows))

    figures: dict[str, Callable[[Run, dict[str, float]], float]] = {
        "thousand env steps per second, gradients on record": lambda run, end: (
            env_steps / 1000 / sum(record["seconds"] for record in run.progress())
        ),
        "entropy of the policy, mean over rollouts": lambda run, end: float(
            np.mean([record["entropy"] for record in run.progress()[1:]])
        ),
        "distance of θ from θ_0": lambda run, end: distance(run),
    }
    print(table("Besides:", "figure", [f"| {name} | {both(figure)} |" for name, figure in figures.items()]))


def distance(run: Run) -> float:
    return float((run.parameters_after() - run.parameters_after(0)).norm())


if __name__ == "__main__":
    main()
