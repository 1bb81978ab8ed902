"""The summary that a run ends with in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import digit_cut_prose, digit_prose, maze_prose, prose
from .digit_inputs import DigitInputs
from .inputs import dig, without_cut
from .kinds import AnyInputs, inputs_of
from .maze_inputs import MazeInputs
from .style import between, decimal

_HEADINGS = {"uniform": "random", "best": "shortest"}


def print_summary(run_directory: Path, console: Console) -> None:
    """Print measures, spectrum and best cuts of a run, each beside its controls, and where its report is.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
    """
    inputs = inputs_of(Path(run_directory))
    if inputs.agents:
        console.print(_measures(inputs))
    for line in _digit_lines(inputs) if isinstance(inputs, DigitInputs) else _maze_lines(inputs):
        console.print(Text(line))
    cuts = _digit_cuts(inputs) if isinstance(inputs, DigitInputs) else _maze_cuts(inputs)
    if cuts.row_count:
        console.print(cuts)
    report = inputs.run.directory / "report.html"
    if report.exists():
        console.print(Text(f"report: {report}", style="bold"), soft_wrap=True)


def _maze_lines(inputs: MazeInputs) -> list[str]:
    lines = [maze_prose.learning_order(inputs)] if len(inputs.measured) > 1 else []
    return lines + _spectrum_lines(inputs)


def _digit_lines(inputs: DigitInputs) -> list[str]:
    lines = [digit_prose.learned_what(inputs)] if inputs.agents else []
    lines += [digit_prose.counts(inputs)] if inputs.counts("raw", "mean") else []
    lines += _spectrum_lines(inputs)
    lines += [digit_prose.residual(inputs)] if dig(inputs.analysis, "residual", "samples", "sampled") else []
    return lines + ([digit_prose.turning(inputs)] if dig(inputs.analysis, "turning", "p_value") else [])


def _spectrum_lines(inputs: AnyInputs) -> list[str]:
    lines = []
    if inputs.analysis and inputs.analysis.get("singular_values"):
        lines.append(prose.spectrum(inputs.analysis))
    if inputs.analysis and inputs.analysis.get("cross_half"):
        lines.append(prose.cross_half(inputs.analysis, inputs.halved))
    return lines


def _measures(inputs: AnyInputs) -> Table:
    name = inputs.run.directory.resolve().name
    digits = isinstance(inputs, DigitInputs)
    what = "share of test images recognised" if digits else maze_prose.measured_how(inputs)
    table = Table(title=f"{name}: {what}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("measure", no_wrap=True)
    for agent in inputs.agents:
        table.add_column(_HEADINGS.get(agent, agent), justify="right", no_wrap=True)
    for measure in inputs.measure_styles:
        table.add_row(
            measure, *(_cell(inputs.measure(agent, measure), agent == "trained") for agent in inputs.agents)
        )
    if isinstance(inputs, DigitInputs):
        table.add_row(
            "all digits", *(_cell(inputs.accuracy(agent), agent == "trained") for agent in inputs.agents)
        )
    return table


def _cell(measure: dict[str, float | None], with_interval: bool) -> Text:
    cell = Text(decimal(measure["mean"]), style="bold" if with_interval else "")
    interval = between([measure["low"], measure["high"]])
    if interval and with_interval:
        cell.append(f" ({interval})", style="not bold dim")
    return cell


def _maze_cuts(inputs: MazeInputs) -> Table:
    """The most selective cut of each goal, and below it its most selective control."""
    table = _cut_table(tuple(inputs.goal_measures.values()))

    def cells(row: dict[str, Any]) -> list[Any]:
        return [dig(row, "retention", measure) for measure in inputs.goal_measures.values()]

    for goal in inputs.goals:
        cut = inputs.best_cut(goal)
        if cut is not None:
            _add_beside_control(table, cut, inputs.best_control(cut), cells)
    return table


def _digit_cuts(inputs: DigitInputs) -> Table:
    """The most selective single direction and the most selective tuned cut, each above its best control."""
    table = _cut_table(("the digit", "nine others"))
    for cut in digit_cut_prose.best_of_each_kind(inputs):
        _add_beside_control(table, cut, inputs.best_control(cut), inputs.left)
    return table


def _cut_table(retained: Sequence[str]) -> Table:
    table = Table(title="retention after cuts", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("cut")
    for heading in (*retained, "selectivity"):
        table.add_column(heading, justify="right")
    return table


def _add_beside_control(
    table: Table, cut: dict[str, Any], control: dict[str, Any] | None, cells: Any
) -> None:
    rows = [(cut, str(cut.get("name")), "")]
    rows += [(control, f"  control: {without_cut(control)}", "dim")] if control is not None else []
    for row, name, style in rows:
        kept = [decimal(value) for value in cells(row)]
        table.add_row(Text(name), *kept, decimal(row.get("selectivity")), style=style)
