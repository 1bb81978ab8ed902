"""The loss around θ, its spectrum beside controls, whether all converged, and what eigenvectors measure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goalcut.report.inputs import dig
from goalcut.report.style import finites, short

from .block import Block, Rows

_LAST_DECADE = -4


def curvature(figures: Mapping[str, Any]) -> list[Block]:
    forms, rank = figures["forms"], figures["rank"]
    rows: Rows = {
        "largest eigenvalue of H": {"here": _first(dig(figures, "hessian", "top", "values"))},
        "largest eigenvalue of G": {"here": _first(dig(figures, "gauss_newton", "loss", "top", "values"))},
        "‖H − G‖ / ‖H‖": {"here": dig(figures, "difference", "share")},
        "share of the largest in the trace; the identity for A": {
            "here": dig(forms, "top_share_of_trace"),
            "control": dig(forms, "top_share_of_trace_identity"),
        },
    }
    for k, overlap in (dig(forms, "overlap") or {}).items():
        rows[f"span of the leading {k} shared with the identity's; chance"] = {
            "here": overlap,
            "control": dig(forms, "chance", k),
        }
    for place, share in enumerate(finites(dig(rank, "loss", "shares"))):
        said = f"eigenvalues above {short(share)} of the largest, {dig(rank, 'inputs')} inputs"
        here = _at(dig(rank, "loss", "rank"), place)
        rows[f"{said}; noise of the same norms"] = {
            "here": here,
            "control": _at(dig(rank, "loss", "rank_null"), place),
        }
        rows[f"{said}; untrained"] = {
            "here": here,
            "control": _at(dig(rank, "loss_untrained", "rank"), place),
        }
    rows["learning coefficient; the quadratic bowl alone"] = {
        "here": dig(figures, "learning_coefficient", "value"),
        "control": dig(figures, "learning_coefficient", "quadratic"),
    }
    whole: Rows = {}
    for place, share in enumerate(finites(dig(figures, "spectrum", "loss", "floors_over_largest"))):
        whole[f"ε = {short(share)} λ_1"] = {
            f"{said}{which}": _first(_list_at(dig(figures, "spectrum", matrix, name), place))
            for name, said in (
                ("effective_dimension", "effective dimension"),
                ("log_volume_share", "log volume"),
            )
            for matrix, which in (("loss", ""), ("loss_untrained", ", untrained"))
        }
    caption = "Effective dimension of G, and log volume of the basin over a ball of precision ε"
    minimum = "Is θ a minimum, and did all converge? Residuals ‖Av − λv‖ are over the largest eigenvalue"
    density = (
        "Spectral density of G: eigenvalues in each decade below the largest, by quadrature of few probes"
    )
    measured = "What leading eigenvectors measure: share of the variance of ∇f(x)·v that a label explains"
    return [
        Block(
            "The loss around θ; what the control is stands after the semicolon",
            rows,
            "here",
            ("control",),
            None,
        ),
        Block(caption, whole, digits=None),
        Block(minimum, _convergence(figures), digits=None),
        Block(density, _density(figures), digits=None),
        Block(measured, _measured(figures), "here", ("shuffled", "a random direction"), 3),
    ]


def _convergence(figures: Mapping[str, Any]) -> Rows:
    rows: dict[str, Any] = {
        "gradient norm": dig(figures, "minimum", "gradient_norm"),
        "lowest eigenvalue of H": _first(dig(figures, "hessian", "bottom", "values")),
        "lowest over largest": dig(figures, "minimum", "lowest_over_highest"),
        "trace of H": dig(figures, "hessian", "trace", "value"),
        "trace of G": dig(figures, "gauss_newton", "loss", "trace", "value"),
    }
    for said, path in (
        ("largest of H", ("hessian", "top")),
        ("lowest of H", ("hessian", "bottom")),
        ("largest of G", ("gauss_newton", "loss", "top")),
    ):
        of = dig(figures, *path)
        rows[f"eigenpairs, {said}: converged of {dig(of, 'asked')}"] = sum(dig(of, "converged") or [])
        known = [value for value in finites(dig(of, "residuals")) if value is not None]
        rows[f"eigenpairs, {said}: largest residual"] = max(known, default=None)
    rows["learning coefficient: standard error"] = dig(figures, "learning_coefficient", "standard_error")
    rows["learning coefficient: second half of the draws less the first"] = dig(
        figures, "learning_coefficient", "drift"
    )
    return {said: {"here": value} for said, value in rows.items()}


def _density(figures: Mapping[str, Any]) -> Rows:
    """By decade over the largest eigenvalue of each network; what lies below the last one is one row."""
    edges = finites(dig(figures, "spectrum", "loss", "bins", "log10_over_largest"))
    rows: Rows = {}
    for column, matrix in (("here", "loss"), ("untrained", "loss_untrained")):
        counts = finites(dig(figures, "spectrum", matrix, "bins", "positive"))
        for edge, number in zip(edges, counts, strict=False):
            decade = int(np.floor((edge or 0.0) + 1e-9))
            said = f"10^{decade} to 10^{decade + 1} λ_1" if decade >= _LAST_DECADE else "below"
            row = rows.setdefault(said.replace("-", "−"), {})
            row[column] = (row.get(column) or 0.0) + (number or 0.0)
    return rows


def _measured(figures: Mapping[str, Any]) -> Rows:
    random = figures.get("measure_random")
    return {
        f"eigenvector {place + 1}, {label}": {
            "here": share,
            "shuffled": dig(of, "labels_null", label),
            "a random direction": dig(random, "labels", label),
        }
        for place, of in enumerate(figures.get("measures") or [])
        for label, share in (of.get("labels") or {}).items()
    }


def _first(values: Any) -> float | None:
    return _at(values, 0)


def _at(values: Any, place: int) -> float | None:
    known = finites(values)
    return known[place] if place < len(known) else None


def _list_at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None
