"""What one run gives to a study, read from its files; and results.json, what they give together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..ablate.goal import LEAST_CHANGE
from ..agents.files import RunFileError, read_json
from ..agents.run import Run
from .stages import ABLATION, ANALYSIS, EVALUATION
from .statistics import over_seeds

JUDGED = "study/judged.json"


@dataclass(frozen=True, eq=False)
class RunResult:
    """One variant and seed, with its files as far as they are there.

    Attributes:
        variant: of the study.
        seed: of the training.
        directory: the run directory.
    """

    variant: str
    seed: int
    directory: Path

    @cached_property
    def run(self) -> Run:
        """The run itself."""
        return Run(self.directory)

    @cached_property
    def measured(self) -> list[dict[str, Any]]:
        """The records of training that hold measures, in time order."""
        return [record for record in self.run.progress() if "measures" in record]

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """evaluation.json."""
        return read_json(self.directory / EVALUATION)

    @cached_property
    def analysis(self) -> dict[str, Any]:
        """analysis.json."""
        return read_json(self.directory / ANALYSIS)

    @cached_property
    def ablation(self) -> dict[str, Any]:
        """ablation/table.json; no rows where the study makes no cuts."""
        path = self.directory / ABLATION
        return read_json(path) if path.exists() else {"rows": []}

    @cached_property
    def judged(self) -> dict[str, Any]:
        """What the study's judging said; empty where it asks nothing."""
        path = self.directory / JUDGED
        return read_json(path)["judged"] if path.exists() else {}

    @property
    def goals(self) -> tuple[str, str]:
        """The measures that stand for the proxy goal and for the paid one."""
        proxy, paid = self.run.settings.world.goals
        return proxy.measure, paid.measure

    def measure(self, name: str, agent: str = "trained") -> float:
        """An evaluated measure's mean."""
        return float(self.evaluation["agents"][agent][name]["mean"])

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Env steps and a measure while training."""
        steps = [float(record["env_steps"]) for record in self.measured]
        return steps, [float(record["measures"][name]) for record in self.measured]

    def retention_curve(self, name: str) -> tuple[list[float], list[float]] | None:
        """Env steps and retention of a measure while training; None where training changed it by less than 0.05."""
        steps, curve = self.curve(name)
        if len(curve) < 2 or abs(curve[-1] - curve[0]) < LEAST_CHANGE:
            return None
        return steps, [(value - curve[0]) / (curve[-1] - curve[0]) for value in curve]


def by_variant(results: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """The runs of each variant, in the order of the study."""
    groups: dict[str, list[RunResult]] = {}
    for result in results:
        groups.setdefault(result.variant, []).append(result)
    return groups


def learned(runs: Sequence[RunResult]) -> dict[str, Any]:
    """What the agents of one variant learned: seeds, the goals' measures, and every measure over seeds and of each."""
    values = {name: [run.measure(name) for run in runs] for name in runs[0].evaluation["measures"]}
    return {
        "goals": list(runs[0].goals),
        "seeds": [run.seed for run in runs],
        "measures": {name: over_seeds(of_seeds) for name, of_seeds in values.items()},
        "measure_values": values,
    }


def whole(results: Iterable[RunResult], done: Callable[[RunResult], bool]) -> list[RunResult]:
    """The runs that are done; damaged ones are not."""
    kept = []
    for result in results:
        try:
            if done(result):
                kept.append(result)
        except (RunFileError, ValueError, OSError, KeyError, TypeError):
            continue
    return kept
