"""The command `goalcut study`: the plan said beforehand, run with progress, and told in a table and a report."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..report.study_html import write_study_report
from ..report.study_terminal import plan_table, print_study
from ..report.style import duration
from ..studies.answer import answer, done_runs, save_answer
from ..studies.costs import Costs, calibrated, parallel
from ..studies.plan import Plan, make_plan
from ..studies.runner import Failure, How, OnProgress, Runner
from ..studies.study import study_directory
from .settings import StudyCommand
from .steps import console

_GB = 1e9


class StudyFailed(ValueError):
    """Some runs failed; what the others gave is told."""


def study_step(command: StudyCommand) -> None:
    """Plan, run, put together, report.

    Raises:
        StudyFailed: a run failed; results.json tells of the others.
        ValueError: the disk is too small, or nothing is done.
    """
    began = time.perf_counter()
    study, seeds = command.study, command.seed_set
    directory = study_directory(command.root, command.name, seeds.role, tiny=command.tiny)
    costs = Costs(study, directory, 1.0 if command.only_done else calibrated())
    plan = make_plan(study, directory, command.chosen_variants, seeds, costs)
    console.print(Text(f"{study.name}: {study.question}"))
    console.print(Text(seeds.told))
    if not command.only_done:
        _say_plan(command, plan, costs, directory)
    if command.dry_run:
        return
    failures: list[Failure] = []
    if plan.stages and not command.only_done:
        how = How(
            root=command.root,
            directory=directory,
            seeds=seeds,
            tiny=command.tiny,
            jobs=command.jobs,
            threads=command.threads,
            drop_gradients=command.drop_gradients,
        )
        with _progress(study.name) as told:
            failures = Runner(plan, how, costs, told).run()
    for failure in failures:
        line = f"{failure.variant} seed {failure.seed} failed: {failure.error} (all of it: {failure.log})"
        console.print(Text(line, style="bold red"), soft_wrap=True)
    runs = done_runs(plan, seeds)
    if failures and not runs:
        raise StudyFailed(
            f"no run is done: {len(failures)} of {len(plan.runs)} failed, the first with: {failures[0].error}"
        )
    content = answer(
        study,
        runs,
        seeds,
        failures,
        command=_again(command),
        tiny=command.tiny,
        seconds=time.perf_counter() - began,
    )
    save_answer(directory, content)
    path = write_study_report(directory)
    print_study(directory, Console())
    print(path)
    if failures:
        raise StudyFailed(
            f"{len(failures)} of {len(plan.runs)} runs failed, {len(runs)} are told of; the same command tries again"
        )


def _say_plan(command: StudyCommand, plan: Plan, costs: Costs, directory: Path) -> None:
    console.print(plan_table(plan, costs))
    at_once = parallel(command.jobs, command.threads, os.cpu_count() or 1)
    longest = max(
        (sum(costs.seconds(run.variant, stage) for stage in run.missing) for run in plan.runs), default=0
    )
    seconds = max(plan.seconds / at_once, longest)
    disk = plan.disk(command.jobs, drop_gradients=command.drop_gradients)
    free = shutil.disk_usage(_existing(directory)).free
    if plan.stages:
        console.print(
            Text(
                f"will take about {duration(seconds)} with {command.jobs} at once ({costs.told}) and "
                f"{disk / _GB:.1f} GB of disk, of {free / _GB:.0f} GB free; {plan.log_bytes / _GB:.1f} GB are gradient "
                f"logs, which --drop-gradients removes once they are analyzed"
            )
        )
    else:
        console.print(Text("all of it is done"))
    if disk > free and not command.dry_run:
        raise ValueError(
            f"the study takes about {disk / _GB:.1f} GB, and {directory} has {free / _GB:.1f} GB free: give "
            f"--drop-gradients, fewer seeds, or another --root"
        )


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _again(command: StudyCommand) -> str:
    """The command that makes the results again."""
    words = ["goalcut", "study", command.name]
    words += ["--seeds", command.seeds or command.study.seeds]
    words += ["--variants", *command.variants] if command.variants else []
    words += ["--development"] if command.development else []
    words += ["--tiny"] if command.tiny else []
    words += ["--jobs", str(command.jobs)]
    words += ["--threads", str(command.threads)] if command.threads != 1 else []
    return " ".join(shlex.quote(word) for word in words)


@contextmanager
def _progress(title: str) -> Iterator[OnProgress]:
    """A bar over the whole, by predicted time; where nobody watches, a line every half minute instead."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    watched, said = console.is_terminal, time.perf_counter()
    with Progress(*columns, console=console, disable=not watched) as bar:
        task = bar.add_task(title, total=1.0, note="")

        def told(share: float, left: float, note: str) -> None:
            nonlocal said
            text = f"{duration(left)} left; {note}"
            bar.update(task, completed=share, note=text)
            if not watched and time.perf_counter() - said > 30:
                said = time.perf_counter()
                print(f"{title}: {share:.0%}, {text}", file=sys.stderr, flush=True)

        yield told
