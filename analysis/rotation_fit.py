"""Bases of layers in which the Jacobians between adjacent layers are as sparse as can be.

Layers 0 … L of dimensions n_l, Jacobians J_l(x) = ∂h_{l+1}/∂h_l. With R_l inserted at layer l and its inverse after it
the function is unchanged, and the Jacobian between rotated layers is Ĵ_l = R_{l+1} J_l R_l⁻¹. We minimise the mean over
l of `sparse_jacobian`'s loss of Ĵ_l, over many inputs at once: of all free layers jointly; or layer by layer, from the
input side forward (R_{l+1} from J_l, R_l being fixed) or from the output side backward.

R is orthogonal (torch's `parametrizations.orthogonal`, a Cayley map around the start, which keeps the sign of the
determinant), or any invertible matrix with rows of unit norm; there Ĵ is normalised anew, and −log|det R| / n is added
with a weight, as nearly parallel rows would blow up the inverse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from .matched_bases import nearest_rotation, random_rotation, with_sign
from .sparse_jacobian import Sparsity, normalised

Kind = Literal["orthogonal", "invertible"]
Order = Literal["joint", "forward", "backward"]
StartName = Literal["identity", "svd", "pca", "random"]
_VOLUME = 0.5


@dataclass(frozen=True, eq=False)
class RotationFit:
    """What was fitted.

    Attributes:
        bases: layer → R, its rows the directions, (n, n) float64; those of fixed layers too.
        loss: of all blocks, the mean over pairs of layers.
        start: the loss before.
    """

    bases: dict[int, np.ndarray]
    loss: float
    start: float


def fit_rotations(
    stacks: Sequence[Tensor],
    free: Sequence[int],
    sparsity: Sparsity,
    *,
    starts: Mapping[int, np.ndarray] | None = None,
    order: Order = "joint",
    kind: Kind = "orthogonal",
    steps: int = 200,
    learning_rate: float = 0.03,
    entries: int = 200_000,
    seed: int = 0,
) -> RotationFit:
    """Minimise the sparsity loss over the bases of the free layers; a joint fit never ends above its start.

    Args:
        stacks: J_l, (B_l, n_{l+1}, n_l) each, l = 0 … L − 1.
        free: layers whose basis is sought; others stay as `starts` has them.
        sparsity: of normalised blocks.
        starts: layer → R to start from, or to keep; default the identity.
        order: `joint`, `forward` or `backward`.
        kind: `orthogonal` or `invertible`.
        steps: of Adam, annealed to nothing; of each layer, if not joint.
        learning_rate: of Adam.
        entries: of the Jacobians that a step looks at, at least one block of each.
        seed: of the blocks drawn.

    Raises:
        ValueError: stacks do not chain or are not finite, a layer is none of theirs, or a start is not orthogonal.
    """
    dimensions = _dimensions(stacks)
    bases = {layer: np.eye(n) for layer, n in enumerate(dimensions)}
    for layer, R in (starts or {}).items():
        if not 0 <= layer < len(dimensions) or R.shape != (dimensions[layer],) * 2:
            raise ValueError(f"start of layer {layer} is of shape {R.shape}: dimensions are {dimensions}")
        if kind == "orthogonal" and not np.allclose(R @ R.T, np.eye(len(R)), atol=1e-6):
            raise ValueError(f"start of layer {layer} is not orthogonal: give its `nearest_rotation`")
        bases[layer] = np.asarray(R, dtype=np.float64)
    unknown = [layer for layer in free if not 0 <= layer < len(dimensions)]
    if unknown or not free:
        raise ValueError(f"free is {list(free)}: give some of the layers 0 to {len(dimensions) - 1}")
    stacks = [normalised(J.float()) for J in stacks]
    before, began = dict(bases), rotated_loss(stacks, bases, sparsity)
    generator = torch.Generator().manual_seed(seed)
    settings = (sparsity, kind, steps, learning_rate, entries, generator)
    if order == "joint":
        bases |= _minimised(stacks, bases, free, list(range(len(stacks))), *settings)
    else:
        for layer in sorted(free, reverse=order == "backward"):
            pair = layer - 1 if order == "forward" else layer
            if not 0 <= pair < len(stacks):
                raise ValueError(f"{order} cannot fit layer {layer}: there is no layer on that side of it")
            bases |= _minimised(stacks, bases, [layer], [pair], *settings)
    ended = rotated_loss(stacks, bases, sparsity)
    if order == "joint" and ended > began:  # too large a step from a good start
        return RotationFit(before, began, began)
    return RotationFit(bases, ended, began)


def rotated(J: Tensor, R_late: np.ndarray, R_early: np.ndarray) -> Tensor:
    """Ĵ = R_late J R_early⁻¹ of blocks (B, m, n), normalised."""
    if not _is_identity(R_late):
        J = torch.from_numpy(R_late).to(J) @ J
    if not _is_identity(R_early):
        J = J @ torch.from_numpy(np.linalg.inv(R_early)).to(J)
    return normalised(J)


def rotated_loss(stacks: Sequence[Tensor], bases: Mapping[int, np.ndarray], sparsity: Sparsity) -> float:
    """The loss of all blocks in these bases, the mean over pairs of layers."""
    with torch.no_grad():
        return float(
            np.mean(
                [float(sparsity(rotated(J, bases[pair + 1], bases[pair]))) for pair, J in enumerate(stacks)]
            )
        )


def start_bases(
    name: StartName,
    stacks: Sequence[Tensor],
    free: Sequence[int],
    *,
    pca: Mapping[int, np.ndarray] | None = None,
    sign: int = 1,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Bases to start from, of determinant `sign`.

    `svd` is of the mean Jacobian, which for a linear layer is its weight: the left singular vectors of the one into the
    layer, or the right ones of the one out of the first layer. `pca` are the given bases.
    """
    dimensions = _dimensions(stacks)
    found = {}
    for layer in free:
        n = dimensions[layer]
        if name == "identity":
            R = np.eye(n)
        elif name == "random":
            R = random_rotation(n, seed + layer)
        elif name == "pca":
            if pca is None or layer not in pca:
                raise ValueError(f"start is 'pca': give the basis of layer {layer}")
            R = nearest_rotation(pca[layer])
        elif name == "svd":
            mean = stacks[max(layer - 1, 0)].double().mean(0).cpu().numpy()
            U, _, V = np.linalg.svd(mean)
            R = U.T if layer else V
        else:
            raise ValueError(f"start is {name!r}: give 'identity', 'svd', 'pca' or 'random'")
        found[layer] = with_sign(R, sign)
    return found


def _minimised(
    stacks: Sequence[Tensor],
    bases: Mapping[int, np.ndarray],
    free: Sequence[int],
    pairs: Sequence[int],
    sparsity: Sparsity,
    kind: Kind,
    steps: int,
    learning_rate: float,
    entries: int,
    generator: torch.Generator,
) -> dict[int, np.ndarray]:
    device = stacks[0].device
    # The identity is left out of products: the basis of inputs can have a thousand dimensions.
    fixed = {
        layer: torch.from_numpy(R).float().to(device)
        for layer, R in bases.items()
        if layer not in free and not _is_identity(R)
    }
    held = {layer: _parameter(bases[layer], kind).to(device) for layer in free}
    optimizer = torch.optim.Adam([p for one in held.values() for p in one.parameters()], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    per_step = {pair: max(1, entries // stacks[pair][0].numel()) for pair in pairs}
    for _ in range(steps):
        R = fixed | {layer: _matrix(one, kind) for layer, one in held.items()}
        loss = torch.zeros((), device=device)
        for pair in pairs:
            J = stacks[pair]
            if per_step[pair] < len(J):
                J = J[torch.randperm(len(J), generator=generator)[: per_step[pair]].to(device)]
            turned = R[pair + 1] @ J if pair + 1 in R else J
            if pair in R:
                turned = turned @ (R[pair].T if kind == "orthogonal" else torch.linalg.inv(R[pair]))
            if kind == "invertible":
                turned = turned / turned.square().mean().sqrt()
            loss = loss + sparsity(turned) / len(pairs)
        if kind == "invertible":
            for layer in free:
                loss = loss - _VOLUME * torch.linalg.slogdet(R[layer])[1] / len(R[layer])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = {layer: _matrix(one, kind).double().cpu().numpy() for layer, one in held.items()}
    # float32 leaves R orthogonal to 1e-6 only.
    return {layer: nearest_rotation(R) if kind == "orthogonal" else R for layer, R in found.items()}


def _is_identity(R: np.ndarray) -> bool:
    return np.array_equal(R, np.eye(len(R)))


def _parameter(R: np.ndarray, kind: Kind) -> nn.Linear:
    n = len(R)
    with torch.random.fork_rng(devices=[]):
        module = nn.Linear(n, n, bias=False)
    module.weight.data = torch.from_numpy(R).float().contiguous()
    if kind == "orthogonal":
        with torch.random.fork_rng(devices=[]):
            parametrizations.orthogonal(module, orthogonal_map="cayley", use_trivialization=True)
            module.weight = torch.from_numpy(R).float().contiguous()  # pyright: ignore[reportAttributeAccessIssue]
    return module


def _matrix(module: nn.Linear, kind: Kind) -> Tensor:
    return module.weight if kind == "orthogonal" else nn.functional.normalize(module.weight, dim=1)


def _dimensions(stacks: Sequence[Tensor]) -> list[int]:
    if not stacks or any(J.ndim != 3 for J in stacks):
        raise ValueError(f"stacks are blocks (B, m, n), got shapes {[tuple(J.shape) for J in stacks]}")
    dimensions = [int(stacks[0].shape[2])]
    for pair, J in enumerate(stacks):
        if J.shape[2] != dimensions[-1]:
            raise ValueError(
                f"stack {pair} takes {J.shape[2]} units: the layer before gives {dimensions[-1]}"
            )
        dimensions.append(int(J.shape[1]))
    return dimensions
