"""results.json: what the runs that are done say together, with all that it follows from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ablate.maze_cuts import levels_judged_on
from ..agents.files import read_json, write_json
from ..agents.run_directory import provenance
from ..agents.settings_json import settings_to_json
from .plan import Plan
from .results import RunResult, whole
from .run_stages import is_done
from .runner import Failure
from .seeds import SeedSet
from .study import Study

RESULTS = "results.json"


def done_runs(plan: Plan, seeds: SeedSet) -> list[RunResult]:
    """The runs of a plan of which every stage is done, whether or not it was when the plan was made."""
    runs = [RunResult(run.variant, run.seed, run.directory) for run in plan.runs]

    def every_stage(result: RunResult) -> bool:
        settings = plan.study.settings(result.variant, result.seed, 1)
        return all(
            is_done(plan.study, stage, result.directory, settings, seeds.role) for stage in plan.study.stages
        )

    return whole(runs, every_stage)


def answer(
    study: Study,
    runs: Sequence[RunResult],
    seeds: SeedSet,
    failures: Sequence[Failure],
    *,
    command: str,
    tiny: bool,
    seconds: float,
) -> dict[str, Any]:
    """What results.json holds.

    Args:
        study: the card.
        runs: those that are done.
        seeds: asked for.
        failures: of this call.
        command: that makes it again.
        tiny: whether it is the miniature, which finds nothing.
        seconds: that this call took.

    Raises:
        ValueError: no run is done.
    """
    if not runs:
        raise ValueError(
            f"no run of study {study.name} is done for {seeds.told}: there is nothing to tell yet"
        )
    split, level_seed = levels_judged_on(seeds.role)
    variants = dict.fromkeys(run.variant for run in runs)
    trained_by = {run.run.config.get("commit") for run in runs}
    return {
        "study": study.name,
        "question": study.question,
        "tiny": tiny,
        "role": seeds.role,
        "told": seeds.told,
        "seeds": list(seeds.seeds),
        "done": {variant: [run.seed for run in runs if run.variant == variant] for variant in variants},
        "judged_on": {"split": split, "level_seed": level_seed, "levels": study.levels},
        "directories": {
            variant: {str(run.seed): str(run.directory) for run in runs if run.variant == variant}
            for variant in variants
        },
        "settings": {variant: settings_to_json(study.variants[variant]) for variant in variants},
        "analyze": settings_to_json(study.analyze),
        "ablate": None if study.ablate is None else settings_to_json(study.ablate),
        "judging": None if study.judging is None else settings_to_json(study.judging),
        "recipes": list(study.recipe_names),
        "failures": [
            {"variant": one.variant, "seed": one.seed, "error": one.error, "log": str(one.log)}
            for one in failures
        ],
        "command": command,
        "seconds": seconds,
        **provenance(),
        "trained_by": sorted(commit for commit in trained_by if commit is not None),
        "curves": {variant: [_curves(run) for run in runs if run.variant == variant] for variant in variants},
        "summary": study.summarise(runs),
    }


def _curves(run: RunResult) -> dict[str, Any]:
    """Retention of each goal while training, as far as training changed it."""
    found = {name: run.retention_curve(name) for name in run.goals}
    return {
        "seed": run.seed,
        "env_steps": [record["env_steps"] for record in run.measured],
        "retention": {name: None if curve is None else curve[1] for name, curve in found.items()},
    }


def save_answer(directory: Path, content: dict[str, Any]) -> Path:
    """Write results.json of a study's directory; returns its path."""
    path = directory / RESULTS
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)
    return path


def load_answer(directory: Path) -> dict[str, Any]:
    """results.json of a study's directory.

    Raises:
        RunFileError: it is missing or damaged.
    """
    return read_json(directory / RESULTS)
