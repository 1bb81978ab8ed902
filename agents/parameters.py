"""All parameters of a module as one flat vector θ, in the order of `named_parameters`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Layout = Mapping[str, tuple[int, int, tuple[int, ...]]]
"""Parameter name → (start, stop, shape) in the flat parameter vector."""


def parameter_layout(module: nn.Module) -> Layout:
    """Name → (start, stop, shape) in the flat vector."""
    layout, start = {}, 0
    for name, parameter in module.named_parameters():
        layout[name] = (start, start + parameter.numel(), tuple(parameter.shape))
        start += parameter.numel()
    return layout


def units_of(layout: Layout) -> list[tuple[int, int]]:
    """Where each output unit's share of each parameter lies, (start, stop): a row of a weight, an entry of a bias."""
    units = []
    for start, stop, shape in layout.values():
        size = (stop - start) // shape[0] if shape else 1
        units.extend((first, first + size) for first in range(start, stop, size))
    return units


def flat_parameters(module: nn.Module) -> Tensor:
    """θ, a copy, (P,) float32."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])


def named_parameters_of(flat: Tensor, layout: Layout) -> dict[str, Tensor]:
    """The views of θ by name, differentiable in it, as `torch.func.functional_call` takes them.

    Raises:
        ValueError: θ is of another length than the layout.
    """
    length = max(stop for _, stop, _ in layout.values())
    if flat.shape != (length,):
        raise ValueError(f"parameters are {tuple(flat.shape)}, the network has ({length},): another network?")
    return {name: flat[start:stop].view(shape) for name, (start, stop, shape) in layout.items()}


def set_parameters(module: nn.Module, flat: Tensor) -> None:
    """Write θ into the module."""
    values = named_parameters_of(flat, parameter_layout(module))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(values[name])


def module_of(parameter: str) -> str:
    """The module that a parameter belongs to: "body.0.weight" → "body.0"; one of the root is its own."""
    return parameter.rpartition(".")[0] or parameter


def entries_by_module(layout: Layout) -> dict[str, Tensor]:
    """Module, in the order of the layout → which entries of a flat vector are its parameters; int64, ascending."""
    entries: dict[str, list[Tensor]] = {}
    for name, (start, stop, _) in layout.items():
        entries.setdefault(module_of(name), []).append(torch.arange(start, stop))
    return {module: torch.cat(parts).sort().values for module, parts in entries.items()}
