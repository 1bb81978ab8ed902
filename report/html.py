"""One self-contained report.html per run: no network, no other files."""

from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..agents.files import write_atomically
from . import digit_page, maze_page, procgen_page, repeat, style
from .digit_inputs import DigitInputs
from .kinds import AnyInputs, inputs_of
from .page import Page
from .procgen_inputs import ProcgenInputs
from .templates import render, text_of


def write_report(run_directory: Path) -> Path:
    """Write report.html of a run, as far as the run has come; returns its path.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
        OSError: the disk is full; an earlier report stays whole.
    """
    inputs = inputs_of(Path(run_directory))
    path = inputs.run.directory / "report.html"
    write_atomically(path, report_html(inputs).encode())
    return path


def report_html(inputs: AnyInputs) -> str:
    """The whole page."""
    return page_html(
        _page(inputs),
        kicker="one run",
        name=inputs.run.directory.resolve().name,
        # Of two goals each has its colour; of more, the table's words do.
        goal_class=dict(zip(inputs.goals, ("proxy", "paid"), strict=True)) if len(inputs.goals) == 2 else {},
        unfinished=None if inputs.run.trained else repeat.command(inputs, "train"),
        repeat={
            "command": repeat.whole_command(inputs),
            "settings": repeat.settings_rows(inputs),
            "facts": repeat.facts(inputs),
        },
    )


def page_html(page: Page, **values: Any) -> str:
    """A page with all that it needs inside; `values` are the template's."""
    text = render(
        "page.html",
        css=Markup(text_of("page.css")),
        javascript=Markup(text_of("page.js")),
        plotly_template=style.rounded(style.TEMPLATE),
        page=page,
        **values,
    )
    # Put in last: templating five megabytes of script would only cost time.
    return str(text).replace("<!-- plotly.js -->", f"<script>{get_plotlyjs()}</script>", 1)


def _page(inputs: AnyInputs) -> Page:
    if isinstance(inputs, DigitInputs):
        return digit_page.page(inputs)
    return procgen_page.page(inputs) if isinstance(inputs, ProcgenInputs) else maze_page.page(inputs)
