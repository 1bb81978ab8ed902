"""Lens `ansatz`: does WᵀW follow the average gradient outer product, and does that say anything about W?

Of every layer: the ansatz (`neural_feature_ansatz`) for W and for W − W_0, how tight a frame the gradients of its
pre-activations are (`tight_frame`), and the mirror image for left singular vectors, each beside its controls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .average_gradient_outer_product import LayerMoments, layer_moments
from .directions import Directions
from .gradient_functions import SAYS, functions_of
from .lens import Findings, OnStep
from .neural_feature_ansatz import Map, ansatz_of_movement, overlaps, power_cosine, unrelated_cosine
from .neural_feature_ansatz import ansatz as ansatz_of
from .subject import Subject
from .subject_checks import check_subject
from .tight_frame import frame

_RANKS = (1, 2, 5, 10, 20)
_OVERLAP = 5
"""The summary tells of the overlap of so many singular vectors, fewer where W has no more."""
_VANISHES = 1e-10
"""Of the mean squared gradient of the network's outputs: what rounding in float32 leaves of a gradient of zero."""


@dataclass(frozen=True)
class AnsatzSettings:
    """What the lens `ansatz` looks at.

    Attributes:
        layers: names of `nn.Linear` and `nn.Conv2d` modules; none is all that a forward pass calls.
        of: what gradients are of: names of the subject's outputs (`logits`, `value`), `policy`, `loss`, `mse`; none
            is all that the subject has. The first one gives the directions.
        directions: leading eigenvectors of M to keep, per layer.
        draws: random matrices of W's spectrum that each figure is set beside.
        batch_size: inputs at a time.
        seed: of the random matrices.
    """

    layers: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    directions: int = 20
    draws: int = 10
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("directions", 1), ("draws", 2), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")


def ansatz(
    subject: Subject, settings: AnsatzSettings | None = None, *, on_step: OnStep = lambda what, done, of: None
) -> Findings:
    """The ansatz in every layer of a subject.

    Args:
        subject: trained and untrained network, and inputs.
        settings: what to look at; default `AnsatzSettings()`.
        on_step: told of the progress.

    Returns:
        Figures: `functions` (what each f is), `summary` (a row per layer and f), and `layers`, name → `shape`,
        `fed_by`, `left`, and `functions`, f → `summed` and `outputs` with `ansatz` and `frame` (each `uncentred` and
        `centred`), `movement`, `overlaps`; or `vanishes` where every gradient of f is zero there. Directions: space →
        leading eigenvectors of M in the activations that feed the layer. A convolution's M is of patches; its
        directions are of its input channels, at every position. A layer that no module feeds gives none.

    Raises:
        ValueError: the subject or a setting does not fit, in one line.
    """
    settings = settings or AnsatzSettings()
    check_subject(subject)
    layers = settings.layers or tuple(
        name
        for name, module in subject.layers.items()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    )
    if not layers:
        raise ValueError("layers is (): the network calls no Linear or Conv2d module, name one that does")
    functions = functions_of(subject, settings.of)
    moments = layer_moments(
        subject,
        layers,
        functions,
        batch_size=settings.batch_size,
        on_step=lambda done, of: on_step("gradients", done, of),
    )
    # One seed for all layers would couple their draws.
    seeds = np.random.SeedSequence(settings.seed).spawn(len(layers))
    figures: dict[str, Any] = {}
    found: dict[str, Directions] = {}
    for done, (name, seed) in enumerate(zip(layers, seeds, strict=True)):
        figures[name] = _of_layer(moments[name], settings.draws, np.random.default_rng(seed))
        kept = _directions(name, moments[name], next(iter(functions)), settings.directions, subject)
        if kept is not None:
            found[kept.space] = kept
        on_step("layers", done + 1, len(layers))
    return Findings(
        figures={
            "functions": {name: SAYS.get(name, f"each entry of {name!r}") for name in functions},
            "inputs": len(subject),
            "draws": settings.draws,
            "summary": _summary(figures),
            "layers": figures,
        },
        directions=found,
    )


def ansatz_through_training(
    subjects: Mapping[int, Subject],
    settings: AnsatzSettings | None = None,
    *,
    on_step: OnStep = lambda what, done, of: None,
) -> list[dict[str, Any]]:
    """The summary at several training times, `time` beside each row.

    Args:
        subjects: training time → subject, from `subject_of(run, time=…)`.
        settings: as for `ansatz`.
        on_step: told of the times done.
    """
    rows = []
    for done, (time, subject) in enumerate(sorted(subjects.items())):
        rows += [{"time": time, **row} for row in ansatz(subject, settings).figures["summary"]]
        on_step("times", done + 1, len(subjects))
    return rows


def _of_layer(moments: LayerMoments, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    W, W_0 = Map.of(moments.weight), Map.of(moments.initial)
    drawn = [W.of_same_spectrum(rng) for _ in range(draws)]
    difference = Map.of(moments.weight - moments.initial)
    moved = [difference.of_same_spectrum(rng) for _ in range(draws)] if len(difference.s) else []
    movements = [(D, Map.of(moments.initial + D.matrix)) for D in moved]

    def of_gradients(f: str, output: int | None) -> dict[str, Any] | None:
        moment = {
            how: moments.gradient_moment(f, output, centred=how == "centred")
            for how in ("uncentred", "centred")
        }
        if _vanishes(moment["uncentred"], moments):
            return None
        N, rows = moment["uncentred"], moments.inputs * (len(moments.mean[f]) if output is None else 1)
        # A function whose gradient is one and the same everywhere has nothing left when centred.
        varies = np.trace(moment["centred"]) > _VANISHES * np.trace(N)
        asked = {how: of for how, of in moment.items() if how == "uncentred" or varies}
        return {
            "ansatz": {how: ansatz_of(W, of, initial=W_0, draws=drawn) for how, of in asked.items()},
            "movement": {
                how: ansatz_of_movement(moments.initial, W, of, difference, movements)
                for how, of in asked.items()
            }
            if moved
            else None,
            "overlaps": overlaps(W, N, draws=drawn, ranks=_RANKS),
            "frame": {how: frame(of, rows, W.U).figures() for how, of in asked.items()},
            "frame_of_all": frame(N, rows).figures(),
        }

    figures: dict[str, Any] = {
        "shape": list(moments.weight.shape),
        "rank": len(W.s),
        "positions": moments.positions,
        "fed_by": moments.fed_by,
        "singular_values": [float(s) for s in W.s[: max(_RANKS)]],
        "functions": {},
    }
    for f, means in moments.mean.items():
        summed = of_gradients(f, None)
        figures["functions"][f] = (
            {"vanishes": True}
            if summed is None
            else {
                "summed": summed,
                "outputs": [of_gradients(f, output) for output in range(len(means))]
                if len(means) > 1
                else None,
            }
        )
    figures["left"] = _left(moments, W, W_0, drawn)
    return figures


def _left(moments: LayerMoments, W: Map, W_0: Map, drawn: list[Map]) -> dict[str, Any]:
    """Left singular vectors: WWᵀ against E[zzᵀ] = W Σ Wᵀ, Σ = E[hhᵀ], the mirror image; and against N.

    The first holds for any W if the layer's inputs are a tight frame. The second is no identity: N is not made of W.
    """
    figures: dict[str, Any] = {"outputs": None, "gradients": {}}
    if moments.input_second is not None:
        second, mean = moments.input_second, moments.input_mean
        turned = [_transposed(V) for V in drawn]
        figures["outputs"] = {
            how: ansatz_of(_transposed(W), of, initial=_transposed(W_0), draws=turned)
            for how, of in (("uncentred", second), ("centred", second - np.outer(mean, mean)))
        }
        figures["input_frame"] = frame(second, moments.inputs, W.V).figures()
    for f in moments.second:
        N = moments.gradient_moment(f)
        if _vanishes(N, moments):
            continue
        G = Map(np.eye(len(N)), *_root(N)).gram
        figures["gradients"][f] = {
            f"{p:g}": {
                "cosine": power_cosine(_transposed(W).gram, G, p),
                "initial": power_cosine(_transposed(W_0).gram, G, p),
                "same_spectrum": float(np.mean([power_cosine(_transposed(V).gram, G, p) for V in drawn])),
                "unrelated": unrelated_cosine(_transposed(W).gram, G, p),
            }
            for p in (1.0, 0.5)
        }
    return figures


def _root(N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(N)
    return np.sqrt(np.maximum(values[::-1], 0.0)), vectors[:, ::-1]


def _transposed(W: Map) -> Map:
    return Map(W.V, W.s, W.U)


def _vanishes(N: np.ndarray, moments: LayerMoments) -> bool:
    """Whether a gradient is rounding and no more, beside the largest of all functions."""
    largest = max(float(np.trace(second.sum(0))) for second in moments.second.values())
    return not np.trace(N) > _VANISHES * largest


def _summary(layers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per layer and function, outputs summed, uncentred."""
    rows = []
    for layer, figures in layers.items():
        for f, of in figures["functions"].items():
            if "vanishes" in of:
                continue
            summed = of["summed"]
            row: dict[str, Any] = {"layer": layer, "of": f}
            for p, found in summed["ansatz"]["uncentred"].items():
                row |= {
                    f"{name}_{p}": found[name] for name in ("cosine", "same_spectrum", "initial", "unrelated")
                }
                margin = 2 * (found["same_spectrum_sd"] or 0.0)
                row[f"beyond_controls_{p}"] = bool(
                    found["cosine"] > max(found["same_spectrum"] + margin, found["initial"])
                )
            for p, found in summed["ansatz"].get("centred", {}).items():
                row |= {f"centred_{p}": found["cosine"], f"centred_same_spectrum_{p}": found["same_spectrum"]}
            for p, moved in (summed["movement"] or {"uncentred": {}})["uncentred"].items():
                row |= {
                    f"movement_{p}": moved["cosine"],
                    f"movement_same_spectrum_{p}": moved["same_spectrum"],
                }
            k = max(int(k) for k in summed["overlaps"] if int(k) <= _OVERLAP)
            overlap = summed["overlaps"][str(k)]
            row |= {
                "overlap_k": k,
                "overlap": overlap["overlap"],
                "overlap_same_spectrum": overlap["same_spectrum"],
            }
            held = summed["frame"]["uncentred"]
            row |= {
                name: held[name]
                for name in (
                    *("dimensions", "lower", "upper", "condition_number"),
                    *("effective_rank", "distance"),
                )
            }
            # The last layer's outputs are f themselves: N is the identity, and the ansatz empty.
            row["identity_by_construction"] = held["distance"] < 1e-6
            rows.append(row)
    return rows


def _directions(layer: str, moments: LayerMoments, f: str, count: int, subject: Subject) -> Directions | None:
    N = moments.gradient_moment(f)
    if moments.fed_by is None:
        return None
    if _vanishes(N, moments):
        raise ValueError(
            f"of begins with {f!r}, whose gradient at layer {layer!r} is zero: begin with another one"
        )
    if f in moments.channels:
        roots, vectors = _root(moments.channels[f])
        values = roots**2
    else:
        M = Map.of(moments.weight).pulled_back(N)
        values, vectors = M.values, M.vectors
    kept = values > _VANISHES * values[0]
    k = min(count, int(kept.sum()))
    return Directions(
        vectors=np.ascontiguousarray(vectors[:, :k].T),
        singular_values=values[:k].copy(),
        profiles=np.zeros((0, k)),
        space=moments.fed_by,
        source={
            "lens": "ansatz",
            "layer": layer,
            "of": f,
            "matrix": "average gradient outer product, uncentred, outputs summed",
            "per": "channel" if f in moments.channels else "activation",
            "subject": dict(subject.source),
        },
    )
