"""Figures of how many directions a sample of gradients has, and what its span leaves of the others (plotly)."""

from typing import Any

import plotly.graph_objects as go

from .digit_inputs import DigitInputs
from .digit_prose import POST, POST_SD
from .inputs import dig
from .style import GREY, INK, VIOLET, count, finites

_POST_COLOUR, _CENTRED = "#b4534b", "#3f8f6b"


def counts(inputs: DigitInputs) -> go.Figure:
    """Singular values above a share of the largest, against the share: samples, their nulls, all rows, the post."""
    figure, shares = go.Figure(), inputs.thresholds
    sampled = count(dig(inputs.analysis, "counts", "sampled"))
    rows = count(dig(inputs.analysis, "rows"))
    lines: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            "raw",
            "null_mean",
            f"white noise, {sampled} rows of the same norms",
            {"color": GREY, "dash": "dash"},
        ),
        ("unit", "null_mean", "white noise, unit rows", {"color": VIOLET, "dash": "dash", "width": 1}),
        ("raw", "whole", f"all {rows} updates", {"color": INK, "dash": "dot"}),
        ("unit", "mean", f"{sampled} sampled, unit rows", {"color": VIOLET}),
        ("centred", "mean", f"{sampled} sampled, centred", {"color": _CENTRED, "width": 1.5}),
        ("raw", "mean", f"{sampled} sampled updates", {"color": INK, "width": 2.5}),
    ]
    for of, which, name, line in lines:
        values = inputs.counts(of, which)
        if not values:
            continue
        spread = inputs.counts(of, which.replace("mean", "sd")) if which != "whole" else []
        main = (of, which) == ("raw", "mean")
        figure.add_scatter(
            x=shares,
            y=values,
            mode="lines+markers" if main else "lines",
            name=name,
            line={"width": 2} | line,
            marker={"size": 5},
            error_y={"type": "data", "array": spread, "thickness": 1.2, "width": 3} if main else None,
            customdata=[f" ± {sd:.1f}" if sd is not None else "" for sd in spread] or [""] * len(values),
            hovertemplate="%{y:.1f}%{customdata} above %{x} of the largest<extra>" + name + "</extra>",
        )
    figure.add_scatter(
        x=list(POST),
        y=list(POST.values()),
        mode="markers",
        name="the post",
        marker={
            "symbol": "diamond",
            "size": 10,
            "color": _POST_COLOUR,
            "line": {"color": "#ffffff", "width": 1},
        },
        error_y={"type": "data", "array": [POST_SD if share == 0.1 else 0 for share in POST], "width": 3},
        hovertemplate="the post: %{y} above %{x}<extra></extra>",
    )
    ticks = [share for share in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5) if share in shares]
    figure.update_xaxes(
        type="log",
        title={"text": "share of the largest singular value"},
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )
    figure.update_yaxes(
        type="log", title={"text": "singular values above it"}, dtick=1, exponentformat="none"
    )
    return figure


def samples(of_samples: dict[str, Any]) -> go.Figure:
    """Energy of the other updates outside the span of so many sampled ones, noise included and without it."""
    figure, sizes = go.Figure(), finites(of_samples.get("sampled"))
    lines = (
        ("noise", "outside a random span", {"color": GREY, "width": 2, "dash": "dash"}, None),
        ("mean", "gradients as they are", {"color": INK, "width": 2.5}, "sd"),
        ("signal_mean", "their noise-free part", {"color": VIOLET, "width": 2.5}, "signal_sd"),
    )
    for which, name, line, spread in lines:
        error = {"type": "data", "array": finites(of_samples.get(spread or "")), "thickness": 1.2, "width": 3}
        figure.add_scatter(
            x=sizes,
            y=finites(of_samples.get(which)),
            mode="lines+markers",
            name=name,
            line=line,
            marker={"size": 6},
            error_y=error if spread else None,
            hovertemplate="%{y:.3f} outside the span of %{x}<extra>" + name + "</extra>",
        )
    figure.update_xaxes(title={"text": "sampled updates"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "share of energy left"}, range=[-0.03, 1.06], dtick=0.5)
    return figure


def epochs(residuals: dict[str, Any]) -> go.Figure:
    """Energy of epoch 2's held-out updates outside epoch 1's strongest directions, beside its own other updates'."""
    figure, ranks = go.Figure(), finites(residuals.get("ranks"))
    lines = (
        ("same_epoch", "directions of epoch 2's other updates", {"color": GREY, "width": 2, "dash": "dash"}),
        ("epoch_1", "directions of epoch 1", {"color": INK, "width": 2.5}),
    )
    for which, name, line in lines:
        figure.add_scatter(
            x=ranks,
            y=finites(residuals.get(which)),
            mode="lines+markers",
            name=name,
            line=line,
            marker={"size": 6},
            hovertemplate="%{y:.3f} outside %{x} directions<extra>" + name + "</extra>",
        )
    ticks = [1, 2, 5, 10, 20, 50, 100, 200, 400]
    figure.update_xaxes(
        type="log", title={"text": "directions"}, tickvals=ticks, ticktext=[str(t) for t in ticks]
    )
    figure.update_yaxes(title={"text": "share of energy left"}, range=[-0.03, 1.06], dtick=0.5)
    return figure
