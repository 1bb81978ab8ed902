"""Orthogonal features, and networks written in them."""

import numpy as np
import pytest
import torch
from torch import nn

from goalcut.agents.classifiers import build_classifier
from goalcut.agents.networks import build_network
from goalcut.analysis.activation_gram import ActivationGram, activation_gram
from goalcut.analysis.feature_basis import augmented, in_bases, in_feature_bases
from goalcut.analysis.layer_activations import in_float64, tap
from goalcut.analysis.subject import Subject


def looked_at(network: nn.Module, inputs: torch.Tensor) -> Subject:
    network = network.eval().requires_grad_(False)
    return in_float64(
        Subject("test", network, network, inputs, {}, {"out": lambda given: given}, lambda given, _: given)
    )


def bases(subject: Subject, layers: list[str]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {
        name: (
            torch.from_numpy(activation_gram(subject, name, side="taken").basis.copy()),
            torch.from_numpy(activation_gram(subject, name).basis.copy()),
        )
        for name in layers
    }


def test_features_are_orthogonal_over_the_data_and_the_constant_is_a_node() -> None:
    subject = looked_at(nn.Sequential(nn.Linear(5, 4)), torch.randn(50, 5))
    gram = activation_gram(subject, "0", batch=7)
    a = torch.cat([tap(subject, ["0"]).values["0"], torch.ones(50, 1)], 1).numpy()
    features = a @ gram.basis
    assert np.allclose(features.T @ features / 50, np.diag(gram.eigenvalues), atol=1e-12)
    assert gram.gram[-1, -1] == 1
    assert np.allclose(gram.covariance, np.cov(a[:, :-1].T, bias=True), atol=1e-12)


def test_a_planted_basis_is_recovered() -> None:
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    sizes = np.array([9.0, 7, 5, 4, 3, 2])
    signs = np.array(
        [[1.0 if bin(row & mask).count("1") % 2 == 0 else -1.0 for mask in range(1, 7)] for row in range(8)]
    )
    network = nn.Sequential(nn.Linear(6, 6, bias=False)).double()
    network[0].weight.data = torch.from_numpy(Q.copy())
    # Walsh functions are orthogonal to one another and to the constant.
    gram = activation_gram(looked_at(network, torch.from_numpy(signs * sizes)), "0")
    assert np.allclose(gram.eigenvalues, [*sizes**2, 1.0])
    assert np.allclose(np.abs(gram.basis[:-1, :-1].T @ Q), np.eye(6), atol=1e-10)


def test_dependent_units_are_counted_once() -> None:
    network = nn.Sequential(nn.Linear(3, 10))
    gram = activation_gram(looked_at(network, torch.randn(100, 3)), "0")
    assert gram.independent()["numerical"] == 4  # three inputs and the constant


def test_a_convolution_is_pooled_over_cells() -> None:
    subject = looked_at(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1)), torch.randn(5, 2, 4, 4))
    gram = activation_gram(subject, "0", batch=2)
    h = tap(subject, ["0"]).values["0"].permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    assert gram.samples == 80
    assert np.allclose(gram.gram[:-1, :-1], h.T @ h / 80)


def test_transformed_weights_give_a_layers_features_from_those_of_the_layer_before() -> None:
    subject = looked_at(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), torch.randn(40, 5))
    U, U_out = bases(subject, ["2"])["2"]
    A = in_bases(augmented(subject.layer("2")), (U, U_out))[:, :, 0]
    run = tap(subject, ["2"])
    one = torch.ones(40, 1, dtype=torch.float64)
    f = torch.cat([run.taken["2"], one], 1) @ U
    g = torch.cat([run.values["2"], one], 1) @ U_out
    assert torch.allclose(f @ A.T, g, atol=1e-12)


@pytest.mark.parametrize("which", ["mlp", "cnn", "maze"])
def test_a_network_in_feature_bases_computes_the_same(which: str) -> None:
    if which == "maze":
        network, inputs = build_network("conv", (3, 7, 7), 4, seed=0), torch.rand(20, 3, 7, 7)
        layers, outputs = ["trunk.0", "trunk.2", "trunk.5"], "trunk.5"
    else:
        name = "mlp" if which == "mlp" else "cnn"
        network, inputs = build_classifier(name, (16,), seed=0), torch.rand(20, 1, 28, 28)
        layers = ["1", "3"] if which == "mlp" else ["0", "3", "7", "9"]
        outputs = layers[-1]
    for parameter in network.parameters():  # biases start at zero
        parameter.data += 0.1 * torch.randn(parameter.shape)
    subject = looked_at(network, inputs)
    rewritten = subject.at(in_feature_bases(subject.network, bases(subject, layers)))
    before, after = (tap(one, [outputs]).values[outputs] for one in (subject, rewritten))
    assert before.abs().max() > 0.1
    assert (before - after).abs().max() < 1e-10


def test_a_layer_that_has_no_such_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="LayerNorm cannot be written in other bases"):
        augmented(nn.LayerNorm(3))
    with pytest.raises(ValueError, match="Conv2d cannot be written"):
        augmented(nn.Conv2d(4, 4, 3, groups=2))


def test_the_sign_of_a_feature_is_that_of_its_largest_entry() -> None:
    basis = ActivationGram(np.diag([1.0, 3.0, 2.0]), 10).basis
    assert (basis[np.abs(basis).argmax(0), np.arange(3)] > 0).all()
