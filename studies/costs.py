"""How long stages take: stored costs of the default run, scaled to this machine, or what was measured in this study."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..ablate.maze_cuts import AblateSettings
from ..agents.behaviour import ExactBehaviour
from ..agents.networks import build_network
from ..agents.precision import in_precision
from ..agents.run import TrainSettings
from ..envs.planes import plane_names
from .study import Study

REFERENCE_SECONDS = {"train": 252.0, "evaluate": 1.2, "analyze": 6.5, "ablate": 100.0}
"""Of the default run, each stage in one of two processes of one thread, on the machine that took `REFERENCE_KERNEL`.

Evaluated on `_REFERENCE_LEVELS`, cut with the levels and the tuning of `AblateSettings` and the controls of headlines.
What judging takes is its study's to say.
"""
_REFERENCE_LEVELS = 400
REFERENCE_KERNEL = 0.018
"""Seconds of `_kernel` there."""
_START = 1.0  # seconds that a stage takes at the least
_FILE = "costs.jsonl"


@dataclass(frozen=True)
class Cost:
    """What one stage of one run took."""

    variant: str
    stage: str
    seconds: float


class Costs:
    """Seconds of each stage of each variant of a study.

    Args:
        study: the card.
        directory: of the study; costs measured so far lie there.
        machine: how many times as long as on the reference machine a stage takes here, from `calibrated`.
    """

    def __init__(self, study: Study, directory: Path, machine: float):
        self.study, self.machine = study, machine
        self._path = directory / _FILE
        self._measured = _read(self._path)
        reference = replace(study, levels=_REFERENCE_LEVELS, ablate=AblateSettings(controls_of="headline"))
        # What judging takes is told of this study's own levels.
        unit = {
            stage: work(TrainSettings(), stage, study if stage == "judge" else reference)
            for stage in study.stages
        }
        self._scale = {
            (name, stage): work(settings, stage, study) / unit[stage]
            for name, settings in study.variants.items()
            for stage in study.stages
        }

    @property
    def told(self) -> str:
        """Where the figures come from."""
        count = len(self._measured)
        if not count:
            return (
                f"from stored costs; this machine takes {self.machine:.2f} times as long as the one of these"
            )
        return f"from {count} stages that this study has measured so far"

    def seconds(self, variant: str, stage: str) -> float:
        """What a stage of a run of this variant takes, in seconds."""
        same = [cost.seconds for cost in self._measured if (cost.variant, cost.stage) == (variant, stage)]
        if same:
            return median(same)
        ratios = [
            cost.seconds / self._stored(cost.variant, stage)
            for cost in self._measured
            if cost.stage == stage and (cost.variant, stage) in self._scale
        ]
        return self._stored(variant, stage) * (median(ratios) if ratios else self.machine)

    def add(self, cost: Cost) -> None:
        """Keep what a stage took."""
        self._measured.append(cost)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a") as file:
            file.write(json.dumps(cost.__dict__) + "\n")

    def _stored(self, variant: str, stage: str) -> float:
        seconds = self.study.judging_seconds if stage == "judge" else REFERENCE_SECONDS[stage]
        return seconds * self._scale[variant, stage] + _START


def work(settings: TrainSettings, stage: str, study: Study) -> float:
    """How much a stage has to do, in units that only ratios of have a meaning."""
    per_input = _products(settings)
    ppo = settings.ppo
    if stage == "train":
        # Forward passes to act, and three times as much for every epoch; an env step costs as 200k products do.
        steps = ppo.rollouts * ppo.env_steps_per_rollout
        return steps * (2e5 + per_input * (1 + 3 * ppo.epochs))
    if stage == "analyze":
        rows = settings.ppo.logged_rows(settings.record) if settings.record != "none" else 1
        return float(rows**2 * _parameters(settings))
    passes = float(study.levels)
    if stage == "ablate" and study.ablate is not None:
        # Rows to judge, and steps of two tunings, of both goals each: measured, a step is as long as 210 levels judged.
        rows = 108 if study.ablate.controls_of == "all" else 43
        passes = rows * study.ablate.levels + 210.0 * study.ablate.tune.steps
    return passes * _states(settings) * (per_input + 50.0 * settings.horizon)


def calibrated() -> float:
    """How many times as long as on the reference machine a training step takes here; about a second."""
    return _kernel() / REFERENCE_KERNEL


def parallel(jobs: int, threads: int, cores: int) -> float:
    """Runs that advance at once, in those of a process alone: cores shared by more threads do not go faster."""
    return max(1.0, min(float(jobs), cores / threads))


def _kernel() -> float:
    """Seconds of a step of training by 1,024 inputs, forward and back, one thread, the best of five."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = build_network("conv", (3, 9, 9), 4, seed=0)
        inputs = torch.zeros(1024, 3, 9, 9)
        labels = torch.zeros(1024, dtype=torch.long)
        best = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            cross_entropy(in_precision(network, "auto", inputs.device)(inputs)[0], labels).backward()
            best = min(best, time.perf_counter() - began)
        return best
    finally:
        torch.set_num_threads(threads)


def _products(settings: TrainSettings) -> float:
    """Multiplications of one input's forward pass."""
    network, total = settings.new_network(), 0.0

    def count(module: nn.Module, inputs: Sequence[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        total += weight.numel() * (output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1)

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    size = settings.world.size
    with torch.no_grad():
        network(torch.zeros(1, len(plane_names(settings.world)), size, size))
    return total


def _states(settings: TrainSettings) -> float:
    """States of a level that a policy is asked in, of all distributions that are measured on together."""
    count = 4
    return ExactBehaviour.of_world(settings.world, count, seed=0, split="train").states_asked / count


def _parameters(settings: TrainSettings) -> int:
    return sum(parameter.numel() for parameter in settings.new_network().parameters())


def _read(path: Path) -> list[Cost]:
    if not path.exists():
        return []
    costs = []
    for line in path.read_text().splitlines():
        try:
            costs.append(Cost(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # half-written
    return costs
