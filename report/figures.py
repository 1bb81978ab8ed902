"""Figures of training and of the spectra of its gradients (plotly)."""

import math
from typing import Any

import plotly.graph_objects as go

from .inputs import PASSED, Inputs, dig
from .style import GREY, INK, MEASURE_STYLES, PALE, VIOLET, decimal, finite, finites, steps

MILLION = 1e6
_LEAST_EIGENVALUE = 1e-4
_ENV_STEPS = {"title": {"text": "env steps (millions)"}, "rangemode": "tozero"}


def retention_over_training(inputs: Inputs) -> go.Figure:
    """How much of its final change each goal has made at each time, and where corner-seeking passes 0.7."""
    figure = go.Figure()
    for name in ("corner_reach", "cheese_from_corner", "navigation"):
        at, _ = inputs.curve(name)
        values = inputs.retention_curve(name)
        if values:
            figure.add_trace(_curve(name, at, values, thin=name == "navigation"))
    passing = inputs.passing()
    if passing is not None and inputs.retention_curve("corner_reach"):
        text = f"corner_reach passes {PASSED}<br>at {steps(passing.env_steps)} env steps"
        figure.add_vline(
            x=passing.env_steps / MILLION, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below"
        )
        there = passing.cheese_retention
        if there is not None:
            text += f";<br>cheese_from_corner {decimal(there)}"
            style = MEASURE_STYLES["cheese_from_corner"]
            marker = {"color": "#ffffff", "size": 10, "line": {"color": style.colour, "width": 2}}
            figure.add_scatter(
                x=[passing.env_steps / MILLION],
                y=[there],
                mode="markers",
                marker=marker,
                showlegend=False,
                hovertemplate=f"cheese_from_corner {decimal(there)}<extra></extra>",
            )
        late = passing.env_steps > 0.6 * (inputs.env_steps or 0)
        figure.add_annotation(
            x=passing.env_steps / MILLION,
            y=0.06,
            yref="paper",
            text=text,
            showarrow=False,
            xanchor="right" if late else "left",
            xshift=-8 if late else 8,
            yanchor="bottom",
            align="right" if late else "left",
            font={"size": 12, "color": GREY},
            bgcolor="rgba(255,255,255,0.8)",
        )
    for height in (0, 1):
        figure.add_hline(y=height, line={"color": PALE, "width": 1}, layer="below")
    figure.update_xaxes(**_ENV_STEPS)
    figure.update_yaxes(title={"text": "share of the final change"})
    figure.update_layout(hovermode="x unified")
    return figure


def measure_over_training(inputs: Inputs, name: str) -> go.Figure:
    """One measure against env steps, between its reference lines, ending in the evaluation with its interval."""
    figure = go.Figure()
    references = (("untrained", "dot"), ("uniform", "dash"), ("best", "solid"))
    for agent, dash in references:
        value = inputs.measure(agent, name)["mean"]
        if value is not None:
            figure.add_hline(y=value, line={"color": GREY, "width": 1, "dash": dash}, layer="below")
    at, values = inputs.curve(name)
    figure.add_trace(_curve(name, at, values))
    trained = inputs.measure("trained", name)
    if (
        inputs.env_steps
        and trained["mean"] is not None
        and trained["low"] is not None
        and trained["high"] is not None
    ):
        mean, low, high = trained["mean"], trained["low"], trained["high"]
        figure.add_scatter(
            x=[inputs.env_steps / MILLION],
            y=[mean],
            error_y={
                "type": "data",
                "array": [high - mean],
                "arrayminus": [mean - low],
                "thickness": 1.5,
                "width": 3,
            },
            mode="markers",
            marker={"color": MEASURE_STYLES[name].colour, "size": 6},
            hovertemplate=f"evaluation {decimal(mean)} [{decimal(low)} to {decimal(high)}]<extra></extra>",
        )
    figure.update_xaxes(**_ENV_STEPS)
    figure.update_yaxes(range=[-0.03, 1.05], dtick=0.5)
    title = {"text": f"<b>{name}</b>  {MEASURE_STYLES[name].means}", "x": 0.02, "y": 0.97, "yanchor": "top"}
    title["font"] = {"size": 12.5, "color": MEASURE_STYLES[name].colour}
    figure.update_layout(title=title, showlegend=False, margin={"t": 30, "l": 40, "r": 10, "b": 42})
    return figure


def spectrum(analysis: dict[str, Any]) -> go.Figure:
    """Singular values, each spectrum over its own largest, beside that of matched white noise."""
    figure = go.Figure()
    spectra = (
        ("gradients", finites(analysis.get("singular_values")), {"color": INK, "width": 2.5}),
        (
            "rows of unit length",
            finites(dig(analysis, "unit", "singular_values")),
            {"color": VIOLET, "width": 2},
        ),
        (
            "white noise, same row norms",
            finites(analysis.get("null_singular_values")),
            {"color": GREY, "width": 2, "dash": "dash"},
        ),
    )
    least = 1.0
    for name, values, line in spectra:
        largest = next((value for value in values if value), None)
        if largest is None:
            continue
        shares = [value / largest if value else None for value in values]
        least = min([least, *(share for share in shares if share)])
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=shares,
            mode="lines",
            name=name,
            line=line,
            hovertemplate="number %{x}: %{y:.3g} of the largest<extra>" + name + "</extra>",
        )
    _mark_height(figure, 0.1, "a tenth of the largest")
    floor = finite(analysis.get("floor"))
    if floor and floor > least / 3:
        _mark_height(figure, floor, "floor of the method")
    figure.update_xaxes(type="log", title={"text": "number of the singular value"}, dtick=1)
    figure.update_yaxes(type="log", title={"text": "σ / largest σ"}, dtick=1, exponentformat="none")
    return figure


def cross_half(analysis: dict[str, Any]) -> go.Figure:
    """Eigenvalues that two halves of the environments share, the sign-flipped rows' largest as the bar to pass."""
    halves = analysis["cross_half"]
    values = finites(halves.get("eigenvalues"))
    null = [value for value in finites(halves.get("null_top")) if value is not None and value > 0]
    bar = max(null, default=None)
    largest = max((value for value in values if value is not None), default=1.0) or 1.0
    figure = go.Figure()
    told = finite(halves.get("signal_directions"))
    groups: dict[str, list[tuple[int, float]]] = {
        "signal": [],
        "not told from noise": [],
        "negative: noise": [],
    }
    for number, value in enumerate(values, start=1):
        if value is None or value == 0:
            continue
        passes = number <= told if told is not None else bar is None or value > bar
        name = "negative: noise" if value < 0 else "signal" if passes else "not told from noise"
        place = len(values) - number + 1 if value < 0 else number
        groups[name].append((place, abs(value) / largest))
    looks = {
        "signal": {"color": INK, "size": 6},
        "not told from noise": {"color": PALE, "size": 5},
        "negative: noise": {"color": "#ffffff", "size": 5, "line": {"color": "#b4534b", "width": 1.2}},
    }
    for name, points in groups.items():
        if points:
            figure.add_scatter(
                x=[place for place, _ in points],
                y=[height for _, height in points],
                mode="markers",
                name=f"{name} ({len(points)})",
                marker=looks[name],
                hovertemplate="number %{x}: %{y:.3g} of the largest<extra>" + name + "</extra>",
            )
    if bar is not None:
        figure.add_hrect(
            y0=min(null) / largest,
            y1=bar / largest,
            fillcolor=GREY,
            opacity=0.18,
            line_width=0,
            layer="below",
        )
        _mark_height(figure, bar / largest, "largest of the sign-flipped spectra")
    figure.update_xaxes(type="log", title={"text": "number of the eigenvalue, by size"}, dtick=1)
    heights = [height for points in groups.values() for _, height in points]
    # Eigenvalues of next to nothing would take most of the axis.
    ends = [
        math.log10(max(_LEAST_EIGENVALUE, min(heights, default=1))) - 0.1,
        math.log10(max(heights, default=1)) + 0.2,
    ]
    figure.update_yaxes(
        type="log", title={"text": "|λ| / largest λ"}, dtick=1, exponentformat="none", range=ends
    )
    return figure


def _curve(
    name: str, at: list[float | None], values: list[float | None], *, thin: bool = False
) -> go.Scatter:
    style = MEASURE_STYLES[name]
    return go.Scatter(
        x=[None if step is None else step / MILLION for step in at],
        y=values,
        mode="lines",
        name=f"{name} ({style.means})",
        line={"color": style.colour, "width": 1.5 if thin else 2.5},
        hovertemplate="%{y:.2f} at %{x:.2f}M<extra>" + name + "</extra>",
    )


def _mark_height(figure: go.Figure, height: float, text: str) -> None:
    """A named horizontal line on a logarithmic axis, its name at the left, below it."""
    figure.add_hline(y=height, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below")
    figure.add_annotation(
        x=0.004,
        xref="paper",
        y=math.log10(height),
        text=text,
        showarrow=False,
        xanchor="left",
        yanchor="top",
        font={"size": 11, "color": GREY},
    )
