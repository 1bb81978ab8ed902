"""A network whose named layers give edited activations, and what layers give over inputs.

Edits are forward hooks of one pass: they are gone when it ends or fails, and the network is as it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..agents.networks import HEADS, ActorCritic
from .edits import Edit

Edits = Mapping[str, Edit | Sequence[Edit]]
"""Name of a layer → its edit, or several that follow one another."""
Parameters = Mapping[str, Tensor]
_Heard = Callable[[Tensor], Tensor | None]


class EditedNetwork:
    """A network with edits, as a callable; the module itself stays as it is.

    Args:
        network: any module.
        edits: by layer, a name of `named_modules`; layers may lie inside one another. With a head of an `ActorCritic`
            among them, both are computed apart, and differ from their one product in the last bits.
        parameters: in place of the network's own, as `functional_call` takes them; None are its own.

    Raises:
        ValueError: there is no such layer. And when it is called: a forward pass does not call a layer, an edit is
            not for what the layer gives, or activations are not finite.
    """

    def __init__(self, network: nn.Module, edits: Edits, parameters: Parameters | None = None):
        self.network, self.parameters = network, parameters
        self.edits = {
            name: tuple(edit) if isinstance(edit, Sequence) else (edit,) for name, edit in edits.items()
        }
        for name in self.edits:
            _layer(network, name)

    def __call__(self, inputs: Tensor) -> Any:
        """What the network gives."""
        return self._forward(inputs, {name: self._edit(name) for name in self.edits})

    def relative_change(self, inputs: Tensor, *, batch: int = 2048) -> float:
        """‖Δh‖ / ‖h‖ over inputs and edited layers: what the edits change of what they are given."""
        squares = {"change": 0.0, "activations": 0.0}

        def measured(name: str) -> _Heard:
            edit = self._edit(name)

            def heard(before: Tensor) -> Tensor:
                after = edit(before)
                squares["change"] += float((after - before).double().square().sum())
                squares["activations"] += float(before.double().square().sum())
                return after

            return heard

        with torch.no_grad():
            for part in inputs.split(batch):
                self._forward(part, {name: measured(name) for name in self.edits})
        # Where nothing was active, a change is without measure; none is none.
        return (squares["change"] / max(squares["activations"], 1e-300)) ** 0.5

    def _edit(self, name: str) -> Callable[[Tensor], Tensor]:
        def edited(activations: Tensor) -> Tensor:
            for edit in self.edits[name]:
                try:
                    activations = edit(activations)
                except ValueError as error:
                    raise ValueError(f"layer {name!r} {error}") from None
            return activations

        return edited

    def _forward(self, inputs: Tensor, hearing: Mapping[str, _Heard]) -> Any:
        with _listening(self.network, hearing, inputs):
            if self.parameters is None:
                return self.network(inputs)
            return functional_call(self.network, dict(self.parameters), (inputs,))


def activations_at(
    network: nn.Module,
    layers: Sequence[str],
    inputs: Tensor,
    *,
    parameters: Parameters | None = None,
    batch: int = 2048,
) -> dict[str, Tensor]:
    """What named layers give over inputs, each (N, C, …), without gradient.

    Args:
        network: any module.
        layers: names of `named_modules`.
        inputs: (N, …).
        parameters: in place of the network's own.
        batch: inputs of one forward pass.

    Raises:
        ValueError: there is no such layer, a forward pass does not call it, or activations are not finite.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in layers}

    def keeping(name: str) -> _Heard:
        # A clone: the module that follows may work in place.
        return lambda activations: found[name].append(activations.detach().clone())

    with torch.no_grad():
        for part in inputs.split(batch):
            with _listening(network, {name: keeping(name) for name in layers}, part):
                if parameters is None:
                    network(part)
                else:
                    functional_call(network, dict(parameters), (part,))
    return {name: torch.cat(parts) for name, parts in found.items()}


@contextmanager
def _listening(network: nn.Module, hearing: Mapping[str, _Heard], inputs: Tensor) -> Iterator[None]:
    """Forward hooks on layers, for one forward pass; what they return takes the place of what a layer gave."""
    heard: set[str] = set()

    def hook(name: str, hears: _Heard) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        def called(_: nn.Module, __: Any, given: Any) -> Tensor | None:
            heard.add(name)
            if not isinstance(given, Tensor):
                raise ValueError(f"layer {name!r} gives a {type(given).__name__}: name a layer inside it")
            if not _finite(given):
                raise ValueError(f"activations of layer {name!r} are not finite: check parameters and inputs")
            return hears(given)

        return called

    with ExitStack() as hooks:
        if not HEADS.isdisjoint(hearing):
            _call_heads(network, hooks)
        for name, hears in hearing.items():
            handle = _layer(network, name).register_forward_hook(hook(name, hears))
            hooks.callback(handle.remove)
        yield
    silent = [name for name in hearing if name not in heard]
    if silent:
        raise ValueError(
            f"layer is {silent[0]!r}: a forward pass does not call it, only {', '.join(_called(network, inputs))}"
        )


def _call_heads(network: nn.Module, until: ExitStack) -> None:
    """Have both heads of an `ActorCritic` called as modules, until this ends."""
    if isinstance(network, ActorCritic):
        until.callback(setattr, network, "heads_apart", network.heads_apart)
        network.heads_apart = True


def _finite(given: Tensor) -> bool:
    # What is not finite leaves no sum finite, and a sum takes a 25th of the time; one of large entries may overflow.
    return bool(given.detach().sum().isfinite()) or bool(torch.isfinite(given).all())


def _called(network: nn.Module, inputs: Tensor) -> list[str]:
    called: dict[str, None] = {}
    with ExitStack() as hooks, torch.no_grad():
        _call_heads(network, hooks)
        for name, module in network.named_modules():
            if name:
                handle = module.register_forward_hook(lambda *_, name=name: called.setdefault(name))
                hooks.callback(handle.remove)
        network(inputs[:1])
    return sorted(called)


def _layer(network: nn.Module, name: str) -> nn.Module:
    modules = dict(network.named_modules())
    if not name or name not in modules:
        known = ", ".join(known for known in modules if known)
        raise ValueError(f"layer is {name!r}: the network has {known}")
    return modules[name]
