import pytest
import torch
from torch.nn import functional

from goalcut.agents.linear import Linear, linear, plain_linear, times_transposed


@pytest.mark.parametrize(("rows", "wide", "narrow"), [(64, 40, 7), (1, 5, 1), (0, 6, 3)])
def test_the_layer_and_its_gradients_agree_with_float64(rows: int, wide: int, narrow: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(*shape, generator=generator) for shape in ((rows, wide), (narrow, wide), (narrow,))
    ]
    target = torch.randn(rows, narrow, generator=generator)
    ours, exact = (
        [t.to(dtype).requires_grad_() for t in tensors] for dtype in (torch.float32, torch.float64)
    )
    given = torch.autograd.grad((linear(*ours) * target).sum(), ours)
    wanted = torch.autograd.grad((functional.linear(*exact) * target.double()).sum(), exact)
    for gradient, reference in zip(given, wanted, strict=True):
        torch.testing.assert_close(gradient.double(), reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_take_the_plain_way(dtype: torch.dtype) -> None:
    layer = Linear(6, 3).to(dtype)
    inputs = torch.ones(4, 6, dtype=dtype)
    assert torch.equal(layer(inputs), functional.linear(inputs, layer.weight, layer.bias))


def test_under_autocast_the_layer_gives_bfloat16() -> None:
    layer = Linear(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(4, 6)).dtype == torch.bfloat16


def test_plainly_the_layer_can_be_differentiated_twice() -> None:
    layer, inputs = Linear(6, 3), torch.ones(4, 6)

    with plain_linear():
        [slope] = torch.autograd.grad((layer(inputs) ** 2).sum(), layer.weight, create_graph=True)
        [bent] = torch.autograd.grad(slope.sum(), layer.weight)
    torch.testing.assert_close(bent, torch.full((3, 6), 2.0 * 4 * 6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("m", "n", "k"), [(3, 5, 700), (1, 1, 1), (0, 4, 6), (4, 2, 0)])
def test_a_product_with_a_transpose_agrees_with_float64(m: int, n: int, k: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    A, B = (torch.randn(2 * rows, k, generator=generator, dtype=dtype)[::2] for rows in (m, n))
    found = times_transposed(A, B)
    assert found.dtype == dtype
    assert found.shape == (m, n)
    torch.testing.assert_close(found.double(), A.double() @ B.double().T, rtol=1e-5, atol=1e-4)
