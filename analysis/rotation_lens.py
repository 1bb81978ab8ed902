"""The lens `rotation`: bases in which the Jacobians between adjacent layers are sparse, the function unchanged.

Beside each claim: the neuron basis, random rotations, PCA, ICA and the features of the lens `features`; held-out
inputs; the untrained network, and the same training on right and on shuffled targets; fits of X→Y and Y→Z apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

import numpy as np
from torch import Tensor, nn

from .control_networks import trained_on_subject
from .directions import Directions
from .jacobian_chain import JacobianChain, chain_nodes, jacobian_chain, known_bases
from .jacobian_images import jacobian_images
from .layer_activations import function_kept, in_float64
from .lens import Findings, OnStep
from .matched_bases import chance_cosine, matched_cosine, random_rotation
from .rotated_network import rotated_network
from .rotation_fit import (
    Kind,
    Order,
    RotationFit,
    StartName,
    fit_rotations,
    rotated,
    rotated_loss,
    start_bases,
)
from .sparse_jacobian import LossName, Sparsity, sparsity_loss
from .subject import Subject
from .subject_checks import check_subject
from .superposition import superposition_table

_STARTS: tuple[str, ...] = get_args(StartName)


@dataclass(frozen=True)
class RotationSettings:
    """Settings of the lens.

    Attributes:
        layers: module names to rotate, in the order of the forward pass; empty is every hidden layer.
        loss: `l1`, `log`, `hoyer` or `lp`, of `sparse_jacobian`.
        epsilon: of `log`.
        p: of `lp`.
        kind: `orthogonal`, or `invertible` with rows of unit norm.
        starts: what the joint fit is started from, each with the other sign of the determinant than the one before:
            `identity`, `svd`, `pca` or `random`, as often as wanted.
        inputs: of the subject, to fit on; as many more are held out.
        blocks: Jacobians per pair of layers, drawn from those of all these inputs (and cells).
        steps: of each fit.
        learning_rate: of each fit.
        control_updates: of training the controls on the subject's own inputs; 0 leaves them out.
        toy: whether the toy autoencoder is looked at as well.
        directions: at most so many rows of R per layer become directions.
        shown: rows and columns of the images of Jacobians that the figures keep.
        seed: of every draw.
    """

    layers: tuple[str, ...] = ()
    loss: LossName = "log"
    epsilon: float = 0.01
    p: float = 0.5
    kind: Kind = "orthogonal"
    starts: tuple[StartName, ...] = ("identity", "svd", "pca", "random")
    inputs: int = 256
    blocks: int = 512
    steps: int = 150
    learning_rate: float = 0.05
    control_updates: int = 300
    toy: bool = True
    directions: int = 20
    shown: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("inputs", 2),
            ("blocks", 2),
            ("steps", 1),
            ("control_updates", 0),
            ("directions", 1),
            ("shown", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: give a number above 0")
        if self.kind not in ("orthogonal", "invertible"):
            raise ValueError(f"kind is {self.kind!r}: give 'orthogonal' or 'invertible'")
        wrong = [start for start in self.starts if start not in _STARTS]
        if wrong or not self.starts:
            raise ValueError(f"starts is {self.starts}: give some of {', '.join(_STARTS)}")
        self.sparsity()

    def sparsity(self) -> Sparsity:
        """The loss of these settings."""
        return sparsity_loss(self.loss, epsilon=self.epsilon, p=self.p)


def rotation(
    subject: Subject,
    settings: RotationSettings | None = None,
    *,
    controls: Mapping[str, nn.Module] | None = None,
    on_step: OnStep = lambda what, done, of: None,
) -> Findings:
    """Fit rotations of a subject's hidden layers, and the figures about them.

    Args:
        subject: a trained network, an untrained one, inputs, targets and a loss.
        settings: default `RotationSettings()`.
        controls: further networks to fit alike, such as one trained on shuffled labels for as long as the subject.
        on_step: told of each step as it begins.

    Returns:
        Findings. Directions: per hidden layer the rows of R of the best joint fit, those that move the next layer most
        first, over its units. Figures: `loss` (which one), `joint`, `forward`, `backward`, `bases` (losses of all bases
        on inputs fitted on and held out), `one_input`, `apart`, `controls`, `last_layer`, `function`, `images`, `toy`.

    Raises:
        ValueError: a layer is unknown, not called or cannot be rotated; values are not finite; too few inputs; controls
            cannot be trained on the loss.
    """
    settings = settings or RotationSettings()
    if len(subject) < 2 * settings.inputs:
        raise ValueError(
            f"inputs is {settings.inputs}: {2 * settings.inputs} are needed and there are {len(subject)}"
        )
    exact = in_float64(subject)
    nodes = chain_nodes(exact, settings.layers)
    if settings.control_updates and subject.targets:
        check_subject(subject)  # the loss is what controls are trained on
    on_step("Jacobians of all pairs of layers", 0, 1)
    sizes = {"inputs": settings.inputs, "blocks": settings.blocks, "seed": settings.seed}
    chain = jacobian_chain(exact, nodes, **sizes)
    loss = settings.sparsity()
    bases = known_bases(exact.of(slice(0, settings.inputs)), chain, seed=settings.seed)
    pca = bases["pca"]
    figures: dict[str, Any] = {
        "kind": subject.kind,
        "source": dict(subject.source),
        "layers": list(nodes),
        "loss": {"name": settings.loss, "epsilon": settings.epsilon, "p": settings.p, "kind": settings.kind},
    }

    fits = []
    for index, name in enumerate(settings.starts):
        sign = 1 if index % 2 == 0 else -1
        on_step("joint fits", index, len(settings.starts))
        start = start_bases(
            name, chain.fitted_on, chain.free, pca=pca, sign=sign, seed=settings.seed + 97 * index
        )
        fits.append((name, sign, _fit(chain.fitted_on, chain.free, settings, start)))
    best = min((fit for _, _, fit in fits), key=lambda fit: fit.loss)
    figures["joint"] = [
        {
            "start": name,
            "determinant": sign,
            "loss_before": fit.start,
            "loss": fit.loss,
            "matched_with_best": _matched(fit.bases, best.bases, chain),
        }
        for name, sign, fit in fits
    ]
    figures["chance"] = {
        nodes[layer]: chance_cosine(len(best.bases[layer]), seed=settings.seed) for layer in chain.free
    }
    every = {**bases, "joint": best.bases}
    orders: tuple[Order, ...] = ("forward", "backward")
    for order in orders:
        on_step(f"fit {order}", 0, 1)
        one = _fit(chain.fitted_on, chain.free, settings, None, order=order)
        every[order] = one.bases
        figures[order] = {"loss": one.loss, "matched_with_joint": _matched(one.bases, best.bases, chain)}
    figures["bases"] = {name: _losses(chain, of, loss) for name, of in every.items()}
    figures["matched_with_joint"] = {
        name: _matched(of, best.bases, chain) for name, of in bases.items() if name != "random"
    }
    on_step("fit to one input", 0, 1)
    single = _fit(chain.one_input, chain.free, settings, None)
    figures["one_input"] = {
        "fitted_to_one": {"there": single.loss, "held_out": rotated_loss(chain.held_out, single.bases, loss)},
        "fitted_to_many": {
            "there": rotated_loss(chain.one_input, best.bases, loss),
            "held_out": rotated_loss(chain.held_out, best.bases, loss),
        },
        "neurons": {
            "there": rotated_loss(chain.one_input, bases["neurons"], loss),
            "held_out": rotated_loss(chain.held_out, bases["neurons"], loss),
        },
        "matched": _matched(single.bases, best.bases, chain),
    }
    figures["apart"] = _apart(chain, settings, on_step)
    figures["last_layer"] = _last_layer(chain, settings, on_step)
    # Controls are fitted once, from the identity: so is what stands beside them, not the best of several starts.
    alike = next((fit for name, sign, fit in fits if (name, sign) == ("identity", 1)), None)
    figures["controls"] = {"trained": _gain(chain, settings, alike)}
    for name, network in _control_networks(subject, settings, controls, on_step).items():
        on_step(f"joint fit of a control: {name}", 0, 1)
        figures["controls"][name] = _gain(
            jacobian_chain(exact.at(network.double()), nodes, **sizes), settings
        )
    rotations = {nodes[layer]: best.bases[layer] for layer in chain.free}
    figures["function"] = _function_kept(exact, rotations)
    ordered = {layer: _by_effect(chain, best, layer) for layer in chain.free}
    figures["images"] = jacobian_images(chain, best, bases["random"], ordered, settings.shown)
    if settings.toy:
        on_step("rotations of toy autoencoders", 0, 1)
        figures["toy"] = superposition_table(loss, seed=settings.seed)
    directions = {
        nodes[layer]: _directions(nodes[layer], best, layer, ordered[layer], settings) for layer in chain.free
    }
    return Findings(figures, directions)


def _fit(
    stacks: list[Tensor],
    free: list[int],
    settings: RotationSettings,
    starts: Mapping[int, np.ndarray] | None,
    order: Order = "joint",
) -> RotationFit:
    return fit_rotations(
        stacks,
        free,
        settings.sparsity(),
        starts=starts,
        order=order,
        kind=settings.kind,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )


def _losses(chain: JacobianChain, bases: Mapping[int, np.ndarray], loss: Sparsity) -> dict[str, Any]:
    """On inputs fitted on and held out, the mean and that of each pair of layers (held out)."""
    pairs = {
        f"{early} to {late}": float(loss(rotated(J, bases[index + 1], bases[index])))
        for index, ((early, late), J) in enumerate(zip(pairwise(chain.nodes), chain.held_out, strict=True))
    }
    return {
        "fitted_on": rotated_loss(chain.fitted_on, bases, loss),
        "held_out": float(np.mean(list(pairs.values()))),
        "held_out_pairs": pairs,
    }


def _matched(
    A: Mapping[int, np.ndarray], B: Mapping[int, np.ndarray], chain: JacobianChain
) -> dict[str, float]:
    return {chain.nodes[layer]: matched_cosine(A[layer], B[layer]) for layer in chain.free}


def _apart(chain: JacobianChain, settings: RotationSettings, on_step: OnStep) -> dict[str, Any]:
    """Bases of Y from X→Y alone and from Y→Z alone, all three free where they may be."""
    found = {}
    last = len(chain.nodes) - 1
    for done, layer in enumerate(chain.free):
        on_step("bases from either side", done, len(chain.free))
        sides = []
        for pair, at in ((layer - 1, 1), (layer, 0)):
            free = [side for side in (0, 1) if 0 < pair + side < last]
            sides.append(_fit([chain.fitted_on[pair]], free, settings, None).bases[at])
        # Both started from the identity: what they have kept of it would count as agreement.
        started = [matched_cosine(R, np.eye(len(R))) for R in sides]
        random = []
        for pair, at in ((layer - 1, 1), (layer, 0)):
            free = [side for side in (0, 1) if 0 < pair + side < last]
            starts = start_bases("random", [chain.fitted_on[pair]], free, seed=settings.seed + 31 * pair)
            random.append(_fit([chain.fitted_on[pair]], free, settings, starts).bases[at])
        found[chain.nodes[layer]] = {
            "matched": matched_cosine(*sides),
            "matched_from_random_starts": matched_cosine(*random),
            "each_with_identity": started,
            "chance": chance_cosine(len(sides[0]), seed=settings.seed),
        }
    return found


def _last_layer(chain: JacobianChain, settings: RotationSettings, on_step: OnStep) -> dict[str, Any]:
    """A basis of the outputs fitted as well, from random starts: is it that of the outputs themselves?"""
    on_step("basis of the outputs", 0, 1)
    stack = [chain.fitted_on[-1]]
    starts = [start_bases("random", stack, [0, 1], seed=settings.seed + 7 * draw) for draw in range(3)]
    fit = min((_fit(stack, [0, 1], settings, start) for start in starts), key=lambda one: one.loss)
    n = len(fit.bases[1])
    return {
        "output": chain.nodes[-1],
        "matched_with_identity": matched_cosine(fit.bases[1], np.eye(n)),
        "chance": chance_cosine(n, seed=settings.seed),
        "loss": fit.loss,
    }


def _gain(
    chain: JacobianChain, settings: RotationSettings, fit: RotationFit | None = None
) -> dict[str, float]:
    """Held-out loss fitted, of neurons and of random rotations, and how much lower the fitted one is."""
    fit = fit or _fit(chain.fitted_on, chain.free, settings, None)
    loss = settings.sparsity()
    neurons = {layer: np.eye(len(R)) for layer, R in fit.bases.items()}
    random = {
        layer: random_rotation(len(R), settings.seed + layer) if layer in chain.free else R
        for layer, R in neurons.items()
    }
    held = {
        name: rotated_loss(chain.held_out, bases, loss)
        for name, bases in (("fitted", fit.bases), ("neurons", neurons), ("random", random))
    }
    return {
        **held,
        "below_neurons": 1 - held["fitted"] / held["neurons"],
        "below_random": 1 - held["fitted"] / held["random"],
    }


def _control_networks(
    subject: Subject,
    settings: RotationSettings,
    controls: Mapping[str, nn.Module] | None,
    on_step: OnStep,
) -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {"untrained": subject.at(subject.untrained).network}
    if settings.control_updates and subject.targets:
        for name, shuffled in (("trained here", False), ("trained here, shuffled targets", True)):
            on_step(f"training a control: {name}", 0, 1)
            networks[name] = trained_on_subject(
                subject, shuffled=shuffled, updates=settings.control_updates, seed=settings.seed
            )
    return networks | {name: subject.at(network).network for name, network in (controls or {}).items()}


def _function_kept(subject: Subject, rotations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    few = subject.of(slice(0, 64))
    turned = few.at(rotated_network(few.network, rotations))
    return function_kept(few, turned, [*rotations, *few.outputs])


def _by_effect(chain: JacobianChain, fit: RotationFit, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Order of a layer's directions by how much they move the next layer, and how much, in that order."""
    J = rotated(chain.fitted_on[layer], fit.bases[layer + 1], fit.bases[layer])
    effect = J.square().sum(1).mean(0).sqrt().double().cpu().numpy()
    order = np.argsort(-effect, kind="stable")
    return order, effect[order]


def _directions(
    name: str,
    fit: RotationFit,
    layer: int,
    ordered: tuple[np.ndarray, np.ndarray],
    settings: RotationSettings,
) -> Directions:
    order, effect = (values[: settings.directions] for values in ordered)
    rows = fit.bases[layer][order]
    return Directions(
        vectors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
        singular_values=effect,
        profiles=np.zeros((0, len(rows))),
        space=name,
        source={"lens": "rotation", "layer": name, "loss": settings.loss, "kind": settings.kind},
    )
