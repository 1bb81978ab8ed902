"""Tuned cuts: doses optimised through the measures, so that one goal goes and the others stay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from ..agents.precision import Precision, in_precision, resolved_precision
from .cuts import DirectionsInParts
from .goal import Goal
from .judge import DosesPer, Judge
from .tuning_loss import TuningLoss

_ATTEMPTS, _RECENT = 3, 10
_DONE = 0.01
"""Tuning ends when the last ten losses were below this: there is nothing left to gain."""

LossesAt = Callable[[int, Mapping[int, Tensor]], Mapping[int, tuple[Tensor, Tensor]]]
"""Step and, by the goals' numbers, doses → of each of these goals the loss there and the relative norm of the change,
both differentiable."""


@dataclass(frozen=True)
class TuneSettings:
    """How doses are optimised.

    Attributes:
        steps: Adam steps.
        learning_rate: Adam's on doses; it falls linearly to zero. Where doses are per parameter or unit, it is
            √(n/k) of that in a part of n parameters, fewer than the k directions: there k doses move n places, and
            their steps add up.
        warm_up: the share of the steps in which it first rises: Adam's first step moves every dose by all of it, which
            may break an agent.
        first_dose: where every dose starts.
        least_dose: the lowest dose, from −1 to 0; the highest is 1, all that training moved. Below 0 a cut may also
            strengthen what training moved. That reaches further, but over random directions too.
        doses_per: what has a dose of its own: each direction; or its share in each named parameter (the weights of a
            layer, its biases); or in each output unit (a row of the weights, an entry of the biases). Finer doses part
            goals that share their directions, but reach further over random directions too.
        norm_weight: weight of the squared relative norm beyond `norm_budget`.
        norm_budget: relative norm that is free.
        guarding: what the goal's weights of its guards are multiplied by at the first step and at the last, linearly
            between: parting the goals costs some of the way, and it is found again later.
        guard_floor: the retention that a guard is pressed up to: a limit, not a further goal. With all of it asked for,
            some agents keep more of the way than anyone needs and a part of the goal with it.
        precision: of the network and the directions while doses are tuned; cuts are made and judged in float32.
    """

    steps: int = 500
    learning_rate: float = 0.1
    warm_up: float = 0.1
    first_dose: float = 0.05
    least_dose: float = 0.0
    norm_weight: float = 400.0
    norm_budget: float = 0.096
    doses_per: DosesPer = "unit"
    guarding: tuple[float, float] = (1.0, 1.6)
    guard_floor: float = 0.9
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"tune.{name} is {getattr(self, name)}: give a number above 0")
        if self.doses_per not in get_args(DosesPer):
            known = ", ".join(get_args(DosesPer))
            raise ValueError(f"tune.doses_per is {self.doses_per!r}: give one of {known}")
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ValueError(f"tune.precision is {self.precision!r}: give one of {known}")
        for name in ("first_dose", "warm_up"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"tune.{name} is {getattr(self, name)}: give a number from 0 to 1")
        if not -1 <= self.least_dose <= 0:
            raise ValueError(f"tune.least_dose is {self.least_dose}: give a dose from -1 to 0")
        if min(self.guarding) < 0:
            raise ValueError(f"tune.guarding is {self.guarding}: give two factors of 0 or more")
        if not 0 < self.guard_floor <= 1:
            raise ValueError(f"tune.guard_floor is {self.guard_floor}: give a retention above 0, up to 1")

    def rate_at(self, step: int) -> float:
        """What the learning rate is multiplied by at a step, counted from 0: it rises, then falls."""
        warm = min(1.0, (step + 1) / (self.warm_up * self.steps)) if self.warm_up else 1.0
        return warm * (1 - step / self.steps)

    def guarding_at(self, step: int) -> float:
        """What guards' weights are multiplied by at a step, counted from 0."""
        first, last = self.guarding
        return first + (last - first) * step / max(1, self.steps - 1)


FEW_DOSES = TuneSettings(
    steps=250,
    learning_rate=0.06,
    warm_up=0.0,
    norm_budget=0.098,
    doses_per="parameter",
    guarding=(1.0, 1.0),
    guard_floor=1.0,
    precision="float32",
)
"""For a dose per direction and named parameter, or per direction: less is reached, over random directions much less."""


def tune_doses(
    judges: Sequence[Judge],
    theta: Tensor,
    theta_0: Tensor,
    vectors: Tensor,
    goals: Sequence[Goal],
    settings: TuneSettings,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> list[Tensor]:
    """Of each goal the doses α that remove it and keep the others and what guards it, each (k,) or (k, M).

    Minimises `TuningLoss` on the judges' (tuning) units by Adam through the behaviour's surrogates. Goals know nothing
    of each other; those tuned at once share the reading of the directions, which a step spends much of its time on.

    With a dose for each parameter or unit there are M of each direction, one for each of the judges' `parts`.

    Args:
        judges: of tuning units, which no result may be reported on; each step takes the next one's units.
        theta: trained parameters (P,).
        theta_0: initial parameters (P,).
        vectors: orthonormal directions (k, P).
        goals: what to remove, keep and guard.
        settings: how.
        on_step: called with the step, from 1 again where tuning begins again, and the mean loss of the goals that
            still go on.

    Raises:
        ValueError: a goal names a measure that the judges do not take.
    """
    losses = [TuningLoss(judges, goal, settings.guard_floor) for goal in goals]
    # `cut_parameters`, with the product that no dose changes taken once.
    moved = theta - theta_0
    along, length = vectors @ moved, moved.norm()
    parts = judges[0].parts(settings.doses_per)
    # Networks may be on another device than directions and doses.
    both = {resolved_precision(settings.precision, device) for device in (judges[0].device, vectors.device)}
    directions = DirectionsInParts(vectors, parts, torch.bfloat16 if both == {"bfloat16"} else None)

    def at(step: int, doses: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        judge = judges[step % len(judges)]
        steps_back = directions.sums(torch.stack(list(doses.values())), along)
        networks = [
            in_precision(judge.network_at(theta - back), settings.precision, judge.device)
            for back in steps_back
        ]
        asked = [(network, goals[number].measures) for number, network in zip(doses, networks, strict=True)]
        return {
            number: (losses[number](measured, judge, settings.guarding_at(step)), back.norm() / length)
            for number, measured, back in zip(doses, judge.surrogate_networks(asked), steps_back, strict=True)
        }

    shape = (len(vectors), len(parts)) if parts else (len(vectors),)
    rate_shares = torch.tensor([min(1.0, (stop - start) / len(vectors)) ** 0.5 for start, stop in parts])
    unchanged = [loss.unchanged() for loss in losses]
    return optimised_doses(unchanged, shape, at, settings, rate_shares if parts else None, on_step=on_step)


def optimised_doses(
    unchanged: Sequence[float],
    shape: tuple[int, ...],
    at: LossesAt,
    settings: TuneSettings,
    rate_shares: Tensor | None = None,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> list[Tensor]:
    """Doses of each goal that Adam finds; they are put back into `least_dose`…1 after every step.

    First steps that are too long may break an agent for good: where the end is no better than no change at all, it is
    all done again at a fourth of the learning rate, twice at most, and after that nothing is changed.

    Args:
        unchanged: loss of each goal where nothing is changed, over all units: those of one step may be easy or hard.
        shape: of the doses of one.
        at: where every step is told from.
        settings: how; the norm beyond its budget is added to the loss.
        rate_shares: of each part, (M,), the share of the learning rate that its doses have; None: all of it.
        on_step: as `tune_doses` has it.
    """
    found: dict[int, Tensor] = {}
    for attempt in range(_ATTEMPTS):
        rate = settings.learning_rate / 4**attempt
        descents = {
            number: _Descent(shape, settings, rate, rate_shares, 2 * before)
            for number, before in enumerate(unchanged)
            if number not in found
        }
        _descend(descents, at, settings, on_step)
        found |= {
            number: descent.doses.detach()
            for number, descent in descents.items()
            if descent.final_loss < unchanged[number]
        }
    return [found.get(number, torch.zeros(shape)) for number in range(len(unchanged))]


class _Descent:
    """Adam on the doses of one goal.

    A loss above `hopeless` after a quarter of the steps is the end, as is one that nothing is left to gain of.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        settings: TuneSettings,
        learning_rate: float,
        rate_shares: Tensor | None,
        hopeless: float,
    ):
        self.doses = torch.full(shape, settings.first_dose, requires_grad=True)
        self.losses: list[float] = []
        self._settings, self._rate, self._hopeless = settings, learning_rate, hopeless
        self._rate_shares = torch.ones(()) if rate_shares is None else rate_shares
        self._optimizer = torch.optim.Adam([self.doses], lr=learning_rate)

    def step(self, loss: float) -> None:
        """One, along the gradient that the doses have now; `loss` is where it was taken."""
        settings = self._settings
        self._optimizer.param_groups[0]["lr"] = self._rate * settings.rate_at(len(self.losses))
        before = self.doses.detach().clone()
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            self.doses.copy_(before.lerp(self.doses, self._rate_shares))
            self.doses.clamp_(settings.least_dose, 1)
        self.losses.append(loss)

    @property
    def ended(self) -> bool:
        recent = self.losses[-_RECENT:]
        done = len(recent) == _RECENT and max(recent) < _DONE
        quarter = len(self.losses) == self._settings.steps // 4 + 1
        return done or (quarter and min(recent) > self._hopeless)

    @property
    def final_loss(self) -> float:
        """Mean over the last tenth of the steps."""
        last = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(last) / len(last)


def _descend(
    descents: Mapping[int, _Descent],
    at: LossesAt,
    settings: TuneSettings,
    on_step: Callable[[int, float], None] | None,
) -> None:
    """All of them at once, each to its end."""
    going_on = dict(descents)
    for step in range(settings.steps):
        if not going_on:
            return
        found = at(step, {number: descent.doses for number, descent in going_on.items()})
        totals = torch.stack(
            [
                loss + settings.norm_weight * (norm - settings.norm_budget).relu() ** 2
                for loss, norm in (found[number] for number in going_on)
            ]
        )
        totals.sum().backward()
        for descent, total in zip(going_on.values(), totals.tolist(), strict=True):
            descent.step(total)
        if on_step is not None:
            on_step(step + 1, totals.mean().item())
        going_on = {number: descent for number, descent in going_on.items() if not descent.ended}
