"""Products with Hessian and Gauss–Newton matrix against dense float64 ones, and against curvlinops."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from goalcut.analysis.curvature_products import CurvatureProducts, dense
from goalcut.analysis.jacobian_gram import jacobian_gram, rank_beside_null
from goalcut.analysis.output_hessian import OutputForm, fisher_form, identity_form, loss_form, softmax_form
from goalcut.analysis.parameter_measure import explained, input_gradient, parameter_measure, picture
from goalcut.analysis.subject import Subject, _imitation

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what torch has deprecated
    from curvlinops import GGNLinearOperator, HessianLinearOperator


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cross_entropy(given: torch.Tensor, targets) -> torch.Tensor:
    return functional.cross_entropy(given, targets["label"], reduction="none")


def classifier(kind: str) -> Subject:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "mlp":
            network, inputs = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), normal(11, 5)
        else:
            layers = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)]
            network, inputs = nn.Sequential(*layers), normal(11, 1, 6, 6)
    network = network.double().eval().requires_grad_(False)
    label = torch.arange(11) % 3
    outputs = {"logits": lambda given: given}
    return Subject(
        "made", network, network, inputs, {"label": label}, outputs, cross_entropy, labels={"digit": label}
    )


def maze_policy(size: int = 5) -> Subject:
    """A small agent held against itself, as a maze's subject is; in float32."""
    network = build_network("conv", (3, size, size), 4, seed=0).eval().requires_grad_(False)
    network.actor.weight.mul_(100)  # an untrained policy is uniform: make it choose
    inputs = (normal(9, 3, size, size) > 0).float()
    logits, values = network(inputs)
    return Subject(
        "made",
        network,
        network,
        inputs,
        {"policy": logits.softmax(-1), "value": values},
        {"logits": lambda given: given[0], "value": lambda given: given[1][:, None]},
        _imitation,
    )


def outputs_of_parameters(subject: Subject):
    layout = parameter_layout(subject.network)
    return lambda theta: functional_call(
        subject.network, named_parameters_of(theta, layout), (subject.inputs,)
    )


def dense_hessian(subject: Subject) -> np.ndarray:
    F = outputs_of_parameters(subject)
    theta = flat_parameters(subject.network)
    H = torch.autograd.functional.hessian(lambda theta: subject.loss(F(theta), subject.targets).mean(), theta)
    return H.numpy()


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_the_hessian_is_the_dense_one(kind: str):
    subject = classifier(kind)
    products = CurvatureProducts(subject, batch_size=4)
    np.testing.assert_allclose(dense(products.hessian, products.size), dense_hessian(subject), atol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("form", ["loss", "identity"])
def test_the_gauss_newton_matrix_is_the_dense_one(kind: str, form: str):
    subject = classifier(kind)
    J = torch.autograd.functional.jacobian(outputs_of_parameters(subject), flat_parameters(subject.network))
    p = subject.network(subject.inputs).softmax(-1)
    B = (
        torch.diag_embed(p) - p[:, :, None] * p[:, None]
        if form == "loss"
        else torch.eye(3).double().expand(11, 3, 3)
    )
    expected = torch.einsum("nap,nab,nbq->pq", J, B, J) / 11
    products = CurvatureProducts(subject, batch_size=4)
    made = loss_form(subject) if form == "loss" else identity_form(subject)
    G = dense(lambda v: products.gauss_newton(v, made), products.size)
    np.testing.assert_allclose(G, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_curvlinops_gives_the_same_products(kind: str):
    subject = classifier(kind)
    network = subject.network.requires_grad_(True)
    data = [(subject.inputs, subject.targets["label"])]
    parameters = list(network.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [
            of(network, nn.CrossEntropyLoss(), parameters, data)
            for of in (HessianLinearOperator, GGNLinearOperator)
        ]
        v = normal(sum(of.numel() for of in parameters), seed=1)
        expected = [(of @ v).detach().numpy() for of in theirs]
    products = CurvatureProducts(replace(subject, network=network.requires_grad_(False)), batch_size=4)
    np.testing.assert_allclose(products.hessian(v.numpy()), expected[0], atol=1e-12)
    np.testing.assert_allclose(products.gauss_newton(v.numpy(), loss_form(subject)), expected[1], atol=1e-12)


class Point(nn.Module):
    """Gives its parameter for every input."""

    def __init__(self, theta: torch.Tensor):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.theta.expand(len(inputs), -1)


def bowl(A: torch.Tensor, theta: torch.Tensor, inputs: int = 6) -> Subject:
    """½ θᵀ A θ, whatever the input."""
    network = Point(theta).eval().requires_grad_(False)
    return Subject(
        "bowl",
        network,
        network,
        torch.zeros(inputs, 1, dtype=theta.dtype),
        {},
        {"theta": lambda given: given},
        lambda given, targets: 0.5 * ((given @ A) * given).sum(1),
    )


def test_a_quadratic_loss_has_the_hessian_that_it_was_given():
    A = normal(7, 7)
    A = A + A.T
    theta = normal(7, seed=1)
    subject = bowl(A, theta)
    products = CurvatureProducts(subject, batch_size=4)
    np.testing.assert_allclose(dense(products.hessian, 7), A, atol=1e-12)
    np.testing.assert_allclose(
        dense(lambda v: products.gauss_newton(v, loss_form(subject)), 7), A, atol=1e-12
    )
    np.testing.assert_allclose(products.gradient(), A @ theta, atol=1e-12)
    assert products.loss() == pytest.approx(float(0.5 * theta @ A @ theta))


def test_the_softmax_form_is_the_second_derivative_of_cross_entropy_and_knows_no_shift():
    subject = classifier("mlp")
    F, U = subject.network(subject.inputs), normal(11, 3, seed=3)
    torch.testing.assert_close(softmax_form(F, U), loss_form(subject).apply(F, U, subject.targets))
    torch.testing.assert_close(softmax_form(F, torch.ones_like(U)), torch.zeros_like(U))


def test_a_policy_held_against_itself_has_fisher_information_plus_value_error_as_hessian():
    subject = maze_policy()
    products = CurvatureProducts(subject, batch_size=4)
    v = normal(products.size, seed=2).numpy()
    H, G, fisher = (
        products.hessian(v),
        products.gauss_newton(v, loss_form(subject)),
        products.gauss_newton(v, fisher_form(subject)),
    )
    scale = np.abs(fisher).max()
    np.testing.assert_allclose(G, fisher, atol=1e-5 * scale)
    np.testing.assert_allclose(H, fisher, atol=1e-4 * scale)
    assert np.linalg.norm(products.gradient()) < 1e-5
    J_v = products.gauss_newton(v, identity_form(subject))
    assert np.abs(J_v - fisher).max() > 0.1 * scale


def test_the_gauss_newton_matrix_of_the_ppo_surrogate_is_indefinite():
    advantage = normal(11, 3, seed=5)

    def surrogate(given: torch.Tensor, targets) -> torch.Tensor:
        return -(given.softmax(-1) * advantage).sum(-1)  # its mean over actions of the policy itself

    subject = classifier("mlp")
    form = loss_form(replace(subject, loss=surrogate))
    F = subject.network(subject.inputs)
    assert torch.linalg.eigvalsh(form.matrix(F, {}))[:, 0].max() < 0  # of every input
    values = np.linalg.eigvalsh(
        dense(
            lambda v: CurvatureProducts(subject).gauss_newton(v, form),
            sum(p.numel() for p in subject.network.parameters()),
        )
    )
    assert values[0] < -1e-3 < 1e-3 < values[-1]


def test_a_forms_root_gives_the_form():
    subject = classifier("mlp")
    form, F = loss_form(subject), subject.network(subject.inputs)
    S = form.root(F, subject.targets)
    torch.testing.assert_close(S.mT @ S, form.matrix(F, subject.targets), atol=1e-9, rtol=0)


@pytest.mark.parametrize("made", [loss_form, identity_form])
def test_the_gram_matrix_of_rows_has_the_nonzero_spectrum_of_the_gauss_newton_matrix(made):
    subject = classifier("mlp").of(slice(0, 5))
    products, form = CurvatureProducts(subject), made(subject)
    K = jacobian_gram(subject, form)
    assert K.shape == (15, 15)
    values = np.linalg.eigvalsh(dense(lambda v: products.gauss_newton(v, form), products.size))
    np.testing.assert_allclose(np.linalg.eigvalsh(K), values[-15:], atol=1e-9)


def test_a_planted_rank_is_counted_and_its_null_is_full():
    rng = np.random.default_rng(0)
    R = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 500))
    found = rank_beside_null(R @ R.T, 500, rng)
    assert found["rank"][-1] == 3
    assert found["rank_null"][-1] == 40
    assert found["effective_dimension"][-1] == pytest.approx(3, abs=0.01)


def test_a_direction_measures_how_outputs_move_along_it():
    subject = classifier("mlp")
    products, form = CurvatureProducts(subject, batch_size=4), loss_form(subject)
    v = normal(products.size, seed=1).numpy()
    v /= np.linalg.norm(v)
    F, theta = outputs_of_parameters(subject), flat_parameters(subject.network)
    step = 1e-6 * torch.from_numpy(v)
    expected = (F(theta + step) - F(theta - step)) / 2e-6
    U = products.outputs_along(v, form)
    torch.testing.assert_close(U, expected, atol=1e-7, rtol=0)
    found = parameter_measure(products, v, form, extremes=2)
    assert found["strength"] == pytest.approx(v @ products.gauss_newton(v, form))
    output = found["output"]
    assert output == int(U.square().mean(0).argmax())
    assert [row["input"] for row in found["most"]] == U[:, output].abs().argsort(descending=True)[:2].tolist()
    assert [row["input"] for row in found["least"]] == U[:, output].abs().argsort()[:2].tolist()
    assert found["most"][0]["digit"] == found["most"][0]["input"] % 3
    assert "picture" not in found["most"][0]
    told = parameter_measure(products, v, form, extremes=2, pictured=1)
    assert [["picture" in one for one in told[end]] for end in ("most", "least")] == [[True, False]] * 2
    np.testing.assert_allclose(
        told["most"][0]["picture"], subject.inputs[told["most"][0]["input"]], rtol=0.05, atol=1e-12
    )


def test_a_picture_keeps_few_digits_and_is_never_larger_than_32_cells_a_side():
    assert picture(torch.tensor([[[0.0, 1.0], [0.123456, -2.0]]]), digits=2) == [[[0, 1], [0.12, -2]]]
    large = torch.arange(64.0).expand(3, 64, 64)
    assert np.array(picture(large)).shape == (3, 32, 32)
    assert picture(large)[0][0][:2] == [0.5, 2.5]


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_its_gradient_in_the_input_is_an_image_of_what_it_reads(kind: str):
    subject = classifier(kind)
    products = CurvatureProducts(subject)
    v = normal(products.size, seed=1).numpy()
    form = identity_form(subject)
    image = input_gradient(products, v, form.read, 3, 1)
    assert image.shape == subject.inputs.shape[1:]
    towards = normal(*image.shape, seed=4)
    moved = []
    for sign in (1, -1):
        inputs = subject.inputs.clone()
        inputs[3] += sign * 1e-6 * towards
        moved.append(CurvatureProducts(replace(subject, inputs=inputs)).outputs_along(v, form)[3, 1])
    assert float((moved[0] - moved[1]) / 2e-6) == pytest.approx(
        float((towards.numpy() * image).sum()), abs=1e-6
    )


def test_labels_explain_what_lies_between_them():
    labels = np.array([0, 0, 1, 1, -1])
    assert explained(np.array([1.0, 1, 3, 3, 50]), labels) == pytest.approx(1)
    assert explained(np.array([1.0, 3, 1, 3, 50]), labels) == pytest.approx(0)


def test_a_vector_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"a vector of parameter space is \(39,\), got \(5,\)"):
        CurvatureProducts(classifier("mlp")).hessian(np.zeros(5))


def test_a_network_in_training_mode_is_refused():
    subject = classifier("mlp")
    subject.network.train()
    with pytest.raises(ValueError, match="the network is in training mode"):
        CurvatureProducts(subject)


def test_forms_read_what_a_network_gives_as_one_row_per_input():
    subject = maze_policy()
    form: OutputForm = loss_form(subject)
    assert form.read(subject.network(subject.inputs)).shape == (9, 5)
