"""A method of cutting: for each goal a ladder of changes, from small to large, in parameters or activations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..analysis.directions import Directions
from .activations import EditedNetwork, Edits
from .cuts import cut_parameters, orthonormal, relative_norm, scaled_step
from .edits import AddVector, ProjectOut
from .goal import Goal
from .judge import Judge, Network
from .selection import vectors_of


@dataclass(frozen=True, eq=False)
class Change:
    """What a cut makes of a trained network: other parameters (P,), edited activations, or both.

    `about` is what its making alone tells, JSON-able; it joins the recipe of its rung.
    """

    theta: Tensor | None = None
    edits: Edits = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def network(self, judge: Judge) -> Network:
        """The changed network, of a judge's architecture and trained parameters."""
        theta = judge.theta if self.theta is None else self.theta
        if not self.edits:
            return judge.network_at(theta)
        return EditedNetwork(judge.network, self.edits, judge.parameters_at(theta))

    def relative_norm(self, judge: Judge, inputs: Tensor) -> float:
        """‖Δθ‖ / ‖θ − θ_0‖; where only activations are edited, ‖Δh‖ / ‖h‖ over inputs."""
        if self.theta is not None or not self.edits:
            return 0.0 if self.theta is None else relative_norm(self.theta, judge.theta, judge.theta_0)
        network = self.network(judge)
        assert isinstance(network, EditedNetwork)
        return network.relative_change(inputs)


@dataclass(frozen=True, eq=False)
class Rung:
    """One change of a ladder.

    Attributes:
        k: how many directions, parameters, or which module or time: what the ladder climbs, beside the dose.
        dose: as the method means it.
        make: makes the change; called when it is judged, so that one judged already costs nothing.
        recipe: what else says which change it is, JSON-able.
    """

    k: int
    dose: float
    make: Callable[[], Change]
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Method:
    """A named way of cutting.

    Attributes:
        name: unique among those compared.
        ladder: the changes meant to remove a goal; cheap to list.
        per_goal: whether the ladder depends on the goal; where it does not, each change is judged once for all goals.
        space: `parameters`, or the layer whose activations are edited.
    """

    name: str
    ladder: Callable[[Goal], Sequence[Rung]]
    per_goal: bool = True
    space: str = "parameters"


def cut_ladder(
    judge: Judge, found: Callable[[], Directions], counts: Sequence[int], doses: Sequence[float] = (1.0,)
) -> list[Rung]:
    """Take back what training moved along the first k directions, by a dose: one rung per k and dose."""

    def make(count: int, dose: float) -> Change:
        vectors = orthonormal(vectors_of(found())[:count])
        return Change(cut_parameters(judge.theta, judge.theta_0, vectors, dose))

    return _rungs(make, counts, doses)


def step_ladder(judge: Judge, step: Callable[[], Tensor], lengths: Sequence[float], k: int = 1) -> list[Rung]:
    """θ moved along a step (P,) by given shares of ‖θ − θ_0‖."""

    def make(_: int, length: float) -> Change:
        return Change(scaled_step(judge.theta, step(), length * float((judge.theta - judge.theta_0).norm())))

    return _rungs(make, [k], lengths)


def projection_ladder(
    layer: str,
    found: Callable[[], Directions],
    mean: Callable[[int], Tensor],
    counts: Sequence[int],
    doses: Sequence[float] = (1.0,),
) -> list[Rung]:
    """Project the first k directions of a layer out of its activations; `mean(d)` gives h̄ of so many entries."""

    def make(count: int, dose: float) -> Change:
        vectors = orthonormal(vectors_of(found())[:count])
        return Change(edits={layer: ProjectOut(vectors, mean(vectors.shape[1]), dose)})

    return _rungs(make, counts, doses)


def vector_ladder(layer: str, vector: Callable[[], Tensor], doses: Sequence[float]) -> list[Rung]:
    """Add a vector to a layer's activations, by doses; negative ones subtract it."""
    return _rungs(lambda _, dose: Change(edits={layer: AddVector(vector(), dose)}), [1], doses)


def rewind_ladder(
    judge: Judge, after: Callable[[int], Tensor], times: Sequence[int], doses: Sequence[float] = (1.0,)
) -> list[Rung]:
    """θ moved towards what it was at a checkpoint, by a dose; k is the time, dose 1 is early stopping."""
    return _rungs(lambda time, dose: Change(torch.lerp(judge.theta, after(time), dose)), times, doses)


def _rungs(make: Callable[[int, float], Change], counts: Sequence[int], doses: Sequence[float]) -> list[Rung]:
    return [
        Rung(count, dose, lambda count=count, dose=dose: make(count, dose))
        for count in counts
        for dose in doses
    ]
