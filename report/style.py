"""How the report looks and writes numbers: one colour per measure, one way to write each kind of number."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The proxy goal is blue, the paid one amber, wherever they appear: curves, cuts, mazes, tables.
PROXY, PAID, INK, GREY, PALE, VIOLET = "#1f5fa8", "#c77700", "#1f2937", "#6b7280", "#b6bcc6", "#7a4fa3"
WHITE_TO_DARK = [[0, "#ffffff"], [0.5, "#8fa9d0"], [1, "#14305a"]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class MeasureStyle:
    """How a measure is drawn and what it is called in prose."""

    colour: str
    means: str


DIGIT_COLOURS = (
    *("#1f5fa8", "#c77700", "#3f8f6b", "#b4534b", "#7a4fa3"),
    *("#8a5a14", "#c0559a", "#4b5563", "#8a941c", "#1793a3"),
)
DIGIT_STYLES = {
    f"digit_{digit}": MeasureStyle(colour, f"images of a {digit} are called a {digit}")
    for digit, colour in enumerate(DIGIT_COLOURS)
}
_AXIS = {
    "gridcolor": "#e8eaee",
    "linecolor": "#c3c8d0",
    "ticks": "outside",
    "tickcolor": "#c3c8d0",
    "ticklen": 4,
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 8, "font": {"size": 12, "color": GREY}},
    "tickfont": {"size": 11, "color": "#4b5563"},
}
# The template of every figure, embedded once.
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 14, "t": 30, "b": 46},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#c3c8d0", "align": "left", "font": {"size": 12}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "xanchor": "left",
            "yanchor": "bottom",
            "font": {"size": 11.5},
            "bgcolor": "rgba(0,0,0,0)",
        },
    }
}


def finite(value: Any) -> float | None:
    """The number, or None where a file holds none there."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def finites(values: Any) -> list[float | None]:
    """`finite` of every element; an empty list where there is no list."""
    return [finite(value) for value in values] if isinstance(values, list | tuple) else []


def decimal(value: Any, digits: int = 2) -> str:
    """A probability or retention: 0.83, −0.01; a dash where there is none."""
    number = finite(value)
    if number is None:
        return "–"
    text = f"{number:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def between(interval: Any, digits: int = 2) -> str:
    """An interval: 0.80 to 0.86; empty where there is none."""
    ends = finites(interval)
    if len(ends) != 2 or None in ends:
        return ""
    return f"{decimal(ends[0], digits)} to {decimal(ends[1], digits)}"


def span(values: list[float]) -> str:
    """The least and largest of some numbers: 0.77 to 0.95, or one number where they are written alike."""
    low, high = decimal(min(values)), decimal(max(values))
    return low if low == high else f"{low} to {high}"


def short(value: Any, digits: int = 3) -> str:
    """A number of any size to so many digits: 0.0412, 1.7e-05, 12.3."""
    number = finite(value)
    return "–" if number is None else f"{number:.{digits}g}".replace("-", "−", 1 if number < 0 else 0)


def count(value: Any) -> str:
    """A whole number with thousands set apart: 169,365."""
    number = finite(value)
    return "–" if number is None else f"{round(number):,}"


def steps(value: Any) -> str:
    """Env steps in the unit a person would say: 655k, 3.93M."""
    number = finite(value)
    if number is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def percent(share: float) -> str:
    """A share of a whole: 12 %."""
    return f"{100 * share:.0f}\u00a0%"


def duration(seconds: Any) -> str:
    """Seconds in the unit a person would say: 12 s, 9 min 20 s, 2 h 5 min."""
    number = finite(seconds)
    if number is None:
        return "–"
    if number < 10:
        return f"{number:.1f} s"
    whole = round(number)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rounded(value: Any, digits: int = 4) -> Any:
    """Every float of a nest of lists and dicts to so many significant digits; NaN and infinity become None."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(item, digits) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return value


@dataclass(frozen=True)
class TimeAxis:
    """How training time is drawn and written.

    Attributes:
        field: its name in progress.jsonl.
        rows: its name in analysis.json, of every row of the log.
        title: of an axis.
        unit: so much of it is 1 on an axis.
        hover: a place on the axis, as plotly writes it.
        said: a time in prose.
    """

    field: str
    rows: str
    title: str
    unit: float
    hover: str
    said: Callable[[Any], str]


ENV_STEPS = TimeAxis(
    "env_steps",
    "env_steps",
    "env steps (millions)",
    1e6,
    "%{x:.2f}M env steps",
    lambda value: f"{steps(value)} env steps",
)
UPDATES = TimeAxis(
    "update", "updates", "updates", 1.0, "update %{x:.0f}", lambda value: f"update {count(value)}"
)
