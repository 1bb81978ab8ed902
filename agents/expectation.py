"""What walks on a Markov chain can expect, told backwards in time, and the gradient of it.

x_t = c + g ∘ P x_{t−1}, H times: P takes the mean over the moves of a policy, g is 1 where a walk goes on, c is what a
state gives. Its gradient is the same recursion with Pᵀ in place of P. Either step is one product with a sparse matrix:
autograd, left alone, does a dozen small operations instead, for a batch of levels 1.5 times as long.
"""

from typing import Any

import torch
from torch import Tensor


def expectation(
    weights: Tensor, following: Tensor, given: Tensor, going_on: Tensor, first: Tensor, horizon: int
) -> Tensor:
    """x_H of x_t = c + g ∘ P x_{t−1}, (N, M): M recursions over the same moves.

    Differentiable, twice as well, in the weights, what is given and x_0; a second derivative takes autograd's way.

    Args:
        weights: (N, A), of the A moves from each of N states.
        following: (N, A) int64, the state that each leads to.
        given: c, (N, M).
        going_on: g, (N, M).
        first: x_0, (N, M).
        horizon: H, steps.
    """
    wanted = torch.is_grad_enabled() and any(part.requires_grad for part in (weights, given, first))
    found = _Expectation.apply(weights, following, given, going_on, first, horizon, wanted)
    return found  # pyright: ignore[reportReturnType]


def _by_small_steps(
    weights: Tensor, following: Tensor, given: Tensor, going_on: Tensor, first: Tensor, horizon: int
) -> Tensor:
    flat, found = following.reshape(-1), first
    for _ in range(horizon):
        after = found.index_select(0, flat).view(*following.shape, -1)
        found = given + going_on * (weights[:, :, None] * after).sum(1)
    return found


class _Expectation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        following: Tensor,
        given: Tensor,
        going_on: Tensor,
        first: Tensor,
        horizon: int,
        wanted: bool,
    ) -> Tensor:
        states, moves = following.shape
        flat, sparse = following.reshape(-1), weights.reshape(-1)
        rows = torch.arange(0, states * moves, moves, device=flat.device)
        past = first.new_empty(horizon if wanted else 0, *first.shape)
        found = first
        for t in range(horizon):
            if wanted:
                past[t] = found
            found = torch.addcmul(given, going_on, _product(flat, rows, sparse, found))
        ctx.save_for_backward(weights, following, given, going_on, first, past)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, following, given, going_on, first, past = ctx.saved_tensors
        [gradient] = gradients
        if torch.is_grad_enabled():  # to be differentiated once more
            inputs = (weights, given, first)
            again = _by_small_steps(weights, following, given, going_on, first, len(past))
            asked = [part for part in inputs if part.requires_grad]
            found = iter(torch.autograd.grad(again, asked, gradient, create_graph=True))
            to_weights, to_given, to_first = (next(found) if part.requires_grad else None for part in inputs)
            return to_weights, None, to_given, None, to_first, None, None
        flat, (states, moves) = following.reshape(-1), following.shape
        # Pᵀ: the moves in the order of the states that they lead to.
        order, arriving = flat.argsort(stable=True), flat.bincount(minlength=states)
        rows, sources, sparse = arriving.cumsum(0) - arriving, order // moves, weights.reshape(-1)[order]
        onward, to_given = torch.empty_like(past), torch.zeros_like(gradient)
        for t in reversed(range(len(past))):
            to_given += gradient
            torch.mul(gradient, going_on, out=onward[t])
            gradient = _product(sources, rows, sparse, onward[t])
        # Σ over time and recursions of what is handed on × what lay ahead.
        ahead, onward = (part.permute(1, 2, 0).reshape(states, -1) for part in (past, onward))
        to_weights = (ahead.index_select(0, flat).view(states, moves, -1) @ onward[:, :, None])[:, :, 0]
        return to_weights, None, to_given, None, gradient, None, None


def _product(columns: Tensor, rows: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """The product of a sparse matrix, its entries row by row and `rows` where each begins, with (N, M)."""
    # With weights and plain sums an embedding bag is that product, a third quicker than torch's own.
    return torch.ops.aten._embedding_bag_forward_only(dense, columns, rows, False, 0, False, values)[0]
