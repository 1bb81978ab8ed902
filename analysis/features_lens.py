"""The lens `features`: L²-orthogonal features of layers, how they interact, and whether they mean more than neurons.

Beside each claim: the neuron basis, random rotations, shuffled strengths or labels, and the untrained network.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.stats import ortho_group, spearmanr

from .activation_gram import ActivationGram, activation_gram
from .directions import Directions
from .feature_basis import augmented, in_bases, in_feature_bases, is_transformable
from .feature_selectivity import Selectivity, class_moments, selectivity
from .interaction_graph import (
    drawn,
    jacobian_interactions,
    modules,
    shuffled,
    shuffled_modularity,
    weight_interactions,
)
from .layer_activations import check_layers, function_kept, in_float64, layer_names
from .lens import Findings, OnStep
from .subject import Subject


@dataclass(frozen=True)
class FeaturesSettings:
    """Settings of the lens.

    Attributes:
        layers: module names, in the order of the forward pass; empty is every layer that a forward pass calls.
        directions: at most so many features per layer become directions.
        tolerance: a feature counts as independent if its norm is above this share of the largest.
        interaction_inputs: inputs that Jacobians between adjacent layers are taken at.
        draws: shuffles, and random rotations, that a control is the mean of.
        restarts: orders that modules are sought in.
        shown: nodes of a layer, the strongest, whose interactions the figures keep.
        batch: inputs at a time.
        seed: of every draw.
    """

    layers: tuple[str, ...] = ()
    directions: int = 20
    tolerance: float = 1e-6
    interaction_inputs: int = 256
    draws: int = 3
    restarts: int = 3
    shown: int = 32
    batch: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("directions", "interaction_inputs", "draws", "restarts", "shown", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if not 0 < self.tolerance < 1:
            raise ValueError(
                f"tolerance is {self.tolerance}: give a share between 0 and 1, for instance 1e-6"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: give at least 0")


def features(
    subject: Subject,
    settings: FeaturesSettings | None = None,
    *,
    on_step: OnStep = lambda what, done, of: None,
) -> Findings:
    """Features of every layer of a subject, and the figures about them.

    Args:
        subject: a trained network, an untrained one, and inputs with labels.
        settings: default `FeaturesSettings()`.
        on_step: told of each step as it begins.

    Returns:
        Findings. Directions: per layer, its features without their constant part, strongest first, as unit vectors
        over its units (channels of a convolution). Figures: `function`, how much writing the network in features
        changed it; `layers`, independent features trained and untrained, and selectivity; `weights`, modularity of
        every weight's interactions, and of the trained network the strongest of them to draw; `graph`, modularity of
        the whole chain of layers, trained and untrained.

    Raises:
        ValueError: a layer is unknown or not called, or its activations are not finite or too many.
    """
    settings = settings or FeaturesSettings()
    exact = in_float64(subject)
    names = list(settings.layers or layer_names(exact))
    check_layers(exact, names)
    untrained = exact.at(exact.untrained)
    given: dict[str, dict[str, ActivationGram]] = {"trained": {}, "untrained": {}}
    taken: dict[str, dict[str, ActivationGram]] = {"trained": {}, "untrained": {}}
    for which, one in (("trained", exact), ("untrained", untrained)):
        for done, name in enumerate(names):
            on_step(f"Gram matrices, {which}", done, len(names))
            given[which][name] = activation_gram(one, name, batch=settings.batch)
            if is_transformable(one.layer(name)):
                taken[which][name] = activation_gram(one, name, side="taken", batch=settings.batch)
    figures: dict[str, Any] = {"kind": subject.kind, "inputs": len(subject), "source": dict(subject.source)}
    on_step("the network in features", 0, 1)
    figures["function"] = _function_kept(exact, taken["trained"], given["trained"])
    figures["layers"] = {}
    for done, name in enumerate(names):
        on_step("selectivity", done, len(names))
        figures["layers"][name] = {
            "units": len(given["trained"][name].gram) - 1,
            "norms": np.sqrt(given["trained"][name].eigenvalues[: settings.shown]).tolist(),
            "independent": {
                side: {
                    which: grams[which][name].independent(settings.tolerance)
                    for which in ("trained", "untrained")
                }
                for side, grams in (("given", given), ("taken", taken))
                if name in grams["trained"]
            },
            "selectivity": _selectivities(exact, name, given["trained"][name], settings),
        }
    figures["weights"] = {}
    for done, name in enumerate(taken["trained"]):
        on_step("interactions through weights", done, len(taken["trained"]))
        figures["weights"][name] = {
            which: _weight_graph(
                one, name, taken[which][name], given[which][name], settings, draw=which == "trained"
            )
            for which, one in (("trained", exact), ("untrained", untrained))
        }
    if len(names) > 1:
        figures["graph"] = {}
        for which, one in (("trained", exact), ("untrained", untrained)):
            on_step(f"the graph of all layers, {which}", 0, 1)
            figures["graph"][which] = _chain_graph(one, names, given[which], settings)
    directions = {name: _directions(name, gram, settings) for name, gram in given["trained"].items()}
    return Findings(figures, directions)


def features_over_time(
    subjects: Iterable[tuple[int, Subject]],
    settings: FeaturesSettings | None = None,
    *,
    generalization: Mapping[int, float] | None = None,
    on_step: OnStep = lambda what, done, of: None,
) -> dict[str, Any]:
    """Number of independent features of every layer against training time, and against generalization.

    Args:
        subjects: training time and subject, from `subject_of(run, time=…)`; all of one run and the same inputs.
        settings: of the lens.
        generalization: training time → how well the network does on what it was not trained on.
        on_step: told of each step as it begins.

    Returns:
        `times`; `layers`: name → side (`given`, `taken`) → definition → a number per time; `generalization` and
        `rank_correlation` (Spearman's of each with it) where it was given.

    Raises:
        ValueError: `generalization` lacks a time.
    """
    settings = settings or FeaturesSettings()
    times: list[int] = []
    counted: dict[str, dict[str, dict[str, list[float]]]] = {}
    for time, subject in subjects:
        if generalization is not None and time not in generalization:
            raise ValueError(f"generalization lacks time {time}: give it for every subject, or leave it out")
        on_step(f"independent features at time {time}", 0, 1)
        exact = in_float64(subject)
        times.append(time)
        for name in settings.layers or layer_names(exact):
            sides = ("given", "taken") if is_transformable(exact.layer(name)) else ("given",)
            for side in sides:
                gram = activation_gram(exact, name, side=side, batch=settings.batch)
                kept = counted.setdefault(name, {}).setdefault(side, {})
                for definition, number in gram.independent(settings.tolerance).items():
                    kept.setdefault(definition, []).append(number)
    found: dict[str, Any] = {"times": times, "layers": counted}
    if generalization is not None:
        reached = [float(generalization[time]) for time in times]
        found["generalization"] = reached
        found["rank_correlation"] = {
            name: {
                side: {definition: _rank_correlation(numbers, reached) for definition, numbers in of.items()}
                for side, of in sides.items()
            }
            for name, sides in counted.items()
        }
    return found


def _function_kept(
    subject: Subject, taken: Mapping[str, ActivationGram], given: Mapping[str, ActivationGram]
) -> dict[str, Any]:
    """The largest change of any layer's or output's values, over a few inputs, relative to the largest of them."""
    bases = {
        name: (torch.from_numpy(taken[name].basis.copy()), torch.from_numpy(given[name].basis.copy()))
        for name in taken
    }
    bases = {name: tuple(U.to(subject.inputs.device) for U in pair) for name, pair in bases.items()}
    few = subject.of(slice(0, 64))
    rewritten = few.at(in_feature_bases(few.network, bases))  # pyright: ignore[reportArgumentType]
    return function_kept(few, rewritten, [*taken, *few.outputs])


def _selectivities(
    subject: Subject, name: str, gram: ActivationGram, settings: FeaturesSettings
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(settings.seed)
    labels = {}
    for label, values in subject.labels.items():
        if len(torch.unique(values[values >= 0])) < 2:
            continue
        shuffled = values.clone()
        told = (values >= 0).nonzero()[:, 0]
        shuffled[told] = values[told[torch.randperm(len(told), generator=generator).to(told.device)]]
        labels |= {label: values, f"{label}, shuffled": shuffled}
    if not labels:
        return {}
    moments = class_moments(subject, name, labels, batch=settings.batch)
    n = len(gram.gram) - 1
    rotations = [_random_rotation(n, settings.seed + draw) for draw in range(settings.draws)]
    found = {}
    for label in (label for label in moments if not label.endswith(", shuffled")):
        chance = moments[f"{label}, shuffled"]
        found[label] = {
            "inputs": moments[label].inputs,
            "neurons": _summary([selectivity(moments[label])]),
            "features": _summary([selectivity(moments[label], gram.basis[:-1])]),
            "random_rotations": _summary([selectivity(moments[label], R) for R in rotations]),
            "shuffled_labels": {
                "neurons": _summary([selectivity(chance)]),
                "features": _summary([selectivity(chance, gram.basis[:-1])]),
            },
        }
    return found


def _summary(of_bases: list[Selectivity]) -> dict[str, float]:
    """Means over units: η², that of the ten units of most variance, the largest, and the classes told apart by η²."""
    explained = np.concatenate([one.explained for one in of_bases])
    classes = np.concatenate([one.classes for one in of_bases])
    return {
        "explained": float(explained.mean()),
        "explained_strongest": float(
            np.mean([one.explained[np.argsort(-one.variance)[:10]].mean() for one in of_bases])
        ),
        "explained_largest": float(np.mean([one.explained.max() for one in of_bases])),
        "classes": float((explained * classes).sum() / max(explained.sum(), 1e-300)),
    }


def _weight_graph(
    subject: Subject,
    name: str,
    taken: ActivationGram,
    given: ActivationGram,
    settings: FeaturesSettings,
    *,
    draw: bool,
) -> dict[str, Any]:
    A = augmented(subject.layer(name)).cpu()
    bases = (torch.from_numpy(taken.basis.copy()), torch.from_numpy(given.basis.copy()))
    strengths = {
        "neurons": weight_interactions(A, np.diag(taken.gram)),
        "features": weight_interactions(in_bases(A, bases), taken.eigenvalues),
    }
    return {basis: _graph([S], settings, draw=draw) for basis, S in strengths.items()}


def _chain_graph(
    subject: Subject, names: list[str], grams: Mapping[str, ActivationGram], settings: FeaturesSettings
) -> dict[str, Any]:
    few = subject.of(slice(0, settings.interaction_inputs))
    pairs = [
        jacobian_interactions(few, (early, grams[early]), (late, grams[late]), seed=settings.seed)
        for early, late in pairwise(names)
    ]
    return {
        "layers": names,
        "neurons": _graph([pair.neurons for pair in pairs], settings),
        "features": _graph([pair.features for pair in pairs], settings),
    }


def _graph(strengths: list[np.ndarray], settings: FeaturesSettings, *, draw: bool = False) -> dict[str, Any]:
    """Figures of a graph; of one that is drawn also its strongest nodes, and those of the same shuffled."""
    if not any(S.any() for S in strengths):
        return {"modularity": None, "why": "no strength is above 0"}
    found = modules(strengths, restarts=settings.restarts, seed=settings.seed)
    chance = shuffled_modularity(strengths, draws=settings.draws, seed=settings.seed)
    squares = np.concatenate([S.ravel() for S in strengths]) ** 2
    figures = {
        "modularity": found.modularity,
        "modularity_shuffled": chance.tolist(),
        "modules": found.count,
        "effective_edges": float(squares.sum() ** 2 / (squares**2).sum()),
        "edges": len(squares),
    }
    if draw:
        (S,) = strengths
        moved = shuffled(S, np.random.default_rng(settings.seed))
        of_moved = modules([moved], restarts=settings.restarts, seed=settings.seed)
        figures |= {
            "drawn": drawn(S, found, settings.shown).figures(),
            "drawn_shuffled": drawn(moved, of_moved, settings.shown).figures(),
        }
    return figures


def _directions(name: str, gram: ActivationGram, settings: FeaturesSettings) -> Directions:
    vectors = gram.basis[:-1].T
    lengths = np.linalg.norm(vectors, axis=1)
    # The constant node itself is no direction of the units; nor is a feature of norm zero.
    kept = np.flatnonzero(
        (lengths > 1e-3) & (gram.eigenvalues > settings.tolerance**2 * gram.eigenvalues[0])
    )[: settings.directions]
    return Directions(
        vectors=vectors[kept] / lengths[kept, None],
        singular_values=np.sqrt(gram.eigenvalues[kept]),
        profiles=np.zeros((0, len(kept))),
        space=name,
        source={"lens": "features", "layer": name, "samples": gram.samples},
    )


def _random_rotation(n: int, seed: int) -> np.ndarray:
    return np.eye(1) if n == 1 else ortho_group.rvs(n, random_state=np.random.default_rng(seed))


def _rank_correlation(numbers: list[float], reached: list[float]) -> float | None:
    if len(set(numbers)) < 2 or len(set(reached)) < 2:
        return None  # no order to compare
    return float(spearmanr(numbers, reached).statistic)  # pyright: ignore[reportAttributeAccessIssue]
