"""Figures of cuts and controls, whatever was learned: how what is left depends on the dose, and what points say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from .inputs import Inputs, dig
from .style import INK, PALE, between, decimal, finites, short

# Marker and its size by how a cut was chosen.
SYMBOLS = {"tuned": ("star", 15), "profile": ("circle", 10), "control": ("x-thin", 7)}
NAMES = {"tuned": "tuned cut", "profile": "profile cut", "control": "control of a cut"}


@dataclass(frozen=True)
class Line:
    """A line of a dose–response plot: what it is called, and its values from a curve of the table."""

    name: str
    colour: str
    values: Callable[[dict[str, Any]], list[float | None]]


def dose_curves(inputs: Inputs[Any]) -> list[dict[str, Any]]:
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


def at_full_dose(curve: dict[str, Any]) -> dict[str, Any] | None:
    """A dose–response curve as a row: what the dose nearest 1, the whole cut, leaves; None where it has no doses."""
    doses = finites(curve.get("doses"))
    known = [(abs(dose - 1), place) for place, dose in enumerate(doses) if dose is not None]
    if not known:
        return None
    place = min(known)[1]
    retention = {name: finites(values) for name, values in (curve.get("retention") or {}).items()}
    there = {name: values[place] for name, values in retention.items() if place < len(values)}
    return {"removes": curve.get("removes"), "retention": there}


def dose_response(
    cut: dict[str, Any], controls: list[dict[str, Any]], lines: Sequence[Line], colours: Mapping[str, str]
) -> go.Figure:
    """Retention against the dose of one cut, a line for each of `lines`; its controls, of the same norm, dashed."""
    figure = go.Figure()
    for curve in [*controls, cut]:
        is_control = curve is not cut
        norms = finites(curve.get("relative_norm"))
        doses = finites(curve.get("doses"))
        for line in lines:
            figure.add_scatter(
                x=doses,
                y=line.values(curve),
                mode="lines" if is_control else "lines+markers",
                line={
                    "color": line.colour,
                    "width": 1.2 if is_control else 2.5,
                    "dash": "dash" if is_control else "solid",
                },
                opacity=0.6 if is_control else 1,
                marker={"size": 5},
                customdata=[short(norm) for norm in norms] or ["–"] * len(doses),
                hovertemplate=f"{line.name} %{{y:.2f}} at dose %{{x}}<br>‖Δθ‖/‖θ−θ₀‖ %{{customdata}}"
                f"<extra>{plain(curve.get('name'))}</extra>",
            )
    for height in (0, 1):
        figure.add_hline(y=height, line={"color": PALE, "width": 1}, layer="below")
    figure.update_xaxes(title={"text": "dose α"}, rangemode="tozero")
    values = [v for c in [cut, *controls] for line in lines for v in line.values(c) if v is not None]
    low, high = max(-1.0, min([-0.1, *values])), min(1.8, max([1.1, *values]))
    figure.update_yaxes(title={"text": "retention"}, range=[low - 0.05, high + 0.05], dtick=0.5)
    title = {"text": f"<b>{plain(cut.get('name'))}</b>", "x": 0.02, "y": 0.97, "yanchor": "top"}
    title["font"] = {"size": 12.5, "color": colours.get(str(cut.get("removes")), INK)}
    figure.update_layout(title=title, showlegend=False, margin={"t": 30, "l": 46, "r": 10, "b": 42})
    return figure


def hover(row: dict[str, Any], retained: Sequence[str], measured: Sequence[str]) -> str:
    """A cut or control as its point says it: retention of some measures, and some as they are."""
    lines = [f"<b>{plain(row.get('name'))}</b>"]
    for measure in retained:
        interval = between(dig(row, "retention_intervals", measure))
        text = f"retention of {measure} {decimal(dig(row, 'retention', measure))}"
        lines.append(text + (f" [{interval}]" if interval else ""))
    interval = between(row.get("selectivity_interval"))
    lines.append(f"selectivity {decimal(row.get('selectivity'))}" + (f" [{interval}]" if interval else ""))
    lines += [
        f"{name} {decimal(dig(row, 'measures', name))}"
        for name in measured
        if dig(row, "measures", name) is not None
    ]
    size = f"‖Δθ‖/‖θ−θ₀‖ {short(row.get('relative_norm'))}, {short(row.get('directions'))} directions"
    lines.append(f"{size}, dose {short(row.get('dose'))}")
    return "<br>".join(lines)


def plain(name: Any) -> str:
    """A name as plotly text, whose pseudo-HTML would read a tag in it."""
    return str(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
