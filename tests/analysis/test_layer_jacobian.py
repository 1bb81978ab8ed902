"""What layers give, and Jacobians between them."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from goalcut.agents.networks import build_network
from goalcut.analysis.layer_activations import check_layers, hidden_layers, in_float64, tap
from goalcut.analysis.layer_jacobian import jacobians
from goalcut.analysis.subject import Subject


def subject_of_network(network: nn.Module, inputs: torch.Tensor, **outputs: object) -> Subject:
    return in_float64(
        Subject(
            kind="test",
            network=network.eval().requires_grad_(False),
            untrained=network,
            inputs=inputs,
            targets={},
            outputs=outputs or {"logits": lambda given: given},  # pyright: ignore[reportArgumentType]
            loss=lambda given, targets: given.sum(1),
        )
    )


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for first, second in pairwise(widths):
        layers += [nn.Linear(first, second), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def maze() -> Subject:
    network = build_network("conv", (3, 5, 5), 4, seed=0)
    planes = (torch.rand(6, 3, 5, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    return subject_of_network(
        network, planes, logits=lambda given: given[0], value=lambda given: given[1][:, None]
    )


def test_jacobians_of_a_linear_network_are_the_product_of_its_weights() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 5))
    subject = subject_of_network(network, torch.randn(7, 4))
    (found,) = jacobians(subject, "0", "2")
    wanted = subject.network[2].weight @ subject.network[1].weight  # pyright: ignore[reportIndexIssue]
    assert found.rows.shape == (7, 1, 5, 3, 1)
    assert torch.allclose(found.flat, wanted.expand(7, 5, 3), atol=1e-14)


def test_jacobians_are_those_of_autograd_between_convolution_and_linear_layer(maze: Subject) -> None:
    found = torch.cat([part.flat for part in jacobians(maze, "trunk.0", "trunk.5", batch=4)])
    after = maze.network.trunk[1:6]  # pyright: ignore[reportIndexIssue]
    h = tap(maze, ["trunk.0"]).values["trunk.0"][2]
    wanted = torch.autograd.functional.jacobian(lambda h: after(h[None])[0], h)
    assert torch.allclose(found[2], wanted.flatten(1), atol=1e-13)


def test_late_cells_are_drawn_for_each_input_or_all_taken(maze: Subject) -> None:
    (drawn,) = jacobians(maze, "trunk.0", "trunk.2", cells=3, seed=1)
    (every,) = jacobians(maze, "trunk.0", "trunk.2")
    assert drawn.rows.shape == (6, 3, 16, 16, 25)
    for image in range(6):
        for place, cell in enumerate(drawn.cells[image]):
            where = (every.cells[image] == cell).nonzero()[0, 0]
            assert torch.equal(drawn.rows[image, place], every.rows[image, where])


def test_an_output_can_be_the_late_end_and_inputs_the_early_one(maze: Subject) -> None:
    (found,) = jacobians(maze, "inputs", "value")
    assert found.rows.shape == (6, 1, 1, 3, 25)


def test_hidden_layers_leave_out_the_one_that_is_an_output(maze: Subject) -> None:
    assert hidden_layers(maze) == ["trunk.0", "trunk.2", "trunk.5"]
    assert hidden_layers(subject_of_network(mlp(4, 6, 5, 3), torch.randn(3, 4))) == ["0", "2"]


def test_a_late_layer_before_the_early_one_is_refused(maze: Subject) -> None:
    with pytest.raises(ValueError, match=r"late is 'trunk.0': it does not depend on 'trunk.2'"):
        next(jacobians(maze, "trunk.2", "trunk.0"))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("trunk.9", "layer is 'trunk.9': the network has trunk"),
        ("actor", "layer is 'actor': a forward pass does not call it; give one of trunk.0, trunk.2, trunk.5"),
    ],
)
def test_a_layer_that_is_not_there_or_not_called_is_refused(maze: Subject, layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_layers(maze, [layer])


def test_activations_that_are_not_finite_are_refused_with_the_input_that_gave_them() -> None:
    inputs = torch.zeros(5, 4)
    inputs[3, 0] = torch.nan
    with pytest.raises(ValueError, match=r"activations of '0' are not finite on 1 of 5 inputs, .* number 3"):
        tap(subject_of_network(mlp(4, 3, 2), inputs), ["0"])


def test_inputs_of_a_wrong_shape_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"does not take inputs of shape \(5, 7\)") as error:
        tap(subject_of_network(mlp(4, 3, 2), torch.zeros(5, 7)), ["0"])
    assert "\n" not in str(error.value)


def test_units_of_a_linear_layer_on_tokens_come_last() -> None:
    subject = subject_of_network(nn.Sequential(nn.Linear(4, 3), nn.Flatten()), torch.randn(2, 6, 4))
    run = tap(subject, ["0"])
    assert torch.equal(run.units("0"), run.values["0"].transpose(1, 2))
