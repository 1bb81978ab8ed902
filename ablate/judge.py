"""The judge: what is left of each measure in a cut agent, with intervals over levels or images."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..agents.blocked import blocked_convolutions
from ..agents.parameters import named_parameters_of, parameter_layout, units_of
from .bootstrap import Bootstrap, Interval, interval
from .cuts import cut_parameters
from .goal import Goal

DosesPer = Literal["direction", "parameter", "unit"]
"""What has a dose of its own: a direction as a whole, or its share in each named parameter (the weights of a layer, its
biases), or in each output unit of each (a row of the weights, an entry of the biases)."""

Network = Callable[[Tensor], Any]
"""A network with some parameters: a batch of inputs to what the learner's network gives."""


Asked = tuple[Network, Collection[str] | None]
"""A network, and the names of the measures that are wanted of it; None are all."""


class Behaviour(Protocol):
    """What a learner does, measured on fixed units: levels or images."""

    @property
    def measures(self) -> Mapping[str, str]:
        """Name of each measure → what it says."""
        ...

    @property
    def paired(self) -> bool:
        """Whether unit i is the same one in all measures."""
        ...

    @property
    def floor(self) -> Literal["untrained", "uniform"]:
        """The agent that retention counts from.

        `uniform` where an untrained one may excel: a classifier that calls everything a 3 has all 3s right.
        """
        ...

    def measure(self, network: Network) -> dict[str, Tensor]:
        """Every measure on each of its units, name → (units,)."""
        ...

    def surrogates(self, asked: Sequence[Asked]) -> list[dict[str, Tensor]]:
        """Of each network the same or what stands for it in tuning, name → (units,), differentiable in its parameters.

        Of some names where they are given, and of others that come with them.
        """
        ...

    def uniform(self) -> dict[str, Tensor]:
        """What `measure` and `surrogates` give for an agent that chooses uniformly at random."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What a cut agent does; intervals are 95 %, by bootstrap over units.

    Attributes:
        measures: name → mean over units.
        intervals: name → interval of that mean.
        retention: name → (cut − floor) / (trained − floor), unclipped.
        retention_intervals: name → interval of the retention, paired by unit.
        selectivity: name of the removed goal → its selectivity (`Goal.selectivity`).
        selectivity_intervals: name of the removed goal → its interval.
    """

    measures: dict[str, float]
    intervals: dict[str, Interval]
    retention: dict[str, float]
    retention_intervals: dict[str, Interval]
    selectivity: dict[str, float]
    selectivity_intervals: dict[str, Interval]


class Judge:
    """Judges networks, or parameters of one, against its untrained and trained ones, on fixed units.

    Args:
        network: the architecture, on the behaviour's device; its own parameters do not matter.
        behaviour: the measures, and the units that they are taken on.
        theta_0: untrained parameters (P,).
        theta: trained parameters (P,).
        goals: whose selectivity a verdict gives.
        resamples: bootstrap resamples of the units.
        seed: of the resampling.

    Raises:
        ValueError: a goal names a measure that the behaviour does not have, or θ is of another network.
    """

    def __init__(
        self,
        network: nn.Module,
        behaviour: Behaviour,
        theta_0: Tensor,
        theta: Tensor,
        *,
        goals: Sequence[Goal] = (),
        resamples: int = 1000,
        seed: int = 0,
    ):
        self.network, self.behaviour, self.goals = network, behaviour, goals
        self.theta_0, self.theta = theta_0, theta
        for goal in goals:
            check_goal(goal, behaviour)
        self._layout, self._resamples, self._seed = parameter_layout(network), resamples, seed
        for one in (theta_0, theta):
            named_parameters_of(one, self._layout)
        self._verdicts: dict[bytes, Verdict] = {}
        self._retentions: dict[bytes, dict[str, float]] = {}

    @cached_property
    def untrained(self) -> dict[str, Tensor]:
        """What `measure` gives at θ_0."""
        with torch.no_grad():
            return self.measure(self.theta_0)

    @cached_property
    def trained(self) -> dict[str, Tensor]:
        """What `measure` gives at θ."""
        with torch.no_grad():
            return self.measure(self.theta)

    @cached_property
    def uniform(self) -> dict[str, Tensor]:
        """What `measure` gives for the uniform-random agent."""
        return _whole(self.behaviour.uniform())

    @property
    def floor(self) -> dict[str, Tensor]:
        """What `measure` gives for the agent that retention counts from."""
        return self.untrained if self.behaviour.floor == "untrained" else self.uniform

    def measure(self, theta: Tensor) -> dict[str, Tensor]:
        """Every measure on each of its units at θ, name → (units,) float64."""
        return self.measure_network(self.network_at(theta))

    def measure_network(self, network: Network) -> dict[str, Tensor]:
        """Every measure on each of its units of any network, an edited one too, name → (units,) float64."""
        return _whole(self.behaviour.measure(network))

    def surrogate(self, theta: Tensor, only: Collection[str] | None = None) -> dict[str, Tensor]:
        """What stands for every measure in tuning, name → (units,) float64; differentiable in θ.

        Of some names where they are given: a step of tuning asks for no more than its goal names.
        """
        return self.surrogate_network(self.network_at(theta), only)

    def surrogate_network(self, network: Network, only: Collection[str] | None = None) -> dict[str, Tensor]:
        """The same of any network; differentiable in what it is."""
        [found] = self.surrogate_networks([(network, only)])
        return found

    def surrogate_networks(self, asked: Sequence[Asked]) -> list[dict[str, Tensor]]:
        """The same of several networks, quicker than one after the other."""
        return [_whole(found) for found in self.behaviour.surrogates(asked)]

    def parts(self, doses_per: DosesPer) -> list[tuple[int, int]]:
        """Where each part of θ that has its own doses lies, (start, stop), one after the other; of directions none."""
        if doses_per == "unit":
            return units_of(self._layout)
        return [(start, stop) for start, stop, _ in self._layout.values() if doses_per == "parameter"]

    def parts_of(self, doses: Tensor) -> list[tuple[int, int]]:
        """The parts that doses (k,) or (k, M) are of, told by their number."""
        choices = (self.parts(per) for per in get_args(DosesPer))
        return next((parts for parts in choices if doses.shape[1:] == (len(parts),)), [])

    def cut(self, vectors: Tensor, doses: Tensor) -> Tensor:
        """`cut_parameters` of the trained agent, by doses (), (k,) or (k, M) of this network's parts; (P,)."""
        return cut_parameters(self.theta, self.theta_0, vectors, doses, self.parts_of(doses))

    @cached_property
    def surrogate_ends(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What `surrogate` gives for the floor and for the trained agent: what tuning counts retention between."""
        with torch.no_grad():
            low = self.surrogate(self.theta_0) if self.behaviour.floor == "untrained" else self.uniform
            return low, self.surrogate(self.theta)

    def judge(self, theta: Tensor) -> Verdict:
        """The verdict on an agent with parameters θ; of those judged before (rewinds recur) the same again."""
        key = _key(theta)
        if key not in self._verdicts:
            self._verdicts[key] = self.judge_network(self.network_at(theta))
        return self._verdicts[key]

    def judge_network(self, network: Network) -> Verdict:
        """The verdict on any network."""
        with torch.no_grad():
            measured = self.measure_network(network)
        means = {name: self._bootstrap.means(name, value) for name, value in measured.items()}
        kept = {name: _retention(value, *self._ends[name]) for name, value in means.items()}
        selectivity = {goal.name: goal.selectivity(kept) for goal in self.goals}
        return Verdict(
            measures=_firsts(means),
            intervals=_intervals(means),
            retention=_firsts(kept),
            retention_intervals=_intervals(kept),
            selectivity=_firsts(selectivity),
            selectivity_intervals=_intervals(selectivity),
        )

    def retention(self, theta: Tensor) -> dict[str, float]:
        """A verdict's retention without its intervals, name → (cut − floor) / (trained − floor); remembered as well."""
        key = _key(theta)
        if key not in self._retentions:
            self._retentions[key] = self.retention_network(self.network_at(theta))
        return dict(self._retentions[key])

    def retention_network(self, network: Network) -> dict[str, float]:
        """The same of any network."""
        with torch.no_grad():
            measured = self.measure_network(network)
        return {
            name: float(_retention(value.mean(), self.floor[name].mean(), self.trained[name].mean()))
            for name, value in measured.items()
        }

    def summary(self, per_unit: dict[str, Tensor]) -> dict[str, dict[str, float]]:
        """Mean and interval over units of each measure: name → {mean, low, high}."""
        rows = {}
        for name, value in per_unit.items():
            means = self._bootstrap.means(name, value)
            low, high = interval(means)
            rows[name] = {"mean": float(means[0]), "low": low, "high": high}
        return rows

    def network_at(self, theta: Tensor) -> Network:
        """The network with parameters θ, differentiable in them once; hooks on its modules may be passed by.

        Where no gradient is wanted it may go another way than with one, to the same outputs but for rounding.
        """
        values = self.parameters_at(theta)

        def network(inputs: Tensor) -> Any:
            with blocked_convolutions():
                return functional_call(self.network, values, (inputs,))

        return network

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def parameters_at(self, theta: Tensor) -> dict[str, Tensor]:
        """θ as the network's named parameters, on its device; differentiable in θ."""
        return named_parameters_of(theta.to(self.device), self._layout)

    @cached_property
    def _bootstrap(self) -> Bootstrap:
        # Drawn when first needed: judges of tuning units never are asked for an interval.
        units = {name: len(value) for name, value in self.trained.items()}
        return Bootstrap(units, paired=self.behaviour.paired, resamples=self._resamples, seed=self._seed)

    @cached_property
    def _ends(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The means that retention 0 and 1 stand for, each (1 + resamples,)."""
        means = self._bootstrap.means
        return {
            name: (means(name, self.floor[name]), means(name, high)) for name, high in self.trained.items()
        }


def check_goal(goal: Goal, behaviour: Behaviour) -> None:
    """Refuse a goal that names a measure which the behaviour does not have.

    Raises:
        ValueError: with those that it has.
    """
    for name in goal.measures:
        if name not in behaviour.measures:
            known = ", ".join(behaviour.measures)
            raise ValueError(f"goal {goal.name!r} names the measure {name!r}: give one of {known}")


def _key(theta: Tensor) -> bytes:
    return hashlib.blake2b(theta.detach().cpu().numpy().tobytes()).digest()


def _whole(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.double().cpu() for name, value in values.items()}


def _retention(cut: Tensor, low: Tensor, high: Tensor) -> Tensor:
    learned = high - low
    # A measure that training did not move has nothing to retain.
    return torch.where(learned.abs() > 1e-9, (cut - low) / learned, torch.zeros_like(cut))


def _firsts(means: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in means.items()}


def _intervals(means: dict[str, Tensor]) -> dict[str, Interval]:
    return {name: interval(value) for name, value in means.items()}
