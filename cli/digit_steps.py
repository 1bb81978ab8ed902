"""The steps of a classifier's run: train, evaluate, analyze, ablate; and the table of counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markdown import Markdown
from torch import Tensor

from ..ablate.digit_cuts import DigitAblateSettings, DigitAblation
from ..ablate.digit_goals import ClassifierBehaviour
from ..ablate.judge import Judge
from ..agents.classification import DigitSettings
from ..agents.digit_run import DigitRun, held_out_behaviour, train_digits
from ..agents.files import RunConflictError, RunFileError, read_json, write_atomically, write_json
from ..agents.settings_json import settings_to_json
from ..agents.training_logs import LogKind, TrainingLogs
from ..analysis.digit_analysis import DigitAnalyzeSettings, analyze_digits
from ..analysis.digit_table import entries, fill_table, markdown
from ..studies.stages import save_analysis, saved_analysis, up_to_date
from .steps import (
    judge_all,
    other_directions,
    progress,
    say_trained,
)


def train_digits_step(directory: Path, settings: DigitSettings, log: Sequence[LogKind] = ()) -> DigitRun:
    """Train a classifier to its end, with these logs, then measure it on all test images; evaluation.json."""
    run = DigitRun.create(directory, settings)
    if run.trained:
        say_trained(run, log)
    else:
        done = 0
        with progress("train", run.last_time) as advance, TrainingLogs(run, log) as logs:

            def on_record(record: dict[str, Any]) -> None:
                nonlocal done
                logs.follow()
                advance(f"loss {record['loss']:.3f}", record["update"] - done)
                done = record["update"]

            train_digits(run, on_record=on_record)
    try:
        read_json(run.directory / "evaluation.json")
    except RunFileError:  # missing, or damaged
        _evaluate(run)
    return run


def _evaluate(run: DigitRun) -> None:
    """Accuracy of the untrained and the trained classifier on each digit, with intervals over images."""
    behaviour = held_out_behaviour(run.settings)
    judge = Judge(
        run.network(), ClassifierBehaviour(behaviour), run.parameters_after(0), run.parameters_after()
    )
    agents = {"untrained": judge.untrained, "trained": judge.trained, "chance": judge.uniform}
    result = {
        "images": len(behaviour.digits),
        "split": "test",
        "agents": {
            name: judge.summary(measured) | {"accuracy": _accuracy(torch.cat(list(measured.values())))}
            for name, measured in agents.items()
        },
    }
    write_json(run.path("evaluation.json"), result)


def _accuracy(correct: Tensor) -> dict[str, float]:
    """Share of all images that are recognised, with its normal 95 % interval."""
    mean = float(correct.mean())
    margin = 1.96 * float(correct.std()) / len(correct) ** 0.5
    return {"mean": mean, "low": mean - margin, "high": mean + margin}


def analyze_digits_step(run: DigitRun, settings: DigitAnalyzeSettings) -> None:
    """Temporal SVD, counts, residuals and their nulls; analysis/."""
    if up_to_date(run, "analysis/analysis.json", settings):
        return
    with run.locked("analyzed"):
        with progress("analyze", 8) as advance:
            result, found = analyze_digits(run, settings, lambda step: advance(step, 1))
        save_analysis(run, result, found, settings)


def ablate_digits_step(run: DigitRun, settings: DigitAblateSettings) -> None:
    """Cuts of directions and of digits beside their controls; ablation/."""
    if up_to_date(run, "ablation/table.json", settings):
        return
    with run.locked("ablated"):
        _, directions = saved_analysis(run)
        other = other_directions(DigitRun, settings.other_run)
        ablation = DigitAblation(run, directions, settings, other)
        about = {"images": sum(len(v) for v in ablation.judge.trained.values())} | ablation.tuned_on
        judge_all(run, ablation, about | {"settings": settings_to_json(settings)})


def table_step(directory: Path, settings: DigitSettings, seeds: int) -> Path:
    """Fill the table of counts, one row per network, optimizer and seed; table.json and table.md."""
    if (directory / "config.json").exists():
        raise RunConflictError(f"{directory} holds a run: give another directory for the table")
    lines = entries(settings, seeds)
    directory.mkdir(parents=True, exist_ok=True)
    with progress("table", sum(line.seeds for line in lines)) as advance:
        rows = fill_table(directory, lines, on_row=lambda name: advance(name, 1))
    write_json(directory / "table.json", {"rows": rows})
    text = markdown(rows)
    path = directory / "table.md"
    write_atomically(path, text.encode())
    Console().print(Markdown(text))
    return path
