import pytest
import torch
from torch import Tensor

from goalcut.agents.expectation import Recursion, _by_small_steps, expectation, expectations

STATES, MOVES, HORIZON = 12, 4, 9


def recursion(
    columns: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Weights, where moves lead, what is offset, where walks go on, x_0; some states are led to by no move."""
    generator = torch.Generator().manual_seed(columns)
    weights = torch.rand(STATES, MOVES, generator=generator, dtype=dtype).softmax(-1)
    following = torch.randint(STATES - 2, (STATES, MOVES), generator=generator)
    offset, initial = torch.rand(2, STATES, columns, generator=generator, dtype=dtype)
    going_on = (torch.rand(STATES, columns, generator=generator) < 0.7).to(dtype)
    return weights, following, offset, going_on, initial


@pytest.mark.parametrize("columns", [1, 3])
def test_it_is_powers_of_the_dense_transition_matrix(columns: int) -> None:
    weights, following, offset, going_on, initial = recursion(columns)
    P = torch.zeros(STATES, STATES, dtype=torch.float64).scatter_add_(1, following, weights)
    for column in range(columns):
        found = initial[:, column]
        for _ in range(HORIZON):
            found = offset[:, column] + going_on[:, column] * (P @ found)
        told = expectation(Recursion(weights, following, offset, going_on, initial), HORIZON)[:, column]
        torch.testing.assert_close(told, found)


@pytest.mark.parametrize("columns", [1, 3])
def test_its_gradient_is_that_of_small_steps_and_of_differences(columns: int) -> None:
    weights, following, offset, going_on, initial = recursion(columns)
    inputs = [part.requires_grad_() for part in (weights, offset, initial)]

    def told(weights: Tensor, offset: Tensor, initial: Tensor) -> Tensor:
        return expectation(Recursion(weights, following, offset, going_on, initial), HORIZON)

    assert torch.autograd.gradcheck(told, inputs)
    assert torch.autograd.gradgradcheck(told, inputs)
    slowly = _by_small_steps(weights, following, offset, going_on, initial, HORIZON)
    for one, other in zip(
        *(torch.autograd.grad(x.square().sum(), inputs) for x in (told(*inputs), slowly)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_second_derivative_in_the_weights_alone_is_that_of_small_steps() -> None:
    weights, following, offset, going_on, initial = recursion(2)
    weights.requires_grad_()

    def product_with_hessian(found: Tensor) -> Tensor:
        [slope] = torch.autograd.grad(found.square().sum(), weights, create_graph=True)
        [curved] = torch.autograd.grad((slope * weights.detach()).sum(), weights)
        return curved

    quickly = expectation(Recursion(weights, following, offset, going_on, initial), HORIZON)
    slowly = _by_small_steps(weights, following, offset, going_on, initial, HORIZON)
    torch.testing.assert_close(product_with_hessian(quickly), product_with_hessian(slowly))


@pytest.mark.parametrize("alike", [False, True])
def test_inputs_may_follow_from_one_another(alike: bool) -> None:
    weights, following, _, going_on, initial = recursion(1)
    at = torch.rand(
        STATES, MOVES, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    ).requires_grad_()

    def told(at: Tensor) -> Tensor:
        paid = (at * weights).sum(1, keepdim=True)
        return expectation(Recursion(at, following, paid, going_on, paid if alike else initial), HORIZON)

    assert torch.autograd.gradcheck(told, [at])
    assert torch.autograd.gradgradcheck(told, [at])


def test_recursions_of_several_chains_are_each_alone() -> None:
    chains = [Recursion(*recursion(columns)) for columns in (1, 3, 1, 2, 1)]
    chains[2] = Recursion(
        *(part[:7] if part is not chains[2].following else part[:7] % 7 for part in chains[2])
    )
    for one, together in zip(chains, expectations(chains, HORIZON), strict=True):
        torch.testing.assert_close(together, expectation(one, HORIZON), atol=1e-14, rtol=1e-14)
    assert expectations([], HORIZON) == []


def test_it_takes_any_layout_and_no_step_at_all() -> None:
    weights, following, offset, going_on, initial = recursion(3)
    laid_otherwise = [part.T.contiguous().T for part in (weights, following, offset, going_on, initial)]
    told, again = (
        expectation(Recursion(*parts), HORIZON)
        for parts in ((weights, following, offset, going_on, initial), laid_otherwise)
    )
    assert torch.equal(told, again)
    initial.requires_grad_()
    at_once = expectation(Recursion(weights, following, offset, going_on, initial), 0)
    assert torch.equal(at_once, initial)
    [slope] = torch.autograd.grad(at_once[:1].expand(4, 3).sum(), initial)
    assert slope[0].tolist() == [4.0] * 3
    assert not slope[1:].any()


def test_nothing_of_the_past_is_kept_where_no_gradient_is_wanted() -> None:
    parts = Recursion(*recursion(1, torch.float32))
    assert not expectation(parts, HORIZON).requires_grad
    parts.weights.requires_grad_()
    with torch.no_grad():
        assert not expectation(parts, HORIZON).requires_grad
    assert torch.equal(
        expectation(parts, HORIZON), expectation(Recursion(*(part.detach() for part in parts)), HORIZON)
    )
