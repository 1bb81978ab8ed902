"""The plan of a study: which stages of which runs are still to be made, their time and the disk that they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agents.run import TrainSettings
from .costs import Costs
from .run_stages import has_partner, is_done
from .seeds import SeedSet
from .study import Study, run_directory


@dataclass(frozen=True)
class PlannedRun:
    """One variant and seed.

    Attributes:
        variant: of the study.
        seed: of the training.
        directory: of the run.
        missing: stages still to be made, in their order.
    """

    variant: str
    seed: int
    directory: Path
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a study has to do.

    Attributes:
        study: the card.
        runs: by variant, then seed.
        seconds: of all stages that are missing, one after the other.
        log_bytes: of the gradient logs that are still to be written, about.
        checkpoint_bytes: of the checkpoints, likewise.
    """

    study: Study
    runs: tuple[PlannedRun, ...]
    seconds: float
    log_bytes: int
    checkpoint_bytes: int

    @property
    def stages(self) -> int:
        """How many are missing."""
        return sum(len(run.missing) for run in self.runs)

    def disk(self, jobs: int, *, drop_gradients: bool) -> int:
        """Bytes that it will take at the most."""
        training = sum("train" in run.missing for run in self.runs)
        if drop_gradients and training > jobs:
            return self.checkpoint_bytes + self.log_bytes * jobs // training
        return self.checkpoint_bytes + self.log_bytes


def make_plan(study: Study, directory: Path, variants: Sequence[str], seeds: SeedSet, costs: Costs) -> Plan:
    """The plan for these variants and seeds, from what is done already.

    Raises:
        ValueError: there is no such variant.
    """
    runs, seconds, logs, checkpoints = [], 0.0, 0, 0
    for variant in variants:
        settings = study.settings(variant, seeds.seeds[0], 1)
        of_run = _bytes(settings)
        for seed in seeds.seeds:
            run = run_directory(directory, variant, seed)
            missing = _missing(study, run, study.settings(variant, seed, 1), seeds)
            runs.append(PlannedRun(variant, seed, run, missing))
            seconds += sum(costs.seconds(variant, stage) for stage in missing)
            if "train" in missing:
                logs, checkpoints = logs + of_run[0], checkpoints + of_run[1]
    return Plan(study, tuple(runs), seconds, logs, checkpoints)


def _missing(study: Study, run: Path, settings: TrainSettings, seeds: SeedSet) -> tuple[str, ...]:
    done = {stage: is_done(study, stage, run, settings, seeds.role) for stage in study.stages}
    if done.get("ablate") and len(seeds.seeds) > 1 and not has_partner(run):
        done["ablate"] = False
    missing = {stage for stage, is_made in done.items() if not is_made}
    if "train" in missing:
        missing = set(study.stages)
    elif "analyze" in missing:  # what was made of it is of other directions
        missing |= {"judge", "ablate"} & set(study.stages)
    return tuple(stage for stage in study.stages if stage in missing)


def _bytes(settings: TrainSettings) -> tuple[int, int]:
    """Of the gradient log and of the checkpoints of one run, about."""
    parameters = sum(parameter.numel() for parameter in settings.new_network().parameters())
    rollouts = settings.ppo.rollouts
    rows = 0
    if settings.record != "none":
        # Two halves of the whole row and of the first epoch's; now and then of three loss terms.
        rows = 4 * settings.ppo.logged_rows(settings.record)
        if settings.record_terms_every:
            rows += 6 * -(-rollouts // settings.record_terms_every)
    checkpoints = rollouts // settings.checkpoint_every + 1
    return 2 * parameters * rows, 4 * parameters * (checkpoints + 3)
