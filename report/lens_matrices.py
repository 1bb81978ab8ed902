"""Matrices that lenses found, as heat maps beside their controls: interactions, Jacobians, offsets (plotly)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .inputs import dig
from .page import Exhibit, Plot
from .style import GREY, INK, PAID, PALE, decimal, finite, finites, short

# Rises fast from white: of strengths and Jacobians most entries are far below the largest.
_HEAT = [[0, "#ffffff"], [0.05, "#e4eaf4"], [0.2, "#b3c3df"], [0.5, "#6282b9"], [1, "#14305a"]]
_MAPS = {"before": "neurons", "after": "rotated", "random": "random bases"}
_NETWORKS = ("trained", "untrained", "permuted")


def interactions(figures: Mapping[str, Any]) -> list[Exhibit]:
    """Per weight the strengths between nodes of both its sides: neurons, features, features shuffled."""
    plots = []
    for layer, of in (figures.get("weights") or {}).items():
        neurons, features = (dig(of, "trained", basis) for basis in ("neurons", "features"))
        shown = (
            (dig(neurons, "drawn"), f"{layer}, neurons, Q {_modularity(neurons)}"),
            (dig(features, "drawn"), f"{layer}, features, Q {_modularity(features)}"),
            (dig(features, "drawn_shuffled"), f"{layer}, shuffled, Q {_modularity(features, chance=True)}"),
        )
        plots += [Plot(_graph(drawn, title), 300) for drawn, title in shown if drawn]
    caption = (
        "Who acts on whom through each weight, before and after it is written in features: strengths of the "
        "strongest nodes that it takes (columns) and gives (rows), nodes of one module together (lines). Blocks "
        "can be sorted out of any matrix: they mean something where modularity Q is above that of features "
        "shuffled."
    )
    return [Exhibit(caption, plots, 3)] if plots else []


def jacobians(figures: Mapping[str, Any]) -> list[Exhibit]:
    """The normalised Jacobian of every pair of layers, before and after and in random bases; and that of one input."""
    images = figures.get("images") or {}
    exhibits = []
    every = [plot for pair in images for plot in _bases(images, pair, "mean")]
    if every:
        seen = (
            "The normalised Jacobian between neighbouring layers before and after the rotation, root mean square "
            "of its entries over held-out inputs: sparse is white with few dark cells. Random bases, the control, "
            "are even all over; neurons and rotated rows stand in orders of their own."
        )
        exhibits.append(Exhibit(seen, every, 3))
    last = next(reversed(images)) if images else None
    one = _bases(images, last, "one") if last else []
    if one:
        seen = (
            f"The same of a single held-out input, {last}, with signs (amber above zero, blue below): what is "
            "sparse for each input alone need not be so in the mean above."
        )
        exhibits.append(Exhibit(seen, one, 3))
    return exhibits


def one_input(figures: Mapping[str, Any]) -> list[Exhibit]:
    """Sparsity loss of bases fitted to a single input and to many, on that input and on held-out ones."""
    found = figures.get("one_input")
    if not found:
        return []
    bars = (
        ("fitted_to_one", "fitted to that input", PAID),
        ("fitted_to_many", "fitted to many inputs", INK),
        ("neurons", "neurons", PALE),
    )
    figure, places = go.Figure(), {"there": "on that one input", "held_out": "on held-out inputs"}
    for key, name, colour in bars:
        losses = [finite(dig(found, key, place)) for place in places]
        figure.add_bar(
            x=list(places.values()),
            y=losses,
            name=name,
            marker={"color": colour},
            text=[decimal(loss) for loss in losses],
            hovertemplate=f"{name}, %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    figure.update_yaxes(title={"text": "sparsity loss"}, rangemode="tozero")
    figure.update_xaxes(type="category")
    figure.update_layout(barmode="group", bargap=0.35)
    single, many, neurons = (dig(found, key, "held_out") for key, _, _ in bars)
    caption = (
        "A basis fitted to a single input makes its Jacobian sparser than one fitted to many does, and carries "
        f"over to held-out inputs as far as its bar there falls below that of the neurons: {decimal(single)}, "
        f"beside {decimal(many)} fitted to many and {decimal(neurons)} of neurons."
    )
    return [Exhibit(caption, [Plot(figure, 300)])]


def offsets(figures: Mapping[str, Any]) -> list[Exhibit]:
    """Per pair of convolutions the share of the Jacobian's energy at each offset, and the channels there."""
    exhibits = []
    for pair in dig(figures, "networks", "trained", "offsets") or {}:
        tables = {name: dig(figures, "networks", name, "offsets", pair) for name in _NETWORKS}
        plots = [Plot(_offsets(table, name), 260) for name, table in tables.items() if table]
        caption = (
            f"From {pair} by offset of the early cell from the late one: colour is the share of the Jacobian's "
            "energy, the number how many channels carry it (participation ratio). The untrained network and "
            "permuted weights are the controls."
        )
        exhibits.append(Exhibit(caption, plots, 3))
    return exhibits


def _graph(drawn: Mapping[str, Any], title: str) -> go.Figure:
    late, early = (drawn[side] for side in ("late", "early"))
    # A few strengths, such as that of the constant node for itself, would leave all others white.
    full = float(np.quantile(drawn["strengths"], 0.99))
    figure = go.Figure(
        go.Heatmap(
            z=drawn["strengths"],
            colorscale=_HEAT,
            zmin=0,
            zmax=full or 1,
            showscale=False,
            customdata=[[[i, j] for j in early["nodes"]] for i in late["nodes"]],
            hovertemplate="%{customdata[1]} to %{customdata[0]}: %{z:.3f} of the largest<extra></extra>",
        )
    )
    line = {"color": PAID, "width": 1}
    for place in _borders(late["modules"]):
        figure.add_hline(y=place, line=line)
    for place in _borders(early["modules"]):
        figure.add_vline(x=place, line=line)
    figure.update_yaxes(autorange="reversed", showticklabels=False, ticks="")
    figure.update_xaxes(showticklabels=False, ticks="")
    return _titled(figure, title)


def _borders(modules: Sequence[int]) -> list[float]:
    """Between cells of different modules."""
    return [place + 0.5 for place, (a, b) in enumerate(pairwise(modules)) if a != b]


def _modularity(graph: Any, *, chance: bool = False) -> str:
    found = finites(dig(graph, "modularity_shuffled")) if chance else [finite(dig(graph, "modularity"))]
    known = [value for value in found if value is not None]
    return decimal(sum(known) / len(known)) if known else "–"


def _bases(images: Mapping[str, Any], pair: str, which: str) -> list[Plot]:
    plots = []
    for when, said in _MAPS.items():
        image = dig(images, pair, when, which)
        if not image:
            continue
        look: dict[str, Any] = (
            {"colorscale": _HEAT, "zmin": 0}
            if which == "mean"
            else {"colorscale": [[0, "#1f5fa8"], [0.5, "#ffffff"], [1, "#c77700"]], "zmin": -1}
        )
        figure = go.Figure(
            go.Heatmap(
                z=image,
                zmax=1,
                showscale=False,
                hovertemplate="%{x} to %{y}: %{z:.2f}<extra></extra>",
                **look,
            )
        )
        figure.update_yaxes(autorange="reversed", showticklabels=False, ticks="", showgrid=False)
        figure.update_xaxes(showticklabels=False, ticks="", showgrid=False)
        plots.append(Plot(_titled(figure, f"{pair}, {said}"), 250))
    return plots


def _offsets(table: Sequence[Mapping[str, Any]], name: str) -> go.Figure:
    at = {tuple(row["offset"]): row for row in table}
    down, right = (sorted({d[side] for d in at}) for side in (0, 1))
    cells = [[at.get((i, j)) for j in right] for i in down]
    figure = go.Figure(
        go.Heatmap(
            x=[str(j) for j in right],
            y=[str(i) for i in down],
            z=[[finite(dig(cell, "energy")) for cell in line] for line in cells],
            text=[
                [short(dig(cell, "early", "participation"), 2) if _acts(cell) else "" for cell in line]
                for line in cells
            ],
            texttemplate="%{text}",
            colorscale=_HEAT,
            zmin=0,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} down, %{x} right: %{z:.3f} of the energy, %{text} channels<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title={"text": "columns right"}, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", title={"text": "rows down"}, showgrid=False)
    return _titled(figure, name)


def _acts(cell: Mapping[str, Any] | None) -> bool:
    return (finite(dig(cell, "energy")) or 0.0) > 1e-6


def _titled(figure: go.Figure, title: str) -> go.Figure:
    figure.update_layout(
        title={"text": title, "font": {"size": 12, "color": GREY}, "x": 0, "xanchor": "left", "y": 0.98},
        margin={"l": 30, "r": 8, "t": 30, "b": 30},
    )
    return figure
