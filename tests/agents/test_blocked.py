from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor

from goalcut.agents.blocked import blocked_convolutions, blocks_pay, in_blocks
from goalcut.agents.networks import ActorCritic, build_network

pytestmark = pytest.mark.skipif(
    not blocks_pay(torch.bfloat16, torch.device("cpu")),
    reason="this processor convolves no quicker in blocks",
)
Within = Callable[[], AbstractContextManager[None]]


def network_and_planes() -> tuple[ActorCritic, Tensor]:
    planes = torch.randint(2, (64, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return build_network("conv", (3, 9, 9), 4, seed=0), planes


def outputs_and_gradient(within: Within) -> list[Tensor]:
    network, planes = network_and_planes()
    generator = torch.Generator().manual_seed(1)
    derivative = (torch.randn(64, 4, generator=generator), torch.randn(64, generator=generator))
    with torch.autocast("cpu", torch.bfloat16), within():
        outputs = network(planes)
    return [*outputs, *torch.autograd.grad(outputs, list(network.parameters()), derivative)]


def test_planes_in_blocks_give_the_same_outputs_and_gradient() -> None:
    plain, blocked = outputs_and_gradient(nullcontext), outputs_and_gradient(blocked_convolutions)
    for one, other in zip(plain, blocked, strict=True):
        # Sums of bfloat16 products in another order: closer to one another than either is to float32.
        assert (one - other).norm().item() <= 5e-3 * one.norm().item()


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(torch.bfloat16, 2e-2, 2e-2), (torch.float32, 1e-5, 1e-6)]
)
def test_a_network_acts_alike(dtype: torch.dtype, rtol: float, atol: float) -> None:
    network, planes = network_and_planes()
    acting = network.to(dtype)
    with torch.no_grad():
        plain = acting(planes)
        with blocked_convolutions():
            blocked = acting(planes)
    for one, other in zip(plain, blocked, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


def test_hooks_on_inner_modules_see_every_pass_that_asks_for_no_blocks() -> None:
    network, planes = network_and_planes()
    seen: list[torch.dtype] = []
    network.trunk[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(planes)
        with blocked_convolutions():
            network(planes)
        network(planes)
    assert seen == [torch.bfloat16] * 2


def test_bfloat16_goes_in_blocks_and_float32_where_no_gradient_is_wanted_on_a_cpu() -> None:
    planes = torch.zeros(1, 3, 5, 5)
    assert not in_blocks(planes.bfloat16())
    with blocked_convolutions():
        assert in_blocks(planes.bfloat16())
        assert not in_blocks(planes)
        with torch.no_grad():
            assert in_blocks(planes)
            assert not in_blocks(planes.to("meta"))
            assert not in_blocks(planes.double())
            with blocked_convolutions(False):
                assert not in_blocks(planes)
        assert not in_blocks(planes.bfloat16().to("meta"))
