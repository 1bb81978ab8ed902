"""Tuned cuts: doses optimised through the exact measures, so that one goal goes and the other skills stay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .cuts import cut_parameters
from .judge import GOAL_MEASURE, OTHER_GOAL, Judge

Goal = Literal["corner", "cheese"]


@dataclass(frozen=True)
class TuneSettings:
    """How doses are optimised.

    Attributes:
        steps: Adam steps.
        learning_rate: Adam's at the start, falling linearly to zero, on doses in 0…1.
        first_dose: where every dose starts.
        keep_navigation: weight of what is lost of finding the way.
        norm_weight: weight of the squared relative norm beyond `norm_budget`.
        norm_budget: relative norm that is free.
    """

    steps: int = 120
    learning_rate: float = 0.1
    first_dose: float = 0.1
    keep_navigation: float = 0.5
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
    removes: Goal,
    settings: TuneSettings,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Doses α (k,) in 0…1 that remove one goal and keep the other and the finding of the way.

    Minimises, on the judges' (tuning) levels, retention of the goal to remove + lost retention of the goal to keep
    + weighted lost retention of navigation, each counted from 0 up, by Adam through the exact measures; doses are put
    back into 0…1 after every step.

    Args:
        judges: of tuning levels, which no result may be reported on; each step takes the next one's levels.
        theta: trained parameters (P,).
        theta_0: initial parameters (P,).
        vectors: orthonormal directions (k, P).
        removes: `corner` or `cheese`.
        settings: how.
        on_step: called with the step and the loss.
    """
    if removes not in GOAL_MEASURE:
        raise ValueError(f"removes is {removes!r}: give 'corner' or 'cheese'")
    remove, keep = GOAL_MEASURE[removes], GOAL_MEASURE[OTHER_GOAL[removes]]
    skills = (remove, keep, "navigation")
    low, high = (
        {name: torch.cat([getattr(judge, agent)[name] for judge in judges]).mean() for name in skills}
        for agent in ("untrained", "trained")
    )
    doses = torch.full((len(vectors),), settings.first_dose, requires_grad=True)
    optimizer = torch.optim.Adam([doses], lr=settings.learning_rate)
    moved = (theta - theta_0).norm()
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - step / settings.steps)
        cut = cut_parameters(theta, theta_0, vectors, doses)
        measured = judges[step % len(judges)].measure(cut)
        # A skill that training did not change has nothing to keep or lose.
        kept = {
            name: (measured[name].mean() - low[name]) / (high[name] - low[name])
            if abs(high[name] - low[name]) > 1e-9
            else torch.ones((), dtype=torch.float64)
            for name in skills
        }
        excess = ((cut - theta).norm() / moved - settings.norm_budget).relu()
        loss = (
            kept[remove].relu()
            + (1 - kept[keep]).relu()
            + settings.keep_navigation * (1 - kept["navigation"]).relu()
            + settings.norm_weight * excess**2
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            doses.clamp_(0, 1)
        if on_step is not None:
            on_step(step + 1, loss.item())
    return doses.detach()
