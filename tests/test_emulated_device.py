"""The emulated device itself: it refuses what CUDA refuses, and computes what the CPU does."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from emulated_device import emulated_cuda, why_not
from torch import Tensor, nn
from torch.func import grad, hessian, jacrev, jvp, vjp, vmap
from torch.nn import functional

on_the_device = pytest.mark.usefixtures("emulated")


def here(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


MIXED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "a sum": lambda a, b: a + b,
    "a sum in place on the CPU": lambda a, b: b.add_(a),
    "a sum in place on the device": lambda a, b: a.add_(b),
    "a number of the CPU written": lambda a, b: torch.zeros(()).add_(a.sum()),
    "a number of the device read on the CPU": lambda a, b: b * a.sum(),
    "a product": lambda a, b: a @ b,
    "a number of the CPU in a stack": lambda a, b: torch.stack([a.sum(), b.sum()]),
    "a concatenation": lambda a, b: torch.cat([a, b]),
    "a condition": lambda a, b: torch.where(b > 0, a, a),
    "an index of the device into the CPU": lambda a, b: b[(a > 0).nonzero()[:, 0]],
    "a mask of the device over the CPU": lambda a, b: b[a[0] > 0],
    "values of the CPU put": lambda a, b: a.index_put_((torch.tensor([1]),), b[:1]),
    "gathered at places of the CPU": lambda a, b: a.gather(0, b.long()),
    "selected at places of the CPU": lambda a, b: a.index_select(0, torch.tensor([1])),
    "a product written to the CPU": lambda a, b: torch.mm(a, a, out=b),
    "labels of the CPU": lambda a, b: functional.cross_entropy(a, b[:, 0].long().abs()),
    "a layer of the CPU": lambda a, b: nn.Linear(3, 2)(a),
    "a gradient of the CPU": lambda a, b: torch.autograd.grad(a.requires_grad_() ** 2, a, b),
}


@on_the_device
@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED.keys())
def test_tensors_of_two_devices_are_refused(mixed: Callable[[Tensor, Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        mixed(here(3, 3).cuda(), here(3, 3))


ALLOWED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a number added": lambda a, n: a + n,
    "a number added in place": lambda a, n: a.add_(n),
    "a number where": lambda a, n: torch.where(a > 0, a, n),
    "a number put": lambda a, n: a.index_put_((torch.tensor([1]),), n),
    "a number assigned": lambda a, n: a.__setitem__((slice(1), 2), n) or a,
    "places of the CPU": lambda a, n: a[torch.tensor([2, 0])],
    "a mask of the CPU": lambda a, n: a[torch.tensor([True, False, True])],
    "a copy": lambda a, n: a.copy_(here(3, 3, seed=1)),
}


@on_the_device
@pytest.mark.parametrize("allowed", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_cuda_lets_through_gives_what_the_cpu_gives(allowed: Callable[[Tensor, Tensor], Tensor]) -> None:
    found = allowed(here(3, 3).cuda(), torch.tensor(2.0))
    assert found.device == torch.device("cuda", 0)
    assert torch.equal(found.cpu(), allowed(here(3, 3), torch.tensor(2.0)))


@on_the_device
def test_a_tensor_of_the_device_is_no_array() -> None:
    values = here(3).to("cuda")
    for wanted in (lambda: values.numpy(), lambda: np.asarray(values), lambda: np.add(values, 1)):
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            wanted()
    assert values.cpu().numpy().tolist() == values.tolist() == [values[i].item() for i in range(3)]


@on_the_device
def test_generators_are_of_a_device() -> None:
    on_cpu, on_device = (torch.Generator(device).manual_seed(3) for device in ("cpu", "cuda"))
    assert [generator.device.type for generator in (on_cpu, on_device)] == ["cpu", "cuda"]
    for device, other in (("cuda", on_cpu), ("cpu", on_device)):
        with pytest.raises(RuntimeError, match="a generator of another device"):
            torch.rand(3, generator=other, device=device)
    assert (
        torch.rand(3, generator=on_device, device="cuda").tolist() == torch.rand(3, generator=on_cpu).tolist()
    )


@on_the_device
@pytest.mark.parametrize("made", [torch.zeros(2), torch.tensor([1, 2]), torch.arange(3), torch.eye(2)])
def test_tensors_are_made_and_moved(made: Tensor) -> None:
    there = made.to("cuda")
    assert there.device == torch.device("cuda:0")
    assert all(same is there for same in (there.to("cuda"), there.to(torch.device("cuda")), there.cuda()))
    assert torch.equal(there.cpu(), made)
    for again in (torch.tensor(made.tolist(), device="cuda"), torch.as_tensor(made.numpy(), device="cuda")):
        assert again.device == there.device
        assert torch.equal(again, there)


@on_the_device
def test_views_share_their_content() -> None:
    whole = torch.zeros(2, 3, device="cuda")
    whole[1] = 2
    whole[:, 1:].mul_(3)
    whole.t_()
    assert whole.tolist() == [[0, 2], [0, 6], [0, 6]]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


@on_the_device
def test_a_module_moves_with_its_parameters_and_is_copied() -> None:
    made = network()
    before = list(made.parameters())
    made.to("cuda")
    assert all(one is other for one, other in zip(made.parameters(), before, strict=True))
    copy = deepcopy(made)
    with torch.no_grad():
        copy[0].bias.zero_()
    assert made[0].bias.abs().sum() > 0
    assert {p.device.type for module in (made, copy) for p in module.parameters()} == {"cuda"}


@on_the_device
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fused", [False, True])
def test_training_goes_as_on_the_cpu(fused: bool, precision: torch.dtype) -> None:
    inputs, labels = here(8, 2, 5, 5), torch.arange(8) % 3
    trained = {}
    for device in ("cpu", "cuda"):
        made = network().to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(made.parameters(), lr=0.01, fused=fused)
        for _ in range(3):
            with torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16):
                assert torch.is_autocast_enabled(device) == (precision == torch.bfloat16)
                given = made(inputs.to(device).contiguous(memory_format=torch.channels_last))
            assert given.dtype == precision
            optimizer.zero_grad()
            functional.cross_entropy(given, labels.to(device)).backward()
            optimizer.step()
        trained[device] = [p.detach().cpu() for p in made.parameters()]
    for on_cpu, on_device in zip(trained["cpu"], trained["cuda"], strict=True):
        torch.testing.assert_close(on_device, on_cpu, rtol=1e-6, atol=1e-7)


@on_the_device
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, at its first `jvp`
def test_derivatives_of_all_kinds_are_those_of_the_cpu() -> None:
    def cubed(x: Tensor) -> Tensor:
        return (W.to(x.device) @ x).pow(3).sum()

    W, x, v = here(4, 3), here(3, seed=1), here(3, seed=2)
    kinds: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "gradient": lambda x, v: grad(cubed)(x),
        "forward": lambda x, v: jvp(cubed, (x,), (v,))[1],
        "backward": lambda x, v: vjp(cubed, x)[1](torch.ones((), device=x.device))[0],
        "Hessian": lambda x, v: hessian(cubed)(x),
        "Hessian's product": lambda x, v: jvp(grad(cubed), (x,), (v,))[1],
        "per sample": lambda x, v: vmap(grad(cubed))(torch.stack([x, v])),
        "Jacobian": lambda x, v: jacrev(lambda x: x * W.to(x.device))(x),
    }
    for kind, of in kinds.items():
        torch.testing.assert_close(of(x.cuda(), v.cuda()).cpu(), of(x, v), msg=kind)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_nothing_is_left_of_it_outside() -> None:
    seen = torch.cuda.is_available, torch.cuda.device_count(), torch.Generator, torch.autocast
    with emulated_cuda():
        there = torch.ones(2, device="cuda", requires_grad=True)
        assert (torch.cuda.device_count(), torch.Generator is seen[2]) == (1, False)
    assert (torch.cuda.is_available, torch.cuda.device_count(), torch.Generator, torch.autocast) == seen
    with pytest.raises(RuntimeError, match="outside of `emulated_cuda`"):
        there + 1
    with pytest.raises((RuntimeError, AssertionError)):
        torch.ones(2, device="cuda")
    assert type(nn.Linear(2, 2).to(torch.float64).weight) is nn.Parameter
