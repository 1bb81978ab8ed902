"""Jacobians along a chain of layers, from the inputs through hidden layers to an output; and bases of those layers.

Blocks J (B, n', n) of every pair of neighbours: of a convolution n are the channels, and a block is one pair of an
early and a late cell; pixels are units to a linear layer. Blocks come from inputs to fit on and from others that are
held out. The bases are those that a rotation is held against: neurons, a random one, PCA, ICA, the features of Gram
matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .activation_gram import activation_gram
from .feature_basis import is_transformable
from .ica import independent_components
from .layer_activations import INPUTS, LARGEST, check_layers, hidden_layers, tap
from .layer_jacobian import jacobians
from .matched_bases import nearest_rotation, random_rotation
from .subject import Subject


@dataclass(frozen=True, eq=False)
class JacobianChain:
    """Blocks of every pair of neighbours.

    Attributes:
        nodes: `inputs`, the layers to rotate, an output.
        fitted_on: per pair (B, n', n), of the inputs to fit on.
        held_out: of as many others.
        one_input: of the first input alone.
    """

    nodes: tuple[str, ...]
    fitted_on: list[Tensor]
    held_out: list[Tensor]
    one_input: list[Tensor]

    @property
    def free(self) -> list[int]:
        """Numbers of the layers to rotate."""
        return list(range(1, len(self.nodes) - 1))


def chain_nodes(subject: Subject, layers: Sequence[str] = ()) -> tuple[str, ...]:
    """`inputs`, these layers or every hidden one, and the subject's first output.

    Raises:
        ValueError: a layer is unknown, not called, cannot be rotated, or gives an output already.
    """
    hidden = hidden_layers(subject)
    layers = list(layers or hidden)
    check_layers(subject, layers)
    for name in layers:
        if not is_transformable(subject.layer(name)):
            raise ValueError(f"layer {name!r} is a {type(subject.layer(name)).__name__}: give linear ones")
        if name not in hidden:
            raise ValueError(f"layer {name!r} gives an output already: give layers before it")
    return (INPUTS, *layers, next(iter(subject.outputs)))


def jacobian_chain(
    subject: Subject, nodes: tuple[str, ...], *, inputs: int, blocks: int, seed: int = 0
) -> JacobianChain:
    """Jacobians along a chain.

    Args:
        subject: in float64, of at least twice `inputs`.
        nodes: from `chain_nodes`.
        inputs: to fit on; the next ones are held out.
        blocks: per pair of neighbours, drawn from those of all these inputs and cells.
        seed: of that draw.

    Raises:
        ValueError: a layer does not act on the next one at any of the inputs.
    """
    n = inputs
    parts = (subject.of(slice(0, n)), subject.of(slice(n, 2 * n)), subject.of(slice(0, 1)))
    stacks = [[_blocks(part, early, late, blocks, seed) for early, late in pairwise(nodes)] for part in parts]
    return JacobianChain(nodes, *stacks)


def _blocks(subject: Subject, early: str, late: str, most: int, seed: int) -> Tensor:
    """Some of the Jacobians (late units, early units) of every input and pair of cells that is not all zero."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for one in jacobians(subject, early, late, cells=1, seed=seed):
        rows = one.rows.flatten(0, 1)  # (B, late, early, cells)
        if early == INPUTS and one.late_grid == (1, 1):
            rows = rows.flatten(2)[..., None]  # a pixel is a unit to a linear layer
        # Of each input as many cells as are wanted, drawn among those that act at all.
        blocks = rows.permute(0, 3, 1, 2)
        wanted = max(1, -(-most // len(subject)))
        acts = blocks.flatten(2).any(2).cpu()
        for of_input, acting in zip(blocks, acts, strict=True):
            cells = acting.nonzero()[:, 0]
            cells = cells[torch.randperm(len(cells), generator=generator)[:wanted]]
            found.append(of_input[cells.to(blocks.device)].float())
    stacked = torch.cat(found)
    if not len(stacked):
        raise ValueError(f"{late!r} does not depend on {early!r} at any of {len(subject)} inputs")
    if torch.equal(stacked, stacked[:1].expand_as(stacked)):
        return stacked[:1]  # linear: every input has the same Jacobian
    order = torch.randperm(len(stacked), generator=generator)[:most]
    return stacked[order.to(stacked.device)]


def known_bases(subject: Subject, chain: JacobianChain, *, seed: int = 0) -> dict[str, dict[int, np.ndarray]]:
    """Bases that are not fitted, name → number of the layer → (n, n): `neurons`, `random`, `pca`, `ica`, `features`.

    Raises:
        ValueError: a layer has more units than a dense matrix is formed of.
    """
    ends = {0: chain.fitted_on[0].shape[2], len(chain.nodes) - 1: chain.fitted_on[-1].shape[1]}
    fixed = {layer: np.eye(n) for layer, n in ends.items()}
    found: dict[str, dict[int, np.ndarray]] = {
        name: dict(fixed) for name in ("neurons", "random", "pca", "ica", "features")
    }
    for layer in chain.free:
        gram = activation_gram(subject, chain.nodes[layer])
        n = len(gram.gram) - 1
        if n > LARGEST:
            raise ValueError(f"layer {chain.nodes[layer]!r} has {n} units: give one of at most {LARGEST}")
        found["neurons"][layer] = np.eye(n)
        found["random"][layer] = random_rotation(n, seed + layer)
        found["pca"][layer] = np.linalg.eigh(gram.covariance)[1].T[::-1].copy()
        rows = gram.basis[:-1].T  # n + 1 features of n units; the one that is mostly the constant goes
        kept = np.sort(np.argsort(-np.linalg.norm(rows, axis=1))[:n])
        found["features"][layer] = nearest_rotation(rows[kept])
        found["ica"][layer] = _ica(subject, chain.nodes[layer], seed)
    return found


def _ica(subject: Subject, layer: str, seed: int) -> np.ndarray:
    """Components of a layer's activations, made a whole orthogonal basis."""
    h = tap(subject, [layer]).units(layer).transpose(1, 2).flatten(0, 1).cpu().numpy()
    if len(h) > 4096:
        h = h[np.random.default_rng(seed).permutation(len(h))[:4096]]
    rows = independent_components(h, seed=seed, sweeps=50)
    n = h.shape[1]
    if len(rows) < n:  # fewer components than units: any basis of what they leave out
        rest = np.linalg.svd(rows)[2][len(rows) :]
        rows = np.concatenate([rows, rest])
    return nearest_rotation(rows)
