"""Figures of cuts and controls: what is left of either goal, and how that depends on the dose."""

from typing import Any

import plotly.graph_objects as go

from .inputs import Inputs, dig
from .style import GOAL_COLOURS, GOAL_MEASURES, GREY, INK, PALE, between, decimal, finite, finites, short

_SYMBOLS = {"tuned": ("star", 15), "profile": ("circle", 10), "control": ("x-thin", 7)}
_NAMES = {"tuned": "tuned cut", "profile": "profile cut", "control": "control of a cut"}


def scatter(inputs: Inputs) -> go.Figure:
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
            symbol, size = _SYMBOLS[selection]
            line = {"width": 1.6 if selection == "control" else 1, "color": GOAL_COLOURS[goal]}
            if selection != "control":
                line["color"] = "#ffffff"
            figure.add_scatter(
                x=[finite(dig(row, "retention", "corner_reach")) for row in rows],
                y=[finite(dig(row, "retention", "cheese_from_corner")) for row in rows],
                mode="markers",
                name=f"{_NAMES[selection]} that removes {goal}"
                if selection != "control"
                else f"{_NAMES[selection]} ({goal})",
                marker={
                    "symbol": symbol,
                    "size": size,
                    "color": GOAL_COLOURS[goal],
                    "opacity": 0.55 if selection == "control" else 0.95,
                    "line": line,
                },
                text=[_hover(row) for row in rows],
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


def dose_curves(inputs: Inputs) -> list[dict[str, Any]]:
    """The dose–response curves of the headline cuts (of all where none is named) and of their controls."""
    curves = [
        c
        for c in (inputs.ablation or {}).get("dose_response") or []
        if isinstance(c, dict) and finites(c.get("doses"))
    ]
    named = [name for row in inputs.headline if (name := row.get("name"))]
    cuts = [c for c in curves if not c.get("control")]
    chosen = [c for c in cuts if c.get("name") in named] or cuts[:4]
    names = {c.get("name") for c in chosen}
    return chosen + [c for c in curves if c.get("control") and c.get("control_of") in names]


def dose_response(cut: dict[str, Any], controls: list[dict[str, Any]]) -> go.Figure:
    """Retention of both goals against the dose of one cut; its controls, of the same norm, dashed."""
    figure = go.Figure()
    for curve in [*controls, cut]:
        is_control = curve is not cut
        norms = finites(curve.get("relative_norm"))
        doses = finites(curve.get("doses"))
        for goal, measure in GOAL_MEASURES.items():
            figure.add_scatter(
                x=doses,
                y=finites(dig(curve, "retention", measure)),
                mode="lines" if is_control else "lines+markers",
                line={
                    "color": GOAL_COLOURS[goal],
                    "width": 1.2 if is_control else 2.5,
                    "dash": "dash" if is_control else "solid",
                },
                opacity=0.6 if is_control else 1,
                marker={"size": 5},
                customdata=[short(norm) for norm in norms] or ["–"] * len(doses),
                hovertemplate=f"{measure} %{{y:.2f}} at dose %{{x}}<br>‖Δθ‖/‖θ−θ₀‖ %{{customdata}}"
                f"<extra>{_plain(curve.get('name'))}</extra>",
            )
    for height in (0, 1):
        figure.add_hline(y=height, line={"color": PALE, "width": 1}, layer="below")
    figure.update_xaxes(title={"text": "dose α"}, rangemode="tozero")
    values = [
        v
        for c in [cut, *controls]
        for m in GOAL_MEASURES.values()
        for v in finites(dig(c, "retention", m))
        if v is not None
    ]
    low, high = max(-1.0, min([-0.1, *values])), min(1.8, max([1.1, *values]))
    figure.update_yaxes(title={"text": "retention"}, range=[low - 0.05, high + 0.05], dtick=0.5)
    title = {"text": f"<b>{_plain(cut.get('name'))}</b>", "x": 0.02, "y": 0.97, "yanchor": "top"}
    title["font"] = {"size": 12.5, "color": GOAL_COLOURS.get(str(cut.get("removes")), INK)}
    figure.update_layout(title=title, showlegend=False, margin={"t": 30, "l": 46, "r": 10, "b": 42})
    return figure


def _hover(row: dict[str, Any]) -> str:
    lines = [f"<b>{_plain(row.get('name'))}</b>"]
    for measure in (*GOAL_MEASURES.values(), "navigation"):
        interval = between(dig(row, "retention_intervals", measure))
        text = f"retention of {measure} {decimal(dig(row, 'retention', measure))}"
        lines.append(text + (f" [{interval}]" if interval else ""))
    interval = between(row.get("selectivity_interval"))
    lines.append(f"selectivity {decimal(row.get('selectivity'))}" + (f" [{interval}]" if interval else ""))
    lines += [
        f"{name} {decimal(dig(row, 'measures', name))}"
        for name in ("corner_first", "cheese_first", "cheese_return")
        if dig(row, "measures", name) is not None
    ]
    size = f"‖Δθ‖/‖θ−θ₀‖ {short(row.get('relative_norm'))}, {short(row.get('directions'))} directions"
    lines.append(f"{size}, dose {short(row.get('dose'))}")
    return "<br>".join(lines)


def _plain(name: Any) -> str:
    """A name as plotly text, whose pseudo-HTML would read a tag in it."""
    return str(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
