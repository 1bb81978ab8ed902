"""What a lens found in one run, as figures beside their controls; `lens_tables` tells them over seeds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from goalcut.report.inputs import dig
from goalcut.report.style import finite, finites, short

Rows = dict[str, dict[str, Any]]
"""What a row is → column → the figure of one run."""
RANKS = {
    "participation": "participation",
    "stable": "stable rank",
    "entropy": "entropy",
    "energy_90": "90 % of energy",
    "energy_99": "99 % of energy",
    "numerical": "numerical",
}
"""Definition of an effective rank → what a table calls it."""
ORDERS = ("forward", "backward")
_LAST_DECADE = -4


@dataclass(frozen=True)
class Block:
    """A table of one run.

    Attributes:
        caption: the sentence above it.
        rows: its figures.
        held: the column that is held against others, in every run by itself.
        against: those; none is no comparison.
        digits: after the point; None is three of any size.
        once: whether the figures are the same in every run, whatever its seed.
    """

    caption: str
    rows: Rows
    held: str = ""
    against: tuple[str, ...] = ()
    digits: int | None = 2
    once: bool = False


def ansatz(figures: Mapping[str, Any]) -> list[Block]:
    """Per layer and function the cosines, centred and of the movement too; singular vectors; the frame; each output."""
    told = [of for of in figures["summary"] if not of["identity_by_construction"]]
    layers = figures.get("layers") or {}

    def rows(columns: Mapping[str, str]) -> Rows:
        return {f"{of['layer']}, {of['of']}": {said: of.get(k) for said, k in columns.items()} for of in told}

    blocks = []
    for power, matrix in (("1", "M"), ("0.5", "M^½")):
        columns = {"W": "cosine", "same spectrum": "same_spectrum", "W_0": "initial"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        blocks.append(Block(f"Cosine of WᵀW with {matrix}", found, "W", ("same spectrum", "W_0")))
        columns = {"W": "centred", "same spectrum": "centred_same_spectrum"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        blocks.append(Block(f"The same, gradients centred, with {matrix}", found, "W", ("same spectrum",)))
        columns = {"W − W_0": "movement", "same spectrum": "movement_same_spectrum"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        caption = f"Cosine of the movement with {matrix}"
        blocks.append(Block(caption, found, "W − W_0", ("same spectrum",)))
    each: Rows = {
        f"{layer}, {f} {place}": {
            "W": dig(one, "ansatz", "uncentred", "1", "cosine"),
            "same spectrum": dig(one, "ansatz", "uncentred", "1", "same_spectrum"),
            "W_0": dig(one, "ansatz", "uncentred", "1", "initial"),
        }
        for layer, of in layers.items()
        for f, found in list((of.get("functions") or {}).items())[:1]
        for place, one in enumerate(found.get("outputs") or [])
        if dig(one, "ansatz", "uncentred", "1", "cosine") is not None
    }
    blocks.append(Block("Cosine of WᵀW with M, of each output", each, "W", ("same spectrum", "W_0")))
    vectors = rows({"overlap": "overlap", "same spectrum": "overlap_same_spectrum"})
    for of in told:
        found = dig(layers, of["layer"], "functions", of["of"], "summed", "overlaps", str(of["overlap_k"]))
        vectors[f"{of['layer']}, {of['of']}"]["chance"] = dig(found, "chance")
    k = next((of["overlap_k"] for of in told if "overlap_k" in of), "k")
    caption = f"Span of W's leading {k} right singular vectors that M's leading eigenvectors share"
    blocks.append(Block(caption, vectors, "overlap", ("same spectrum", "chance")))
    frame = rows(
        {
            "lower bound": "lower",
            "upper bound": "upper",
            "condition number": "condition_number",
            "effective rank": "effective_rank",
            "of dimensions": "dimensions",
            "distance from tight": "distance",
        }
    )
    for of in told:
        found = dig(layers, of["layer"], "functions", of["of"], "summed", "frame", "uncentred")
        frame[f"{of['layer']}, {of['of']}"]["distance, isotropic"] = dig(found, "isotropic_distance")
    caption = "How far N is from a tight frame (0), beside as many isotropic vectors"
    blocks.append(Block(caption, frame, digits=None))
    left: Rows = {}
    for layer, of in layers.items():
        sides = {"E[zzᵀ]": dig(of, "left", "outputs", "uncentred")}
        sides |= {f"N of {f}": found for f, found in (dig(of, "left", "gradients") or {}).items()}
        for against, found in sides.items():
            if found:
                left[f"{layer}, {against}"] = {
                    "W": dig(found, "1", "cosine"),
                    "same spectrum": dig(found, "1", "same_spectrum"),
                    "W_0": dig(found, "1", "initial"),
                }
    caption = "The mirror image: cosine of WWᵀ with second moments of pre-activations and of their gradients"
    return [*blocks, Block(caption, left, "W", ("same spectrum", "W_0"))]


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


def features(figures: Mapping[str, Any]) -> list[Block]:
    told_by: Rows = {}
    independent: Rows = {}
    modularity: Rows = {}
    for layer, of in figures["layers"].items():
        for label, by in (of.get("selectivity") or {}).items():
            told_by[f"{layer}, {label}"] = {
                **{
                    said: dig(by, *path, "explained_strongest")
                    for said, path in (
                        ("features", ("features",)),
                        ("neurons", ("neurons",)),
                        ("random rotations", ("random_rotations",)),
                        ("shuffled labels", ("shuffled_labels", "features")),
                    )
                },
                "classes, features": dig(by, "features", "classes"),
                "classes, neurons": dig(by, "neurons", "classes"),
            }
        counted = dig(of, "independent", "given")
        for definition, said in RANKS.items():
            independent[f"{layer}, {of['units']} units, {said}"] = {
                which: dig(counted, which, definition) for which in ("trained", "untrained")
            }
    graphs = {layer: of.get("trained") for layer, of in (figures.get("weights") or {}).items()}
    graphs |= {f"all layers, {which}": of for which, of in (figures.get("graph") or {}).items()}
    for name, of in graphs.items():
        modularity[name] = {
            said: value
            for basis in ("features", "neurons")
            for said, value in (
                (basis, dig(of, basis, "modularity")),
                (f"{basis}, shuffled", _mean(dig(of, basis, "modularity_shuffled"))),
            )
        }
    caption = (
        "Share of the variance of the ten strongest units that a label explains (η²), and how many classes a unit "
        "tells apart (1 is a detector of one)"
    )
    through = (
        "Modularity of the strengths through a weight, and of the graph of all layers through their Jacobians"
    )
    return [
        Block(caption, told_by, "features", ("neurons", "random rotations", "shuffled labels"), 3),
        Block("Independent features by several definitions", independent, "trained", ("untrained",)),
        Block(through, modularity, "features", ("features, shuffled", "neurons"), 3),
    ]


def rotation(figures: Mapping[str, Any]) -> list[Block]:
    losses: Rows = {
        name: {"held-out loss": dig(of, "held_out"), "fitted on": dig(of, "fitted_on")}
        for name, of in figures["bases"].items()
    }
    gains: Rows = {
        name: {
            "joint fit": of["fitted"],
            "neurons": of["neurons"],
            "random": of["random"],
            "share below neurons": of["below_neurons"],
        }
        for name, of in figures["controls"].items()
    }
    matched: Rows = {
        f"{layer}, from before and from after": {
            "matched": of["matched_from_random_starts"],
            "chance": dig(of, "chance", "mean"),
        }
        for layer, of in figures["apart"].items()
    }
    last = figures["last_layer"]
    matched[f"{last['output']}, with the identity"] = {
        "matched": last["matched_with_identity"],
        "chance": dig(last, "chance", "mean"),
    }
    best = min((finite(of["loss"]) or np.inf for of in figures.get("joint") or []), default=None)
    starts: Rows = {}
    for layer, chance in (figures.get("chance") or {}).items():
        others = {
            f"started from {of['start']}": None if of["loss"] == best else dig(of, "matched_with_best", layer)
            for of in figures.get("joint") or []
        }
        others |= {f"fitted {order}": dig(figures, order, "matched_with_joint", layer) for order in ORDERS}
        others["neurons"] = dig(figures, "matched_with_joint", "neurons", layer)
        for said, matched_with in others.items():
            starts[f"{layer}, {said}"] = {"matched": matched_with, "chance": dig(chance, "mean")}
    one: Rows = {
        said: {
            "on that input": dig(figures, "one_input", name, "there"),
            "on held-out inputs": dig(figures, "one_input", name, "held_out"),
        }
        for name, said in (
            *(("fitted_to_one", "fitted to one input"), ("fitted_to_many", "fitted to many")),
            ("neurons", "neurons"),
        )
    }
    toy: Rows = {
        f"{of['features']} features, {of['hidden']} dimensions, {of['sparsity']:g} of them zero": {
            name: of[name] for name in ("kept", "found", "matched", "chance")
        }
        for of in figures.get("toy") or []
    }
    lower = f"Sparsity loss ({dig(figures, 'loss', 'name')}; lower is sparser)"
    return [
        Block(f"{lower} of each basis", losses, digits=3),
        Block(f"{lower} on held-out inputs, of each network", gains, digits=3),
        Block("Matched cosine of bases fitted apart, from random starts", matched, "matched", ("chance",)),
        Block("Matched cosine of the best joint fit with others", starts, "matched", ("chance",)),
        Block(f"{lower} of bases fitted to one input and to many", one, digits=3),
        Block("Rotations of toy autoencoders whose features are known, one fit of each", toy, once=True),
    ]


def channels(figures: Mapping[str, Any]) -> list[Block]:
    sides = {
        "stacked": ("ranks", "stacked"),
        "per input": ("ranks", "per_input"),
        "late, JJᵀ": ("ranks", "late"),
        "late covariance": ("covariance", "ranks"),
    }
    rows: Rows = {
        f"{side}, {name}": {said: dig(of, *path, definition) for definition, said in RANKS.items()}
        for side, path in sides.items()
        for name, of in figures["networks"].items()
    }
    offsets: dict[str, Rows] = {}
    for name, of in figures["networks"].items():
        for pair, table in (of.get("offsets") or {}).items():
            for one in table:
                if not one["energy"]:
                    continue
                down, right = one["offset"]
                row = offsets.setdefault(pair, {}).setdefault(
                    f"{_signed(down)} rows, {_signed(right)} columns", {}
                )
                row[f"energy, {name}"] = one["energy"]
                row[f"early, {name}"] = dig(one, "early", "participation")
    agreement: Rows = {
        name: {
            "cosine": dig(of, "covariance", "agreement", "cosine"),
            "chance": dig(of, "covariance", "agreement", "cosine_chance"),
            "late space shared by half of the early nodes": dig(of, "shared_late_space", "other_half"),
            "chance there": dig(of, "shared_late_space", "chance"),
        }
        for name, of in figures["networks"].items()
    }
    between = f"from {figures['early']} to {figures['late']}"
    return [
        Block(f"Effective rank {between}, by six definitions", rows, digits=1),
        Block("E[JJᵀ] and the covariance of late activations", agreement, "cosine", ("chance",)),
        *(
            Block(
                f"Per cell offset, {pair}: share of the energy, and participation ratio of early channels", of
            )
            for pair, of in offsets.items()
        ),
    ]


def _signed(cells: int) -> str:
    return f"{cells:+d}".replace("-", "−") if cells else "0"


def _first(values: Any) -> float | None:
    return _at(values, 0)


def _at(values: Any, place: int) -> float | None:
    known = finites(values)
    return known[place] if place < len(known) else None


def _list_at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _mean(values: Any) -> float | None:
    known = [value for value in finites(values) if value is not None]
    return float(np.mean(known)) if known else None


LENSES: Mapping[str, Callable[[Mapping[str, Any]], list[Block]]] = {
    "ansatz": ansatz,
    "curvature": curvature,
    "features": features,
    "rotation": rotation,
    "channels": channels,
}
"""Name of a lens → the figures of its file to blocks."""
