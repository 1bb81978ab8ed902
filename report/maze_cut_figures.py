"""The figure of a maze agent's cuts and controls: what is left of either goal."""

from typing import Any

import plotly.graph_objects as go

from .cut_figures import NAMES, SYMBOLS, Line, hover
from .inputs import dig
from .maze_inputs import MazeInputs
from .style import GOAL_COLOURS, GOAL_MEASURES, GREY, finite, finites

_RETAINED = ("corner_reach", "cheese_from_corner", "navigation")
_MEASURED = ("corner_first", "cheese_first", "cheese_return")


def scatter(inputs: MazeInputs) -> go.Figure:
    """Every cut and control by what it leaves of either goal; the targets are two corners of the square."""
    figure = go.Figure()
    low, high = _limits(inputs.rows)
    for x, y, text, goal in (
        (0, 1, "corner removed,<br>cheese kept", "corner"),
        (1, 0, "cheese removed,<br>corner kept", "cheese"),
    ):
        figure.add_shape(
            type="circle",
            xref="x",
            yref="y",
            **{"x0": x - 0.1, "x1": x + 0.1, "y0": y - 0.1, "y1": y + 0.1},
            line={"color": GOAL_COLOURS[goal], "width": 1.5, "dash": "dot"},
            layer="below",
        )
        figure.add_annotation(
            x=x,
            y=y + (0.11 if goal == "corner" else -0.11),
            text=text,
            showarrow=False,
            yanchor="bottom" if goal == "corner" else "top",
            font={"size": 11.5, "color": GOAL_COLOURS[goal]},
        )
    figure.add_scatter(
        x=[1, 0],
        y=[1, 0],
        mode="markers+text",
        text=["trained", "untrained"],
        textposition=["top center", "bottom center"],
        textfont={"size": 11.5, "color": GREY},
        marker={"symbol": "square-open", "size": 11, "color": GREY, "line": {"width": 1.5}},
        showlegend=False,
        hoverinfo="skip",
    )
    for selection in ("control", "profile", "tuned"):
        for goal in ("corner", "cheese"):
            rows = [r for r in inputs.rows if r.get("selection") == selection and r.get("removes") == goal]
            if not rows:
                continue
            symbol, size = SYMBOLS[selection]
            line = {"width": 1.6 if selection == "control" else 1, "color": GOAL_COLOURS[goal]}
            if selection != "control":
                line["color"] = "#ffffff"
            figure.add_scatter(
                x=[finite(dig(row, "retention", "corner_reach")) for row in rows],
                y=[finite(dig(row, "retention", "cheese_from_corner")) for row in rows],
                mode="markers",
                name=f"{NAMES[selection]} that removes {goal}"
                if selection != "control"
                else f"{NAMES[selection]} ({goal})",
                marker={
                    "symbol": symbol,
                    "size": size,
                    "color": GOAL_COLOURS[goal],
                    "opacity": 0.55 if selection == "control" else 0.95,
                    "line": line,
                },
                text=[hover(row, _RETAINED, _MEASURED) for row in rows],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.update_xaxes(
        title={"text": "retention of corner_reach (corner-seeking)"},
        range=[low, high],
        dtick=0.5,
        constrain="domain",
    )
    figure.update_yaxes(
        title={"text": "retention of cheese_from_corner (cheese-seeking)"},
        range=[low, high],
        dtick=0.5,
        scaleanchor="x",
        constrain="domain",
    )
    return figure


def goal_lines() -> list[Line]:
    """The lines of a dose–response plot: retention of either goal."""
    return [_goal_line(goal) for goal in GOAL_MEASURES]


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Limits of both axes: the targets with room, and what lies around them; far outliers stay outside."""
    values = [
        v
        for row in rows
        for m in GOAL_MEASURES.values()
        if (v := finite(dig(row, "retention", m))) is not None
    ]
    return max(-0.9, min([-0.28, *(v - 0.08 for v in values)])), min(
        1.6, max([1.32, *(v + 0.08 for v in values)])
    )


def _goal_line(goal: str) -> Line:
    measure = GOAL_MEASURES[goal]
    return Line(measure, GOAL_COLOURS[goal], lambda curve: finites(dig(curve, "retention", measure)))
