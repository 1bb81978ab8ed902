"""Networks that a lens's claims are held against: of permuted weights, of random labels.

A claim about what training built must fail on a network with the same weights in random places; a claim about what the
labels taught, on one that was trained alike on shuffled labels.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from .subject import Subject


def permuted_weights(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """A copy in which the entries of every parameter are permuted at random: the same values, no structure."""
    generator = torch.Generator().manual_seed(seed)
    network = deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return network


def trained_on_subject(
    subject: Subject,
    *,
    shuffled: bool,
    updates: int = 300,
    batch: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> nn.Module:
    """The untrained network after Adam on the subject's own inputs and loss, targets as they are or shuffled.

    The two differ in nothing else, so what parts them is what the targets taught.

    Args:
        subject: whose untrained network starts.
        shuffled: targets go to other inputs than their own, all targets of one input together.
        updates: of Adam.
        batch: inputs per update, drawn with replacement.
        learning_rate: of Adam.
        seed: of the shuffling and the draws.

    Returns:
        The network in evaluation mode, asking for no gradient.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(subject), generator=generator) if shuffled else torch.arange(len(subject))
    network = deepcopy(subject.untrained).float().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for _ in range(updates):
        drawn = torch.randint(len(subject), (batch,), generator=generator)
        targets = {name: _at(values, order[drawn]) for name, values in subject.targets.items()}
        loss = subject.loss(network(_at(subject.inputs, drawn).float()), targets).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


def _at(values: Tensor, which: Tensor) -> Tensor:
    return values[which.to(values.device)]
