"""What gradients are taken of: a subject's outputs, its policy, its loss, its squared error."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from .subject import Subject

SAYS = {
    "logits": "each logit",
    "value": "the value",
    "policy": "√π(a) log π(a) for each action, π in front held: its outer products sum to the Fisher information",
    "loss": "the subject's loss of each input",
    "mse": "half the squared error: of logits to the one-hot label, or of the value to its target",
}


def functions_of(
    subject: Subject, chosen: tuple[str, ...] = ()
) -> dict[str, Callable[[Any, Mapping[str, Tensor]], Tensor]]:
    """Name → f, from what the network gives and the targets of these inputs to (N, J); its own outputs first.

    Args:
        subject: whose outputs and loss.
        chosen: names; none is all that it has.

    Raises:
        ValueError: it has none of a name.
    """
    outputs = subject.outputs
    known: dict[str, Callable[[Any, Any], Tensor]] = {
        name: lambda given, _, take=take: take(given) for name, take in outputs.items()
    }
    if "logits" in outputs:
        known["policy"] = lambda given, _: _fisher_factors(outputs["logits"](given))
    known["loss"] = lambda given, targets: subject.loss(given, targets)[:, None]
    if "logits" in outputs and "label" in subject.targets:
        known["mse"] = lambda given, targets: _squared_error(outputs["logits"](given), targets["label"])
    elif "value" in outputs and "value" in subject.targets:
        known["mse"] = lambda given, targets: 0.5 * (outputs["value"](given) - targets["value"][:, None]) ** 2
    for name in chosen:
        if name not in known:
            raise ValueError(f"of names {name!r}: this subject has {', '.join(known)}")
    return {name: known[name] for name in (chosen or known)}


def _fisher_factors(logits: Tensor) -> Tensor:
    return logits.softmax(-1).detach().sqrt() * logits.log_softmax(-1)


def _squared_error(logits: Tensor, label: Tensor) -> Tensor:
    wanted = functional.one_hot(label, logits.shape[-1]).to(logits)
    return 0.5 * ((logits - wanted) ** 2).sum(-1, keepdim=True)
