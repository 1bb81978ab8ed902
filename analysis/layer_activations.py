"""What the layers of a network give and take, over a subject's inputs, in units × cells.

A unit is a channel of a convolution, at every cell of its grid; or an output of a linear layer, which has one cell per
token (one in all where there are no tokens). Everything is float64, whatever the network was trained in.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .subject import Subject

INPUTS = "inputs"
"""The name of the inputs themselves, where a layer's name is asked for."""

LARGEST = 8192
"""Units (or units × cells) of which a square matrix in float64 is still formed: half a gigabyte."""


@dataclass(frozen=True, eq=False)
class Tapped:
    """One forward pass.

    Attributes:
        values: name of a layer, of an output, or `inputs` → as the network has it.
        taken: name of a layer → its first argument.
        last: names whose units are the last dimension.
    """

    values: dict[str, Tensor]
    taken: dict[str, Tensor]
    last: frozenset[str]

    def units(self, name: str, values: Tensor | None = None) -> Tensor:
        """(B, units, cells) of a layer's values, or of others of their shape."""
        return _as_units(self.values[name] if values is None else values, name in self.last)

    def units_taken(self, name: str) -> Tensor:
        """(B, units, cells) of what a layer takes."""
        return _as_units(self.taken[name], name in self.last)


def in_float64(subject: Subject) -> Subject:
    """The same networks and inputs in float64: Gram matrices square condition numbers."""
    return replace(
        subject,
        network=deepcopy(subject.network).double(),
        untrained=deepcopy(subject.untrained).double(),
        inputs=subject.inputs.double() if subject.inputs.is_floating_point() else subject.inputs,
    )


def check_layers(subject: Subject, names: Sequence[str]) -> None:
    """Refuse names that are neither layers, nor outputs, nor `inputs`; and layers that no forward pass calls.

    Raises:
        ValueError: there is none of the name, or it gives no activations.
    """
    run = tap(subject.of(slice(0, 1)), names)
    for name in names:
        if not run.values[name].is_floating_point():
            raise ValueError(f"layer is {name!r}: it gives whole numbers, which have no derivative")


def layer_names(subject: Subject) -> list[str]:
    """Names of the layers that a forward pass calls, in the order of the calls.

    Raises:
        ValueError: the network does not take the inputs.
    """
    tap(subject.of(slice(0, 1)), [])
    return list(subject.layers)


def hidden_layers(subject: Subject) -> list[str]:
    """Names of the layers that are called, without one whose values are an output already."""
    names = layer_names(subject)
    run = tap(subject.of(slice(0, 2)), [*names, *subject.outputs])
    return [name for name in names if not _is_an_output(run, name, subject)]


def tap(subject: Subject, names: Sequence[str], *, leaf: str | None = None) -> Tapped:
    """Run the network on all of a subject's inputs and keep what the named layers give and take.

    Args:
        subject: of one batch.
        names: layers by module name, outputs by theirs, or `inputs`.
        leaf: one of them, which becomes the leaf of the graph: later ones can be differentiated by it. None is no
            graph at all.

    Raises:
        ValueError: a name is unknown, a layer is not called, the inputs are of a wrong shape, or values are not
            finite.
    """
    modules = {
        name: subject.layer(name) for name in names if name != INPUTS and name not in _outputs(subject)
    }
    inputs = subject.inputs
    if leaf == INPUTS:
        inputs = inputs.detach().clone().requires_grad_()
    values: dict[str, Tensor] = {INPUTS: inputs} if INPUTS in names else {}
    taken: dict[str, Tensor] = {}
    with _hooks(modules, values, taken, leaf), torch.set_grad_enabled(leaf is not None):
        try:
            given = subject.network(inputs)
        except (RuntimeError, ValueError, IndexError) as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(
                f"the network does not take inputs of shape {tuple(inputs.shape)}: {first}"
            ) from None
        for name in names:
            if name in subject.outputs and name not in modules:
                values[name] = subject.outputs[name](given)
    for name in names:
        if name not in values:
            raise ValueError(
                f"layer is {name!r}: a forward pass does not call it; give one of {', '.join(subject.layers)} (heads "
                "that are computed as one product are no layers)"
            )
        wrong = ~torch.isfinite(values[name].detach().flatten(1)).all(1)
        if wrong.any():
            raise ValueError(
                f"activations of {name!r} are not finite on {int(wrong.sum())} of {len(wrong)} inputs, "
                f"the first is number {int(wrong.nonzero()[0])}: leave those inputs out, or look at the network"
            )
    last = {name for name, module in modules.items() if not isinstance(module, nn.modules.conv._ConvNd)}
    return Tapped(values, taken, frozenset(last))


def batches(subject: Subject, size: int) -> Iterator[Subject]:
    """The subject in batches of at most `size` inputs, at least one input each."""
    return subject.batches(max(1, size))


def _as_units(values: Tensor, last: bool) -> Tensor:
    if values.ndim == 2:
        return values[:, :, None]
    return values.flatten(1, -2).transpose(1, 2) if last else values.flatten(2)


def _outputs(subject: Subject) -> set[str]:
    return set(subject.outputs) - {name for name, _ in subject.network.named_modules()}


def _is_an_output(run: Tapped, name: str, subject: Subject) -> bool:
    values = run.values[name]
    return any(
        values.shape == run.values[output].shape
        and torch.allclose(values, run.values[output].to(values), rtol=1e-4, atol=1e-6)
        for output in subject.outputs
    )


@contextmanager
def _hooks(
    modules: dict[str, nn.Module], values: dict[str, Tensor], taken: dict[str, Tensor], leaf: str | None
) -> Iterator[None]:
    def keeping(name: str) -> Callable[..., Tensor | None]:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], given: Tensor) -> Tensor | None:
            if not isinstance(given, Tensor) or given.ndim < 2:
                raise ValueError(f"layer {name!r} gives no tensor of a batch: give a layer within it")
            taken[name] = arguments[0]
            if name == leaf:
                given = given.detach().clone().requires_grad_()
            values[name] = given
            return given if name == leaf else None

        return hook

    handles = [module.register_forward_hook(keeping(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def function_kept(before: Subject, after: Subject, names: Sequence[str]) -> dict[str, Any]:
    """How far a network written anew, on the same inputs, gives the same.

    Returns:
        `relative_change`, name of a layer → the largest change of its values relative to the largest of them; the
        `largest` of these; and the `dtype` that they were taken in.
    """
    old, new = tap(before, names), tap(after, names)
    changes = {
        name: float(
            (old.values[name] - new.values[name]).abs().max() / old.values[name].abs().max().clamp_min(1e-300)
        )
        for name in names
    }
    return {"relative_change": changes, "largest": max(changes.values(), default=0.0), "dtype": "float64"}
