"""One self-contained report.html per run: no network, no other files."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..agents.behaviour import MEASURES
from ..agents.files import write_atomically
from . import cut_prose, prose, repeat, style
from .gallery import HOW_CHOSEN, evaluated_levels, shown_levels
from .inputs import Inputs, dig
from .mazes import arrow_symbols, maze_svg, outcome_bar
from .sections import Plot, sections

AGENT_NAMES = {
    "untrained": "untrained",
    "trained": "trained",
    "uniform": "uniform-random",
    "best": "shortest path",
}
_RETAINED = ("corner_reach", "cheese_from_corner", "navigation")
_MEASURED = ("corner_first", "cheese_first", "cheese_return")


def write_report(run_directory: Path) -> Path:
    """Write report.html of a run, as far as the run has come; returns its path.

    Raises:
        RunFileError: it is no run directory, or one of its files is damaged.
        OSError: the disk is full; an earlier report stays whole.
    """
    inputs = Inputs.of(Path(run_directory))
    path = inputs.run.directory / "report.html"
    write_atomically(path, report_html(inputs).encode())
    return path


def report_html(inputs: Inputs) -> str:
    """The whole page."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "decimal": style.decimal,
        "between": style.between,
        "short": style.short,
        "count": style.count,
        "finite": style.finite,
        "spec": _spec,
        "breakable": _breakable,
    }
    here = files(__package__ or "goalcut.report")
    template = environment.from_string((here / "page.html").read_text())
    page = template.render(
        css=Markup((here / "page.css").read_text()),
        javascript=Markup((here / "page.js").read_text()),
        plotly_template=style.rounded(style.TEMPLATE),
        name=inputs.run.directory.resolve().name,
        headline=_headline(inputs),
        glossary=prose.GLOSSARY,
        sections=sections(inputs),
        spectra=_spectra_rows(inputs),
        cuts=_cut_rows(inputs),
        references=_reference_rows(inputs),
        retained=_RETAINED,
        measured=_MEASURED,
        gallery=_gallery(inputs),
        repeat={
            "command": repeat.whole_command(inputs),
            "settings": repeat.settings_rows(inputs),
            "facts": repeat.facts(inputs),
        },
    )
    # Put in last: templating five megabytes of script would only cost time.
    return page.replace("<!-- plotly.js -->", f"<script>{get_plotlyjs()}</script>", 1)


def _breakable(name: str) -> Markup:
    """A name that may break after an underscore, in narrow columns."""
    return Markup("_<wbr>").join(name.split("_"))


def _spec(plot: Plot) -> dict[str, Any]:
    """A figure as lean JSON; the template is on the page once."""
    spec = plot.figure.to_plotly_json()
    spec["layout"].pop("template", None)
    return style.rounded({"data": spec["data"], "layout": spec["layout"]})


def _headline(inputs: Inputs) -> dict[str, Any]:
    agents = inputs.agents
    evaluated = style.finite(dig(inputs.evaluation, "levels"))
    return {
        "trained": prose.trained_what(inputs),
        "learned": prose.learned_what(inputs),
        "agents": [AGENT_NAMES[agent] for agent in agents],
        "measures": [
            (
                name,
                style.MEASURE_STYLES[name].colour,
                means,
                [inputs.measure(agent, name) for agent in agents],
            )
            for name, means in MEASURES.items()
        ],
        "levels": None if evaluated is None else style.count(evaluated),
        "missing": None if inputs.evaluation else repeat.command(inputs, "evaluate"),
        "finished": inputs.run.trained,
        "continue": repeat.command(inputs, "train"),
    }


def _spectra_rows(inputs: Inputs) -> list[tuple[str, Any]]:
    """Every spectrum that was taken, by how many values pass a tenth of its largest, beside its null."""
    analysis = inputs.analysis or {}
    named = {"all rows": analysis, "all rows, unit length": analysis.get("unit")}
    named |= {f"{term} term alone": part for term, part in (analysis.get("terms") or {}).items()}
    named |= {"applied changes of the parameters": analysis.get("applied")}
    return [
        (name, part | {"rows": part.get("rows") or len(part.get("singular_values") or [])})
        for name, part in named.items()
        if isinstance(part, dict) and style.finite(part.get("above_tenth")) is not None
    ]


def _cut_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """Rows of the table: every cut followed by its controls, then controls of nothing."""
    ordered = [row for cut in inputs.cuts for row in (cut, *inputs.controls_of(cut))]
    ordered += [row for row in inputs.controls if row not in ordered]
    return [row | {"shown_as": _without_cut(row)} for row in ordered]


def _without_cut(row: dict[str, Any]) -> str:
    """A control's name without that of its cut, which stands above it."""
    return str(row.get("name")).removesuffix(f" | {row.get('control_of')}")


def _reference_rows(inputs: Inputs) -> list[tuple[str, dict[str, float | None]]]:
    agents = ("untrained", "trained", "uniform")
    return [(AGENT_NAMES[a], {name: inputs.measure(a, name)["mean"] for name in _MEASURED}) for a in agents]


def _gallery(inputs: Inputs) -> dict[str, Any]:
    missing = None
    if not inputs.run.trained:
        missing = ("the run is not trained to its end", repeat.command(inputs, "train"))
    elif inputs.run.settings.world.corner_size == inputs.run.settings.world.size:
        missing = ("this world has no conflict levels", "goalcut train NEW_RUN")
    if missing is not None:
        return {"missing": missing}
    levels = shown_levels(inputs)
    corner_size = inputs.run.settings.world.corner_size
    shown = [walk.agent for walk in levels[0].walks] if levels else []
    return {
        "missing": None,
        "no_cuts": None if len(shown) > 1 else repeat.command(inputs, "ablate"),
        "symbols": arrow_symbols(),
        "caption": cut_prose.cut_mazes(inputs, shown[1:]),
        "how_chosen": HOW_CHOSEN.format(count=evaluated_levels(inputs)),
        "agents": [_over_all_levels(inputs, agent) for agent in shown],
        "levels": [
            (
                level,
                [
                    (
                        walk,
                        maze_svg(level.level, corner_size, walk),
                        outcome_bar(walk.corner_first, walk.cheese_first),
                    )
                    for walk in level.walks
                ],
            )
            for level in levels
        ],
    }


def _over_all_levels(inputs: Inputs, agent: str) -> dict[str, Any]:
    """Means over all evaluated levels of an agent in the gallery, beside the span of its controls."""
    row = next((row for row in inputs.rows if row.get("name") == agent), None)
    result: dict[str, Any] = {"agent": agent}
    for name in ("corner_first", "cheese_first"):
        mean = dig(row, "measures", name) if row else cut_prose.trained_beside_cuts(inputs, name)
        controls = [style.finite(dig(c, "measures", name)) for c in (inputs.controls_of(row) if row else [])]
        known = [value for value in controls if value is not None]
        result[name] = style.finite(mean)
        result[f"{name}_controls"] = style.span(known) if known else ""
    both = result["corner_first"], result["cheese_first"]
    result["bar"] = outcome_bar(both[0], both[1]) if both[0] is not None and both[1] is not None else ""
    return result
