"""Networks with edited layers: what they give, and that the network stays as it was."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from goalcut.ablate.activations import EditedNetwork, activations_at
from goalcut.ablate.edits import AddVector, ClampChannel, MeanAblation, ProjectOut, mean_activations
from goalcut.agents.classifiers import build_classifier
from goalcut.agents.networks import build_network


@pytest.fixture(params=["conv", "impala", "mlp"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    return build_network(request.param, (3, 5, 5), 4, seed=0).requires_grad_(False)


@pytest.fixture
def conv() -> nn.Module:
    return build_network("conv", (3, 5, 5), 4, seed=0).requires_grad_(False)


def planes(count: int = 6) -> Tensor:
    return torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(0)).round()


def hooks_of(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


class Broken:
    def __call__(self, activations: Tensor) -> Tensor:
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("edits", [{}, {"trunk": ProjectOut(torch.zeros(0, 128))}])
def test_no_edit_and_rank_zero_give_the_same_bits(conv: nn.Module, edits: dict) -> None:
    for one, other in zip(EditedNetwork(conv, edits)(planes()), conv(planes()), strict=True):
        assert torch.equal(one, other)


def test_the_network_is_as_it_was_after_a_pass_and_after_a_failure(network: nn.Module) -> None:
    network.trunk[0].register_forward_hook(lambda *_: None)  # somebody else's, who keeps it
    before, said = copy.deepcopy(network.state_dict()), network(planes())
    width = activations_at(network, ["trunk"], planes())["trunk"].shape[1]
    zero = MeanAblation(torch.zeros(width))
    EditedNetwork(network, {"trunk": zero})(planes())
    for broken in ({"trunk": Broken(), "trunk.0": lambda h: h}, {"trunk": zero, "actor": zero}):
        with pytest.raises((RuntimeError, ValueError), match=r"broken on purpose|'actor' gives \(4,\)"):
            EditedNetwork(network, broken)(planes())
    assert hooks_of(network) == 1
    assert not network.heads_apart
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    for one, other in zip(network(planes()), said, strict=True):
        assert torch.equal(one, other)


def test_heads_are_edited_as_any_layer_and_are_one_product_again_after_it(conv: nn.Module) -> None:
    logits, values = conv(planes())
    found = EditedNetwork(
        conv, {"actor": ClampChannel(1, 5.0), "critic": MeanAblation(torch.full((1,), 2.0))}
    )(planes())
    clamped = logits.clone()
    clamped[:, 1] = 5
    torch.testing.assert_close(found[0], clamped)
    torch.testing.assert_close(found[1], torch.full((6,), 2.0))
    doubled = {name: 2 * value for name, value in conv.state_dict().items()}
    elsewhere = EditedNetwork(conv, {"critic": ClampChannel(0, 3.0)}, doubled)(planes())
    torch.testing.assert_close(elsewhere[0], functional_call(conv, doubled, (planes(),))[0])
    torch.testing.assert_close(elsewhere[1], torch.full((6,), 3.0))
    given = activations_at(conv, ["actor", "critic"], planes())
    torch.testing.assert_close(given["actor"], logits)
    torch.testing.assert_close(given["critic"][:, 0], values)
    assert not conv.heads_apart
    for one, other in zip(conv(planes()), (logits, values), strict=True):
        assert torch.equal(one, other)


def test_the_heads_of_an_edited_trunk_get_what_the_edit_gave(conv: nn.Module) -> None:
    logits, values = EditedNetwork(conv, {"trunk": MeanAblation(torch.zeros(128))})(planes())
    torch.testing.assert_close(logits, conv.actor.bias.expand(6, 4))
    torch.testing.assert_close(values, conv.critic.bias.expand(6))


def test_layers_inside_one_another_and_several_edits_of_one_follow_in_order(conv: nn.Module) -> None:
    twice = [AddVector(torch.ones(128)), ClampChannel(3, -2.0)]
    edited = EditedNetwork(
        conv, {"trunk": twice, "trunk.0": ClampChannel(1, 9.0), "trunk.1": lambda h: h * 2}
    )
    h = conv.trunk[0](planes())
    h[:, 1] = 9.0
    h = conv.trunk[2:](conv.trunk[1](h) * 2) + 1
    h[:, 3] = -2.0
    torch.testing.assert_close(edited(planes())[0], conv.actor(h), rtol=1e-4, atol=1e-5)


def test_a_cut_of_a_convolution_acts_on_each_position_of_what_it_gives(conv: nn.Module) -> None:
    vectors = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(1)))[0].T
    mean = torch.linspace(-1, 1, 16)
    edited = EditedNetwork(conv, {"trunk.2": ProjectOut(vectors, mean)})
    h = conv.trunk[:3](planes())
    rest = torch.eye(16) - vectors.T @ vectors
    cut = torch.einsum("dc,bchw->bdhw", rest, h) + (mean @ vectors.T @ vectors)[:, None, None]
    torch.testing.assert_close(edited(planes())[0], conv.actor(conv.trunk[3:](cut)), rtol=1e-4, atol=1e-5)


def test_edits_meet_given_parameters_and_doses_have_the_gradient_of_a_difference(conv: nn.Module) -> None:
    doubled = {name: value * 1.5 for name, value in conv.named_parameters()}
    inside = activations_at(conv, ["trunk"], planes(), parameters=doubled)["trunk"]
    logits = functional_call(conv, doubled, (planes(),))[0]
    torch.testing.assert_close(inside @ doubled["actor.weight"].T + doubled["actor.bias"], logits)
    vectors = torch.linalg.qr(torch.randn(128, 2, generator=torch.Generator().manual_seed(1)))[0].T

    def loss(dose: Tensor) -> Tensor:
        edited = EditedNetwork(conv, {"trunk": ProjectOut(vectors, dose=dose)}, doubled)
        return edited(planes())[0].square().sum()

    dose = torch.tensor([0.3, 0.6], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(dose), dose)
    step = torch.tensor([1e-2, 0.0])
    slope = (loss(dose + step) - loss(dose - step)) / 2e-2
    assert float(gradient[0]) == pytest.approx(float(slope.detach()), rel=1e-2)


def test_activations_are_those_of_a_pass_by_hand_in_any_batches(conv: nn.Module) -> None:
    found = activations_at(conv, ["trunk.0", "trunk.5", "trunk"], planes(), batch=4)
    torch.testing.assert_close(found["trunk.0"], conv.trunk[0](planes()))
    torch.testing.assert_close(found["trunk.5"], conv.trunk[:6](planes()))
    torch.testing.assert_close(found["trunk"], conv.trunk(planes()))
    assert hooks_of(conv) == 0


def test_relative_change_is_the_norm_of_the_edit_over_that_of_the_activations(conv: nn.Module) -> None:
    h = activations_at(conv, ["trunk"], planes())["trunk"]
    vector = torch.linspace(0, 1, 128)
    edited = EditedNetwork(conv, {"trunk": AddVector(vector, 0.5)})
    expected = float(0.5 * vector.norm() * 6**0.5 / h.norm())
    assert edited.relative_change(planes(), batch=4) == pytest.approx(expected, rel=1e-5)
    whole = EditedNetwork(conv, {"trunk": ProjectOut(torch.eye(128), mean_activations(h, 128))})
    expected = float((h - h.mean(0)).norm() / h.norm())
    assert whole.relative_change(planes()) == pytest.approx(expected, rel=1e-4)
    assert EditedNetwork(conv, {}).relative_change(planes()) == 0


def test_layers_of_a_classifier_are_edited_too() -> None:
    classifier = build_classifier("cnn", (32,), seed=0)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    edited = EditedNetwork(classifier, {"3": ClampChannel(0, 0.0), "7": MeanAblation(torch.zeros(32))})
    h = torch.zeros(3, 32)
    torch.testing.assert_close(edited(images), classifier[8:](h))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("unused", "layer is 'unused': a forward pass does not call it, only actor, critic, trunk, trunk.0"),
        ("trunk.9", "layer is 'trunk.9': the network has trunk, trunk.0"),
        ("", "layer is '': the network has trunk"),
    ],
)
def test_a_layer_that_is_not_called_or_not_there_is_refused(conv: nn.Module, layer: str, said: str) -> None:
    conv.unused = nn.ReLU()
    with pytest.raises(ValueError, match=said):
        EditedNetwork(conv, {layer: ClampChannel(0, 0.0)})(planes())
    with pytest.raises(ValueError, match=said):
        activations_at(conv, [layer], planes())
    assert hooks_of(conv) == 0


def test_a_wrong_width_and_activations_that_are_not_finite_are_one_clear_line(conv: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"^layer 'trunk.2' gives \(16, 5, 5\), .* 12 entries: give 16.*400"):
        EditedNetwork(conv, {"trunk.2": ProjectOut(torch.zeros(1, 12))})(planes())
    for bad in (float("nan"), float("inf"), -float("inf")):
        inputs = planes()
        inputs[0, 0, 0, 0] = bad
        with pytest.raises(ValueError, match=r"^activations of layer 'trunk.0' are not finite"):
            EditedNetwork(conv, {"trunk.0": ClampChannel(0, 0.0)})(inputs)
    assert hooks_of(conv) == 0


def test_activations_whose_sum_overflows_are_finite_all_the_same() -> None:
    layer = nn.Sequential(nn.Identity())
    large = torch.full((2, 4), 3e38)
    assert not large.sum().isfinite()
    assert torch.equal(activations_at(layer, ["0"], large)["0"], large)


class GivesTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.LSTM(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.pair(x)[0]


def test_a_layer_that_gives_several_tensors_is_refused() -> None:
    with pytest.raises(ValueError, match="layer 'pair' gives a tuple: name a layer inside it"):
        EditedNetwork(GivesTwo(), {"pair": ClampChannel(0, 0.0)})(torch.zeros(2, 3))
