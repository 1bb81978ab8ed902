"""Figures over seeds: every seed is a point or a line of its own, never only a bar (plotly)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from .inputs import dig
from .page import Plot
from .style import GREY, INK, PAID, PALE, PROXY, decimal, finite, steps

_ROW = 30
"""Pixels of one row of points."""


@dataclass(frozen=True)
class Row:
    """A row of points: one figure of every seed, the interquartile mean with its interval above them.

    Attributes:
        name: what it is.
        seeds: of the points.
        values: one per seed; None is left out.
        estimate: value, low, high of the interquartile mean.
        colour: of the points.
        null: an interval that chance gives, drawn as a band behind the points.
        strong: whether the name is set bold: a cut above its controls.
    """

    name: str
    seeds: Sequence[int]
    values: Sequence[float | None]
    estimate: Sequence[float] | None
    colour: str = INK
    null: Sequence[float] | None = None
    strong: bool = False


def points(rows: Sequence[Row], title: str, *, marks: Sequence[float] = (0.0,)) -> Plot:
    """Rows of points along one axis, the first row on top.

    Args:
        rows: in reading order.
        title: of the axis.
        marks: values at which a line is drawn.
    """
    figure = go.Figure()
    for mark in marks:
        figure.add_vline(x=mark, line={"color": PALE, "width": 1}, layer="below")
    for place, row in enumerate(rows):
        height = len(rows) - 1 - place
        if row.null is not None:
            figure.add_shape(
                type="rect",
                x0=row.null[0],
                x1=row.null[1],
                y0=height - 0.36,
                y1=height + 0.36,
                fillcolor=GREY,
                opacity=0.16,
                line_width=0,
                layer="below",
            )
        known = [
            (seed, value) for seed, value in zip(row.seeds, row.values, strict=True) if value is not None
        ]
        figure.add_scatter(
            x=[value for _, value in known],
            # Apart from each other, so that equal figures are seen to be several.
            y=[height - 0.12 + _apart(i, len(known)) for i in range(len(known))],
            mode="markers",
            marker={"color": row.colour, "size": 6, "opacity": 0.6},
            customdata=[seed for seed, _ in known],
            hovertemplate="seed %{customdata}: %{x:.3f}<extra>" + row.name + "</extra>",
            showlegend=False,
        )
        if row.estimate is not None:
            value, low, high = row.estimate
            figure.add_scatter(
                x=[value],
                y=[height + 0.24],
                mode="markers",
                marker={"color": row.colour, "size": 9, "symbol": "diamond"},
                error_x={
                    "type": "data",
                    "array": [high - value],
                    "arrayminus": [value - low],
                    "thickness": 2,
                    "width": 4,
                    "color": row.colour,
                },
                hovertemplate=f"interquartile mean {decimal(value, 3)} [{decimal(low, 3)} to {decimal(high, 3)}]"
                f"<extra>{row.name}</extra>",
                showlegend=False,
            )
    names = [f"<b>{row.name}</b>" if row.strong else row.name for row in rows]
    figure.update_yaxes(
        tickvals=list(range(len(rows) - 1, -1, -1)),
        ticktext=names,
        range=[-0.6, len(rows) - 0.4],
        showgrid=False,
        ticks="",
    )
    figure.update_xaxes(title={"text": title})
    figure.update_layout(margin={"l": 10, "r": 16, "t": 8, "b": 44})
    return Plot(figure, 70 + _ROW * len(rows))


@dataclass(frozen=True)
class Cloud:
    """Points of one look: seed, x, y and what else hovering says."""

    name: str
    colour: str
    places: Sequence[tuple[int, float, float, str]]


def scatter(
    clouds: Sequence[Cloud],
    axes: tuple[str, str],
    *,
    limits: tuple[tuple[float, float], tuple[float, float]] = ((-0.5, 1.5), (-0.5, 1.5)),
    marks: tuple[Sequence[float], Sequence[float]] = ((0, 1), (0, 1)),
) -> Plot:
    """Two figures of every seed against each other; what lies beyond the limits is drawn at the edge.

    Args:
        clouds: points of one look each.
        axes: titles.
        limits: of x and of y.
        marks: x and y at which a line is drawn.
    """
    figure = go.Figure()
    for x in marks[0]:
        figure.add_vline(x=x, line={"color": PALE, "width": 1}, layer="below")
    for y in marks[1]:
        figure.add_hline(y=y, line={"color": PALE, "width": 1}, layer="below")
    (left, right), (low, high) = limits
    for cloud in clouds:
        figure.add_scatter(
            x=[min(right, max(left, x)) for _, x, _, _ in cloud.places],
            y=[min(high, max(low, y)) for _, _, y, _ in cloud.places],
            mode="markers",
            name=cloud.name,
            marker={"color": cloud.colour, "size": 5 if cloud.colour == GREY else 8, "opacity": 0.65},
            customdata=[[seed, x, y, told] for seed, x, y, told in cloud.places],
            hovertemplate="seed %{customdata[0]}: %{customdata[1]:.2f}, %{customdata[2]:.2f}<br>%{customdata[3]}"
            "<extra></extra>",
        )
    for update, title, (least, most) in zip(
        (figure.update_xaxes, figure.update_yaxes), axes, limits, strict=True
    ):
        margin = 0.03 * (most - least)
        update(title={"text": title}, range=[least - margin, most + margin], dtick=(most - least) / 4)
    figure.update_layout(margin={"t": 54})
    return Plot(figure, 460, square=True)


@dataclass(frozen=True)
class Line:
    """A figure of every seed at each of some budgets: values (budgets, seeds)."""

    name: str
    colour: str
    seeds: Sequence[int]
    values: Sequence[Sequence[float | None]]


def lines(drawn: Sequence[Line], budgets: Sequence[float], axes: tuple[str, str], *, log: bool) -> Plot:
    """What is reached within budgets: a thick line is the median over seeds, a point a seed."""
    figure = go.Figure()
    for mark in (0, 1):
        figure.add_hline(y=mark, line={"color": PALE, "width": 1}, layer="below")
    for line in drawn:
        at = [
            (x, seed, y)
            for x, of in zip(budgets, line.values, strict=True)
            for seed, y in zip(line.seeds, of, strict=True)
        ]
        figure.add_scatter(
            x=[x for x, _, _ in at],
            y=[y for _, _, y in at],
            customdata=[seed for _, seed, _ in at],
            mode="markers",
            marker={"color": line.colour, "size": 4, "opacity": 0.45},
            hovertemplate="seed %{customdata}: %{y:.2f} at %{x}<extra>" + line.name + "</extra>",
            showlegend=False,
            legendgroup=line.name,
        )
        figure.add_scatter(
            x=list(budgets),
            y=_medians(list(zip(*line.values, strict=True))),
            mode="lines",
            name=line.name,
            legendgroup=line.name,
            line={"color": line.colour, "width": 2.5},
        )
    figure.update_xaxes(
        title={"text": axes[0]}, tickvals=list(budgets), ticktext=[f"{budget:g}" for budget in budgets]
    )
    if log:
        figure.update_xaxes(type="log")
    figure.update_yaxes(title={"text": axes[1]}, range=[-0.3, 1.15])
    figure.update_layout(margin={"t": 90, "l": 50, "r": 10, "b": 46})
    return Plot(figure, 430)


def learning_curves(curves: Sequence[dict[str, Any]], goals: Sequence[str], title: str) -> Plot:
    """Retention of both goals against env steps, every seed a thin line and their median a thick one."""
    figure = go.Figure()
    for mark in (0, 0.5, 0.7, 1):
        figure.add_hline(y=mark, line={"color": PALE, "width": 1}, layer="below")
    for goal, colour in zip(goals, (PROXY, PAID), strict=True):
        drawn = [curve for curve in curves if curve["retention"].get(goal) is not None]
        for curve in drawn:
            figure.add_scatter(
                x=[step / 1e6 for step in curve["env_steps"]],
                y=curve["retention"][goal],
                mode="lines",
                line={"color": colour, "width": 1},
                opacity=0.4,
                showlegend=False,
                hovertemplate=f"seed {curve['seed']}: %{{y:.2f}} at %{{x:.2f}}M<extra>{goal}</extra>",
            )
        if drawn:
            figure.add_scatter(
                x=[step / 1e6 for step in drawn[0]["env_steps"]],
                y=_medians([curve["retention"][goal] for curve in drawn]),
                mode="lines",
                name=f"{goal}, median of {len(drawn)} {'seed' if len(drawn) == 1 else 'seeds'}",
                line={"color": colour, "width": 3},
            )
    figure.update_xaxes(title={"text": "env steps (millions)"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "retention"}, range=[-0.6, 1.3])
    heading = {"text": f"<b>{title}</b>", "x": 0.02, "y": 0.98, "yanchor": "top", "font": {"size": 12.5}}
    figure.update_layout(title=heading, margin={"t": 54, "l": 50, "r": 10, "b": 42})
    return Plot(figure, 300)


def spread(values: Any) -> str:
    """An estimate as a table writes it: 0.83 (0.80 to 0.86); a dash where there is none."""
    if not values:
        return "–"
    value, low, high = values
    return f"{decimal(value)} ({decimal(low)} to {decimal(high)})"


def iqm(figure: dict[str, Any] | None) -> str:
    """The interquartile mean of a figure over seeds, with its interval, as `spread` writes it."""
    return spread(dig(figure, "over_seeds", "iqm"))


def env_steps(values: Any) -> str:
    """The same in env steps."""
    if not values:
        return "–"
    value, low, high = (f"{'−' if number < 0 else ''}{steps(abs(number))}" for number in values)
    return f"{value} ({low} to {high})"


def _apart(place: int, count: int) -> float:
    return 0.0 if count < 2 else 0.24 * (place / (count - 1) - 0.5)


def _medians(curves: Sequence[Sequence[float | None]]) -> list[float | None]:
    found: list[float | None] = []
    for at in zip(*curves, strict=False):
        known = sorted(number for value in at if (number := finite(value)) is not None)
        half = len(known) // 2
        found.append(
            None if not known else known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
        )
    return found


TESTED = ("difference, median", "Cliff's δ", "p (Holm)")
"""What `tested` gives; δ is P(higher) − P(lower) over all pairs of seeds, from −1 to 1."""


def tested(compared: dict[str, Any] | None) -> list[str]:
    """The cells of one paired comparison over seeds; empty ones where there is none."""
    if compared is None:
        return [""] * len(TESTED)
    p = f"{decimal(compared['permutation_p'], 3)} ({decimal(compared['holm_p'], 3)})"
    return [spread(compared["difference"]), decimal(compared["cliffs_delta"]), p]
