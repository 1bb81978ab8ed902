"""A planned cut made: its directions and doses, and the other directions that are its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..analysis.directions import Directions
from ..analysis.profiles import centre_of_mass
from .controls import Recipe
from .plan import Choice, PlannedCut
from .selection import vectors_of
from .table import Selected

NEIGHBOUR, OTHER_SEED = "neighbouring time", "another seed"


@dataclass(frozen=True)
class MadeCut:
    """A cut that is made and not yet judged.

    Attributes:
        plan: what was planned.
        selection: how directions or doses were chosen.
        vectors: directions (k, P).
        doses: of each direction (k,), or of each in each part of the parameters (k, M).
        centre: training time of what is cut, from 0 to 1.
        recipe: how to make it again.
        others: directions of its controls: name, (k, P), their doses, how they were chosen.
    """

    plan: PlannedCut
    selection: Selected
    vectors: Tensor
    doses: Tensor
    centre: float
    recipe: Recipe
    others: list[tuple[str, Tensor, Tensor, Recipe]]


def chosen_cut(
    plan: PlannedCut, choose: Choice, directions: Directions, other: Directions | None, about_other: Recipe
) -> MadeCut:
    """A cut of chosen directions, wholly; its neighbour in time and another seed's by the same choice."""
    chosen = choose(directions)
    others = []
    if plan.neighbour is not None:
        beside = plan.neighbour(directions)
        others.append((NEIGHBOUR, beside.vectors, torch.ones(len(beside.vectors)), beside.recipe))
    if other is not None:
        theirs = choose(other)
        others.append(
            (OTHER_SEED, theirs.vectors, torch.ones(len(theirs.vectors)), theirs.recipe | about_other)
        )
    doses = torch.ones(len(chosen.vectors))
    return MadeCut(plan, "profile", chosen.vectors, doses, chosen.centre, chosen.recipe, others)


def tuned_cut(
    plan: PlannedCut,
    doses: Tensor,
    parts: Sequence[tuple[int, int]],
    moved: Tensor,
    directions: Directions,
    other: Directions | None,
    about_other: Recipe,
) -> MadeCut:
    """A cut of all directions by tuned doses (k,), or (k, M) with their `parts`; `moved` is θ − θ_0 (P,).

    Its controls give the same doses to each direction's follower in time, and to another seed's direction of its rank.
    """
    vectors, centres = vectors_of(directions), centre_of_mass(directions.profiles)
    energy = ((vectors @ moved) ** 2 * _dose_energy(vectors, doses, parts)).numpy()
    centre = float(energy @ centres / max(energy.sum(), 1e-30))
    how = {"by": "doses of the tuned cut, one place later by centre of mass"}
    others = [(NEIGHBOUR, later_in_time(directions), doses, how)]
    if other is not None:
        how = {"by": "doses of the tuned cut, by rank"} | about_other
        others.append((OTHER_SEED, *by_rank_of(other, doses), how))
    recipe = {"by": "tuned", "among": len(vectors), "doses": written_doses(doses)}
    return MadeCut(plan, "tuned", vectors, doses, centre, recipe, others)


def written_doses(doses: Tensor) -> list[Any]:
    """Doses as recipes hold them: of four decimals, as there are many; a cut takes these, and no others."""
    return np.round(doses.double().numpy(), 4).tolist()


def later_in_time(directions: Directions) -> Tensor:
    """In the place of each direction its follower by centre of mass, of the last one the first; (k, P)."""
    order = np.argsort(centre_of_mass(directions.profiles), kind="stable")
    following = np.empty_like(order)
    following[order] = np.roll(order, -1)
    return vectors_of(directions)[torch.from_numpy(following)]


def by_rank_of(other: Directions, doses: Tensor) -> tuple[Tensor, Tensor]:
    """Another seed's directions of the ranks of these doses, and the doses; both fewer where it has fewer."""
    theirs = vectors_of(other)[: len(doses)]
    return theirs, doses[: len(theirs)]


def _dose_energy(vectors: Tensor, doses: Tensor, parts: Sequence[tuple[int, int]]) -> Tensor:
    """Squared length of what is cut of each unit direction, (k,)."""
    if doses.ndim < 2:
        return doses**2
    shares = torch.stack([vectors[:, start:stop].square().sum(1) for start, stop in parts], dim=1)
    return (doses**2 * shares).sum(1)
