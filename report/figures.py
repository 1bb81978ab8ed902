"""Figures of training and of the spectra of its gradients (plotly)."""

import math
from typing import Any

import plotly.graph_objects as go

from .inputs import Inputs, dig
from .style import GREY, INK, PALE, VIOLET, decimal, finite, finites

# How the untrained agent, the one that chooses at random and the best possible are drawn.
LINES_OF_REFERENCE = ("dot", "dash", "solid")
_LEAST_EIGENVALUE = 1e-4


def measure_over_training(inputs: Inputs[Any], name: str) -> go.Figure:
    """One measure against training time, between its reference lines, ending in the evaluation with its interval."""
    figure, style = go.Figure(), inputs.measure_styles[name]
    references = [agent for agent in inputs.agent_names if agent != "trained"]
    for agent, dash in zip(references, LINES_OF_REFERENCE, strict=False):
        value = inputs.measure(agent, name)["mean"]
        if value is not None:
            figure.add_hline(y=value, line={"color": GREY, "width": 1, "dash": dash}, layer="below")
    figure.add_trace(curve(inputs, name, inputs.curve(name)[1]))
    trained = inputs.measure("trained", name)
    if (
        inputs.trained_for
        and trained["mean"] is not None
        and trained["low"] is not None
        and trained["high"] is not None
    ):
        mean, low, high = trained["mean"], trained["low"], trained["high"]
        figure.add_scatter(
            x=[inputs.trained_for / inputs.axis.unit],
            y=[mean],
            error_y={
                "type": "data",
                "array": [high - mean],
                "arrayminus": [mean - low],
                "thickness": 1.5,
                "width": 3,
            },
            mode="markers",
            marker={"color": style.colour, "size": 6},
            hovertemplate=f"evaluation {decimal(mean)} [{decimal(low)} to {decimal(high)}]<extra></extra>",
        )
    figure.update_xaxes(title={"text": inputs.axis.title}, rangemode="tozero")
    figure.update_yaxes(range=[-0.03, 1.05], dtick=0.5)
    title = {"text": f"<b>{name}</b>  {style.means}", "x": 0.02, "y": 0.97, "yanchor": "top"}
    title["font"] = {"size": 12.5, "color": style.colour}
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
    mark_height(figure, 0.1, "a tenth of the largest")
    floor = finite(analysis.get("floor"))
    if floor and floor > least / 3:
        mark_height(figure, floor, "floor of the method")
    figure.update_xaxes(type="log", title={"text": "number of the singular value"}, dtick=1)
    figure.update_yaxes(type="log", title={"text": "σ / largest σ"}, dtick=1, exponentformat="none")
    return figure


def cross_half(analysis: dict[str, Any]) -> go.Figure:
    """Eigenvalues that the two halves of every row share, the sign-flipped rows' largest as the bar to pass."""
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
        "negative": [],
    }
    for number, value in enumerate(values, start=1):
        if value is None or value == 0:
            continue
        passes = number <= told if told is not None else bar is None or value > bar
        name = "negative" if value < 0 else "signal" if passes else "not told from noise"
        place = len(values) - number + 1 if value < 0 else number
        groups[name].append((place, abs(value) / largest))
    looks = {
        "signal": {"color": INK, "size": 6},
        "not told from noise": {"color": PALE, "size": 5},
        "negative": {"color": "#ffffff", "size": 5, "line": {"color": "#b4534b", "width": 1.2}},
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
        mark_height(figure, bar / largest, "largest of the sign-flipped spectra")
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


def curve(inputs: Inputs[Any], name: str, values: list[float | None], *, thin: bool = False) -> go.Scatter:
    """Values of a measure against training time, in the measure's colour."""
    at, style = inputs.curve(name)[0], inputs.measure_styles[name]
    return go.Scatter(
        x=[None if time is None else time / inputs.axis.unit for time in at],
        y=values,
        mode="lines",
        name=f"{name} ({style.means})",
        line={"color": style.colour, "width": 1.5 if thin else 2.5},
        hovertemplate=f"%{{y:.2f}} at {inputs.axis.hover}<extra>{name}</extra>",
    )


def mark_height(figure: go.Figure, height: float, text: str) -> None:
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
