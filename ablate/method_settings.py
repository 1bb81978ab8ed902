"""How far the ladders of the compared methods reach."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from .method import Change, Rung
from .sparse_masks import SparseSettings
from .tuned import FEW_DOSES, TuneSettings


@dataclass(frozen=True)
class MethodSettings:
    """How far the ladders of methods reach.

    Attributes:
        counts: k of cuts of so many directions.
        doses: of these cuts.
        lengths: of steps along one direction, as shares of ‖θ − θ_0‖.
        norm_budgets: relative norms that tuned changes are held to.
        groups: random groups of coordinates.
        tuned: so many of the strongest directions have their doses tuned.
        strongest: choices by time choose among so many of the strongest directions.
        times: checkpoints to rewind to.
        entries: parameters, at most, that sparse changes and their rivals of as few move.
        layers: whose activations are edited; empty is all that a forward pass calls, and the trunk.
        vector_doses: of vectors that are added to activations.
        pairs: pairs of mazes that such vectors are taken from.
        components: principal directions of activations that tuned cuts choose among.
        tune: how doses are tuned.
        sparse: how sparse changes are found.
        seed: of all draws.
    """

    counts: tuple[int, ...] = (1, 2, 5, 10)
    doses: tuple[float, ...] = (0.5, 1.0)
    lengths: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    norm_budgets: tuple[float, ...] = (0.03, 0.05, 0.09)
    groups: int = 160
    tuned: int = 160
    strongest: int = 40
    times: int = 8
    entries: tuple[int, ...] = (30, 300, 3000, 30000)
    layers: tuple[str, ...] = ()
    vector_doses: tuple[float, ...] = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
    pairs: int = 400
    components: int = 64
    tune: TuneSettings = field(default_factory=partial(replace, FEW_DOSES, steps=60))
    sparse: SparseSettings = field(default_factory=SparseSettings)
    seed: int = 0

    def within(self, budget: float) -> TuneSettings:
        """How doses are tuned to such a relative norm."""
        return replace(self.tune, norm_budget=budget)

    def by_entries(self, most: int, make: Callable[[int], Change]) -> list[Rung]:
        """A rung for each number of `entries`, of networks that have so many parameters."""
        return [Rung(count, 1.0, partial(make, count)) for count in self.entries if count <= most]

    def budgeted(self, k: int, make: Callable[[float], Change]) -> list[Rung]:
        """A rung for each norm budget, its dose."""
        return [Rung(k, budget, partial(make, budget), {"dose": "budget"}) for budget in self.norm_budgets]
