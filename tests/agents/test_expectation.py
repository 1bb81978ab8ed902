import pytest
import torch
from torch import Tensor

from goalcut.agents.expectation import _by_small_steps, expectation

STATES, MOVES, HORIZON = 12, 4, 9


def recursion(
    columns: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Weights, where moves lead, what is given, where walks go on, x_0; some states are led to by no move."""
    generator = torch.Generator().manual_seed(columns)
    weights = torch.rand(STATES, MOVES, generator=generator, dtype=dtype).softmax(-1)
    following = torch.randint(STATES - 2, (STATES, MOVES), generator=generator)
    given, first = torch.rand(2, STATES, columns, generator=generator, dtype=dtype)
    going_on = (torch.rand(STATES, columns, generator=generator) < 0.7).to(dtype)
    return weights, following, given, going_on, first


@pytest.mark.parametrize("columns", [1, 3])
def test_it_is_powers_of_the_dense_transition_matrix(columns: int) -> None:
    weights, following, given, going_on, first = recursion(columns)
    P = torch.zeros(STATES, STATES, dtype=torch.float64).scatter_add_(1, following, weights)
    for column in range(columns):
        found = first[:, column]
        for _ in range(HORIZON):
            found = given[:, column] + going_on[:, column] * (P @ found)
        told = expectation(weights, following, given, going_on, first, HORIZON)[:, column]
        torch.testing.assert_close(told, found)


@pytest.mark.parametrize("columns", [1, 3])
def test_its_gradient_is_that_of_small_steps_and_of_differences(columns: int) -> None:
    weights, following, given, going_on, first = recursion(columns)
    inputs = [part.requires_grad_() for part in (weights, given, first)]

    def told(weights: Tensor, given: Tensor, first: Tensor) -> Tensor:
        return expectation(weights, following, given, going_on, first, HORIZON)

    assert torch.autograd.gradcheck(told, inputs)
    assert torch.autograd.gradgradcheck(told, inputs)
    slowly = _by_small_steps(weights, following, given, going_on, first, HORIZON)
    for one, other in zip(
        *(torch.autograd.grad(x.square().sum(), inputs) for x in (told(*inputs), slowly)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_second_derivative_in_the_weights_alone_is_that_of_small_steps() -> None:
    weights, following, given, going_on, first = recursion(2)
    weights.requires_grad_()

    def product_with_hessian(found: Tensor) -> Tensor:
        [slope] = torch.autograd.grad(found.square().sum(), weights, create_graph=True)
        [curved] = torch.autograd.grad((slope * weights.detach()).sum(), weights)
        return curved

    quickly = expectation(weights, following, given, going_on, first, HORIZON)
    slowly = _by_small_steps(weights, following, given, going_on, first, HORIZON)
    torch.testing.assert_close(product_with_hessian(quickly), product_with_hessian(slowly))


def test_nothing_of_the_past_is_kept_where_no_gradient_is_wanted() -> None:
    parts = recursion(1, torch.float32)
    assert not expectation(*parts, HORIZON).requires_grad
    parts[0].requires_grad_()
    with torch.no_grad():
        assert not expectation(*parts, HORIZON).requires_grad
    assert torch.equal(expectation(*parts, HORIZON), expectation(*(part.detach() for part in parts), HORIZON))
