"""The steps of a run, each from files to files, with progress; skipped where their result is already there."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ..ablate.ablation import Ablation
from ..ablate.maze_cuts import AblateSettings, MazeAblation
from ..ablate.table import CutRow
from ..agents.files import RunFileError, SettingError, write_json
from ..agents.open_run import MazeRun, open_maze_run
from ..agents.procgen_run import ProcgenRun, ProcgenSettings, train_procgen
from ..agents.rollout_run import REPORT_LEVEL_SEED
from ..agents.run import Run, TrainSettings
from ..agents.run_directory import RunDirectory
from ..agents.settings_json import settings_to_json
from ..agents.training import train
from ..agents.training_logs import LogKind, TrainingLogs
from ..analysis.directions import Directions
from ..analysis.maze_analysis import AnalyzeSettings, analyze_run
from ..report import print_summary, write_report
from ..report.style import decimal
from ..studies import stages
from ..studies.stages import evaluated, save_analysis, saved_analysis
from .settings import EvaluateSettings
from .summary import write_summary

console = Console(stderr=True)
_LINE_EVERY = 15.0


class Lines:
    """Progress where nobody watches a bar: a line now and then."""

    def __init__(self, title: str):
        self.title = title
        self._began = self._said = time.perf_counter()

    def perhaps(self, how_far: str, note: str = "") -> None:
        """Say how far it is, unless it was said just now or there is a bar."""
        now = time.perf_counter()
        if console.is_terminal or now - self._said <= _LINE_EVERY:
            return
        self._said = now
        print(
            f"{self.title}: {how_far} after {now - self._began:.0f} s {note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def progress(
    title: str, total: int | None, unit: str = "{task.fields[note]}"
) -> Iterator[Callable[[str, int], None]]:
    """A progress bar; yields advance(note, steps). Where nobody watches, a line now and then instead."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn(unit),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task, said = bar.add_task(title, total=total, note=""), Lines(title)
        done = 0

        def advance(note: str, steps: int = 1) -> None:
            nonlocal done
            done += steps
            bar.update(task, advance=steps, note=note)
            said.perhaps(f"{done}/{total or '?'}", note)

        yield advance


def train_step(
    directory: Path, settings: TrainSettings | ProcgenSettings, log: Sequence[LogKind] = ()
) -> MazeRun:
    """Train a run to its end, with these logs beside progress.jsonl."""
    run = (
        ProcgenRun.create(directory, settings)
        if isinstance(settings, ProcgenSettings)
        else Run.create(directory, settings)
    )
    if run.trained:
        say_trained(run, log)
        return run
    rollouts, per_rollout = settings.ppo.rollouts, settings.ppo.env_steps_per_rollout
    with progress("train", rollouts) as advance, TrainingLogs(run, log) as logs:
        began: list[float] = []

        def on_rollout(record: dict[str, Any]) -> None:
            logs.follow()
            first = not began
            began.append(time.perf_counter())
            # The first call of a resumed run stands for all rollouts that were there already.
            steps = record["rollout"] if first else 1
            speed = (len(began) - 1) * per_rollout / max(began[-1] - began[0], 1e-9)
            advance(f"{speed / 1000:.1f}k env steps/s, return {record['episode_return']:.2f}", steps)

        if isinstance(run, ProcgenRun):
            train_procgen(run, on_rollout=on_rollout)
        else:
            train(run, on_rollout=on_rollout)
    return run


def say_trained(run: RunDirectory[Any], log: Sequence[LogKind]) -> None:
    """There is nothing to train, nor to log."""
    how = f"; for its logs: goalcut logs {run.directory} --to {' '.join(log)}" if log else ""
    console.print(f"{run.directory}: already trained{how}", soft_wrap=True)


def logs_step(run: RunDirectory[Any], kinds: Sequence[LogKind]) -> None:
    """Write the records that a run has so far as logs of these kinds."""
    with run.locked("logged"), TrainingLogs(run, kinds) as logs:
        logs.follow()


def evaluate_step(run: MazeRun, settings: EvaluateSettings) -> dict[str, Any]:
    """Measure the untrained, trained, uniform-random and shortest-path agents; evaluation.json."""
    if settings.parameters is None:
        theta = run.parameters_after(settings.rollout)
    else:
        path = settings.parameters
        if not path.is_file():
            raise SettingError(
                f"parameters is {path}, which is missing: give a file that a cut left, such as "
                f"{run.directory}/ablation/cut-0.safetensors"
            )
        theta = run.parameters_from(path, "make it again, or give another file of parameters")
    result = evaluated(
        run, settings.levels, theta=theta, level_seed=REPORT_LEVEL_SEED, device=settings.device
    )
    result |= {"settings": settings_to_json(settings)}
    if settings.rollout is None and settings.parameters is None:
        write_json(run.path("evaluation.json"), result)
    return result


def print_evaluation(result: dict[str, Any]) -> None:
    """The exact measures as a table."""
    kind = "exact" if result["exact"] else "sampled"
    table = Table(
        title=f"{kind} measures on {result['levels']} held-out levels (95 % interval over levels)",
        caption=result["behaviour"],
    )
    table.add_column("measure")
    for agent in result["agents"]:
        table.add_column(agent, justify="right")
    for measure, meaning in result["measures"].items():
        cells = [
            f"{v[measure]['mean']:.3f} [dim]{v[measure]['low']:.2f}–{v[measure]['high']:.2f}[/]"
            for v in result["agents"].values()
        ]
        table.add_row(f"{measure}\n[dim]{meaning}[/]", *cells)
    Console().print(table)


def analyze_step(run: MazeRun, settings: AnalyzeSettings) -> None:
    """Temporal SVD and its nulls; analysis/."""
    _trained(run)
    with run.locked("analyzed"):
        with progress("analyze", 6) as advance:
            result, found = analyze_run(run, settings, lambda step: advance(step, 1))
        save_analysis(run, result, found, settings)


def ablate_step(run: MazeRun, settings: AblateSettings) -> None:
    """Cuts beside their controls; ablation/."""
    _trained(run)
    with run.locked("ablated"):
        analysis, directions = saved_analysis(run)
        other = other_directions(open_maze_run, settings.other_run)
        ablation = MazeAblation(run, directions, analysis["directions"]["split_row"], settings, other)
        about = {"levels": settings.levels, "tuning_levels": settings.tuning_levels}
        judge_all(run, ablation, about | {"settings": settings_to_json(settings)})


def judge_all(run: RunDirectory[Any], ablation: Ablation, about: dict[str, Any]) -> None:
    """Judge every cut and control, going on where an earlier call stopped; ablation/table.json.

    Each cut is told of as it is judged: controls, and doses that are tuned, take minutes.
    """
    with progress("ablate", ablation.planned_entries()) as advance:
        stages.judge_all(run, ablation, about, lambda name: advance(name, 1), _tell_cut)


def _tell_cut(row: CutRow) -> None:
    kept = ", ".join(f"{name} {decimal(value)}" for name, value in row.retention.items())
    low, high = map(decimal, row.selectivity_interval)
    told = f"{row.name}: selectivity {decimal(row.selectivity)} ({low} to {high}); left: {kept}"
    console.print(told, soft_wrap=True, highlight=False)


def report_step(run: RunDirectory[Any]) -> Path:
    """summary.json and report.html, and a summary in the terminal."""
    write_summary(run)
    path = write_report(run.directory)
    print_summary(run.directory, Console())
    return path


def _trained(run: RunDirectory[Any]) -> None:
    if not run.trained:
        raise RunFileError(
            f"{run.directory} is not trained to its end: go on with the command that began it, goalcut "
            f"{'procgen' if run.kind == 'procgen' else 'train'} {run.directory}"
        )


def other_directions(
    opened: Callable[[Path], RunDirectory[Any]], directory: Path | None
) -> Directions | None:
    """The directions of another seed's run, for the control of that name; None where none is named.

    Raises:
        SettingError: there is no such run, or it is not analyzed.
    """
    if directory is None:
        return None
    try:
        return saved_analysis(opened(directory))[1]
    except (RunFileError, FileNotFoundError) as error:
        raise SettingError(f"other_run is {directory}: {error}") from None
