"""The judge: what is left of each measure in a cut agent, with intervals over levels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from ..agents.behaviour import ExactBehaviour, network_policy, uniform_policy
from ..agents.networks import ActorCritic
from ..agents.parameters import named_parameters_of, parameter_layout

# The measure that stands for each goal, and its opposite number.
GOAL_MEASURE = {"corner": "corner_reach", "cheese": "cheese_from_corner"}
OTHER_GOAL = {"corner": "cheese", "cheese": "corner"}
Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """What a cut agent does; intervals are 95 %, by bootstrap over levels.

    Attributes:
        measures: name → mean over levels.
        intervals: name → interval of that mean.
        retention: name → (cut − untrained) / (trained − untrained), unclipped.
        retention_intervals: name → interval of the retention, paired by level.
        selectivity: removed goal → retention of the other goal − retention of this one, each clipped to 0…1.
        selectivity_intervals: removed goal → its interval.
    """

    measures: dict[str, float]
    intervals: dict[str, Interval]
    retention: dict[str, float]
    retention_intervals: dict[str, Interval]
    selectivity: dict[str, float]
    selectivity_intervals: dict[str, Interval]


class Judge:
    """Judges parameters of one network against its untrained and trained ones, on fixed levels.

    Args:
        network: the architecture; its own parameters do not matter.
        behaviour: the levels.
        theta_0: untrained parameters (P,).
        theta: trained parameters (P,).
        resamples: bootstrap resamples of the levels.
        seed: of the resampling.
    """

    def __init__(
        self,
        network: ActorCritic,
        behaviour: ExactBehaviour,
        theta_0: Tensor,
        theta: Tensor,
        *,
        resamples: int = 1000,
        seed: int = 0,
    ):
        self.network, self.behaviour, self._layout = network, behaviour, parameter_layout(network)
        levels = len(behaviour.conflict.levels)
        drawn = torch.randint(levels, (resamples, levels), generator=torch.Generator().manual_seed(seed))
        counts = torch.zeros(resamples, levels).scatter_add_(1, drawn, torch.ones(drawn.shape))
        self._weights = counts.double() / levels
        with torch.no_grad():
            self.untrained, self.trained = self.measure(theta_0), self.measure(theta)
            self.uniform = {name: v.double().cpu() for name, v in behaviour.measure(uniform_policy).items()}
        self.best = {name: v.double().cpu() for name, v in behaviour.best().items()}

    def measure(self, theta: Tensor) -> dict[str, Tensor]:
        """Every measure on every level at θ, name → (L,) float64; differentiable in θ."""
        values = named_parameters_of(theta, self._layout)
        policy = network_policy(lambda planes: functional_call(self.network, values, (planes,)))
        return {name: value.double().cpu() for name, value in self.behaviour.measure(policy).items()}

    def judge(self, theta: Tensor) -> Verdict:
        """The verdict on an agent with parameters θ."""
        with torch.no_grad():
            measured = self.measure(theta)
        means = {name: self._mean_and_resampled(value) for name, value in measured.items()}
        kept = {name: self._retention(name, value) for name, value in measured.items()}
        selectivity = {}
        for goal, measure in GOAL_MEASURE.items():
            other = GOAL_MEASURE[OTHER_GOAL[goal]]
            selectivity[goal] = kept[other].clamp(0, 1) - kept[measure].clamp(0, 1)
        return Verdict(
            measures={name: float(value[0]) for name, value in means.items()},
            intervals={name: _interval(value[1:]) for name, value in means.items()},
            retention={name: float(value[0]) for name, value in kept.items()},
            retention_intervals={name: _interval(value[1:]) for name, value in kept.items()},
            selectivity={goal: float(value[0]) for goal, value in selectivity.items()},
            selectivity_intervals={goal: _interval(value[1:]) for goal, value in selectivity.items()},
        )

    def summary(self, per_level: dict[str, Tensor]) -> dict[str, dict[str, float]]:
        """Mean and interval over levels of each measure: name → {mean, low, high}."""
        rows = {}
        for name, value in per_level.items():
            resampled = self._mean_and_resampled(value)
            low, high = _interval(resampled[1:])
            rows[name] = {"mean": float(resampled[0]), "low": low, "high": high}
        return rows

    def _mean_and_resampled(self, per_level: Tensor) -> Tensor:
        """The mean over levels, then that of every resample, (1 + resamples,)."""
        return torch.cat([per_level.mean()[None], self._weights @ per_level])

    def _retention(self, name: str, measured: Tensor) -> Tensor:
        cut, low, high = (
            self._mean_and_resampled(value) for value in (measured, self.untrained[name], self.trained[name])
        )
        learned = high - low
        # A measure that training did not move has nothing to retain.
        return torch.where(learned.abs() > 1e-9, (cut - low) / learned, torch.zeros_like(cut))


def _interval(resampled: Tensor) -> Interval:
    low, high = resampled.quantile(torch.tensor([0.025, 0.975], dtype=resampled.dtype)).tolist()
    return low, high
