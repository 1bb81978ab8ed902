"""The figure of a maze agent's cuts and controls: what is left of either goal."""

import plotly.graph_objects as go

from .cut_figures import NAMES, SYMBOLS, Line, hover
from .inputs import dig
from .maze_inputs import MazeInputs
from .style import GREY, finite, finites


def scatter(inputs: MazeInputs) -> go.Figure:
    """Every cut and control by what it leaves of either goal; the targets are two corners of the square."""
    figure = go.Figure()
    low, high = _limits(inputs)
    proxy, paid = inputs.goals
    across, up = inputs.goal_measures.values()
    for x, y, text, goal in (
        (0, 1, f"{proxy} removed,<br>{paid} kept", proxy),
        (1, 0, f"{paid} removed,<br>{proxy} kept", paid),
    ):
        figure.add_shape(
            type="circle",
            xref="x",
            yref="y",
            **{"x0": x - 0.1, "x1": x + 0.1, "y0": y - 0.1, "y1": y + 0.1},
            line={"color": inputs.goal_colours[goal], "width": 1.5, "dash": "dot"},
            layer="below",
        )
        figure.add_annotation(
            x=x,
            y=y + (0.11 if goal == proxy else -0.11),
            text=text,
            showarrow=False,
            yanchor="bottom" if goal == proxy else "top",
            font={"size": 11.5, "color": inputs.goal_colours[goal]},
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
        for goal in inputs.goals:
            rows = [r for r in inputs.rows if r.get("selection") == selection and r.get("removes") == goal]
            if not rows:
                continue
            symbol, size = SYMBOLS[selection]
            line = {"width": 1.6 if selection == "control" else 1, "color": inputs.goal_colours[goal]}
            if selection != "control":
                line["color"] = "#ffffff"
            figure.add_scatter(
                x=[finite(dig(row, "retention", across)) for row in rows],
                y=[finite(dig(row, "retention", up)) for row in rows],
                mode="markers",
                name=f"{NAMES[selection]} that removes {goal}"
                if selection != "control"
                else f"{NAMES[selection]} ({goal})",
                marker={
                    "symbol": symbol,
                    "size": size,
                    "color": inputs.goal_colours[goal],
                    "opacity": 0.55 if selection == "control" else 0.95,
                    "line": line,
                },
                text=[hover(row, inputs.retained, inputs.measured_only) for row in rows],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.update_xaxes(
        title={"text": f"retention of {across} ({proxy}-seeking)"},
        range=[low, high],
        dtick=0.5,
        constrain="domain",
    )
    figure.update_yaxes(
        title={"text": f"retention of {up} ({paid}-seeking)"},
        range=[low, high],
        dtick=0.5,
        scaleanchor="x",
        constrain="domain",
    )
    return figure


def goal_lines(inputs: MazeInputs) -> list[Line]:
    """The lines of a dose–response plot: retention of either goal."""
    return [_goal_line(inputs, goal) for goal in inputs.goals]


def _limits(inputs: MazeInputs) -> tuple[float, float]:
    """Limits of both axes: the targets with room, and what lies around them; far outliers stay outside."""
    values = [
        v
        for row in inputs.rows
        for m in inputs.goal_measures.values()
        if (v := finite(dig(row, "retention", m))) is not None
    ]
    return max(-0.9, min([-0.28, *(v - 0.08 for v in values)])), min(
        1.6, max([1.32, *(v + 0.08 for v in values)])
    )


def _goal_line(inputs: MazeInputs, goal: str) -> Line:
    measure = inputs.goal_measures[goal]
    return Line(measure, inputs.goal_colours[goal], lambda curve: finites(dig(curve, "retention", measure)))
