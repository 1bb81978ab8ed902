"""Gradient routing (Cloud et al. 2024, arXiv 2410.04332): what a sample shows decides which features it teaches.

The features before the heads are parted: each of two things has some of its own, the rest are shared. A routed sample
that shows one thing alone teaches only that thing's features, what leads to them and what leads from them to the
heads; all others answer as ever but are held still. Samples that show both or neither, and those left unrouted, teach
everything. After training, a thing's features are to hold what only it needed: taking back what training moved of them
should remove the goal.

Held still, features still add to the answers on samples that do not teach them, and where most samples are routed that
breaks training. So a routed sample can also keep them *quiet*, the other thing's and the shared ones alike: a term of
the loss, half the square of what they add to logits and value, teaches them to add nothing there. The paper has no such
term.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .networks import HEADS, ActorCritic
from .parameters import parameter_layout


@dataclass(frozen=True)
class Routing:
    """Which samples are routed, and to how many features.

    Attributes:
        share: share of the samples showing one thing alone that are routed; 0 is no routing.
        part: share of the features that each of the two things has of its own.
        hold: whether a routed sample holds the other features still; without, it only keeps them quiet.
        quiet_coef: weight of half the square of what the other features add to a routed sample's logits and value,
            summed over these and averaged over all samples.
    """

    share: float = 0.0
    part: float = 0.375
    hold: bool = True
    quiet_coef: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"routing.share is {self.share}: give a share from 0 to 1")
        if not 0 < self.part <= 0.5:
            raise ValueError(f"routing.part is {self.part}: give a share above 0 and up to 0.5")
        if not 0 <= self.quiet_coef < math.inf:
            raise ValueError(f"routing.quiet_coef is {self.quiet_coef}: give a finite number, 0 or more")
        if self.quiet_coef and not self.share:
            raise ValueError(
                f"routing.quiet_coef is {self.quiet_coef}, but routing.share is 0 and no sample is routed: give a share"
            )
        if not self.hold and not self.quiet_coef:
            raise ValueError(
                "routing.hold is False and routing.quiet_coef is 0: a routed sample would teach as all others do; give "
                "a quiet_coef, or hold"
            )

    def features_of(self, count: int) -> tuple[range, range]:
        """The features that belong to each of the two things, of `count`.

        Raises:
            ValueError: they are too few.
        """
        own = int(self.part * count)
        if own < 1:
            raise ValueError(f"routing.part is {self.part}: of {count} features that is none; give more")
        return range(own), range(own, 2 * own)


class Router:
    """Says of every sample which features it teaches.

    Args:
        routing: the settings.
        planes: names of the observations' planes.
        things: the two things.
        features: how many features there are.

    Attributes:
        routing: the settings.

    Raises:
        ValueError: a thing has no plane of its own.
    """

    def __init__(self, routing: Routing, planes: tuple[str, ...], things: tuple[str, str], features: int):
        for thing in things:
            if planes.count(thing) != 1:
                raise ValueError(
                    f"routing.share is {routing.share}, but {thing!r} has no plane of its own among "
                    f"{', '.join(planes)}: route in a world where both things can be told apart, as `stars`"
                )
        self.routing, self._planes = routing, [planes.index(thing) for thing in things]
        self._taught = torch.ones(3, features, dtype=torch.bool)  # by the first alone, the second alone, any
        for row, own in enumerate(routing.features_of(features)):
            self._taught[row] = False
            self._taught[row, own.start : own.stop] = True

    def taught(self, observations: Tensor, drawn: Tensor) -> Tensor:
        """Which features each of the samples (B, C, n, n) teaches, (B, features) bool.

        Args:
            observations: the samples.
            drawn: for each a number, uniform from 0 to 1, that says whether it is routed; (B,).
        """
        first, second = ((observations[:, plane] != 0).flatten(1).any(1) for plane in self._planes)
        row = torch.where(first == second, 2, torch.where(first, 0, 1))
        row = torch.where(drawn < self.routing.share, row, 2)
        return self._taught.to(observations.device)[row]


def parameters_of_features(network: ActorCritic, features: range) -> Tensor:
    """Which entries of θ only these features use: into them from the layer before, and out of them; (P,) bool.

    Raises:
        ValueError: the features do not come from a linear layer of their own.
    """
    makers = [name for name, module in network.trunk.named_modules() if isinstance(module, nn.Linear)]
    last = makers[-1] if makers else None
    count = network.actor.in_features
    if last is None or network.trunk.get_submodule(last).out_features != count or "." in last:
        raise ValueError(
            "features are not those of one linear layer: take the network 'conv', 'mlp' or 'impala'"
        )
    layout = parameter_layout(network)
    chosen = torch.zeros(max(stop for _, stop, _ in layout.values()), dtype=torch.bool)

    def mark(name: str, where: slice | tuple[slice, slice]) -> None:
        start, stop, shape = layout[name]
        chosen[start:stop].view(shape)[where] = True

    own = slice(features.start, features.stop)
    mark(f"trunk.{last}.weight", own)
    mark(f"trunk.{last}.bias", own)
    for head in HEADS:
        mark(f"{head}.weight", (slice(None), own))
    return chosen
