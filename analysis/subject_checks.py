"""What a lens asks of its subject before it computes for minutes: one clear line where it does not fit."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .subject import Subject

_LOOKED_AT = 8


def check_subject(subject: Subject) -> None:
    """Run a few inputs through network, outputs and loss.

    Raises:
        ValueError: there are fewer than two inputs, the network refuses their shape, a target has another length, an
            output is not (N, m), the loss is not one number per input, or something is not finite.
    """
    if len(subject) < 2:
        raise ValueError(f"the subject has {len(subject)} inputs: give at least 2")
    for name, values in subject.targets.items():
        if len(values) != len(subject):
            raise ValueError(
                f"target {name!r} has {len(values)} entries for {len(subject)} inputs: give one each"
            )
    few = subject.of(slice(0, _LOOKED_AT))
    with torch.no_grad():
        given = forward(few)
        for name, take in few.outputs.items():
            values = take(given)
            if values.ndim != 2 or len(values) != len(few):
                raise ValueError(
                    f"output {name!r} is {tuple(values.shape)} for {len(few)} inputs: give (inputs, m)"
                )
            check_finite(f"output {name!r}", values)
        loss = few.loss(given, few.targets)
    if loss.shape != (len(few),):
        raise ValueError(
            f"the loss is {tuple(loss.shape)} for {len(few)} inputs: give one number per input, "
            f"({len(few)},), as with reduction='none'"
        )
    check_finite("the loss", loss)


def forward(subject: Subject, network: Callable[[Tensor], Any] | None = None) -> Any:
    """What the network gives for all inputs of the subject.

    Raises:
        ValueError: it refuses their shape.
    """
    network = subject.network if network is None else network
    try:
        return network(subject.inputs)
    except (RuntimeError, ValueError, IndexError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the network refuses inputs of shape {tuple(subject.inputs.shape)} ({said}): give it inputs "
            "as it was trained on"
        ) from None


def check_finite(what: str, values: Tensor) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: with how many there are.
    """
    if not torch.isfinite(values).all():
        count = int((~torch.isfinite(values)).sum())
        raise ValueError(
            f"{what} has {count} of {values.numel()} values that are not finite: "
            "check the inputs and the network's parameters"
        )


def check_activations(subject: Subject, *, batch: int = 256) -> None:
    """Refuse inputs at which a layer's activations are not finite: later layers may squash them.

    Raises:
        ValueError: with the first of them, and the layer where it begins.
    """
    found: list[tuple[str, int]] = []

    def noting(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, given: Any) -> None:
            if isinstance(given, Tensor) and not torch.isfinite(given).all():
                wrong = ~torch.isfinite(given.flatten(1)).all(1)
                found.append((name, int(wrong.nonzero()[0])))

        return hook

    hooks = [module.register_forward_hook(noting(name)) for name, module in subject.layers.items()]
    try:
        for start in range(0, len(subject), batch):
            with torch.no_grad():
                forward(subject.of(slice(start, start + batch)))
            if found:
                name, place = found[0]
                raise ValueError(
                    f"activations of layer {name!r} are not finite at input {start + place}: leave such inputs out, or "
                    "look at the network's parameters"
                )
    finally:
        for hook in hooks:
            hook.remove()


def check_still(network: nn.Module) -> None:
    """Refuse a network whose outputs for one input depend on the others.

    Raises:
        ValueError: it is in training mode.
    """
    if network.training:
        raise ValueError("the network is in training mode: call its eval() first, so that inputs do not mix")
