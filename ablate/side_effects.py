"""Side effects of a cut: how far policy or prediction, and value, go from the trained ones on ordinary inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..analysis.subject import Subject
from .judge import Network


@dataclass(frozen=True)
class SideEffect:
    """What a cut changed on the inputs that training was on.

    Attributes:
        kl: mean KL(trained ‖ cut) of action or class probabilities, in nats.
        value_error: root mean square of the change of the value; None where the network gives none.
    """

    kl: float
    value_error: float | None


class SideEffects:
    """Compares networks with the trained one, on a subject's inputs.

    Args:
        subject: its network is the trained one, its inputs states of training levels or training digits.
        batch: inputs of one forward pass.

    Raises:
        ValueError: its network gives no logits.
    """

    def __init__(self, subject: Subject, *, batch: int = 4096):
        if "logits" not in subject.outputs:
            raise ValueError(f"outputs of the subject are {', '.join(subject.outputs)}: name one logits")
        self.subject, self._batch = subject, batch
        self._trained = self._outputs(subject.network)

    def of(self, network: Network) -> SideEffect:
        """The side effects of a network in place of the trained one.

        Raises:
            ValueError: it gives something that is not finite.
        """
        given = self._outputs(network)
        before, after = (outputs["logits"].log_softmax(-1) for outputs in (self._trained, given))
        kl = float((before.exp() * (before - after)).sum(-1).mean())
        error = None
        if "value" in given:
            error = float((given["value"] - self._trained["value"]).square().mean().sqrt())
        return SideEffect(kl, error)

    def _outputs(self, network: Network) -> dict[str, Tensor]:
        parts: dict[str, list[Tensor]] = {}
        with torch.no_grad():
            for inputs in self.subject.inputs.split(self._batch):
                given = network(inputs)
                for name, output in self.subject.outputs.items():
                    if name in ("logits", "value"):
                        parts.setdefault(name, []).append(output(given).double())
        outputs = {name: torch.cat(part) for name, part in parts.items()}
        for name, values in outputs.items():
            if not bool(torch.isfinite(values).all()):
                raise ValueError(f"{name} of the cut network are not finite: cut with a smaller dose")
        return outputs
