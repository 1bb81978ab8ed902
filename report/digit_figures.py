"""Figures of a classifier's training: accuracy on each digit, confusions, and profiles beside their turns (plotly)."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from . import figures, profile_figures
from .digit_inputs import DigitInputs, digit_of, mean_of
from .inputs import dig
from .style import DIGIT_COLOURS, INK, PALE, VIOLET, WHITE_TO_DARK, decimal, finites, short

_CURVES = 6
_PER_DECADE = 10
_PASSES = 0.05


def accuracy(inputs: DigitInputs, name: str) -> go.Figure:
    """One digit's accuracy against updates, which are few where most is learned; thin, the mean of all digits."""
    figure = figures.measure_over_training(inputs, name)
    at, _ = inputs.curve(name)
    others = [mean_of(values) for values in zip(*(inputs.curve(n)[1] for n in inputs.goals), strict=True)]
    figure.add_scatter(
        x=at,
        y=others,
        mode="lines",
        line={"color": PALE, "width": 1.5},
        hovertemplate="all digits %{y:.2f}<extra></extra>",
    )
    end = inputs.measure("trained", name)["mean"]
    figure.update_layout(
        title={"text": f"<b>{digit_of(name)}</b>  {decimal(end, 3)}"}, margin={"l": 30, "b": 34, "r": 4}
    )
    times = [time for time in at if time]
    if times:
        ends = [math.log10(min(times)), math.log10(max(times))]
        figure.update_xaxes(type="log", dtick=1, range=ends, title=None, rangemode="normal")
    return figure


def confusion_table(table: np.ndarray) -> go.Figure:
    """Share of each digit (row) that is called each other one (column) at the end of training, (10, 10)."""
    wrong = np.where(np.eye(len(table), dtype=bool), np.nan, table)
    written = [["" if math.isnan(x) or x < 0.0005 else f"{100 * x:.1f}" for x in row] for row in wrong]
    digits = [str(digit) for digit in range(len(table))]
    figure = go.Figure(
        go.Heatmap(
            x=digits,
            y=digits,
            z=[[None if math.isnan(x) else 100 * x for x in row] for row in wrong],
            text=written,
            texttemplate="%{text}",
            textfont={"size": 10},
            colorscale=WHITE_TO_DARK,
            zmin=0,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{z:.2f} % of all %{y} are called %{x}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title={"text": "called (%)"}, showgrid=False)
    figure.update_yaxes(type="category", title={"text": "shown"}, autorange="reversed", showgrid=False)
    return figure


def confusion_curves(inputs: DigitInputs, tables: np.ndarray) -> go.Figure:
    """The confusions that were largest over the last quarter of training; means over stretches of log updates."""
    at = np.array([time or 0.0 for time in inputs.curve(inputs.goals[0])[0]])
    place = np.floor(_PER_DECADE * np.log10(at.clip(1)))
    stretches = [np.flatnonzero((place == value) & (at > 0)) for value in np.unique(place[at > 0])]
    late = tables[-max(1, len(tables) // 4) :].mean(axis=0) * ~np.eye(tables.shape[1], dtype=bool)
    figure = go.Figure()
    for colour, flat in zip(DIGIT_COLOURS, np.argsort(late, axis=None)[::-1][:_CURVES], strict=False):
        shown, called = (int(i) for i in np.unravel_index(flat, late.shape))
        figure.add_scatter(
            x=[float(at[stretch].mean()) for stretch in stretches],
            y=[float(tables[stretch, shown, called].mean()) or None for stretch in stretches],
            mode="lines",
            name=f"{shown} called {called}",
            line={"color": colour, "width": 1.8},
            hovertemplate=f"%{{y:.3f}} at {inputs.axis.hover}<extra>{shown} called {called}</extra>",
        )
    figure.update_xaxes(type="log", title={"text": inputs.axis.title}, dtick=1)
    figure.update_yaxes(
        type="log", title={"text": "share of the digit shown"}, dtick=1, exponentformat="none"
    )
    return figure


def behaviour(inputs: DigitInputs, profiles: np.ndarray) -> go.Figure:
    """Accuracy on every digit on the time axis of the profiles, drawn from where it stands after a tenth of it."""
    figure = profile_figures.behaviour(inputs, profiles, inputs.goals)
    figure.for_each_trace(lambda trace: trace.update(name=digit_of(trace.name.split()[0]), line_width=1.5))
    later = [v for name in inputs.goals for v in _after_a_tenth(inputs.curve(name)[1]) if v is not None]
    low = math.floor(10 * min(later, default=0.0)) / 10
    ticks = 0.1 if low >= 0.5 else 0.5
    figure.update_yaxes(title={"text": "accuracy"}, range=[low - 0.02, 1.02], dtick=ticks)
    return figure


def turning(tested: dict[str, Any]) -> go.Figure:
    """The p-value of each direction's strongest correlation with an accuracy or a confusion, and whose it is."""
    p_values, correlation = finites(tested.get("p_value")), finites(tested.get("correlation"))
    curves, lags = tested.get("curve") or [], finites(tested.get("lag"))
    numbers = list(range(1, len(p_values) + 1))
    passing = [p is not None and p < _PASSES for p in p_values]
    named = [_turned_with(curves[i]) if i < len(curves) else "" for i in range(len(numbers))]
    details = [
        f"correlation {decimal(correlation[i]) if i < len(correlation) else '–'} with {named[i]}, "
        f"{short(lags[i]) if i < len(lags) else '–'} measures later"
        for i in range(len(numbers))
    ]
    figure = go.Figure(
        go.Scatter(
            x=numbers,
            y=p_values,
            mode="markers+text",
            text=[name if passes else "" for name, passes in zip(named, passing, strict=True)],
            textposition="top center",
            textfont={"size": 11, "color": INK},
            marker={"size": 8, "color": [INK if passes else PALE for passes in passing]},
            customdata=details,
            hovertemplate="direction %{x}: p = %{y:.3g}<br>%{customdata}<extra></extra>",
            cliponaxis=False,
        )
    )
    figures.mark_height(figure, _PASSES, "1 in 20 by chance")
    least = min((p for p in p_values if p), default=0.001)
    figure.update_yaxes(
        type="log",
        title={"text": "p-value"},
        range=[0.05, math.log10(least) - 0.35],
        tickvals=[1, 0.1, 0.01, 0.001],
        ticktext=["1", "0.1", "0.01", "0.001"],
    )
    figure.update_xaxes(
        title={"text": "direction, strongest first"}, dtick=1, range=[0.4, len(numbers) + 0.6]
    )
    figure.update_layout(showlegend=False)
    return figure


def turns(tested: dict[str, Any]) -> go.Figure:
    """When every tested profile, and below when every accuracy and confusion, enters another phase."""
    profile_turns = tested.get("profile_turns") or []
    curve_turns = tested.get("curve_turns") or {}
    figure = go.Figure()
    groups = (
        ("profiles", VIOLET, [(f"direction {i + 1}", times) for i, times in enumerate(profile_turns)]),
        (
            "digits and confusions",
            INK,
            [(_turned_with(name), times) for name, times in curve_turns.items()],
        ),
    )
    names = [name for _, _, members in groups for name, _ in members]
    for group, colour, members in groups:
        points = [(time, name) for name, times in members for time in finites(times)]
        figure.add_scatter(
            x=[time for time, _ in points],
            y=[name for _, name in points],
            mode="markers",
            name=f"turns of {group}",
            marker={"symbol": "line-ns", "size": 8, "line": {"width": 1.8, "color": colour}},
            hovertemplate="%{y} turns at update %{x}<extra></extra>",
        )
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[len(names) - 0.5, -0.5],
        tickfont={"size": 9},
        dtick=1,
    )
    figure.update_xaxes(title={"text": "updates"}, rangemode="tozero")
    return figure


def tested(inputs: DigitInputs) -> dict[str, Any] | None:
    """What analysis.json holds of the test of turning, if it was made."""
    found = dig(inputs.analysis, "turning")
    return found if finites(dig(found, "p_value")) else None


def _turned_with(name: Any) -> str:
    """A curve of behaviour, briefly: digit 3, 4→9."""
    return str(name).replace("digit_", "digit ").replace(" called ", "→")


def _after_a_tenth(values: list[float | None]) -> list[float | None]:
    return values[len(values) // 10 :]
