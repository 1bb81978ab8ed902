"""The neural feature ansatz: linear networks where it holds exactly, and where its control holds as well."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from goalcut.analysis.ansatz_lens import AnsatzSettings, ansatz, ansatz_through_training
from goalcut.analysis.average_gradient_outer_product import layer_moments
from goalcut.analysis.gradient_functions import functions_of
from goalcut.analysis.neural_feature_ansatz import Map, power_cosine, subspace_overlap
from goalcut.analysis.subject import Subject
from goalcut.analysis.tight_frame import frame

LOGITS = {"logits": lambda given, targets: given}


def subject_with(network: nn.Module, inputs: torch.Tensor, untrained: nn.Module | None = None) -> Subject:
    labels = torch.arange(len(inputs)) % 3
    return Subject(
        kind="made",
        network=network.eval().requires_grad_(False),
        untrained=(network if untrained is None else untrained).eval().requires_grad_(False),
        inputs=inputs,
        targets={"label": labels},
        outputs={"logits": lambda given: given},
        loss=lambda given, targets: functional.cross_entropy(given, targets["label"], reduction="none"),
        labels={"digit": labels},
    )


def seeded(build, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def linear_network(first: torch.Tensor, second: torch.Tensor) -> nn.Module:
    network = nn.Sequential(
        nn.Linear(*first.shape[::-1], bias=False), nn.Linear(*second.shape[::-1], bias=False)
    ).double()
    network[0].weight.data.copy_(first)
    network[1].weight.data.copy_(second)
    return network


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 5, 2, dilation=2, padding="same"),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(45, 3),
    )


def test_a_balanced_linear_network_follows_the_square_root_exactly_and_a_random_one_of_its_spectrum_does_not():
    U, s, Vt = torch.linalg.svd(normal(6, 10), full_matrices=False)
    s = torch.tensor([3.0, 2.0, 1.5, 1.0, 0.5, 0.1]).double()
    Q = torch.linalg.qr(normal(6, 6, seed=1)).Q
    # W_2ᵀW_2 = W_1W_1ᵀ, so that M = W_1ᵀ W_2ᵀW_2 W_1 = (W_1ᵀW_1)².
    network = linear_network(U @ torch.diag(s) @ Vt, Q @ torch.diag(s) @ U.T)
    figures = ansatz(subject_with(network, normal(40, 10, seed=2)), AnsatzSettings(of=("logits",))).figures
    found = figures["layers"]["0"]["functions"]["logits"]["summed"]["ansatz"]["uncentred"]
    assert found["0.5"]["cosine"] == pytest.approx(1, abs=1e-9)
    assert found["0.5"]["same_spectrum"] < 0.95
    assert found["1"]["cosine"] == pytest.approx(
        float((s**6).sum() / (s**4).sum() ** 0.5 / (s**8).sum() ** 0.5)
    )


def test_after_a_tight_frame_the_ansatz_holds_for_any_weight_whatever():
    later = 2 * torch.linalg.qr(normal(6, 6)).Q
    subject = subject_with(linear_network(normal(6, 10, seed=1), later), normal(40, 10, seed=2))
    figures = ansatz(subject, AnsatzSettings(of=("logits",))).figures
    found = figures["layers"]["0"]["functions"]["logits"]["summed"]
    assert found["ansatz"]["uncentred"]["1"]["cosine"] == pytest.approx(1, abs=1e-9)
    assert found["ansatz"]["uncentred"]["1"]["same_spectrum"] == pytest.approx(1, abs=1e-9)
    assert found["frame"]["uncentred"]["distance"] == pytest.approx(0, abs=1e-6)
    assert found["frame"]["uncentred"]["condition_number"] == pytest.approx(1)
    assert found["frame"]["uncentred"]["lower"] == pytest.approx(4)
    assert not figures["summary"][0]["beyond_controls_1"]


def test_gradients_of_a_linear_network_are_the_same_everywhere_so_that_nothing_is_left_when_centred():
    subject = subject_with(linear_network(normal(6, 10), normal(3, 6, seed=1)), normal(40, 10, seed=2))
    found = ansatz(subject, AnsatzSettings(of=("logits",))).figures["layers"]["0"]["functions"]["logits"]
    assert set(found["summed"]["ansatz"]) == {"uncentred"}


def test_the_last_layer_is_told_to_follow_by_construction():
    subject = subject_with(seeded(mlp), normal(30, 3, 4), seeded(mlp, 1))
    rows = {row["layer"]: row for row in ansatz(subject, AnsatzSettings(of=("logits",))).figures["summary"]}
    assert {name: row["identity_by_construction"] for name, row in rows.items()} == {
        "1": False,
        "3": False,
        "5": True,
    }
    assert rows["5"]["cosine_1"] == pytest.approx(1)


def dense_moment(network: nn.Module, layer: int, inputs: torch.Tensor, output: int | slice) -> np.ndarray:
    """E[∇_h f ∇_h fᵀ] of a layer's input, each input and output on its own."""
    before, after = network[:layer], network[layer:]
    total = torch.zeros((), dtype=torch.float64)
    for x in inputs:
        h = before(x[None])
        J = torch.autograd.functional.jacobian(lambda h: after(h)[0], h).flatten(1)[output]
        total = total + torch.atleast_2d(J).T @ torch.atleast_2d(J) / len(inputs)
    return total.numpy()


def test_the_outer_product_of_a_layer_is_that_of_gradients_in_its_input_by_output_and_summed():
    network, inputs = seeded(mlp), normal(11, 3, 4)
    moments = layer_moments(subject_with(network, inputs), ["3"], LOGITS, batch_size=4)["3"]
    for output, which in ((1, 1), (None, slice(None))):
        N = moments.gradient_moment("logits", output)
        M = moments.weight.T @ N @ moments.weight
        np.testing.assert_allclose(M, dense_moment(network, 3, inputs, which), atol=1e-12)
        factors = Map.of(moments.weight).pulled_back(N)
        np.testing.assert_allclose((factors.vectors * factors.values) @ factors.vectors.T, M, atol=1e-12)


def test_centring_takes_out_each_outputs_mean_gradient():
    network, inputs = seeded(mlp), normal(11, 3, 4)
    moments = layer_moments(subject_with(network, inputs), ["1"], LOGITS)["1"]
    rows = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda z: network[2:](z)[0], network[:2](x[None]))
            for x in inputs
        ]
    )
    rows = rows.reshape(11, 3, 9).numpy()
    expected = sum(np.cov(rows[:, output].T, bias=True) for output in range(3))
    np.testing.assert_allclose(moments.gradient_moment("logits", centred=True), expected, atol=1e-12)


@pytest.mark.parametrize("layer", [0, 2])
def test_a_convolution_is_a_linear_map_of_patches(layer: int):
    network, inputs = seeded(cnn), normal(5, 2, 6, 6)
    moments = layer_moments(subject_with(network, inputs), [str(layer)], LOGITS, batch_size=2)[str(layer)]
    W, positions = moments.weight, moments.positions
    h = network[:layer](inputs)
    z = network[layer](h)
    assert positions == z[0, 0].numel()
    # E[zzᵀ] = W E[hhᵀ] Wᵀ over patches, but for the bias.
    flat = (z - network[layer].bias[:, None, None]).transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(W @ moments.input_second @ W.T, flat @ flat.T / flat.shape[1], atol=1e-12)
    # The channels' outer product is that of gradients in the input itself, over its positions.
    C = h.shape[1]
    J = [torch.autograd.functional.jacobian(lambda h: network[layer:](h)[0], one[None]) for one in h]
    rows = torch.stack(J).reshape(5 * 3, C, -1).transpose(0, 1).flatten(1).numpy()
    expected = rows @ rows.T / (5 * h[0, 0].numel())
    np.testing.assert_allclose(moments.channels["logits"], expected, atol=1e-12)


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("centred", [False, True])
def test_a_convolutions_gradients_are_those_of_its_pre_activations_at_every_position(
    layer: int, centred: bool
):
    network, inputs = seeded(cnn), normal(5, 2, 6, 6)
    moments = layer_moments(subject_with(network, inputs), [str(layer)], LOGITS, batch_size=2)[str(layer)]
    z = network[: layer + 1](inputs)

    def after(z: torch.Tensor) -> torch.Tensor:
        return network[layer + 1 :](z.clone())[0]  # the activation works in place

    J = torch.stack([torch.autograd.functional.jacobian(after, one[None]) for one in z])
    rows = J.reshape(5, 3, z.shape[1], -1).permute(1, 0, 3, 2).flatten(1, 2)  # (outputs, patches, channels)
    if centred:
        rows = rows - rows.mean(1, keepdim=True)
    N = torch.einsum("opc,opd->cd", rows, rows) / rows.shape[1]
    np.testing.assert_allclose(moments.gradient_moment("logits", centred=centred), N, atol=1e-12)


def test_value_and_squared_error_are_taken_as_functions_with_their_own_values():
    network, inputs = seeded(mlp), normal(11, 3, 4)
    subject = subject_with(network, inputs)
    valued = replace(
        subject,
        outputs={"logits": lambda given: given[:, :2], "value": lambda given: given[:, 2:]},
        targets={"value": normal(11, seed=3)},
        loss=lambda given, targets: given[:, 0],
    )
    wanted = torch.eye(3).double()[subject.targets["label"]]
    expected = {
        "digits": 0.5 * (network(inputs) - wanted).square().sum(1, keepdim=True),
        "maze": 0.5 * (network(inputs)[:, 2:] - valued.targets["value"][:, None]).square(),
        "value": network(inputs)[:, 2:],
    }
    for name, of, f in (("digits", subject, "mse"), ("maze", valued, "mse"), ("value", valued, "value")):
        function = functions_of(of)[f]
        torch.testing.assert_close(function(network(inputs), of.targets), expected[name])
        # And their gradients in a layer's input: each input on its own.
        moments = layer_moments(of, ["3"], {f: function}, batch_size=4)["3"]
        total = torch.zeros(9, 9).double()
        for place, h in enumerate(network[:3](inputs)):
            of_one = {name: values[place : place + 1] for name, values in of.targets.items()}
            gradient = torch.autograd.functional.jacobian(
                lambda h, of_one=of_one, function=function: function(network[3:](h[None]), of_one)[0, 0], h
            )
            total += torch.outer(gradient, gradient) / len(inputs)
        M = moments.weight.T @ moments.gradient_moment(f) @ moments.weight
        np.testing.assert_allclose(M, total.numpy(), atol=1e-12)


def test_an_in_place_activation_does_not_change_what_is_measured():
    network, inputs = seeded(cnn), normal(5, 2, 6, 6)
    out_of_place = seeded(cnn)
    out_of_place[1] = nn.ReLU()
    [here, there] = [
        layer_moments(subject_with(of, inputs), ["0"], LOGITS)["0"].gradient_moment("logits")
        for of in (network, out_of_place)
    ]
    np.testing.assert_array_equal(here, there)


def test_policy_gradients_sum_to_the_fisher_information():
    network, inputs = seeded(mlp), normal(11, 3, 4)
    subject = subject_with(network, inputs)
    directions = ansatz(subject, AnsatzSettings(layers=("5",), of=("policy",))).directions["4"]
    h = network[:5](inputs)
    p = network[5](h).softmax(-1)
    B = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]).mean(0)
    M = network[5].weight.T @ B @ network[5].weight
    np.testing.assert_allclose(directions.singular_values, torch.linalg.eigvalsh(M).flip(0)[:2], rtol=1e-9)
    assert len(directions) == 2  # softmax knows no common shift


def test_directions_are_leading_eigenvectors_in_the_activations_that_feed_the_layer():
    network, inputs = seeded(mlp), normal(11, 3, 4)
    found = ansatz(subject_with(network, inputs, seeded(mlp, 1)), AnsatzSettings(directions=2)).directions
    assert {name: of.vectors.shape for name, of in found.items()} == {"0": (2, 12), "2": (2, 9), "4": (2, 7)}
    M = dense_moment(network, 3, inputs, slice(None))
    np.testing.assert_allclose(
        found["2"].vectors @ M, found["2"].singular_values[:, None] * found["2"].vectors, atol=1e-9
    )


def test_a_convolutions_directions_are_of_channels_and_the_first_layers_input_has_none():
    found = ansatz(subject_with(seeded(cnn), normal(5, 2, 6, 6), seeded(cnn, 1))).directions
    assert {name: of.vectors.shape[1] for name, of in found.items()} == {"1": 4, "4": 45}


def test_controls_keep_the_gradients_and_take_the_initial_weight():
    network, untrained, inputs = seeded(mlp), seeded(mlp, 1), normal(11, 3, 4)
    subject = subject_with(network, inputs, untrained)
    found = ansatz(subject, AnsatzSettings(layers=("3",), of=("logits",))).figures["layers"]["3"]
    N = layer_moments(subject, ["3"], LOGITS)["3"].gradient_moment("logits")
    W, W_0 = (of[3].weight.numpy() for of in (network, untrained))

    def cosine(A: np.ndarray, W: np.ndarray) -> float:
        M = W.T @ N @ W
        return float((A.T @ A * M).sum() / np.linalg.norm(A.T @ A) / np.linalg.norm(M))

    summed = found["functions"]["logits"]["summed"]
    assert summed["ansatz"]["uncentred"]["1"]["cosine"] == pytest.approx(cosine(W, W))
    assert summed["ansatz"]["uncentred"]["1"]["initial"] == pytest.approx(cosine(W_0, W_0))
    assert summed["movement"]["uncentred"]["1"]["cosine"] == pytest.approx(cosine(W - W_0, W))


def test_random_maps_of_one_spectrum_keep_it_and_are_drawn_by_the_generator():
    W = Map.of(normal(5, 8).numpy())
    drawn = W.of_same_spectrum(np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.svd(drawn.matrix, compute_uv=False), W.s)
    assert power_cosine(W.gram, drawn.gram, 1) < 0.99
    np.testing.assert_array_equal(drawn.matrix, W.of_same_spectrum(np.random.default_rng(0)).matrix)


def test_left_singular_vectors_have_the_mirrored_identity_and_it_holds_where_inputs_are_white():
    # Rows of a scaled orthogonal matrix: E[hhᵀ] is the identity.
    inputs = 20**0.5 * torch.linalg.qr(normal(20, 10)).Q
    subject = subject_with(linear_network(normal(6, 10, seed=1), normal(3, 6, seed=3)), inputs)
    left = ansatz(subject, AnsatzSettings(layers=("0",), of=("logits",))).figures["layers"]["0"]["left"]
    assert left["outputs"]["uncentred"]["1"]["cosine"] == pytest.approx(1)
    assert left["outputs"]["uncentred"]["1"]["same_spectrum"] == pytest.approx(1)
    skewed = replace(subject, inputs=inputs * torch.arange(1, 11) ** 2)
    left = ansatz(skewed, AnsatzSettings(layers=("0",), of=("logits",))).figures["layers"]["0"]["left"]
    assert left["outputs"]["uncentred"]["1"]["cosine"] < 0.9


def test_leading_eigenvectors_of_one_matrix_overlap_wholly():
    A = Map.of(normal(5, 8).numpy()).gram
    assert subspace_overlap(A, A, 3) == pytest.approx(1)


def test_a_frames_figures_are_those_of_its_eigenvalues():
    found = frame(np.diag([4.0, 1.0, 1.0]), 100)
    assert (found.lower, found.upper, found.condition_number) == (1, 4, 4)
    assert found.effective_rank == pytest.approx(2)
    expected = np.linalg.norm(np.diag([2.0, -1, -1])) / np.linalg.norm([4, 1, 1])
    assert found.distance == pytest.approx(expected)
    assert frame(np.diag([4.0, 1.0, 0.0]), 100).condition_number is None


def test_gaussian_vectors_are_as_far_from_tight_as_said():
    g = np.random.default_rng(0).standard_normal((300, 30))
    found = frame(g.T @ g / 300, 300)
    assert found.distance == pytest.approx(found.isotropic_distance, rel=0.05)
    assert found.condition_number == pytest.approx(found.isotropic_condition_number, rel=0.3)


def test_through_training_each_time_has_its_rows():
    inputs = normal(11, 3, 4)
    subjects = {time: subject_with(seeded(mlp, time), inputs, seeded(mlp, 0)) for time in (2, 0)}
    rows = ansatz_through_training(subjects, AnsatzSettings(of=("logits",)))
    assert [(row["time"], row["layer"]) for row in rows] == [
        (t, of) for t in (0, 2) for of in ("1", "3", "5")
    ]
    assert "movement_1" not in rows[0]  # nothing has moved yet
    assert "movement_1" in rows[-1]


def test_a_gradient_of_zero_is_told_to_vanish_and_gives_no_direction():
    subject = replace(
        subject_with(seeded(mlp), normal(11, 3, 4)), loss=lambda given, targets: 0 * given.sum(1)
    )
    figures = ansatz(subject).figures["layers"]["3"]["functions"]
    assert figures["loss"] == {"vanishes": True}
    with pytest.raises(ValueError, match="of begins with 'loss', whose gradient at layer '1' is zero"):
        ansatz(subject, AnsatzSettings(of=("loss", "logits")))


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        ({}, AnsatzSettings(layers=("9",)), "layer is '9': the network has 0, 1"),
        ({}, AnsatzSettings(layers=("2",)), "layer '2' is a ReLU: give one that is Linear or Conv2d"),
        ({}, AnsatzSettings(of=("reward",)), "of names 'reward': this subject has logits, policy, loss, mse"),
        (
            {"loss": lambda given, targets: given},
            AnsatzSettings(),
            r"the loss is \(8, 3\) for 8 inputs: give one number per input",
        ),
        (
            {"loss": lambda given, targets: given.mean()},
            AnsatzSettings(),
            r"the loss is \(\) for 8 inputs: give one number per input",
        ),
        ({"inputs": normal(11, 3, 5)}, AnsatzSettings(), r"the network refuses inputs of shape \(8, 3, 5\)"),
        (
            {"inputs": normal(11, 3, 4) * torch.nan},
            AnsatzSettings(),
            "output 'logits' has 24 of 24 values that are not",
        ),
        (
            {"targets": {"label": torch.zeros(4).long()}},
            AnsatzSettings(),
            "target 'label' has 4 entries for 11 inputs",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change: dict, settings: AnsatzSettings, said: str):
    subject = replace(subject_with(seeded(mlp), normal(11, 3, 4), seeded(mlp, 1)), **change)
    with pytest.raises(ValueError, match=said) as error:
        ansatz(subject, settings)
    assert "\n" not in str(error.value)


def test_activations_that_are_not_finite_late_in_the_data_are_refused_by_layer():
    inputs = normal(30, 3, 4)
    inputs[20] = torch.inf
    with pytest.raises(ValueError, match=r"activations of layer '1' has .* not finite"):
        ansatz(subject_with(seeded(mlp), inputs))


@pytest.mark.parametrize("name", ["directions", "draws", "batch_size", "seed"])
def test_a_setting_out_of_range_is_named(name: str):
    with pytest.raises(ValueError, match=f"{name} is -1: give at least"):
        AnsatzSettings(**{name: -1})
