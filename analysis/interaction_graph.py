"""How strongly features of adjacent layers interact, as a graph, and how modular that graph is.

Strength of early feature j for late feature i. Of a weight in feature bases: S_ij = |Ã_ij| √λ_j, the L² norm of what j
adds to i (over taps, root of the sum of squares). Between two layers with whatever lies between them:
S_ij = √(E[(∂g_i/∂f_j)²] λ_j), summed over early cells. In the neuron basis λ_j is E[h_j²].

Modularity is that of layered graphs: Q = Σ_layers Σ_ij (S_ij − r_i c_j / m) δ(i, j in one module) / Σ m, with r and c
the row and column sums and m the whole sum of each pair of layers (Barber 2007, arXiv 0707.1616, for one pair). Modules
are sought by moving nodes and merging modules (Blondel et al. 2008, arXiv 0803.0476), from several orders. Any graph
has modules to be found: Q means something beside that of a shuffled graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .activation_gram import ActivationGram
from .layer_jacobian import jacobians
from .subject import Subject


@dataclass(frozen=True, eq=False)
class Modules:
    """A partition of the nodes of a layered graph.

    Attributes:
        modularity: its Q.
        of_nodes: per layer, the module of each node.
    """

    modularity: float
    of_nodes: tuple[np.ndarray, ...]

    @property
    def count(self) -> int:
        """Modules of more than one node."""
        _, sizes = np.unique(np.concatenate(self.of_nodes), return_counts=True)
        return int((sizes > 1).sum())


def weight_interactions(transformed: Tensor, squared_norms: np.ndarray) -> np.ndarray:
    """S_ij = √(Σ_taps Ã_ij²) √λ_j.

    Args:
        transformed: Ã, (n', n, taps).
        squared_norms: λ of what the layer takes, (n,).
    """
    return transformed.square().sum(2).sqrt().cpu().numpy() * np.sqrt(np.maximum(squared_norms, 0))


@dataclass(frozen=True, eq=False)
class Interactions:
    """S between two adjacent layers, (late, early), in the neuron basis and in that of features."""

    neurons: np.ndarray
    features: np.ndarray


def jacobian_interactions(
    subject: Subject,
    early: tuple[str, ActivationGram],
    late: tuple[str, ActivationGram],
    *,
    cells: int | None = 1,
    seed: int = 0,
) -> Interactions:
    """S between two layers, over all inputs, in both bases; the constant node of the early layer included.

    Args:
        subject: in float64.
        early: name and Gram matrix of a layer.
        late: those of a later one.
        cells: late cells drawn per input.
        seed: of that draw.
    """
    (first, gram), (second, gram_late) = early, late
    squares: dict[str, Tensor] = {}
    count = 0
    U, V = (torch.from_numpy(g.basis[:-1].copy()).to(subject.inputs.device) for g in (gram, gram_late))
    for part in jacobians(subject, first, second, cells=cells, seed=seed):
        J = part.rows.flatten(0, 1)  # (blocks, late, early, cells)
        count += len(J)
        rotated = torch.einsum("ip,bijc,jq->bpqc", V, J, U)
        for name, values in (("neurons", J), ("features", rotated)):
            total = values.square().sum((0, 3))
            squares[name] = squares[name] + total if name in squares else total
    means = {name: total.cpu().numpy() / count for name, total in squares.items()}
    padded = np.zeros(np.array(means["neurons"].shape) + 1)
    padded[:-1, :-1] = means["neurons"]
    return Interactions(
        neurons=np.sqrt(padded * np.diag(gram.gram)),
        features=np.sqrt(means["features"] * gram.eigenvalues),
    )


def modules(strengths: Sequence[np.ndarray], *, restarts: int = 3, seed: int = 0) -> Modules:
    """The partition of largest modularity that is found.

    Args:
        strengths: S between layers l and l + 1, (n_{l+1}, n_l) each, not negative.
        restarts: orders that nodes are moved in; the best is given.
        seed: of those orders.

    Raises:
        ValueError: shapes do not chain, a strength is negative or not finite, or there is none at all.
    """
    B, sizes = _modularity_matrix(strengths)
    rng = np.random.default_rng(seed)
    best, found = -np.inf, np.zeros(len(B), dtype=int)
    for _ in range(restarts):
        labels = _merged(B, rng)
        quality = float(B[labels[:, None] == labels].sum())
        if quality > best:
            best, found = quality, labels
    borders = np.cumsum(sizes)[:-1]
    return Modules(best, tuple(np.split(found, borders)))


def shuffled_modularity(
    strengths: Sequence[np.ndarray], *, draws: int = 3, restarts: int = 1, seed: int = 0
) -> np.ndarray:
    """Q of graphs without modules, (draws,): each S_ij / (r_i c_j / m) goes to a random place of its layer.

    So row and column sums stay about as they are: were strengths themselves shuffled, a few large ones at random nodes
    would make modules of their own.
    """
    rng = np.random.default_rng(seed)
    return np.array(
        [
            modules([shuffled(S, rng) for S in strengths], restarts=restarts, seed=seed + draw).modularity
            for draw in range(draws)
        ]
    )


def shuffled(S: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """S with each S_ij / (r_i c_j / m) at a random place among nodes that have any strength."""
    rows, columns = S.any(1), S.any(0)
    if not rows.any():
        return S
    expected = np.outer(S.sum(1), S.sum(0)) / S.sum()
    inside = np.ix_(rows, columns)  # nodes without any strength stay without
    moved = np.zeros_like(S)
    moved[inside] = rng.permuted((S[inside] / expected[inside]).ravel()).reshape(expected[inside].shape)
    return moved * expected


@dataclass(frozen=True, eq=False)
class Drawn:
    """The strongest nodes of a graph of two layers, in the order of their modules.

    Attributes:
        strengths: (late, early), over the largest of the whole graph.
        late: which nodes, and which module each is of; modules are numbered by their strength, strongest first.
        early: the same.
    """

    strengths: np.ndarray
    late: tuple[np.ndarray, np.ndarray]
    early: tuple[np.ndarray, np.ndarray]

    def figures(self) -> dict[str, Any]:
        """As JSON takes it."""
        sides = {"late": self.late, "early": self.early}
        return {
            "strengths": self.strengths.round(4).tolist(),
            **{
                side: {"nodes": nodes.tolist(), "modules": of.tolist()} for side, (nodes, of) in sides.items()
            },
        }


def drawn(S: np.ndarray, found: Modules, most: int) -> Drawn:
    """A graph (late, early) as it is drawn.

    Args:
        S: strengths of one pair of layers.
        found: its modules.
        most: nodes of each layer to keep.
    """
    early_of, late_of = found.of_nodes
    strength = np.zeros(max(early_of.max(), late_of.max()) + 1)
    np.add.at(strength, late_of, S.sum(1))
    np.add.at(strength, early_of, S.sum(0))
    place = np.argsort(np.argsort(-strength, kind="stable"))  # of each module, strongest first

    def side(of: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = np.argsort(-sums, kind="stable")[:most]
        kept = kept[np.lexsort((-sums[kept], place[of[kept]]))]
        return kept, place[of[kept]]

    late, early = side(late_of, S.sum(1)), side(early_of, S.sum(0))
    return Drawn(S[np.ix_(late[0], early[0])] / max(S.max(), 1e-300), late, early)


def _modularity_matrix(strengths: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """B with Q(labels) = Σ B_ij δ; symmetric."""
    if not strengths:
        raise ValueError("a graph needs strengths between at least one pair of layers")
    sizes = [strengths[0].shape[1], *(S.shape[0] for S in strengths)]
    for layer, S in enumerate(strengths):
        if S.shape != (sizes[layer + 1], sizes[layer]) or not np.isfinite(S).all() or (S < 0).any():
            raise ValueError(
                f"strengths {layer} are finite, not negative, ({sizes[layer + 1]}, {sizes[layer]}); got shape {S.shape}"
            )
    total = sum(float(S.sum()) for S in strengths)
    if total <= 0:
        raise ValueError("no feature interacts with another: every strength is 0")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    B = np.zeros((starts[-1], starts[-1]))
    for layer, S in enumerate(strengths):
        if S.sum() > 0:
            expected = np.outer(S.sum(1), S.sum(0)) / S.sum()
            B[starts[layer + 1] : starts[layer + 2], starts[layer] : starts[layer + 1]] = (S - expected) / (
                2 * total
            )
    return B + B.T, sizes


def _merged(B: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move nodes until none gains, make each module a node, and again until nothing merges."""
    labels = np.arange(len(B))
    while True:
        moved = _moved(B, rng)
        _, moved = np.unique(moved, return_inverse=True)
        labels = moved[labels]
        if moved.max() + 1 == len(B):
            return labels
        belongs = np.eye(moved.max() + 1)[moved]
        B = belongs.T @ B @ belongs


def _moved(B: np.ndarray, rng: np.random.Generator, sweeps: int = 50) -> np.ndarray:
    labels = np.arange(len(B))
    between = B.copy()  # (nodes, modules): Σ of B_ij over j of the module
    for _ in range(sweeps):
        changed = False
        for node in rng.permutation(len(B)):
            gains = between[node].copy()
            gains[labels[node]] -= B[node, node]
            wanted = int(gains.argmax())
            if gains[wanted] > gains[labels[node]] + 1e-12:
                between[:, labels[node]] -= B[:, node]
                between[:, wanted] += B[:, node]
                labels[node] = wanted
                changed = True
        if not changed:
            break
    return labels
