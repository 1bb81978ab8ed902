"""Figures of cuts of a classifier's directions: which digits suffer, and what forgetting one costs (plotly)."""

from typing import Any

import plotly.graph_objects as go

from .cut_figures import NAMES, SYMBOLS, Line, hover
from .digit_inputs import DigitInputs, control_kind, digit_of, mean_of, rank_of
from .inputs import dig
from .style import GREY, INK, PALE, VIOLET, decimal, finites, short

# A retention nearer 1 than this is not written into the table of single directions.
LEAST_SHOWN = 0.05
FORGOTTEN, KEPT = "#b4534b", "#3f8f6b"
_DARK_TO_WHITE = [[0, "#5b1f1a"], [0.5, "#d08a80"], [0.9, "#f8e9e6"], [1, "#ffffff"]]
_LOOKS = {"tuned": INK, "profile": VIOLET, "control": PALE}
RANDOM, IN_SPAN, TUNED_RANDOM = "random directions", "random inside span(G)", "tuned over random directions"


def singles(inputs: DigitInputs, kind: str | None = None) -> go.Figure:
    """Retention of each digit (column) after each single direction (row) is cut, or after its controls of a kind."""
    digits = [digit_of(name) for name in inputs.goals]
    kept = [
        [
            mean_of(
                inputs.retention(one, name)
                for one in ([row] if kind is None else _of_kind(inputs, row, kind))
            )
            for name in inputs.goals
        ]
        for row in inputs.singles
    ]
    figure = go.Figure(
        go.Heatmap(
            x=digits,
            y=[f"{rank_of(row)} ({short(row.get('relative_norm'), 2)})" for row in inputs.singles],
            z=kept,
            text=[[_where_changed(value) for value in line] for line in kept],
            texttemplate="%{text}",
            textfont={"size": 9},
            colorscale=_DARK_TO_WHITE,
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="direction %{y}: %{z:.3f} of %{x} is left<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title={"text": "digit"}, showgrid=False)
    figure.update_yaxes(
        type="category",
        title={"text": "direction cut (share of θ − θ₀)"},
        autorange="reversed",
        showgrid=False,
    )
    title = {"text": f"<b>{kind or 'the direction itself'}</b>", "x": 0.02, "y": 0.98, "yanchor": "top"}
    figure.update_layout(
        title=title | {"font": {"size": 12.5}}, margin={"t": 28, "l": 40, "r": 4}, plot_bgcolor="#eceef2"
    )
    return figure


def scatter(inputs: DigitInputs) -> go.Figure:
    """Every cut and control by what it leaves of the digit to remove and of the nine others."""
    figure = go.Figure()
    figure.add_shape(
        type="circle",
        **{"x0": -0.1, "x1": 0.1, "y0": 0.9, "y1": 1.1},
        line={"color": FORGOTTEN, "width": 1.5, "dash": "dot"},
        layer="below",
    )
    figure.add_annotation(
        x=0,
        y=1.11,
        text="digit removed,<br>nine kept",
        showarrow=False,
        yanchor="bottom",
        font={"color": FORGOTTEN},
    )
    figure.add_scatter(
        x=[1, 0],
        y=[1, 0],
        mode="markers+text",
        text=["trained", "chance"],
        textposition=["top center", "bottom center"],
        textfont={"size": 11.5, "color": GREY},
        marker={"symbol": "square-open", "size": 11, "color": GREY, "line": {"width": 1.5}},
        showlegend=False,
        hoverinfo="skip",
    )
    points: list[float] = []
    for selection in ("control", "profile", "tuned"):
        rows = [row for row in inputs.rows if row.get("selection") == selection]
        if not rows:
            continue
        left = [inputs.left(row) for row in rows]
        points += [value for both in left for value in both if value is not None]
        symbol, size = SYMBOLS[selection]
        line = (
            {"width": 1.4, "color": "#9aa2ae"} if selection == "control" else {"width": 1, "color": "#ffffff"}
        )
        figure.add_scatter(
            x=[removed for removed, _ in left],
            y=[kept for _, kept in left],
            mode="markers",
            name=NAMES[selection],
            marker={"symbol": symbol, "size": size, "color": _LOOKS[selection], "line": line},
            text=[hover(row, [str(row.get("removes"))], []) for row in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    ends = [
        max(-0.6, min([-0.15, *(p - 0.05 for p in points)])),
        min(1.4, max([1.25, *(p + 0.05 for p in points)])),
    ]
    figure.update_xaxes(
        title={"text": "retention of the digit to remove"}, range=ends, dtick=0.5, constrain="domain"
    )
    figure.update_yaxes(
        title={"text": "mean retention of the nine others"},
        range=ends,
        dtick=0.5,
        scaleanchor="x",
        constrain="domain",
    )
    return figure


def forgetting(inputs: DigitInputs, *, kept: bool) -> go.Figure:
    """What each tuned cut leaves of its digit, or of the nine others, beside its controls."""
    figure = go.Figure()
    marks: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
        (
            "other controls",
            [c for cut in inputs.tuned for c in inputs.controls_of(cut) if control_kind(c) != TUNED_RANDOM],
            {"symbol": "line-ew", "size": 12, "line": {"width": 1.4, "color": "#9aa2ae"}},
        ),
        (
            TUNED_RANDOM,
            [c for cut in inputs.tuned for c in _of_kind(inputs, cut, TUNED_RANDOM)],
            {"symbol": "diamond-open", "size": 10, "color": VIOLET, "line": {"width": 2}},
        ),
        ("tuned cut", inputs.tuned, {"symbol": "star", "size": 14, "color": KEPT if kept else FORGOTTEN}),
    ]
    for name, rows, marker in marks:
        figure.add_scatter(
            x=[digit_of(row.get("removes")) for row in rows],
            y=[inputs.left(row)[int(kept)] for row in rows],
            mode="markers",
            name=name,
            marker=marker,
            text=[hover(row, [str(row.get("removes"))], []) for row in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    digits = [digit_of(name) for name in inputs.goals]
    figure.update_xaxes(
        type="category", categoryorder="array", categoryarray=digits, title={"text": "digit to forget"}
    )
    what = "the nine others" if kept else "the digit to forget"
    least = min((v for row in inputs.tuned if (v := inputs.left(row)[1]) is not None), default=0.0)
    low = max(-0.17, min(0.8, least - 0.05)) if kept else -0.17
    ticks = 0.1 if low > 0.5 else 0.5
    figure.update_yaxes(title={"text": f"retention of {what}"}, range=[low, 1.12], dtick=ticks)
    return figure


def digit_lines(inputs: DigitInputs) -> list[Line]:
    """The lines of a dose–response plot: retention of the digit to remove, and the mean of the nine others."""

    def removed(curve: dict[str, Any]) -> list[float | None]:
        return finites(dig(curve, "retention", str(curve.get("removes"))))

    def kept(curve: dict[str, Any]) -> list[float | None]:
        others = [finites(dig(curve, "retention", n)) for n in inputs.learned if n != curve.get("removes")]
        return [mean_of(at_dose) for at_dose in zip(*(line for line in others if line), strict=False)]

    return [Line("the digit", FORGOTTEN, removed), Line("the nine others", KEPT, kept)]


def _of_kind(inputs: DigitInputs, cut: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row for row in inputs.controls_of(cut) if control_kind(row) == kind]


def _where_changed(value: float | None) -> str:
    """A retention where it is told from 1 at a glance: a table full of 1.00 hides what it has to say."""
    return "" if value is None or abs(value - 1) < LEAST_SHOWN else decimal(value, 1)
