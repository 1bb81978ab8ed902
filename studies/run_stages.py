"""The stages of one run of a study, each made only where it is not done yet."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..ablate.ablation import TUNING
from ..ablate.maze_cuts import AblateSettings, MazeAblation, levels_judged_on
from ..ablate.plan import PlannedCut
from ..agents.files import RunFileError, read_json, write_json
from ..agents.run import Run, TrainSettings
from ..agents.settings_json import settings_to_json
from ..agents.training import train
from ..analysis.maze_analysis import analyze_run
from .results import JUDGED
from .seeds import Role
from .stages import (
    ABLATION,
    ANALYSIS,
    EVALUATION,
    evaluated,
    judge_all,
    save_analysis,
    saved_analysis,
    up_to_date,
)
from .study import Judged, Study

OnStep = Callable[[int, int], None]
"""Steps done, and how many there are."""
_LOG_FILES = ("rows.bin", "rows.index")


class StudyAblation(MazeAblation):
    """The cuts of a maze agent, and a study's recipes after them: these and the tuned ones are the headlines."""

    further: tuple[PlannedCut, ...] = ()
    names: tuple[str, ...] = ()

    def planned(self) -> list[PlannedCut]:
        """The profile cuts, the tuned ones, then the recipes."""
        plans = [replace(plan, headline=plan.choose is None) for plan in super().planned()]
        return [*plans, *self.further]

    def premises(self) -> dict[str, Any]:
        """Also the recipes' names."""
        return super().premises() | {"recipes": list(self.names)}


def settings_there(directory: Path, wanted: TrainSettings) -> TrainSettings:
    """The settings wanted, with the threads and the precision of the run that is there already."""
    if not (directory / "config.json").exists():
        return wanted
    held = Run(directory).settings
    return replace(wanted, threads=held.threads).resolved(held)


def is_done(study: Study, stage: str, directory: Path, settings: TrainSettings, role: Role) -> bool:
    """Whether a stage of the run in this directory is done; a run that is not there, or another, has none done."""
    if not (directory / "config.json").exists():
        return False
    try:
        run = Run(directory)
    except RunFileError:
        return False
    if stage == "train":
        return run.trained and settings_there(directory, settings) == run.settings
    if stage == "evaluate":
        return up_to_date(run, EVALUATION, _evaluate_settings(study, role))
    if stage == "analyze":
        return up_to_date(run, ANALYSIS, study.analyze)
    if stage == "judge":
        return up_to_date(run, JUDGED, _judge_settings(study, role))
    assert study.ablate is not None
    return up_to_date(run, ABLATION, _ablate_settings(study, role, _held_other(run))) and (
        read_json(run.directory / ABLATION).get("recipes", []) == list(study.recipe_names)
    )


def has_partner(directory: Path) -> bool:
    """Whether the table of cuts holds the control "another seed"."""
    return _held_other(Run(directory)) is not None


def make(
    study: Study,
    stage: str,
    directory: Path,
    settings: TrainSettings,
    role: Role,
    *,
    partner: Path | None = None,
    on_step: OnStep = lambda done, of: None,
) -> None:
    """Make one stage of a run, going on where it was stopped.

    Args:
        study: the card.
        stage: one of `study.stages`; those before it are done.
        directory: the run directory.
        settings: what is trained.
        role: which levels it is judged on.
        partner: of `ablate`: another seed's analyzed run.
        on_step: called as it goes on.
    """
    if stage == "train":
        run = Run.create(directory, settings_there(directory, settings))
        rollouts = settings.ppo.rollouts
        train(run, on_rollout=lambda record: on_step(record["rollout"], rollouts))
        return
    run = Run(directory)
    if stage == "evaluate":
        chosen = _evaluate_settings(study, role)
        split, level_seed = levels_judged_on(role)
        result = evaluated(run, study.levels, split=split, level_seed=level_seed)
        write_json(run.path(EVALUATION), result | {"settings": settings_to_json(chosen)})
    elif stage == "analyze":
        with run.locked("analyzed"):
            steps = iter(range(1, 100))
            result, found = analyze_run(run, study.analyze, lambda step: on_step(next(steps), 6))
            save_analysis(run, result, found, study.analyze)
    elif stage == "judge":
        assert study.judging is not None
        analysis, found = saved_analysis(run)
        with run.locked("judged"):
            asked = Judged(
                run,
                analysis,
                found,
                role,
                study.levels,
                on_step=lambda _, done, of: on_step(done, of),
            )
            judged = study.judging(asked)
        write_json(
            run.path(*JUDGED.split("/")), {"judged": judged} | {"settings": _judge_settings(study, role)}
        )
    else:
        _ablate(study, run, _ablate_settings(study, role, partner), on_step)


def drop_gradients(directory: Path) -> int:
    """Remove the rows of a run's gradient log, its layout stays; returns the bytes set free."""
    freed = 0
    for name in _LOG_FILES:
        path = directory / "gradients" / name
        if path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def take_over(directory: Path, settings: TrainSettings, root: Path) -> Path | None:
    """Take the trained agent of another study of these settings into `directory`, by hard links; None: there is none.

    Args:
        directory: of a run that is not there yet.
        settings: what it would train.
        root: where studies lie.
    """
    if (directory / "config.json").exists():
        return None
    for config in sorted(root.glob(f"**/seed-{settings.seed}/config.json")):
        there = config.parent
        try:
            held = Run(there)
            same = held.trained and replace(settings, threads=held.settings.threads).resolved(held.settings)
            whole = (there / "gradients" / _LOG_FILES[0]).exists()
        except (RunFileError, OSError):
            continue
        if same != held.settings or not whole:
            continue
        for name in ("checkpoints", "gradients"):
            shutil.copytree(there / name, directory / name, copy_function=_linked, dirs_exist_ok=True)
        shutil.copyfile(there / "progress.jsonl", directory / "progress.jsonl")
        # Last: what makes it a run.
        shutil.copyfile(config, directory / "config.json.part")
        os.replace(directory / "config.json.part", directory / "config.json")
        return there
    return None


def _linked(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _ablate(study: Study, run: Run, settings: AblateSettings, on_step: OnStep) -> None:
    with run.locked("ablated"):
        analysis, found = saved_analysis(run)
        other = None if settings.other_run is None else saved_analysis(Run(settings.other_run))[1]
        split = analysis["directions"]["split_row"]
        ablation = StudyAblation(run, found, split, settings, other)
        if study.recipes is not None:
            beside = None if settings.other_run is None else Run(settings.other_run)
            ablation.further = tuple(study.recipes(run, found, beside))
            ablation.names = study.recipe_names
        about = {
            "levels": settings.levels,
            "tuning_levels": settings.tuning_levels,
            "settings": settings_to_json(settings),
            "recipes": list(ablation.names),
        }
        done, planned = 0, ablation.planned_entries()

        def on_entry(name: str) -> None:
            nonlocal done
            done += 1
            on_step(done, planned)

        threads = torch.get_num_threads()
        try:
            judge_all(run, ablation, about, on_entry)
        finally:
            torch.set_num_threads(threads)


def _evaluate_settings(study: Study, role: Role) -> dict[str, Any]:
    # As `goalcut evaluate` has them, so that a report does not measure again.
    there = {"levels": study.levels, "rollout": None, "parameters": None, "device": None}
    return there if role == "report" else there | {"judged_on": role}


def _judge_settings(study: Study, role: Role) -> dict[str, Any]:
    return {
        "study": study.name,
        "version": study.judging_version,
        "levels": study.levels,
        "judged_on": role,
        "analyze": settings_to_json(study.analyze),
        "judging": settings_to_json(study.judging),
        "tuning": TUNING,
    }


def _ablate_settings(study: Study, role: Role, partner: Path | None) -> AblateSettings:
    assert study.ablate is not None
    return replace(study.ablate, judged_on=role, other_run=partner)


def _held_other(run: Run) -> Path | None:
    """The other seed's run that the cuts of this one stand beside; None: there is none, or no table."""
    try:
        held = read_json(run.directory / ABLATION)["settings"]["other_run"]
    except (RunFileError, KeyError, TypeError):
        return None
    return None if held is None else Path(held)
