"""An optimizer's state as named tensors, so that it can be kept without pickle."""

import torch
from torch import Tensor
from torch.optim import Optimizer

_PREFIX = "optimizer."


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Its moments, `optimizer.NUMBER.NAME` → tensor."""
    return {
        f"{_PREFIX}{number}.{name}": torch.as_tensor(value)
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
        if value is not None
    }


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Take up the moments among `tensors`; those of other names are left alone."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_PREFIX):
            number, key = name.removeprefix(_PREFIX).split(".")
            moments.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, held in optimizer.state.items():
        for name, moment in held.items():
            # Fused Adam reads memory: a moment must lie as its parameter does.
            if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                held[name] = torch.empty_like(parameter).copy_(moment)
