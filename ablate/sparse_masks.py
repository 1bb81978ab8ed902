"""Which few parameters must move to drop a goal: a change of θ found through the exact measures, few entries of it.

Two kinds of change, d: *doses*, d = −m ⊙ (θ − θ_0) with m in 0…1, take back what training moved in some parameters;
*fine-tuning* moves any parameter anywhere. Both are found with an L1 penalty, cut down to their k largest entries, and
found again with the others held at zero. After sparse fine-tuning of toy agents ("Can we change the goals of a toy RL
agent?", 2025) and movement pruning (Sanh et al. 2020, arXiv 2005.07683).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..agents.parameters import Layout, entries_by_module
from .goal import Goal
from .judge import Judge
from .tuning_loss import TuningLoss

Kind = Literal["doses", "fine-tuning"]


@dataclass(frozen=True)
class SparseSettings:
    """How a sparse change is found.

    Attributes:
        steps: Adam steps with all parameters free.
        again: Adam steps with k of them free.
        learning_rate: of doses in 0…1, and of fine-tuning in units of the root mean square of θ − θ_0; falls linearly
            to zero.
        l1: weight of ‖d‖₁ / ‖θ − θ_0‖₁.
        norm_budget: ‖d‖ / ‖θ − θ_0‖ that is free.
        norm_weight: of the squared norm beyond it.
    """

    steps: int = 40
    again: int = 20
    learning_rate: float = 0.05
    l1: float = 3.0
    norm_budget: float = 0.1
    norm_weight: float = 400.0

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0")
        if self.again < 0:
            raise ValueError(f"again is {self.again}: give 0 or more")


def found_change(
    judges: Sequence[Judge],
    goal: Goal,
    kind: Kind,
    settings: SparseSettings,
    *,
    steps: int | None = None,
    within: Tensor | None = None,
) -> Tensor:
    """A change d of θ, (P,), that drops a goal and keeps the others, with small ‖d‖₁ and ‖d‖ within its budget.

    Args:
        judges: of tuning units, which no result may be reported on; each step takes the next one's units.
        goal: what to remove, keep and guard.
        kind: of change.
        settings: how.
        steps: in place of those of the settings.
        within: a change to begin from, (P,); where it is 0, d stays 0. None begins at d = 0.
    """
    theta_0, theta = judges[0].theta_0, judges[0].theta
    loss_of, moved = TuningLoss(judges, goal), theta - theta_0
    unit = -moved if kind == "doses" else torch.full_like(moved, float(moved.square().mean().sqrt()))
    free = unit != 0 if within is None else (within != 0) & (unit != 0)
    begin = torch.zeros_like(theta) if within is None else torch.where(free, within / unit, 0.0)
    weights = begin.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weights], lr=settings.learning_rate)
    length, spread = moved.norm(), moved.abs().sum()
    steps = settings.steps if steps is None else steps
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - step / steps)
        change = weights * unit * free
        judge = judges[step % len(judges)]
        loss = loss_of(judge.surrogate(theta + change, goal.measures), judge)
        loss = loss + settings.l1 * change.abs().sum() / spread
        # The root has no slope at 0, where a change begins.
        excess = ((change.square().sum() + 1e-20).sqrt() / length - settings.norm_budget).relu()
        loss = loss + settings.norm_weight * excess**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if kind == "doses":
            with torch.no_grad():
                weights.clamp_(0, 1)
    return (weights * unit * free).detach()


def largest_entries(change: Tensor, count: int) -> Tensor:
    """The change with all but its `count` largest entries zero, (P,); ties go to the first.

    Raises:
        ValueError: there are not so many entries.
    """
    if not 0 <= count <= len(change):
        raise ValueError(f"count is {count}: give 0 to {len(change)}, as many as there are parameters")
    kept = torch.zeros_like(change)
    order = change.abs().argsort(descending=True, stable=True)[:count]
    kept[order] = change[order]
    return kept


def sparse_change(
    judges: Sequence[Judge], goal: Goal, kind: Kind, count: int, settings: SparseSettings, whole: Tensor
) -> Tensor:
    """At most `count` parameters moved, (P,): those that `whole`, from `found_change`, moves most, found again."""
    kept = largest_entries(whole, count)
    if not count or not settings.again:
        return kept
    return found_change(judges, goal, kind, settings, steps=settings.again, within=kept)


def moved_in(change: Tensor, layout: Layout) -> dict[str, int]:
    """Module → how many of its parameters a change (P,) moves; those of all modules are all that it moves."""
    return {
        module: int(change[inside].count_nonzero()) for module, inside in entries_by_module(layout).items()
    }
