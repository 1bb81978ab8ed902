"""The lenses features, rotation and channels, from a subject to findings."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from goalcut.agents.networks import build_network
from goalcut.analysis.channels_lens import ChannelsSettings, channels
from goalcut.analysis.control_networks import permuted_weights, trained_on_subject
from goalcut.analysis.features_lens import FeaturesSettings, features, features_over_time
from goalcut.analysis.lens import Findings
from goalcut.analysis.rotation_lens import RotationSettings, rotation
from goalcut.analysis.sparse_jacobian import LossName
from goalcut.analysis.subject import Subject

FEATURES = FeaturesSettings(draws=2, restarts=1, interaction_inputs=16, directions=5)
CHANNELS = ChannelsSettings(inputs=20, late_cells=2, radius=1, directions=5)
ROTATION = RotationSettings(
    inputs=16, blocks=32, steps=10, starts=("identity", "random"), control_updates=5, toy=False, directions=5
)


def digits_like() -> Subject:
    """Four classes, each a corner of an image, and a small network trained on them for a moment."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(160) % 4
    images = 0.3 * torch.rand(160, 1, 6, 6, generator=generator)
    for image, label in zip(images, labels, strict=True):
        row, column = 3 * (int(label) // 2), 3 * (int(label) % 2)
        image[:, row : row + 3, column : column + 3] += 0.7
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4)
    )
    subject = Subject(
        kind="digits",
        network=network,
        untrained=network.eval().requires_grad_(False),
        inputs=images,
        targets={"label": labels},
        outputs={"logits": lambda given: given},
        loss=lambda given, targets: functional.cross_entropy(given, targets["label"], reduction="none"),
        labels={"digit": labels},
    )
    return subject.at(trained_on_subject(subject, shuffled=False, updates=80, batch=64, learning_rate=1e-2))


def maze_like() -> Subject:
    """Planes of 5×5, an untrained policy and one of other weights."""
    planes = (torch.rand(40, 3, 5, 5, generator=torch.Generator().manual_seed(0)) > 0.6).float()
    network, other = (build_network("conv", (3, 5, 5), 4, seed=seed).requires_grad_(False) for seed in (0, 1))
    return Subject(
        kind="maze",
        network=other.eval(),
        untrained=network.eval(),
        inputs=planes,
        targets={"value": torch.zeros(40)},
        outputs={"logits": lambda given: given[0], "value": lambda given: given[1][:, None]},
        loss=lambda given, targets: (given[1] - targets["value"]) ** 2,
        labels={"cheese": planes[:, 2].flatten(1).argmax(1) % 4, "walls": torch.full((40,), -1)},
    )


@pytest.fixture(scope="module", params=["digits", "maze"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return digits_like() if request.param == "digits" else maze_like()


@pytest.fixture(scope="module")
def digits() -> Subject:
    return digits_like()


def assert_well_formed(found: Findings, spaces: dict[str, int]) -> None:
    json.dumps(found.figures, allow_nan=False)
    assert {name: one.vectors.shape[1] for name, one in found.directions.items()} == spaces
    for name, one in found.directions.items():
        assert one.space == name
        assert 1 <= len(one) <= 5
        assert (np.diff(one.singular_values) <= 1e-9).all()


def test_features_of_every_layer_with_controls(subject: Subject) -> None:
    steps: list[tuple[str, int, int]] = []
    found = features(subject, FEATURES, on_step=lambda *step: steps.append(step))
    widths = {"1": 12, "3": 8, "5": 4}
    if subject.kind == "maze":
        widths = {"trunk.0": 16, "trunk.2": 16, "trunk.5": 128}
    assert_well_formed(found, widths)
    assert found.figures["function"]["largest"] < 1e-10
    assert set(found.figures["function"]["relative_change"]) == {*widths, *subject.outputs}
    for name in widths:
        layer = found.figures["layers"][name]
        assert set(layer["independent"]["taken"]) == {"trained", "untrained"}
        (selectivity,) = layer["selectivity"].values()  # of walls nothing is told
        assert set(selectivity) == {"inputs", "neurons", "features", "random_rotations", "shuffled_labels"}
        weight = found.figures["weights"][name]["trained"]
        assert len(weight["neurons"]["modularity_shuffled"]) == 2
        for basis, which in (("neurons", "drawn"), ("features", "drawn"), ("features", "drawn_shuffled")):
            graph = weight[basis][which]
            shape = (len(graph["late"]["nodes"]), len(graph["early"]["nodes"]))
            assert np.array(graph["strengths"]).shape == shape
            assert max(shape) <= FEATURES.shown
    assert set(found.figures["graph"]) == {"trained", "untrained"}
    assert len(steps) == len(set(steps)) > 5


def test_a_trained_network_tells_classes_that_shuffled_labels_do_not(digits: Subject) -> None:
    told = features(digits, replace(FEATURES, layers=("3",))).figures["layers"]["3"]["selectivity"]["digit"]
    for basis in ("neurons", "features"):
        assert (
            told[basis]["explained_largest"] > 0.6 > 0.3 > told["shuffled_labels"][basis]["explained_largest"]
        )


def test_independent_features_are_counted_over_time_and_held_against_generalization(digits: Subject) -> None:
    subjects = [(0, digits.at(digits.untrained)), (40, digits), (80, digits)]
    found = features_over_time(subjects, FEATURES, generalization={0: 0.1, 40: 0.8, 80: 0.9})
    assert found["times"] == [0, 40, 80]
    counts = found["layers"]["3"]["given"]["participation"]
    assert counts[0] != counts[1] == counts[2]
    assert set(found["rank_correlation"]["3"]) == {"given", "taken"}
    with pytest.raises(ValueError, match="generalization lacks time 40"):
        features_over_time(subjects, FEATURES, generalization={0: 0.1})


def test_channels_with_controls(subject: Subject) -> None:
    found = channels(subject, CHANNELS)
    maze = subject.kind == "maze"
    assert_well_formed(found, {"trunk.0": 16 * 25} if maze else {"1": 12})
    networks = found.figures["networks"]
    assert set(networks) == {"trained", "untrained", "permuted"}
    assert all(bool(of["offsets"]) == maze for of in networks.values())
    per_input = networks["trained"]["ranks"]["per_input"]["numerical"]
    assert per_input <= networks["trained"]["ranks"]["stacked"]["numerical"]


def test_channels_of_a_linear_network_are_the_singular_vectors_of_its_product() -> None:
    network = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(3, 7)).requires_grad_(False)
    linear = replace(maze_like(), network=network, inputs=torch.randn(9, 5), labels={}, targets={})
    linear = replace(linear, untrained=network, outputs={"out": lambda given: given})
    found = channels(linear, ChannelsSettings(early="0", late="2"))
    product = (network[2].weight @ network[1].weight).double()
    _, values, V = torch.linalg.svd(product, full_matrices=False)
    directions = found.directions["0"]
    assert len(directions) == 3
    assert np.allclose(directions.singular_values, values[:3].numpy())
    assert np.allclose(np.abs((directions.vectors * V[:3].numpy()).sum(1)), 1, atol=1e-6)
    ranks = found.figures["networks"]["trained"]["ranks"]
    assert {side: of["numerical"] for side, of in ranks.items()} == {"stacked": 3, "late": 3, "per_input": 3}


def test_a_late_covariance_of_white_activations_is_that_of_the_jacobian() -> None:
    network = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 2), nn.Linear(2, 7)).double()
    inputs = torch.randn(60, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h = inputs - inputs.mean(0)
    # White after the first layer: E[hhᵀ] is the identity.
    network[0].weight.data = torch.linalg.inv(torch.linalg.cholesky(h.T @ h / len(h)))
    network.requires_grad_(False)
    linear = replace(maze_like(), network=network, untrained=network, inputs=inputs, labels={}, targets={})
    linear = replace(linear, outputs={"out": lambda given: given})
    P = network[2].weight @ network[1].weight
    covariance = channels(linear, ChannelsSettings(early="0", late="2")).figures["networks"]["trained"][
        "covariance"
    ]
    np.testing.assert_allclose(covariance["values"][:2], torch.linalg.svdvals(P)[:2], rtol=1e-9)
    assert covariance["ranks"]["numerical"] == 2
    assert covariance["agreement"]["cosine"] == pytest.approx(1, abs=1e-9)
    assert covariance["agreement"]["eigenvalues"] == 0  # of two eigenvalues no correlation is told
    # Of other activations it is P Σ Pᵀ.
    network[0].weight.data = torch.eye(5).double() * torch.tensor([3.0, 1, 1, 0.2, 0.1]).double()[:, None]
    values = torch.linalg.eigvalsh(P @ torch.cov(network[0](inputs).T, correction=0) @ P.T).flip(0)
    covariance = channels(linear, ChannelsSettings(early="0", late="2")).figures["networks"]["trained"][
        "covariance"
    ]
    np.testing.assert_allclose(covariance["values"][:2], values[:2].sqrt(), rtol=1e-9)
    assert covariance["agreement"]["cosine"] < 1 - 1e-3


@pytest.mark.parametrize("name", ["l1", "hoyer", "lp"])
def test_the_whole_lens_runs_with_every_loss(digits: Subject, name: LossName) -> None:
    few = replace(ROTATION, loss=name, control_updates=0, starts=("random",), inputs=4, blocks=4, steps=4)
    figures = rotation(digits, few).figures
    assert figures["loss"]["name"] == name
    (joint,) = figures["joint"]
    assert joint["loss"] < joint["loss_before"]
    assert figures["bases"]["joint"]["fitted_on"] == pytest.approx(joint["loss"], rel=1e-4)
    assert figures["function"]["largest"] < 1e-10


def test_directions_of_a_convolution_lie_as_its_activations_are_flattened() -> None:
    maze = maze_like()
    found = channels(maze, ChannelsSettings(inputs=10, early="trunk.0", late="value"))
    (v, *_), network = found.directions["trunk.0"].vectors, maze.network.double()
    trunk = network.trunk  # pyright: ignore[reportAttributeAccessIssue]
    h = trunk[0](maze.inputs[:10].double()).requires_grad_()  # pyright: ignore[reportIndexIssue, reportCallIssue]
    network.critic(trunk[1:](h)).sum().backward()  # pyright: ignore[reportIndexIssue, reportCallIssue]
    rows = h.grad.flatten(1).numpy()
    assert np.linalg.norm(rows @ v) == pytest.approx(np.linalg.svd(rows, compute_uv=False)[0], rel=1e-5)


def test_rotations_with_controls(subject: Subject) -> None:
    steps: list[tuple[str, int, int]] = []
    found = rotation(
        subject,
        ROTATION,
        controls={"permuted": permuted_weights(subject.network)},
        on_step=lambda *step: steps.append(step),
    )
    maze = subject.kind == "maze"
    assert_well_formed(found, {"trunk.0": 16, "trunk.2": 16, "trunk.5": 128} if maze else {"1": 12, "3": 8})
    figures = found.figures
    assert figures["function"]["largest"] < 1e-10
    assert {*subject.outputs} < set(figures["function"]["relative_change"])
    # Controls have one fit, from the identity: so has the network beside them.
    from_identity = figures["joint"][0]
    assert from_identity["start"] == "identity"
    if from_identity["loss"] == min(one["loss"] for one in figures["joint"]):
        assert figures["controls"]["trained"]["fitted"] == figures["bases"]["joint"]["held_out"]
    assert [one["determinant"] for one in figures["joint"]] == [1, -1]
    assert figures["joint"][1]["loss"] < figures["joint"][1]["loss_before"]
    assert set(figures["bases"]) == {
        *("neurons", "random", "pca", "ica", "features", "joint", "forward", "backward")
    }
    best = min(one["loss"] for one in figures["joint"])
    assert figures["bases"]["joint"]["fitted_on"] == pytest.approx(best, rel=1e-4)
    assert set(figures["controls"]) == {
        *("trained", "untrained", "trained here", "trained here, shuffled targets", "permuted")
    }
    for images in figures["images"].values():
        assert list(images) == ["before", "after", "random"]
        assert all(np.abs(one["mean"]).max() == 1 for one in images.values())
    one = figures["one_input"]
    assert one["fitted_to_one"]["there"] <= one["neurons"]["there"]
    assert len(steps) == len(set(steps))


def test_a_network_whose_hidden_basis_was_turned_is_turned_back() -> None:
    # Each hidden unit takes one input and gives one output, through a rotation in between that is linear.
    from goalcut.analysis.matched_bases import matched_cosine, random_rotation

    R = random_rotation(6, 4)
    network = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.ReLU()).double()
    network[0].weight.data, network[1].weight.data = torch.from_numpy(R.T.copy()), torch.from_numpy(R.copy())
    planted = replace(
        digits_like(),
        network=network,
        untrained=network,
        inputs=torch.randn(64, 6, generator=torch.Generator().manual_seed(0)),
        outputs={"out": lambda given: given},
        targets={},
        labels={},
    )
    settings = replace(
        ROTATION, layers=("0",), steps=120, starts=("identity", "random", "random"), control_updates=0
    )
    found = rotation(planted, settings)
    assert matched_cosine(found.directions["0"].vectors, R) > 0.95
    apart = found.figures["apart"]["0"]
    assert apart["matched_from_random_starts"] > apart["chance"]["mean"] + 3 * apart["chance"]["sd"]


def test_permuted_weights_hold_the_same_values_elsewhere(digits: Subject) -> None:
    for before, after in zip(
        digits.network.parameters(), permuted_weights(digits.network).parameters(), strict=True
    ):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        assert not torch.equal(before, after)


def test_training_on_shuffled_targets_learns_none_of_the_right_ones(digits: Subject) -> None:
    def accuracy(network: nn.Module) -> float:
        return float((network(digits.inputs).argmax(1) == digits.labels["digit"]).float().mean())

    right, wrong = (
        trained_on_subject(digits, shuffled=shuffled, updates=80, batch=64, learning_rate=1e-2)
        for shuffled in (False, True)
    )
    assert accuracy(right) > 0.95 > 0.6 > accuracy(wrong)


@pytest.mark.parametrize("lens", ["features", "rotation", "channels"])
def test_bad_subjects_are_refused_in_one_line(lens: str, digits: Subject) -> None:
    def run(subject: Subject, layer: str = "3") -> Findings:
        if lens == "features":
            return features(subject, replace(FEATURES, layers=(layer,)))
        if lens == "rotation":
            return rotation(subject, replace(ROTATION, layers=(layer,)))
        return channels(subject, replace(CHANNELS, early=layer, late="logits"))

    with pytest.raises(ValueError, match="layer is 'nowhere': the network has 0, 1, 2, 3, 4, 5") as missing:
        run(digits, "nowhere")
    spoilt = digits.inputs.clone()
    spoilt[:, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="are not finite on") as not_finite:
        run(replace(digits, inputs=spoilt))
    with pytest.raises(ValueError, match="does not take inputs of shape") as shape:
        run(replace(digits, inputs=digits.inputs[..., :4]))
    assert all("\n" not in str(error.value) for error in (missing, not_finite, shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeaturesSettings(directions=0), "directions is 0: give at least 1"),
        (lambda: FeaturesSettings(tolerance=2), "tolerance is 2: give a share between 0 and 1"),
        (lambda: FeaturesSettings(seed=-1), "seed is -1"),
        (lambda: ChannelsSettings(inputs=0), "inputs is 0: give at least 1"),
        (lambda: ChannelsSettings(tolerance=1e-12), "tolerance is 1e-12: give 1e-8 to 1"),
        (lambda: ChannelsSettings(early="0", late="0"), "early and late are both '0'"),
        (lambda: RotationSettings(inputs=1), "inputs is 1: give at least 2"),
        (lambda: RotationSettings(loss="l2"), "loss is 'l2': give one of l1, log, hoyer, lp"),  # pyright: ignore[reportArgumentType]
        (lambda: RotationSettings(kind="any"), "kind is 'any'"),  # pyright: ignore[reportArgumentType]
        (lambda: RotationSettings(starts=("zero",)), "starts is"),  # pyright: ignore[reportArgumentType]
        (lambda: RotationSettings(learning_rate=0), "learning_rate is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # pyright: ignore[reportCallIssue]


def test_too_few_inputs_to_hold_some_out_are_refused(digits: Subject) -> None:
    with pytest.raises(ValueError, match="inputs is 256: 512 are needed and there are 160"):
        rotation(digits)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"loss": lambda given, targets: given.sum()},
            r"the loss is \(\) for 8 inputs: give one number per input",
        ),
        ({"targets": {"label": torch.zeros(3).long()}}, "target 'label' has 3 entries for"),
    ],
)
def test_controls_that_cannot_be_trained_are_refused_in_one_line(
    digits: Subject, change: dict, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as error:
        rotation(replace(digits, **change), ROTATION)
    assert "\n" not in str(error.value)


def test_invertible_rotations_leave_the_function_as_well(digits: Subject) -> None:
    found = rotation(digits, replace(ROTATION, kind="invertible", control_updates=0))
    assert found.figures["loss"]["kind"] == "invertible"
    assert found.figures["function"]["largest"] < 1e-10
