"""Figures of a maze agent's training (plotly)."""

import plotly.graph_objects as go

from .figures import curve
from .maze_inputs import MazeInputs
from .style import GREY, PALE, decimal, steps


def retention_over_training(inputs: MazeInputs) -> go.Figure:
    """How much of its final change each goal has made at each time, and where the proxy goal counts as learned."""
    figure, million = go.Figure(), inputs.axis.unit
    for name in inputs.retained:
        values = inputs.retention_curve(name)
        if values:
            figure.add_trace(curve(inputs, name, values, thin=name == "navigation"))
    passing = inputs.passing()
    if passing is not None and inputs.retention_curve(inputs.proxy.measure):
        text = f"{inputs.proxy.measure} passes {inputs.passed:g}<br>at {steps(passing.env_steps)} env steps"
        figure.add_vline(
            x=passing.env_steps / million, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below"
        )
        there = passing.paid_retention
        if there is not None:
            text += f";<br>{inputs.paid.measure} {decimal(there)}"
            style = inputs.measure_styles[inputs.paid.measure]
            marker = {"color": "#ffffff", "size": 10, "line": {"color": style.colour, "width": 2}}
            figure.add_scatter(
                x=[passing.env_steps / million],
                y=[there],
                mode="markers",
                marker=marker,
                showlegend=False,
                hovertemplate=f"{inputs.paid.measure} {decimal(there)}<extra></extra>",
            )
        late = passing.env_steps > 0.6 * (inputs.trained_for or 0)
        figure.add_annotation(
            x=passing.env_steps / million,
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
    figure.update_xaxes(title={"text": inputs.axis.title}, rangemode="tozero")
    figure.update_yaxes(title={"text": "share of the final change"})
    figure.update_layout(hovermode="x unified")
    return figure
