"""Strengths between features, and modules of their graph."""

import numpy as np
import pytest
import torch
from torch import nn

from goalcut.analysis.activation_gram import activation_gram
from goalcut.analysis.interaction_graph import (
    drawn,
    jacobian_interactions,
    modules,
    shuffled,
    shuffled_modularity,
    weight_interactions,
)
from goalcut.analysis.layer_activations import in_float64
from goalcut.analysis.subject import Subject


def planted(rng: np.random.Generator) -> list[np.ndarray]:
    """Three layers of 12 nodes in 3 modules, between which strengths are ten times smaller."""
    inside = np.kron(np.eye(3), np.ones((4, 4)))
    return [(0.1 + inside) * rng.uniform(0.5, 1, (12, 12)) for _ in range(2)]


def test_planted_modules_are_recovered_and_a_shuffled_graph_has_none_like_them() -> None:
    strengths = planted(np.random.default_rng(0))
    found = modules(strengths)
    assert found.count == 3
    assert all(np.array_equal(of, np.repeat(of[::4], 4)) for of in found.of_nodes)
    assert found.modularity > 1.8 * shuffled_modularity(strengths).max()


def test_modularity_is_that_of_barbers_formula() -> None:
    S = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    found = modules([S])
    early, late = found.of_nodes
    expected = S.sum(1)[:, None] * S.sum(0) / S.sum()
    same = late[:, None] == early[None, :]
    assert found.modularity == pytest.approx(((S - expected) * same).sum() / S.sum())
    assert found.modularity == pytest.approx(0.5)  # {0; 0, 2} and {1; 1}: 1 − (3² + 3²) / 6²


def test_a_graph_of_equal_strengths_has_no_modules() -> None:
    assert modules([np.ones((5, 6))]).modularity == pytest.approx(0, abs=1e-12)


def test_a_drawn_graph_has_its_modules_as_blocks_strongest_first() -> None:
    rng = np.random.default_rng(1)
    (S, _), rows, columns = planted(rng), rng.permutation(12), rng.permutation(12)
    S[:4, :4] *= 3
    S = S[np.ix_(rows, columns)]
    made = drawn(S, modules([S]), 12)
    for nodes, of in (made.late, made.early):
        assert of.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert sorted(nodes) == list(range(12))
    assert np.array_equal(np.sort(rows[made.late[0][:4]]), np.arange(4))
    blocks = made.strengths.reshape(3, 4, 3, 4).mean((1, 3))
    assert (np.diag(blocks) > 3 * (blocks - np.diag(np.diag(blocks))).max(1)).all()
    assert made.strengths.max() == 1
    assert drawn(S, modules([S]), 5).strengths.shape == (5, 5)


def test_a_shuffled_graph_has_the_strengths_relative_to_chance_elsewhere() -> None:
    S = planted(np.random.default_rng(0))[0]
    S[3] = 0
    moved = shuffled(S, np.random.default_rng(0))
    expected = np.outer(S.sum(1), S.sum(0)).clip(1e-300) / S.sum()
    kept = S.any(1)
    np.testing.assert_allclose(
        np.sort((S / expected)[kept].ravel()), np.sort((moved / expected)[kept].ravel())
    )
    assert not moved[3].any()
    assert not np.allclose(S, moved)


@pytest.mark.parametrize(
    "bad", [[], [np.ones((2, 3)), np.ones((2, 4))], [-np.ones((2, 2))], [np.zeros((2, 2))]]
)
def test_strengths_that_make_no_graph_are_refused(bad: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"strengths|strength is 0"):
        modules(bad)


def test_the_strength_through_a_weight_is_the_norm_of_what_a_feature_adds() -> None:
    W = torch.tensor([[3.0, 0.0], [4.0, 1.0]]).double()
    assert np.allclose(weight_interactions(W[:, :, None], np.array([4.0, 9.0])), [[6, 0], [8, 3]])


def test_through_a_linear_layer_jacobians_and_weights_give_the_same_strengths() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).requires_grad_(False)
    subject = in_float64(
        Subject(
            "test", network, network, torch.randn(30, 3), {}, {"out": lambda given: given}, lambda g, _: g
        )
    )
    grams = {name: activation_gram(subject, name) for name in ("0", "1")}
    found = jacobian_interactions(subject, ("0", grams["0"]), ("1", grams["1"]))
    W = subject.layer("1").weight
    neurons = weight_interactions(W[:, :, None], np.diag(grams["0"].gram)[:-1])  # pyright: ignore[reportArgumentType, reportIndexIssue]
    assert np.allclose(found.neurons[:-1, :-1], neurons)
    assert not found.neurons[-1].any()
    J = grams["1"].basis[:-1].T @ W.numpy() @ grams["0"].basis[:-1]  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    assert np.allclose(found.features, np.abs(J) * np.sqrt(grams["0"].eigenvalues))
