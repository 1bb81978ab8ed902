"""Figures of the directions: when each was pushed, how strongly, and in which modules it lives."""

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from .figures import MILLION
from .inputs import Inputs, dig, direction_fields
from .style import GREY, INK, MEASURE_STYLES, decimal, finite, finites, steps

SHOWN = 40
# A profile of thousands of updates is drawn in so many stretches.
_STRETCHES = 240
_LINE_COLOURS = ("#111827", "#3f8f6b", "#7a4fa3")


def shown_directions(inputs: Inputs) -> np.ndarray:
    """Indices of the strongest directions, ordered by centre of mass."""
    centres = direction_fields(inputs)["centre_of_mass"]
    known = [index for index, centre in enumerate(centres[:SHOWN]) if centre is not None]
    return np.array(sorted(known, key=lambda index: centres[index] or 0.0), dtype=int)


def profiles(inputs: Inputs, profiles: np.ndarray, shown: np.ndarray) -> go.Figure:
    """Squared profiles by centre of mass, some of them as lines, and the behaviour, on one axis of env steps."""
    at = _row_env_steps(inputs, len(profiles)) / MILLION
    energy = profiles[:, shown].astype(float) ** 2
    parts = np.array_split(np.arange(len(at)), min(len(at), _STRETCHES))
    centre = np.array([at[part].mean() for part in parts])
    # Energy per million env steps, so that stretches of unequal length compare.
    width = np.gradient(at) if len(at) > 1 else np.ones(1)
    density = np.array([energy[part].sum(0) / max(width[part].sum(), 1e-12) for part in parts])
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.46, 0.24, 0.3], vertical_spacing=0.085
    )
    fields = direction_fields(inputs)
    figure.add_heatmap(
        x=centre,
        y=list(range(1, len(shown) + 1)),
        z=np.round(density.T / density.max(axis=0, keepdims=True).T.clip(1e-12), 3).tolist(),
        row=1,
        col=1,
        colorscale=[[0, "#ffffff"], [0.15, "#dfe6f3"], [0.5, "#7f9cc9"], [1, "#16304f"]],
        showscale=False,
        hovertemplate="number %{y} by time<br>%{x:.2f}M env steps<br>%{z:.2f} of its own peak<extra></extra>",
    )
    _mark_changes(figure, inputs, shown)
    for colour, (name, index) in zip(_LINE_COLOURS, _examples(shown).items(), strict=False):
        column = int(np.flatnonzero(shown == index)[0])
        figure.add_scatter(
            x=centre,
            y=density[:, column],
            row=2,
            col=1,
            mode="lines",
            name=f"{name}: number {index + 1} by strength, centre {decimal(fields['centre_of_mass'][index])}",
            line={"color": colour, "width": 1.6},
            legend="legend2",
            hovertemplate="%{y:.2g} of its energy per million env steps<extra>" + name + "</extra>",
        )
    for measure in ("corner_reach", "cheese_from_corner"):
        steps_measured, values = inputs.curve(measure)
        style = MEASURE_STYLES[measure]
        figure.add_scatter(
            x=[None if step is None else step / MILLION for step in steps_measured],
            y=values,
            row=3,
            col=1,
            mode="lines",
            name=f"{measure} ({style.means})",
            legend="legend3",
            line={"color": style.colour, "width": 2.5},
            hovertemplate="%{y:.2f}<extra>" + measure + "</extra>",
        )
    split = finite(dig(inputs.analysis, "directions", "split_env_steps"))
    if split is not None:
        for row in (1, 2, 3):
            line = {"color": INK, "width": 1, "dash": "dot"}
            figure.add_vline(x=split / MILLION, line=line, row=row, col=1)  # pyright: ignore[reportArgumentType]
    figure.update_yaxes(
        title={"text": "directions, earliest first"}, range=[len(shown) + 0.5, 0.5], row=1, col=1
    )
    figure.update_yaxes(title={"text": "energy per M steps"}, rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title={"text": "probability"}, range=[0, 1.02], row=3, col=1)
    figure.update_xaxes(range=[0, float(max(at.max(), (inputs.env_steps or 0) / MILLION))])
    figure.update_xaxes(title={"text": "env steps (millions)"}, row=3, col=1)
    # A legend above each of the lower two panels; the first panel's is the template's.
    for name, row in (("legend2", 2), ("legend3", 3)):
        top = next(figure.select_yaxes(row=row, col=1)).domain[1]
        figure.update_layout({name: {"orientation": "h", "x": 0, "y": top + 0.004, "yanchor": "bottom"}})
    figure.update_layout(showlegend=True)  # plotly hides a legend of one entry
    return figure


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


def time_and_strength(inputs: Inputs) -> go.Figure:
    """Centre of mass against singular value, every direction."""
    fields = direction_fields(inputs)
    centres, strengths = fields["centre_of_mass"], fields["singular_values"]
    count = min(len(centres), len(strengths))
    shares = [
        decimal(fields["early_share"][i]) if i < len(fields["early_share"]) else "–" for i in range(count)
    ]
    figure = go.Figure(
        go.Scatter(
            x=centres[:count],
            y=strengths[:count],
            mode="markers",
            marker={"color": INK, "size": 7, "opacity": 0.65},
            customdata=[[i + 1, shares[i]] for i in range(count)],
            hovertemplate="number %{customdata[0]} by strength<br>centre of mass %{x:.2f}<br>σ %{y:.3g}"
            "<br>energy before the split %{customdata[1]}<extra></extra>",
        )
    )
    figure.add_vline(
        x=0.5,
        line={"color": GREY, "width": 1, "dash": "dot"},
        annotation={"text": "an even push", "font": {"size": 11, "color": GREY}},
        annotation_position="top right",
    )
    figure.update_xaxes(title={"text": "centre of mass (0 start, 1 end of training)"}, range=[0, 1])
    known = [strength for strength in strengths[:count] if strength]
    decades = bool(known) and max(known) > 30 * min(known)
    figure.update_yaxes(
        type="log", title={"text": "singular value σ"}, exponentformat="power", dtick=1 if decades else None
    )
    figure.update_layout(showlegend=False)
    return figure


def _examples(shown: np.ndarray) -> dict[str, int]:
    """A few directions worth a line: strongest, earliest, middle, latest of those shown."""
    places = {"strongest": int(shown.min()), "earliest": int(shown[0]), "latest": int(shown[-1])}
    return {
        name: index
        for name, index in places.items()
        if list(places.values()).index(index) == list(places).index(name)
    }


def _row_env_steps(inputs: Inputs, rows: int) -> np.ndarray:
    """Env steps of every row; evenly spread where the file does not say."""
    known = [step for step in finites(dig(inputs.analysis, "env_steps")) if step is not None]
    if len(known) == rows:
        return np.array(known)
    return np.linspace(0, inputs.env_steps or rows, rows + 1)[1:]


def _mark_changes(figure: go.Figure, inputs: Inputs, shown: np.ndarray) -> None:
    changes = dig(inputs.analysis, "directions", "change_points") or []
    marks = [
        (step / MILLION, row)
        for row, index in enumerate(shown)
        for step in finites(changes[index] if index < len(changes) else [])
        if step is not None
    ]
    if marks:
        figure.add_scatter(
            x=[x for x, _ in marks],
            y=[y + 1 for _, y in marks],
            row=1,
            col=1,
            mode="markers",
            name="change point of a profile",
            marker={"symbol": "line-ns", "size": 6, "line": {"color": "#c2571a", "width": 1.5}},
            hovertemplate="change point at %{x:.2f}M<extra></extra>",
        )


def _module_colours(count: int) -> list[str]:
    places = [0.08 + 0.84 * i / max(1, count - 1) for i in range(count)]
    return [str(colour) for colour in sample_colorscale("Viridis", places)]


def split_text(inputs: Inputs) -> str:
    """What the dotted line of the profile figure stands for."""
    split = finite(dig(inputs.analysis, "directions", "split_env_steps"))
    return "" if split is None else f"dotted: {steps(split)} env steps, which part early from late"
