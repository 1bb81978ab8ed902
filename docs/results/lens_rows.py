"""What a lens found in one run, as figures beside their controls; `lens_tables` tells them over seeds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from goalcut.report.inputs import dig
from goalcut.report.style import finites, short

Rows = dict[str, dict[str, Any]]
"""What a row is → column → the figure of one run."""
_ANY = "any digit"
_COLUMNS = {
    "selectivity": "selectivity",
    "relative_norm": "‖Δ‖",
    "navigation": "navigation",
    "kl": "KL (nats)",
}
_CONTROLS = {
    "random": "random, same space",
    "single units by effect": "units by effect",
    "single units at random": "units at random",
}
"""Lens of a control of `compare` → the column that says what it reaches in the space of the cut beside it."""


@dataclass(frozen=True)
class Block:
    """A table of one run.

    Attributes:
        caption: the sentence above it.
        rows: its figures.
        held: the column that is held against others, in every run by itself.
        against: those; none is no comparison.
        digits: after the point; None is three of any size.
    """

    caption: str
    rows: Rows
    held: str = ""
    against: tuple[str, ...] = ()
    digits: int | None = 2


def ansatz(figures: Mapping[str, Any]) -> list[Block]:
    blocks = []
    for power, matrix in (("1", "M"), ("0.5", "M^½")):
        rows = {
            f"{of['layer']}, {of['of']}": {
                "W": of[f"cosine_{power}"],
                "same spectrum": of[f"same_spectrum_{power}"],
                "W_0": of[f"initial_{power}"],
            }
            for of in figures["summary"]
            if not of["identity_by_construction"]
        }
        blocks.append(Block(f"Cosine of WᵀW with {matrix}", rows, "W", ("same spectrum", "W_0")))
    rows = {
        f"{of['layer']}, {of['of']}": {
            "W − W_0": of.get("movement_1"),
            "same spectrum": of.get("movement_same_spectrum_1"),
            "N from tight": of["distance"],
        }
        for of in figures["summary"]
        if not of["identity_by_construction"]
    }
    caption = "Cosine of the movement with M, and how far N is from a tight frame (0)"
    blocks.append(Block(caption, rows, "W − W_0", ("same spectrum",)))
    left: Rows = {}
    for layer, of in (figures.get("layers") or {}).items():
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
    return [
        Block(
            "The loss around θ; what the control is stands after the semicolon",
            rows,
            "here",
            ("control",),
            None,
        ),
        Block(caption, whole, digits=None),
    ]


def features(figures: Mapping[str, Any]) -> list[Block]:
    told_by: Rows = {}
    independent: Rows = {}
    modularity: Rows = {}
    for layer, of in figures["layers"].items():
        for label, by in (of.get("selectivity") or {}).items():
            told_by[f"{layer}, {label}"] = {
                said: dig(by, *path, "explained_strongest")
                for said, path in (
                    ("features", ("features",)),
                    ("neurons", ("neurons",)),
                    ("random rotations", ("random_rotations",)),
                    ("shuffled labels", ("shuffled_labels", "features")),
                )
            }
        counted = dig(of, "independent", "given")
        independent[f"{layer}, {of['units']} units"] = {
            "trained": dig(counted, "trained", "participation"),
            "untrained": dig(counted, "untrained", "participation"),
        }
    for layer, of in (figures.get("weights") or {}).items():
        modularity[layer] = {
            said: value
            for basis in ("features", "neurons")
            for said, value in (
                (basis, dig(of, "trained", basis, "modularity")),
                (f"{basis}, shuffled", _mean(dig(of, "trained", basis, "modularity_shuffled"))),
            )
        }
    caption = "Share of the variance of the ten strongest units that a label explains (η²)"
    return [
        Block(caption, told_by, "features", ("neurons", "random rotations", "shuffled labels"), 3),
        Block("Independent features by participation ratio", independent, "trained", ("untrained",)),
        Block("Modularity of the strengths through a weight", modularity, "features", ("neurons",), 3),
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
        Block(f"{lower} of bases fitted to one input and to many", one, digits=3),
        Block("Rotations of toy autoencoders whose features are known", toy, "matched", ("chance",)),
    ]


def channels(figures: Mapping[str, Any]) -> list[Block]:
    rows: Rows = {
        name: {
            "stacked": dig(of, "ranks", "stacked", "participation"),
            "90 % of energy": dig(of, "ranks", "stacked", "energy_90"),
            "per input": dig(of, "ranks", "per_input", "participation"),
        }
        for name, of in figures["networks"].items()
    }
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
        Block(f"Effective rank {between}, by participation ratio and by energy", rows, digits=1),
        Block("E[JJᵀ] and the covariance of late activations", agreement, "cosine", ("chance",)),
    ]


def compare(saved: Mapping[str, Any], k: int) -> list[Block]:
    """Cuts within the budget by lens, then by lens and space; cuts of any length; angles."""
    budget = saved["settings"]
    within = [found for of in saved["best"].values() for found in of.values() if found is not None]
    limits = f"‖Δ‖ up to {short(budget['relative_norm'])}"
    if saved["kind"] == "maze":
        limits += f", navigation at least {short(budget['navigation'])} on tuning levels"
    there = {of["lens"] for of in saved["methods"].values()}
    held = ("selectivity", tuple(said for lens, said in _CONTROLS.items() if lens in there))
    angles: Rows = {
        f"{of['a']}, {of['b']}": {"overlap": of["overlap"], "chance": of["chance"]}
        for of in saved["angles"]
        if of["k"] == k
    }
    most = f"Most selective cut of each lens within {limits}"
    overlap = f"Mean squared cosine of the angles between the leading {k} directions; chance is {k}/d"
    return [
        Block(most, _cuts(saved, within, by_space=False), *held),
        Block("The same of each space", _cuts(saved, within, by_space=True), *held),
        Block("The same of any length", _cuts(saved, saved["rows"], by_space=True), *held),
        Block(overlap, angles, "overlap", ("chance",)),
    ]


def _cuts(saved: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], *, by_space: bool) -> Rows:
    """Of every goal and lens the change most selective on tuning data, beside random subspaces of its space.

    Of many goals, as of digits, that of the digit which the lens removes most selectively, and the mean over digits of
    each one's best. A row stands where there was no such change as well, so that seeds without one are counted.
    """
    methods, goals = saved["methods"], list(saved["goals"])
    removes = {goal: goal if len(goals) <= 2 else _ANY for goal in goals}

    def spaced(method: str) -> tuple[str, int]:
        return methods[method]["space"], methods[method]["entries"]

    best: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for found in rows:
        of, goal = methods[found["method"]], found["removes"]
        lens, space = of["lens"], spaced(found["method"])
        for about in dict.fromkeys((goal, removes[goal])):
            for key in ((about, lens), (about, lens, space)):
                if key not in best or found["tuning_selectivity"] > best[key]["tuning_selectivity"]:
                    best[key] = found

    def cut(goal: str, *of: Any) -> dict[str, Any]:
        found = best.get((goal, *of), {})
        columns = {
            said: found.get(name)
            for name, said in _COLUMNS.items()
            if name != "navigation" or saved["kind"] != "digits"
        }
        if goal == _ANY:
            each = [best.get((digit, *of), {}).get("selectivity") for digit in goals]
            columns["mean over digits"] = None if None in each else float(np.mean(each))
        return columns

    there = {of["lens"] for of in methods.values()}
    controls = {lens: said for lens, said in _CONTROLS.items() if lens in there}
    made: Rows = {}
    for goal in dict.fromkeys(removes.values()):
        for method, of in methods.items():
            if of["control"]:
                continue
            key = (of["lens"], spaced(method)) if by_space else (of["lens"],)
            found = best.get((goal, *key))
            made[f"remove {goal}: {method if by_space else of['lens']}"] = {
                **cut(goal, *key),
                **{
                    said: best.get((goal, lens, spaced(found["method"])), {}).get("selectivity")
                    if found
                    else None
                    for lens, said in controls.items()
                },
            }
        if not by_space:
            made[f"remove {goal}: random subspaces of any space"] = cut(goal, "random")
    return made


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
