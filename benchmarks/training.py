"""How fast PPO trains and what recording costs, beside stable-baselines3's own PPO; learners taking turns.

    python benchmarks/training.py [--rollouts 8] [--threads N]

Each round is one rollout of each learner in one process, so that all see the same machine; ratios are of the median
round. On a machine that others use too, take --threads 1 and the ratio of CPU seconds. The first table is the default
world and network; stable-baselines3 gets the same network (as a features extractor), settings, levels and threads. The
second is our PPO at the settings of jaxgmg (13×13, cheese in the very corner, 3×128 residual MLP, 256 environments ×
128 steps, 5 epochs × 8 minibatches), whose 46k env steps/s on two such cores were measured apart.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO as StablePPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from goalcut.agents.allocator import keep_freed_memory
from goalcut.agents.networks import NetworkName, build_network
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.precision import resolved_precision
from goalcut.agents.recorder import GradientRecorder
from goalcut.envs import CheeseInCorner, CheeseMaze, Levels, make_levels
from goalcut.envs.sb3_vec_env import MazeVecEnv

JAXGMG = PPOSettings(
    num_envs=256,
    num_steps=128,
    epochs=5,
    minibatches=8,
    learning_rate=5e-5,
    anneal=False,
    gamma=0.999,
    gae_lambda=0.95,
    clip_coef=0.1,
    entropy_coef=1e-3,
    value_coef=0.5,
    max_grad_norm=0.5,
)


class WholeMinibatch(PPO):
    """The same learner without halves, so that each minibatch has all threads."""

    def _minibatches(self):
        for halves in super()._minibatches():
            yield {"whole": tuple(map(torch.cat, zip(*halves.values(), strict=True)))}


class _Trunk(BaseFeaturesExtractor):
    """The trunk of our `conv` network, in torch's plain layers."""

    def __init__(self, observation_space):
        super().__init__(observation_space, 128)
        channels, height, width = observation_space.shape
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * height * width, 128),
            torch.nn.ReLU(),
        )

    def forward(self, observations):
        return self.layers(observations)


def stable_baselines(settings: PPOSettings, levels: Levels) -> Callable[[int], None]:
    """One rollout after another of stable-baselines3's PPO."""
    model = StablePPO(
        "MlpPolicy",
        MazeVecEnv(CheeseMaze(levels, settings.num_envs, seed=0)),
        learning_rate=settings.learning_rate,
        n_steps=settings.num_steps,
        batch_size=settings.env_steps_per_rollout // settings.minibatches,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_coef,
        ent_coef=settings.entropy_coef,
        vf_coef=settings.value_coef / 2,  # ours is of half the squared error
        max_grad_norm=settings.max_grad_norm,
        policy_kwargs={"features_extractor_class": _Trunk, "net_arch": [], "normalize_images": False},
        device="cpu",
        seed=0,
    )
    ours = sum(p.numel() for p in build_network("conv", (3, 9, 9), 4, seed=0).parameters())
    assert sum(p.numel() for p in model.policy.parameters()) == ours

    def one(number: int) -> None:
        model.learn(settings.env_steps_per_rollout, reset_num_timesteps=number == 0, log_interval=None)  # type: ignore[arg-type]

    return one


def learner(
    settings: PPOSettings,
    levels: Levels,
    network: NetworkName = "conv",
    directory: Path | None = None,
    record: str = "rollout",
    kind: type[PPO] = PPO,
) -> Callable[[int], None]:
    """One rollout after another of ours, recorded where there is a directory for it."""
    env = CheeseMaze(levels, settings.num_envs, seed=0)
    ppo = kind(settings, build_network(network, (3, levels.size, levels.size), 4, seed=0), env, seed=0)
    recorder = None
    if directory is not None:
        recorder = GradientRecorder(ppo.network, ppo.optimizer, directory, per_update=record == "update")

    def one(number: int) -> None:
        ppo.learn(ppo.collect()[0], recorder, record_terms=recorder is not None and number % 8 == 0)

    return one


def compare(
    title: str, learners: dict[str, Callable[[int], None]], env_steps: int, rounds: int, against: str
) -> None:
    """Take turns, and print a table with each learner's share of the time of `against`."""
    seconds, cpu = ({name: list[float]() for name in learners} for _ in range(2))
    for number in range(rounds + 1):
        for name, one in learners.items():
            began, busy = time.perf_counter(), time.process_time()
            one(number)
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - busy)
    table = Table(title=f"{title}: {rounds} rollouts each, in turns, {torch.get_num_threads()} threads")
    columns = (
        "learner",
        "s per rollout",
        "env steps/s (best)",
        f"time against {against}",
        "speed against it",
        "the same by CPU (seconds)",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "learner" else "right")
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = statistics.median(t / b for t, b in zip(times, seconds[against], strict=True))
        speed = f"{env_steps / median:,.0f} ({env_steps / min(times):,.0f})"
        by_cpu = statistics.median(b / t for t, b in zip(cpu[name], cpu[against], strict=True))
        of_cpu = f"{by_cpu:.2f} ({statistics.median(cpu[name]):.3f} s)"
        table.add_row(name, f"{median:.3f}", speed, f"{ratio:.3f}", f"{1 / ratio:.2f}", of_cpu)
    Console(width=140).print(table)


def default_world(rounds: int, best: Literal["bfloat16", "float32"], folder: Path) -> None:
    settings = PPOSettings(rollouts=rounds + 1, precision=best)
    single = replace(settings, precision="float32")
    levels = make_levels(CheeseInCorner(), 16384, seed=0)
    learners = {
        "stable-baselines3": stable_baselines(settings, levels),
        f"recorded per rollout, {best}": learner(settings, levels, directory=folder / "rollout"),
        f"recorded per update, {best}": learner(
            settings, levels, directory=folder / "update", record="update"
        ),
        f"unrecorded, {best}": learner(settings, levels),
        f"unrecorded, whole minibatches, {best}": learner(settings, levels, kind=WholeMinibatch),
    }
    if best != "float32":
        learners["recorded per rollout, float32"] = learner(single, levels, directory=folder / "single")
        learners["unrecorded, float32"] = learner(single, levels)
    compare("Default world", learners, settings.env_steps_per_rollout, rounds, "stable-baselines3")


def settings_of_jaxgmg(rounds: int, best: Literal["bfloat16", "float32"], folder: Path) -> None:
    levels = make_levels(CheeseInCorner(size=13, corner_size=1), 16384, seed=0)
    learners = {}
    for precision in dict.fromkeys((best, "float32")):
        cfg = replace(JAXGMG, rollouts=rounds + 1, precision=precision)
        for record in ("rollout", "update", None):
            name = f"{f'recorded per {record}' if record else 'unrecorded'}, {precision}"
            directory = folder / f"{name} at 13×13" if record else None
            learners[name] = learner(cfg, levels, "residual_mlp", directory, record or "")
    compare("jaxgmg's settings", learners, JAXGMG.env_steps_per_rollout, rounds, f"unrecorded, {best}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=8, help="rollouts of each learner")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    best = resolved_precision("auto", torch.device("cpu"))

    with tempfile.TemporaryDirectory() as folder:
        default_world(args.rollouts, best, Path(folder))
        settings_of_jaxgmg(args.rollouts, best, Path(folder))


if __name__ == "__main__":
    main()
