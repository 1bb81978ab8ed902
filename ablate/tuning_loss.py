"""What tuning of any kind makes small: one goal goes, the others stay, measured on tuning units."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .goal import Goal
from .judge import Judge, check_goal


class TuningLoss:
    """Retention of the goal to remove + mean lost retention of the goals to keep + weighted lost of the guards.

    Each is counted from 0 up, a guard's from its floor down. 0 is a clean cut; the trained agent has 1, in the mean
    over the judges.

    Args:
        judges: of tuning units, which no result may be reported on.
        goal: what to remove, keep and guard.
        guard_floor: the retention that guards are pressed up to.

    Raises:
        ValueError: the goal names a measure that the judges do not take.
    """

    def __init__(self, judges: Sequence[Judge], goal: Goal, guard_floor: float = 1.0):
        check_goal(goal, judges[0].behaviour)
        self.goal, self.guard_floor, self._judges = goal, guard_floor, judges
        self._ends = _ends(judges, goal)

    def retention(self, measured: Mapping[str, Tensor], judge: Judge) -> dict[str, Tensor]:
        """Retention of every measure that the goal names, from the surrogates on one judge's units; differentiable.

        What is to go counts from where the floor lies on these very units, what is to stay down from where the trained
        agent does, both in what was learned over all judges' units: easy and hard ones would else count as kept and
        lost.

        Args:
            measured: name → (units,).
            judge: one of the judges.
        """
        kept = {}
        for name, (low, high) in self._ends.items():
            learned = high - low
            # A skill that training did not change has nothing to keep or lose.
            if abs(learned) <= 1e-9:
                kept[name] = torch.ones((), dtype=torch.float64)
            elif name == self.goal.remove:
                kept[name] = (measured[name].mean() - judge.surrogate_ends[0][name].mean()) / learned
            else:
                kept[name] = 1 + (measured[name].mean() - judge.surrogate_ends[1][name].mean()) / learned
        return kept

    def unchanged(self) -> float:
        """The loss of the trained agent, the mean over the judges' units; guards weigh nothing there."""
        return float(torch.stack([self(judge.surrogate_ends[1], judge) for judge in self._judges]).mean())

    def __call__(self, measured: Mapping[str, Tensor], judge: Judge, guarding: float = 1.0) -> Tensor:
        """The loss of an agent, from its surrogates on one judge's units, name → (units,); differentiable.

        The weights of the guards are taken `guarding` times.
        """
        kept, goal = self.retention(measured, judge), self.goal
        loss = kept[goal.remove].relu() + torch.stack([(1 - kept[name]).relu() for name in goal.keep]).mean()
        for name, weight in goal.guard.items():
            loss = loss + guarding * weight * (self.guard_floor - kept[name]).relu()
        return loss


def _ends(judges: Sequence[Judge], goal: Goal) -> dict[str, tuple[Tensor, Tensor]]:
    """The surrogates that retention 0 and 1 stand for, means over all judges' units."""
    low, high = zip(*(judge.surrogate_ends for judge in judges), strict=True)
    return {
        name: (torch.cat([one[name] for one in low]).mean(), torch.cat([one[name] for one in high]).mean())
        for name in goal.measures
    }
