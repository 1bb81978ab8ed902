"""Figures of the directions: when each was pushed, how strongly, and in which modules it lives."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from .figures import curve
from .inputs import Inputs, dig, direction_fields
from .style import GREY, INK, decimal, finite, steps

SHOWN = 40
# A profile is drawn in so many stretches: fewer than rows, as single rows are mostly noise.
_STRETCHES = 80
# Rises fast from white: a profile of one high peak would else look empty beside it.
_HEAT = [[0, "#ffffff"], [0.03, "#e9eef7"], [0.12, "#bccbe4"], [0.35, "#6f8fc2"], [1, "#14305a"]]
_LINE_COLOURS = ("#3f8f6b", "#8b93a1", "#7a4fa3", "#111827")


def shown_directions(inputs: Inputs[Any]) -> np.ndarray:
    """Indices of the strongest directions, ordered by centre of mass."""
    centres = direction_fields(inputs)["centre_of_mass"]
    known = [index for index, centre in enumerate(centres[:SHOWN]) if centre is not None]
    return np.array(sorted(known, key=lambda index: centres[index] or 0.0), dtype=int)


def heatmap(inputs: Inputs[Any], profiles: np.ndarray, shown: np.ndarray) -> go.Figure:
    """Squared profiles (T, k) of the directions shown, earliest first, each over its own peak."""
    at, energy, parts = _stretches(inputs, profiles, shown)
    density = np.array([energy[part].mean(axis=0) for part in parts])
    figure = go.Figure(
        go.Heatmap(
            x=[float(at[part].mean()) for part in parts],
            y=list(range(1, len(shown) + 1)),
            z=(density / density.max(axis=0).clip(1e-30)).T.round(3).tolist(),
            colorscale=_HEAT,
            showscale=False,
            hovertemplate="number %{y} by time<br>"
            + inputs.axis.hover
            + "<br>%{z:.2f} of its own peak<extra></extra>",
        )
    )
    figure.update_yaxes(title={"text": "directions, earliest first"}, range=[len(shown) + 0.5, 0.5])
    return on_time_axis(figure, inputs, at)


def running_energy(inputs: Inputs[Any], profiles: np.ndarray, shown: np.ndarray) -> go.Figure:
    """The share of its energy that each of a few directions has spent by each time, beside an even push."""
    at, energy, parts = _stretches(inputs, profiles, shown)
    centres = direction_fields(inputs)["centre_of_mass"]
    ends = np.array([part[-1] for part in parts])
    running = np.concatenate([np.zeros((1, len(shown))), energy.cumsum(axis=0)[ends]])
    times, figure = [0.0, *at[ends].tolist()], go.Figure()
    for colour, (index, name) in zip(_LINE_COLOURS, _examples(shown).items(), strict=False):
        figure.add_scatter(
            x=times,
            y=running[:, int(np.flatnonzero(shown == index)[0])].tolist(),
            mode="lines",
            name=f"{name} (centre {decimal(centres[index])})",
            line={"color": colour, "width": 2},
            hovertemplate=f"%{{y:.2f}} of its energy by {inputs.axis.hover}<extra>{name}</extra>",
        )
    figure.add_scatter(
        x=times,
        y=np.concatenate([[0.0], (ends + 1) / len(at)]).tolist(),
        mode="lines",
        name="an even push",
        line={"color": GREY, "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.update_yaxes(title={"text": "share of energy so far"}, range=[-0.02, 1.04], dtick=0.5)
    return on_time_axis(figure, inputs, at)


def behaviour(inputs: Inputs[Any], profiles: np.ndarray, measures: tuple[str, ...]) -> go.Figure:
    """What the agent did meanwhile: some measures, on the time axis of the profiles."""
    figure = go.Figure([curve(inputs, measure, inputs.curve(measure)[1]) for measure in measures])
    figure.update_yaxes(title={"text": "probability"}, range=[-0.02, 1.04], dtick=0.5)
    figure.update_xaxes(title={"text": inputs.axis.title})
    figure.update_layout(margin={"b": 46})
    return on_time_axis(figure, inputs, inputs.row_times(len(profiles)) / inputs.axis.unit)


def modules(
    shares: dict[str, list[float | None]],
    shown: np.ndarray,
    centres: list[float | None],
    sizes: dict[str, float],
) -> go.Figure:
    """Share of each direction's squared length per module, by centre of mass; last, a random direction."""
    figure = go.Figure()
    names = [str(number) for number in range(1, len(shown) + 1)]
    centre_texts = [decimal(centres[index]) for index in shown]
    for (module, share), colour in zip(shares.items(), _module_colours(len(shares)), strict=True):
        values = [share[index] if index < len(share) else None for index in shown]
        figure.add_bar(
            x=names,
            y=values,
            name=module,
            marker={"color": colour, "line": {"width": 0}},
            customdata=centre_texts,
            hovertemplate=f"{module}: %{{y:.2f}}<br>centre of mass %{{customdata}}<extra></extra>",
            legendgroup=module,
        )
        if module in sizes:
            figure.add_bar(
                x=["random"],
                y=[sizes[module]],
                marker={"color": colour, "line": {"width": 0}},
                width=2,
                legendgroup=module,
                showlegend=False,
                hovertemplate=f"{module}: %{{y:.2f}}<extra>a random direction</extra>",
            )
    ticks = sorted({0, len(shown) // 4, len(shown) // 2, 3 * len(shown) // 4, len(shown) - 1})
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=[*names, "", " ", "random"],
        tickmode="array",
        tickvals=[*(names[tick] for tick in ticks), "random"],
        ticktext=[*(centre_texts[tick] for tick in ticks), "random"],
        title={"text": "directions by centre of mass"},
        tickangle=0,
    )
    figure.update_yaxes(title={"text": "share of squared length"}, range=[0, 1])
    figure.update_layout(barmode="stack", bargap=0.12)
    return figure


def time_and_strength(inputs: Inputs[Any]) -> go.Figure:
    """Centre of mass against singular value, every direction."""
    fields = direction_fields(inputs)
    centres, strengths = fields["centre_of_mass"], fields["singular_values"]
    count = min(len(centres), len(strengths))
    early = fields["early_share"]
    shares = [
        f"<br>energy before the split {decimal(early[i])}" if i < len(early) else "" for i in range(count)
    ]
    figure = go.Figure(
        go.Scatter(
            x=centres[:count],
            y=strengths[:count],
            mode="markers",
            marker={"color": INK, "size": 7, "opacity": 0.65},
            customdata=[[i + 1, shares[i]] for i in range(count)],
            hovertemplate="number %{customdata[0]} by strength<br>centre of mass %{x:.2f}<br>σ %{y:.3g}"
            "%{customdata[1]}<extra></extra>",
        )
    )
    figure.add_vline(
        x=0.5,
        line={"color": GREY, "width": 1, "dash": "dot"},
        annotation={"text": "an even push", "font": {"size": 11, "color": GREY}},
        annotation_position="top right",
    )
    figure.update_xaxes(title={"text": "centre of mass (0 start, 1 end of training)"}, range=[0, 1])
    ticks = _ticks([strength for strength in strengths[:count] if strength])
    figure.update_yaxes(
        type="log",
        title={"text": "singular value σ"},
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )
    figure.update_layout(showlegend=False)
    return figure


def _examples(shown: np.ndarray) -> dict[int, str]:
    """A few directions worth a line: earliest, middle, latest and strongest of those shown, index → name."""
    names: dict[int, list[str]] = {}
    places = {
        "earliest": shown[0],
        "middle": shown[len(shown) // 2],
        "latest": shown[-1],
        "strongest": shown.min(),
    }
    for name, index in places.items():
        names.setdefault(int(index), []).append(name)
    return {index: " and ".join(of_one) for index, of_one in names.items()}


def _stretches(
    inputs: Inputs[Any], profiles: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Place of every row on the time axis (T,), energy of every row (T, shown), and the rows of every stretch drawn."""
    at = inputs.row_times(len(profiles)) / inputs.axis.unit
    energy = profiles[:, shown].astype(float) ** 2
    parts = np.array_split(np.arange(len(at)), min(len(at), _STRETCHES))
    return at, energy / energy.sum(axis=0).clip(1e-30), parts


def on_time_axis(figure: go.Figure, inputs: Inputs[Any], at: np.ndarray) -> go.Figure:
    """The axis that the three plots of profiles share, margins included, with the split of early and late."""
    split = finite(dig(inputs.analysis, "directions", "split_env_steps"))
    if split is not None:
        figure.add_vline(x=split / inputs.axis.unit, line={"color": INK, "width": 1, "dash": "dot"})
    end = max(at.max(), (inputs.trained_for or 0) / inputs.axis.unit)
    figure.update_xaxes(range=[0, float(end)], automargin=False)
    figure.update_yaxes(automargin=False)
    bottom = figure.to_plotly_json()["layout"].get("margin", {}).get("b", 22)
    figure.update_layout(margin={"l": 56, "r": 14, "t": 10, "b": bottom}, showlegend=True)
    return figure


def _ticks(values: list[float]) -> list[float]:
    """1, 2 and 5 of every power of ten in the range of `values`; powers alone where the range is wide."""
    if not values:
        return []
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps_of_one = (1, 2, 5) if high < 300 * low else (1,)
    return [
        step * 10.0**power
        for power in powers
        for step in steps_of_one
        if low / 2 <= step * 10.0**power <= 2 * high
    ]


def _module_colours(count: int) -> list[str]:
    places = [0.08 + 0.84 * i / max(1, count - 1) for i in range(count)]
    return [str(colour) for colour in sample_colorscale("Viridis", places)]


def split_text(inputs: Inputs[Any]) -> str:
    """What the dotted line of the profile figure stands for."""
    split = finite(dig(inputs.analysis, "directions", "split_env_steps"))
    return "" if split is None else f"dotted: {steps(split)} env steps, which part early from late"
