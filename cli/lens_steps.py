"""The steps of `goalcut lens`: one lens on a run, and the comparison of all; not done again where they are there."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..ablate.compare import Budget, best_within
from ..ablate.journal import Journal
from ..ablate.lens_compare import LensComparison
from ..agents.digit_run import DigitRun
from ..agents.files import RunFileError, read_json, write_json
from ..agents.open_run import AnyRun, open_run
from ..agents.procgen_run import ProcgenRun
from ..agents.run import Run
from ..agents.settings_json import settings_to_json
from ..analysis.directions import Directions
from ..analysis.lens import Findings, OnStep
from ..analysis.lens_angles import lens_angles
from ..analysis.lenses import LENSES, look
from ..analysis.through_training import Course, look_through_training, times_of
from ..report.lens_courses import course_tables
from ..report.lens_tables import compare_table, lens_table
from ..report.page import Table as TableOfReport
from .lens_settings import CurvatureCommand, LensCommand, LensCompareCommand, TrainingLensCommand
from .steps import Lines, console, progress

TEMPORAL = "temporal SVD"
_TRAINED_BY = {Run.kind: "train", ProcgenRun.kind: "procgen", DigitRun.kind: "mnist"}


@contextmanager
def phases(title: str) -> Iterator[OnStep]:
    """A progress bar of a lens's phases. Where nobody watches, a line now and then instead."""
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, said = bar.add_task(title, total=None), Lines(title)

        def on_step(what: str, done: int, of: int) -> None:
            bar.update(task, description=f"{title}: {what}", completed=done, total=of or None)
            said.perhaps(f"{what} {done}/{of or '?'}")

        yield on_step


def lens_step(name: str, command: LensCommand) -> None:
    """Look at a run through one lens; lenses/NAME.json and its directions; and print its table."""
    run = _trained(command.there())
    settings = getattr(command, name)
    at = run.last_time if command.time is None else command.time
    run.parameters_after(at)  # says at once which times there are
    course = _course(run, command)
    about = {
        "inputs": command.inputs,
        "input_seed": command.input_seed,
        "time": at,
        name: settings_to_json(settings),
    }
    path = run.directory / "lenses" / f"{name}.json"
    if is_there(path, about):
        console.print(f"{path}: already there", soft_wrap=True)
    else:
        with run.locked(f"looked at through {name}"):
            with phases(name) as on_step:
                found = look(
                    run,
                    name,
                    settings,
                    inputs=command.inputs,
                    seed=command.input_seed,
                    time=at,
                    device=command.device,
                    on_step=on_step,
                )
            # The files belong together: without NAME.json the others are not looked at.
            run.path("lenses", path.name).unlink(missing_ok=True)
            result = {
                "lens": name,
                "claim": LENSES[name].claim,
                "settings": about,
                "time_unit": run.time_unit,
                **save_findings(path, found),
            }
            write_json(path, result, short=True)
    if course is not None:
        _through_training(name, command, course, path)
    saved = read_json(path)
    print_table(lens_table(name, saved))
    for table in course_tables(name, saved):
        print_table(table)


def save_findings(path: Path, found: Findings) -> dict[str, Any]:
    """Save directions beside the file that is to tell of them, NAME-SPACE.safetensors.

    Returns:
        `figures` and `directions`, for that file.
    """
    for old in path.parent.glob(f"{path.stem}-*.safetensors"):
        old.unlink()
    for space, directions in found.directions.items():
        directions.save(path.parent / f"{path.stem}-{space}.safetensors")
    return {
        "figures": strict(found.figures),
        "directions": {
            space: {"count": len(of), "entries": of.vectors.shape[1]}
            for space, of in found.directions.items()
        },
    }


def _course(run: AnyRun, command: LensCommand) -> Course | None:
    """The times that the lens is to look at besides, if any."""
    if not isinstance(command, TrainingLensCommand) or not command.through_training:
        return None
    count = command.through_training
    if isinstance(run, ProcgenRun):
        raise ValueError(
            f"through_training is {count}, but {run.directory} is of Procgen: give a run of mazes or of digits"
        )
    return Course(run, times_of(run, count), command.inputs, command.input_seed, command.device)


def _through_training(name: str, command: LensCommand, course: Course, path: Path) -> None:
    """Add what the lens finds at several times to its file; not done again for the same settings."""
    settings, saved = getattr(command, name), read_json(path)
    coefficient = command.coefficient if isinstance(command, CurvatureCommand) else None
    about: dict[str, Any] = {
        "inputs": command.inputs,
        "input_seed": command.input_seed,
        "times": list(course.times),
        # The learning coefficient has settings of its own, and nothing else of its lens is looked at.
        name: settings_to_json(coefficient or settings),
    }
    if (saved.get("through_training") or {}).get("settings") == about:
        console.print(f"{path}: through training already there", soft_wrap=True)
        return
    with course.run.locked(f"looked at through {name} through training"):
        with phases(f"{name} through training") as on_step:
            found = look_through_training(course, settings, coefficient, on_step=on_step)
        write_json(path, saved | {"through_training": {"settings": about, **strict(found)}}, short=True)


def compare_step(command: LensCompareCommand) -> None:
    """Cut every lens's directions beside controls; lenses/compare.json; and print its table."""
    run, settings = _trained(command.there()), command.compare
    path = run.directory / "lenses" / "compare.json"
    lenses = saved_lenses(run)
    temporal = run.directory / "analysis" / "directions.safetensors"
    if temporal.exists():
        lenses[TEMPORAL] = [Directions.load(temporal)]
    else:
        console.print(f"without temporal SVD, as {temporal.parent} is not there", soft_wrap=True)
    about = {
        "settings": settings_to_json(settings),
        "of": {f"{lens} at {one.space}": _checksum(one) for lens, of in lenses.items() for one in of},
    }
    if is_there(path, about["settings"], about["of"]):
        console.print(f"{path}: already there", soft_wrap=True)
    else:
        with run.locked("compared"):
            path.unlink(missing_ok=True)
            comparison = LensComparison(run, lenses, settings)
            kept = run.path("lenses", "compare-rows.jsonl")
            journal = Journal(kept, comparison.fingerprint())
            try:
                with progress("compare", comparison.planned(comparison.methods)) as advance:
                    rows = comparison.rows(comparison.methods, journal, lambda name: advance(name, 1))
            finally:
                journal.close()
            best = best_within(rows, Budget(settings.relative_norm, settings.navigation))
            result = about | {
                "kind": run.kind,
                "goals": {goal.name: goal.remove for goal in comparison.judge.goals},
                "agents": {
                    agent: {name: float(values.mean()) for name, values in measured.items()}
                    for agent, measured in (
                        ("trained", comparison.judge.trained),
                        ("floor", comparison.judge.floor),
                    )
                },
                "methods": {name: asdict(of) for name, of in comparison.of.items()},
                "rows": [asdict(row) for row in rows],
                "best": {
                    goal: {name: None if row is None else asdict(row) for name, row in of.items()}
                    for goal, of in best.items()
                },
                "angles": lens_angles(comparison.directions(), settings.counts),
            }
            write_json(path, strict(result), short=True)
            kept.unlink(missing_ok=True)
    print_table(compare_table(read_json(path)))


def saved_lenses(run: AnyRun) -> dict[str, list[Directions]]:
    """Name → directions of every lens that has been run.

    Raises:
        RunFileError: there is none, one is of another training time than the end, or a file is missing or damaged.
    """
    found: dict[str, list[Directions]] = {}
    for name in LENSES:
        path = run.directory / "lenses" / f"{name}.json"
        if not path.exists():
            continue
        saved = read_json(path)
        if saved["settings"]["time"] != run.last_time:
            raise RunFileError(
                f"{path} is of {run.time_unit} {saved['settings']['time']}, and cuts are of the trained network: run "
                f"goalcut lens {name} {run.directory} without --time"
            )
        found[name] = [
            Directions.load(path.with_name(f"{name}-{space}.safetensors")) for space in saved["directions"]
        ]
    if not found:
        raise RunFileError(
            f"{run.directory} has no lens to compare: run one first, for instance goalcut lens features "
            f"{run.directory}"
        )
    return found


def strict(value: Any) -> Any:
    """As JSON has it: NaN and infinity as None, numbers of numpy as Python's, names as strings."""
    if isinstance(value, dict):
        return {str(name): strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value


def _trained(directory: Path) -> AnyRun:
    run = open_run(directory)
    if not run.trained:
        raise RunFileError(
            f"{directory} is not trained to its end: go on with the command that began it, goalcut "
            f"{_TRAINED_BY[run.kind]} {directory}"
        )
    return run


def is_there(path: Path, settings: dict[str, Any], of: dict[str, int] | None = None) -> bool:
    """Whether a result is there, whole, and was made with these settings from what is there now."""
    try:
        made = read_json(path)
        files = [] if of is not None else made["directions"]
        for space in files:
            Directions.load(path.with_name(f"{path.stem}-{space}.safetensors"))
        return made["settings"] == settings and made.get("of") == of
    except (ValueError, OSError, KeyError, TypeError):
        return False


def _checksum(found: Directions) -> int:
    return zlib.crc32(found.vectors.tobytes())


def print_table(made: TableOfReport) -> None:
    """A table of the report in the terminal."""
    table = Table(title=made.caption)
    for number, heading in enumerate(made.headings):
        table.add_column(
            heading,
            justify="left" if not number else "right",
            style="dim" if number - 1 in made.quiet else "",
        )
    for name, cells in made.rows:
        table.add_row(name, *cells)
    Console().print(table)
