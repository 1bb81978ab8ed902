"""The summary that a run ends with in the terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..agents.behaviour import MEASURES
from . import cut_prose, prose
from .html import AGENT_NAMES
from .inputs import Inputs
from .style import between, decimal


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
    if inputs.rows:
        lines.append(cut_prose.best_cuts(inputs))
    for line in lines:
        console.print(Text(line))
    report = inputs.run.directory / "report.html"
    if report.exists():
        console.print(Text(f"report: {report}", style="bold"), soft_wrap=True)


def _measures(inputs: Inputs) -> Table:
    table = Table(title=f"{inputs.run.directory.name}: exact probabilities", title_justify="left")
    table.add_column("measure", no_wrap=True)
    for agent in inputs.agents:
        table.add_column(AGENT_NAMES[agent], justify="right")
    for name in MEASURES:
        cells = []
        for agent in inputs.agents:
            measure = inputs.measure(agent, name)
            cell = Text(decimal(measure["mean"]), style="bold" if agent == "trained" else "")
            interval = between([measure["low"], measure["high"]])
            if interval and agent == "trained":
                cell.append(f"  {interval}", style="dim not bold")
            cells.append(cell)
        table.add_row(name, *cells)
    return table
