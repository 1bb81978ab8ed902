"""The summary that a run ends with in the terminal."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..agents.behaviour import MEASURES
from . import cut_prose, prose
from .inputs import Inputs, dig
from .style import GOAL_MEASURES, between, decimal

_HEADINGS = {"untrained": "untrained", "trained": "trained", "uniform": "random", "best": "shortest"}


def print_summary(run_directory: Path, console: Console) -> None:
    """Print measures, spectrum and best cuts of a run, each beside its controls, and where its report is.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
    """
    inputs = Inputs.of(Path(run_directory))
    if inputs.agents:
        console.print(_measures(inputs))
    lines = [prose.learning_order(inputs)] if len(inputs.measured) > 1 else []
    if inputs.analysis and inputs.analysis.get("singular_values"):
        lines.append(prose.spectrum(inputs.analysis))
    if inputs.analysis and inputs.analysis.get("cross_half"):
        lines.append(prose.cross_half(inputs.analysis))
    for line in lines:
        console.print(Text(line))
    if any(inputs.best_cut(goal) for goal in GOAL_MEASURES):
        console.print(_cuts(inputs))
    report = inputs.run.directory / "report.html"
    if report.exists():
        console.print(Text(f"report: {report}", style="bold"), soft_wrap=True)


def _measures(inputs: Inputs) -> Table:
    name = inputs.run.directory.resolve().name
    table = Table(
        title=f"{name}: exact probabilities", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1)
    )
    table.add_column("measure", no_wrap=True)
    for agent in inputs.agents:
        table.add_column(_HEADINGS[agent], justify="right", no_wrap=True)
    for measure in MEASURES:
        table.add_row(
            measure, *(_cell(inputs.measure(agent, measure), agent == "trained") for agent in inputs.agents)
        )
    return table


def _cell(measure: dict[str, float | None], with_interval: bool) -> Text:
    cell = Text(decimal(measure["mean"]), style="bold" if with_interval else "")
    interval = between([measure["low"], measure["high"]])
    if interval and with_interval:
        cell.append(f" ({interval})", style="not bold dim")
    return cell


def _cuts(inputs: Inputs) -> Table:
    """The most selective cut of each goal, and below it its most selective control."""
    table = Table(title="retention after cuts", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("cut")
    for heading in ("corner_reach", "cheese_from_corner", "selectivity"):
        table.add_column(heading, justify="right")

    def add(row: dict[str, Any], name: str, style: str) -> None:
        kept = [decimal(dig(row, "retention", measure)) for measure in GOAL_MEASURES.values()]
        table.add_row(Text(name), *kept, decimal(row.get("selectivity")), style=style)

    for goal in GOAL_MEASURES:
        cut = inputs.best_cut(goal)
        if cut is None:
            continue
        add(cut, str(cut.get("name")), "")
        control = cut_prose.best_control(inputs, cut)
        if control is not None:
            own = str(control.get("name")).removesuffix(f" | {control.get('control_of')}")
            add(control, f"  control: {own}", "dim")
    return table
