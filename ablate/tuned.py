"""Tuned cuts: doses optimised through the measures, so that one goal goes and the others stay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .goal import Goal
from .judge import Judge, check_goal


@dataclass(frozen=True)
class TuneSettings:
    """How doses are optimised.

    Attributes:
        steps: Adam steps.
        learning_rate: Adam's at the start, falling linearly to zero, on doses in 0…1.
        first_dose: where every dose starts.
        norm_weight: weight of the squared relative norm beyond `norm_budget`.
        norm_budget: relative norm that is free.
    """

    steps: int = 120
    learning_rate: float = 0.1
    first_dose: float = 0.1
    norm_weight: float = 400.0
    norm_budget: float = 0.08

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"tune.{name} is {getattr(self, name)}: give a number above 0")
        if not 0 <= self.first_dose <= 1:
            raise ValueError(f"tune.first_dose is {self.first_dose}: give a dose from 0 to 1")


def tune_doses(
    judges: Sequence[Judge],
    theta: Tensor,
    theta_0: Tensor,
    vectors: Tensor,
    goal: Goal,
    settings: TuneSettings,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Doses α (k,) in 0…1 that remove one goal and keep the others and what guards it.

    Minimises, on the judges' (tuning) units, retention of the goal to remove + mean lost retention of the goals to
    keep + weighted lost retention of the guards, each counted from 0 up, by Adam through the behaviour's surrogates;
    doses are put back into 0…1 after every step.

    Args:
        judges: of tuning units, which no result may be reported on; each step takes the next one's units.
        theta: trained parameters (P,).
        theta_0: initial parameters (P,).
        vectors: orthonormal directions (k, P).
        goal: what to remove, keep and guard.
        settings: how.
        on_step: called with the step and the loss.

    Raises:
        ValueError: the goal names a measure that the judges do not take.
    """
    check_goal(goal, judges[0].behaviour)
    ends = _ends(judges, goal)
    doses = torch.full((len(vectors),), settings.first_dose, requires_grad=True)
    optimizer = torch.optim.Adam([doses], lr=settings.learning_rate)
    # `cut_parameters`, with the product that no dose changes taken once.
    moved = theta - theta_0
    along, length = vectors @ moved, moved.norm()
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - step / settings.steps)
        cut = theta - (doses * along) @ vectors
        measured = judges[step % len(judges)].surrogate(cut)
        # A skill that training did not change has nothing to keep or lose.
        kept = {
            name: (measured[name].mean() - low) / (high - low)
            if abs(high - low) > 1e-9
            else torch.ones((), dtype=torch.float64)
            for name, (low, high) in ends.items()
        }
        loss = kept[goal.remove].relu() + torch.stack([(1 - kept[name]).relu() for name in goal.keep]).mean()
        for name, weight in goal.guard.items():
            loss = loss + weight * (1 - kept[name]).relu()
        excess = ((cut - theta).norm() / length - settings.norm_budget).relu()
        loss = loss + settings.norm_weight * excess**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            doses.clamp_(0, 1)
        if on_step is not None:
            on_step(step + 1, loss.item())
    return doses.detach()


def _ends(judges: Sequence[Judge], goal: Goal) -> dict[str, tuple[Tensor, Tensor]]:
    """The surrogates that retention 0 and 1 stand for, means over all judges' units."""
    low, high = zip(*(judge.surrogate_ends for judge in judges), strict=True)
    return {
        name: (torch.cat([one[name] for one in low]).mean(), torch.cat([one[name] for one in high]).mean())
        for name in goal.measures
    }
