"""The curves of each lens, and the figure that compares their cuts (plotly); controls are grey."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .inputs import dig
from .style import GREY, INK, PAID, PALE, PROXY, VIOLET, WHITE_TO_DARK, decimal, finite, finites, short

LENS_COLOURS: Mapping[str, str] = {
    "ansatz": PROXY,
    "curvature": PAID,
    "features": "#3f8f6b",
    "rotation": VIOLET,
    "channels": "#b4534b",
    "temporal SVD": INK,
}
"""Name of a lens → its colour in the comparison."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_CONTROL_SYMBOLS = {"single units by effect": "x-thin-open", "single units at random": "diamond-open"}


def ansatz(figures: Mapping[str, Any]) -> go.Figure:
    """Cosine of WᵀW and M in each layer, beside its controls."""
    rows = [row for row in figures.get("summary") or [] if isinstance(row, dict)]
    marks = (
        ("cosine_1", "W", {"color": INK, "size": 10}),
        ("same_spectrum_1", "random, same spectrum", {"color": GREY, "size": 9, "symbol": "x-thin-open"}),
        ("initial_1", "W_0", {"color": GREY, "size": 9, "symbol": "circle-open"}),
        ("unrelated_1", "unrelated bases", {"color": PALE, "size": 8, "symbol": "line-ew-open"}),
    )
    names = [f"{row.get('layer')}, {row.get('of')}" for row in rows]
    figure = go.Figure()
    for key, name, marker in marks:
        values = [finite(row.get(key)) for row in rows]
        figure.add_scatter(x=names, y=values, mode="markers", name=name, marker=marker)
    figure.update_yaxes(title={"text": "cosine of WᵀW and M"}, range=[-0.03, 1.05])
    return figure


def curvature(figures: Mapping[str, Any]) -> go.Figure:
    """Leading eigenvalues of the matrices, over that of the Gauss–Newton matrix."""
    values = {
        "Hessian": (dig(figures, "hessian", "top", "values"), {"color": INK, "width": 2.5}),
        "Gauss–Newton": (dig(figures, "gauss_newton", "loss", "top", "values"), {"color": PAID, "width": 2}),
        "identity in place of the output Hessian": (
            dig(figures, "gauss_newton", "identity", "top", "values"),
            {"color": GREY, "width": 2, "dash": "dash"},
        ),
    }
    return _spectra(values, "eigenvalue over the largest", "eigenvector")


def density(figures: Mapping[str, Any]) -> list[go.Figure]:
    """How many eigenvalues lie at each size, over the largest: of H both signs, of G beside the untrained network's."""
    looks = {
        "hessian": (
            ("positive", "Hessian", {"color": INK, "width": 2.5}),
            ("negative", "Hessian, below zero", {"color": PROXY, "width": 2, "dash": "dash"}),
        ),
        "loss": (("positive", "Gauss–Newton", {"color": PAID, "width": 2.5}),),
        "loss_untrained": (
            ("positive", "Gauss–Newton, untrained", {"color": GREY, "width": 2, "dash": "dot"}),
        ),
    }
    made = []
    for shown in (("hessian",), ("loss", "loss_untrained")):
        figure = go.Figure()
        for matrix in shown:
            bins = dig(figures, "spectrum", matrix, "bins")
            edges = [edge for edge in finites(dig(bins, "log10_over_largest")) if edge is not None]
            for sign, name, line in looks[matrix]:
                counts = finites(dig(bins, sign))
                if not edges or not any(counts):
                    continue
                figure.add_scatter(
                    x=[10 ** ((a + b) / 2) for a, b in pairwise(edges)],
                    # Below a hundredth of an eigenvalue probes say nothing.
                    y=[None if n is None or n < 0.01 else n for n in counts],
                    mode="lines+markers",
                    name=name,
                    line=line | {"shape": "hvh"},
                    marker={"size": 4},
                    connectgaps=False,
                    hovertemplate=f"{name}: about %{{y:.3g}} near %{{x:.2g}} of the largest<extra></extra>",
                )
        resolved = resolved_above(figures, shown[0])
        if resolved:
            figure.add_vline(x=resolved, line={"color": PALE, "width": 1.5, "dash": "dot"})
        figure.update_xaxes(
            type="log",
            title={"text": "size of the eigenvalue over the largest"},
            dtick=2,
            exponentformat="power",
        )
        figure.update_yaxes(
            type="log", title={"text": "eigenvalues per half decade"}, dtick=1, exponentformat="power"
        )
        figure.update_layout(showlegend=True)
        if figure.data:
            made.append(figure)
    return made


def resolved_above(figures: Mapping[str, Any], matrix: str) -> float | None:
    """Size over the largest below which the probes tell eigenvalues no more apart."""
    level = finite(dig(figures, "spectrum", matrix, "resolved_above"))
    floors, shares = (
        finites(dig(figures, "spectrum", matrix, name)) for name in ("floors", "floors_over_largest")
    )
    if level is None or not floors or not floors[0] or not shares[0]:
        return None
    return level * shares[0] / floors[0]


def features(figures: Mapping[str, Any]) -> go.Figure:
    """η² of the ten strongest features of each layer and label, beside neurons, random rotations, shuffled labels."""
    marks = (
        (("features",), "features", {"color": INK, "size": 10}),
        (("neurons",), "neurons", {"color": GREY, "size": 9, "symbol": "circle-open"}),
        (("random_rotations",), "random rotations", {"color": GREY, "size": 9, "symbol": "x-thin-open"}),
        (
            ("shuffled_labels", "features"),
            "shuffled labels",
            {"color": PALE, "size": 8, "symbol": "line-ew-open"},
        ),
    )
    told = {
        f"{layer}, {label}": of
        for layer, found in (figures.get("layers") or {}).items()
        for label, of in (dig(found, "selectivity") or {}).items()
    }
    figure = go.Figure()
    for path, name, marker in marks:
        values = [finite(dig(of, *path, "explained_strongest")) for of in told.values()]
        figure.add_scatter(x=list(told), y=values, mode="markers", name=name, marker=marker)
    figure.update_yaxes(title={"text": "variance explained by the label"}, rangemode="tozero")
    return figure


def rotation(figures: Mapping[str, Any]) -> go.Figure:
    """Held-out sparsity loss of every basis; that of the fit is dark."""
    losses = {name: finite(dig(of, "held_out")) for name, of in (figures.get("bases") or {}).items()}
    known = sorted(
        ((name, loss) for name, loss in losses.items() if loss is not None), key=lambda item: -item[1]
    )
    fitted = ("joint", "forward", "backward")
    figure = go.Figure(
        go.Bar(
            x=[loss for _, loss in known],
            y=[name for name, _ in known],
            orientation="h",
            marker={"color": [INK if name in fitted else PALE for name, _ in known]},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": "sparsity loss on held-out inputs"}, rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def channels(figures: Mapping[str, Any]) -> go.Figure:
    """Singular values of the stacked Jacobian of each network, each over its own largest."""
    looks = {
        "trained": {"color": INK, "width": 2.5},
        "untrained": {"color": GREY, "width": 2, "dash": "dot"},
        "permuted": {"color": GREY, "width": 2, "dash": "dash"},
    }
    values = {name: (dig(figures, "networks", name, "singular_values"), line) for name, line in looks.items()}
    return _spectra(values, "singular value over the largest", "channel")


def late_spectra(figures: Mapping[str, Any]) -> list[tuple[str, go.Figure]]:
    """Per network the singular values of the Jacobian on the late side, and those of the late activations."""
    made = []
    for name in ("trained", "untrained", "permuted"):
        of = dig(figures, "networks", name)
        figure = _spectra(
            {
                "Jacobian": (dig(of, "late_values"), {"color": INK, "width": 2.5}),
                "activations": (dig(of, "covariance", "values"), {"color": PAID, "width": 2, "dash": "dash"}),
            },
            "over the largest",
            "late direction",
        )
        if figure.data:
            figure.update_layout(title={"text": name}, showlegend=False)
            figure.update_yaxes(exponentformat="power", dtick=1)
            made.append((name, figure))
    lowest = min((y for _, figure in made for of in figure.data for y in of.y if y), default=1.0)
    for _, figure in made:
        figure.update_yaxes(range=[float(np.log10(lowest)) - 0.1, 0.1])
    return made


def compared(
    rows: Sequence[Mapping[str, Any]],
    methods: Mapping[str, Any],
    what: str = "selectivity",
    *,
    label: str = "",
    legend: bool = False,
) -> go.Figure:
    """A figure of each change against its length: a line per lens and space with a point per k, controls grey.

    Args:
        rows: of compare.json, of one goal, or of each change its best goal; at full dose where there are several.
        methods: name → lens, space, control.
        what: `selectivity`, `navigation` or `kl`.
        label: of the y axis; default `what`.
        legend: whether it has the legend: one is enough for all panels of a figure.
    """
    figure, used = go.Figure(), {}
    ordered = sorted(methods, key=lambda name: not dig(methods, name, "control"))
    for name in ordered:
        of = [row for row in rows if row.get("method") == name and finite(row.get(what)) is not None]
        if not of:
            continue
        lens, control = str(dig(methods, name, "lens")), bool(dig(methods, name, "control"))
        used[lens] = used.get(lens, -1) + 1
        of = sorted(of, key=lambda row: (row.get("k", 0), row.get("relative_norm", 0)))
        colour = PALE if control else LENS_COLOURS.get(lens, GREY)
        figure.add_scatter(
            x=[finite(row.get("relative_norm")) for row in of],
            y=[finite(row.get(what)) for row in of],
            # Random steps have several lengths per k: a line through them would zigzag.
            mode="markers" if control else "lines+markers",
            name=("random subspaces" if lens == "random" else lens) if control else name,
            legendgroup=lens if control else name,
            showlegend=not control or used[lens] == 0,
            line={"color": colour, "width": 1.5, "dash": _DASHES[used[lens] % len(_DASHES)]},
            marker={
                "color": GREY if control else colour,
                "size": 5 if control else 7,
                "symbol": _CONTROL_SYMBOLS.get(lens, "circle"),
            },
            text=[_said(row, name) for row in of],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(title={"text": "‖Δθ‖ / ‖θ − θ₀‖ or ‖Δh‖ / ‖h‖"}, rangemode="tozero")
    figure.update_yaxes(title={"text": label or what}, rangemode="tozero" if what == "kl" else "normal")
    figure.update_layout(showlegend=legend)
    return figure


def angles(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Share of their span that two lenses have in common, per pair (row) and k (column); last what chance gives.

    Args:
        rows: of compare.json's angles, of one space.
    """
    counts = sorted({row["k"] for row in rows})
    pairs: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        pairs.setdefault(pair_of(row), {})[row["k"]] = row
    shares = [[finite(of.get(k, {}).get("overlap")) for k in counts] for of in pairs.values()]
    chance = {row["k"]: finite(row["chance"]) for row in rows}
    hover = [[_angles_said(of.get(k)) for k in counts] for of in pairs.values()]
    shares.append([chance[k] for k in counts])
    figure = go.Figure(
        go.Heatmap(
            x=[str(k) for k in counts],
            y=[*pairs, "two random spans"],
            z=shares,
            text=[[short(share, 2) for share in of] for of in shares],
            texttemplate="%{text}",
            customdata=[*hover, ["k/d"] * len(counts)],
            hovertemplate="%{y}, k = %{x}: %{z:.3g}<br>%{customdata}<extra></extra>",
            colorscale=WHITE_TO_DARK,
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(type="category", title={"text": "leading directions k"}, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def pair_of(row: Mapping[str, Any]) -> str:
    """The two lenses of a row of angles, without the space that they share."""
    return " and ".join(str(row[side]).removesuffix(f" at {row['space']}") for side in ("a", "b"))


def _angles_said(row: Mapping[str, Any] | None) -> str:
    found = [angle for angle in finites(dig(row, "angles")) if angle is not None]
    return f"principal angles {found[0]:.0f}° to {found[-1]:.0f}°" if found else ""


def _said(row: Mapping[str, Any], name: str) -> str:
    return (
        f"{name}<br>k = {row.get('k')}, dose {short(row.get('dose'))}, removes {row.get('removes')}<br>"
        f"selectivity {decimal(row.get('selectivity'))}, navigation {decimal(row.get('navigation'))}, "
        f"KL {short(row.get('kl'))}"
    )


def _spectra(values: Mapping[str, tuple[Any, dict[str, Any]]], y: str, x: str) -> go.Figure:
    figure = go.Figure()
    for name, (given, line) in values.items():
        of = [value for value in finites(given) if value is not None]
        if not of or of[0] <= 0:
            continue
        positive = [value / of[0] if value > 0 else None for value in of]
        figure.add_scatter(x=list(range(1, len(of) + 1)), y=positive, mode="lines", name=name, line=line)
    figure.update_yaxes(title={"text": y}, type="log")
    figure.update_xaxes(title={"text": x})
    return figure
