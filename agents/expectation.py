"""What walks on a Markov chain can expect, told backwards in time, and the gradient of it.

x_t = c + g ∘ P x_{t−1}, H times: P takes the mean over the moves of a policy, g is 1 where a walk goes on, c is what a
state gives. Its gradient is the same recursion with Pᵀ in place of P. Either step is one product with a sparse matrix:
autograd, left alone, does a dozen small operations instead, for a batch of levels 1.5 times as long.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Recursion(NamedTuple):
    """M recursions over the same moves from N states; floats are all of one dtype.

    Attributes:
        weights: (N, A), of the A moves from each state.
        following: (N, A) int64, the state that each leads to.
        offset: c, (N, M).
        going_on: g, (N, M), a constant.
        initial: x_0, (N, M).
    """

    weights: Tensor
    following: Tensor
    offset: Tensor
    going_on: Tensor
    initial: Tensor


def expectations(recursions: Sequence[Recursion], horizon: int) -> list[Tensor]:
    """Of each its `expectation`, (N, M); those of as many columns at once, as steps are short and their number counts.

    Args:
        recursions: of as many moves from a state.
        horizon: H, steps.
    """
    found: dict[int, Tensor] = {}
    for columns in dict.fromkeys(one.offset.shape[1] for one in recursions):
        alike = [number for number, one in enumerate(recursions) if one.offset.shape[1] == columns]
        parts = [recursions[number] for number in alike]
        states = [len(part.weights) for part in parts]
        begins = [sum(states[:number]) for number in range(len(parts))]
        shifted = [
            part._replace(following=part.following + at) for part, at in zip(parts, begins, strict=True)
        ]
        joined = shifted[0] if len(parts) == 1 else Recursion(*map(torch.cat, zip(*shifted, strict=True)))
        expected = expectation(joined, horizon)
        found |= dict(zip(alike, expected.split(states), strict=True))
    return [found[number] for number in range(len(recursions))]


def expectation(recursion: Recursion, horizon: int) -> Tensor:
    """x_H of x_t = c + g ∘ P x_{t−1}, (N, M).

    Differentiable in weights, offset and x_0: twice as well, where the second derivative takes autograd's way, but
    neither forwards nor by torch.func.

    Args:
        recursion: of M questions about the same moves.
        horizon: H, steps.
    """
    # Asked here: inside of `forward` gradients are always off.
    differentiable = (recursion.weights, recursion.offset, recursion.initial)
    kept = torch.is_grad_enabled() and any(part.requires_grad for part in differentiable)
    expected = _Expectation.apply(*recursion, horizon, kept)
    return expected  # pyright: ignore[reportReturnType]


def _by_small_steps(
    weights: Tensor, following: Tensor, offset: Tensor, going_on: Tensor, initial: Tensor, horizon: int
) -> Tensor:
    flat, expected = following.reshape(-1), initial
    for _ in range(horizon):
        after = expected.index_select(0, flat).view(*following.shape, -1)
        expected = offset + going_on * (weights[:, :, None] * after).sum(1)
    return expected


class _Expectation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        following: Tensor,
        offset: Tensor,
        going_on: Tensor,
        initial: Tensor,
        horizon: int,
        kept: bool,
    ) -> Tensor:
        states, moves = following.shape
        flat, values = following.reshape(-1), weights.reshape(-1)
        rows = torch.arange(0, states * moves, moves, device=flat.device)
        past = initial.new_empty(horizon if kept else 0, *initial.shape)
        expected = initial
        for t in range(horizon):
            if kept:
                past[t] = expected
            expected = torch.addcmul(offset, going_on, _product(flat, rows, values, expected))
        ctx.save_for_backward(weights, following, offset, going_on, initial, past)
        return expected if horizon else expected.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, following, offset, going_on, initial, past = ctx.saved_tensors
        [gradient] = gradients
        if torch.is_grad_enabled():  # to be differentiated once more
            # Of views: what one input owes to another is for whoever differentiates on.
            inputs = [part.view_as(part) for part in (weights, offset, initial)]
            again = _by_small_steps(inputs[0], following, inputs[1], going_on, inputs[2], len(past))
            asked = [part for part in inputs if part.requires_grad]
            found = iter(torch.autograd.grad(again, asked, gradient, create_graph=True, allow_unused=True))
            to_weights, to_offset, to_initial = (
                next(found) if part.requires_grad else None for part in inputs
            )
            return to_weights, None, to_offset, None, to_initial, None, None
        flat, (states, moves) = following.reshape(-1), following.shape
        # Pᵀ: the moves in the order of the states that they lead to.
        order = flat.argsort(stable=True)
        rows = torch.searchsorted(flat[order], torch.arange(states, device=flat.device))
        sources, values = order // moves, weights.reshape(-1)[order]
        onward, to_offset = torch.empty_like(past), torch.zeros_like(gradient)
        for t in reversed(range(len(past))):
            if ctx.needs_input_grad[2]:
                to_offset += gradient
            torch.mul(gradient, going_on, out=onward[t])
            gradient = _product(sources, rows, values, onward[t])
        # Σ over time and recursions of what is handed on × what lay ahead; move by move, for the memory.
        ahead, onward = (part.permute(1, 2, 0).reshape(states, -1) for part in (past, onward))
        to_weights = [(ahead.index_select(0, to) * onward).sum(1) for to in following.unbind(1)]
        return torch.stack(to_weights, 1), None, to_offset, None, gradient, None, None


def _product(columns: Tensor, rows: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """The product of a sparse matrix, its entries row by row and `rows` where each begins, with (N, M)."""
    # With weights and plain sums an embedding bag is that product, a third quicker than torch's own.
    return torch.ops.aten._embedding_bag_forward_only(dense, columns, rows, False, 0, False, values)[0]
