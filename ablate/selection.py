"""Choosing directions by their profile alone, no behaviour looked at.

Every choice is made among the directions u_1…u_m of a lens, with profiles v_k and singular values σ_k, and gives
orthonormal directions: some of the u_k, or rotations inside their span. For a rotated direction u = Σ_k r_k u_k the
gradients push it along Gᵀu = Σ_k σ_k r_k v_k, so its energy in a window of time is a quadratic form in r.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from ..agents.parameters import entries_by_module
from ..analysis.directions import Directions
from ..analysis.profiles import centre_of_mass
from .cuts import orthonormal


@dataclass(frozen=True)
class Selection:
    """Directions to cut and how they were chosen.

    Attributes:
        vectors: (k, P) orthonormal, float32.
        centre: energy-weighted centre of mass of their profiles, from 0 (start of training) to 1.
        recipe: what to call to get them again, JSON-able.
    """

    vectors: Tensor
    centre: float
    recipe: dict[str, Any] = field(default_factory=dict)


def by_time(directions: Directions, count: int, *, latest: bool = False, skip: int = 0) -> Selection:
    """The `count` earliest (or latest) directions by centre of mass, after leaving out the first `skip` of them."""
    _check_count(len(directions.singular_values), count + skip)
    centres = centre_of_mass(directions.profiles)
    order = np.argsort(-centres if latest else centres, kind="stable")[skip : skip + count]
    recipe = {"by": "latest" if latest else "earliest", "count": count, "skip": skip, "among": len(centres)}
    return Selection(vectors_of(directions)[order], float(centres[order].mean()), recipe)


def by_rank(directions: Directions, rank: int, *, later: int = 0) -> Selection:
    """The direction of this rank alone, 1 the strongest; or the one `later` places later in time, earlier at the end.

    Raises:
        ValueError: there are not so many directions.
    """
    centres = centre_of_mass(directions.profiles)
    if not 1 <= rank <= len(centres) or not 0 <= later < len(centres):
        raise ValueError(f"rank is {rank}, later {later}: the lens gave {len(centres)} directions")
    order = np.argsort(centres, kind="stable")
    place = int(np.flatnonzero(order == rank - 1)[0])
    chosen = order[place + later if place + later < len(order) else place - later]
    recipe = {"by": "rank", "rank": rank, "later": later}
    return Selection(vectors_of(directions)[[chosen]], float(centres[chosen]), recipe)


def by_window(directions: Directions, count: int, start: int, stop: int) -> Selection:
    """The `count` rotated directions with the most energy in rows start…stop: the strongest pushes of that time."""
    return _rotated(directions, count, (start, stop), None)


def by_contrast(
    directions: Directions,
    count: int,
    window: tuple[int, int],
    against: tuple[int, int],
    *,
    ridge: float | None = None,
) -> Selection:
    """The `count` rotated directions with the most energy in one window per energy in another.

    Without a ridge on the other's energy the contrast ends in directions that hardly moved: `ridge` is a share of its
    largest; default the weakest direction's energy.
    """
    return _rotated(directions, count, window, against, ridge)


def within_module(directions: Directions, selection: Selection, module: str) -> Selection:
    """The part of selected directions that lies in one named module, made orthonormal again.

    Raises:
        ValueError: no parameter of the layout belongs to `module`.
    """
    entries = entries_by_module(directions.layout)
    if module not in entries:
        raise ValueError(f"module is {module!r}: give one of {', '.join(sorted(entries))}")
    inside = torch.zeros(selection.vectors.shape[1], dtype=torch.bool)
    inside[entries[module]] = True
    vectors = orthonormal(selection.vectors * inside)
    return Selection(vectors, selection.centre, selection.recipe | {"module": module})


def by_part(moved: Tensor, inside: Tensor, about: dict[str, Any]) -> Selection:
    """The one direction that holds all that training moved of some parameters: to cut it takes them back to θ_0.

    Args:
        moved: θ − θ_0 (P,).
        inside: which parameters, (P,) bool.
        about: how to get them again.

    Raises:
        ValueError: training moved none of them.
    """
    part = moved * inside
    norm = part.norm()
    if not norm > 0:
        raise ValueError("training moved none of these parameters: choose others")
    # No time: it is of the whole training.
    return Selection((part / norm)[None], 0.5, {"by": "part"} | about)


@dataclass(frozen=True, eq=False)
class Rotation:
    """Directions inside the span of a lens's u_1…u_m, told by their coefficients alone.

    Attributes:
        coefficients: r of each, (m, k), orthonormal columns: u = Σ_j r_j u_j.
        centre: energy-weighted centre of mass of their profiles, from 0 (start of training) to 1.
        recipe: how they were chosen, JSON-able.
    """

    coefficients: np.ndarray
    centre: float
    recipe: dict[str, Any]


def rotation_by_windows(
    singular_values: np.ndarray,
    profiles: np.ndarray,
    count: int,
    window: tuple[int, int],
    against: tuple[int, int] | None = None,
    *,
    ridge: float | None = None,
) -> Rotation:
    """What `by_window` or, with a window to stand against, `by_contrast` chooses.

    Args:
        singular_values: σ_k, (m,), descending.
        profiles: v_k, (T, m).
        count: how many directions to choose.
        window: rows, from one to before another.
        against: rows.
        ridge: as `by_contrast` has it.
    """
    _check_count(len(singular_values), count)
    times = len(profiles)
    for start, stop in filter(None, (window, against)):
        if not 0 <= start < stop <= times:
            raise ValueError(f"a window is {start} to {stop}: give rows within 0 to {times}")
    pushes = profiles * singular_values
    wanted = pushes[slice(*window)].T @ pushes[slice(*window)]
    other = None
    if against is not None:
        other = pushes[slice(*against)].T @ pushes[slice(*against)]
        least = singular_values[-1] ** 2 if ridge is None else ridge * np.linalg.norm(other, 2)
        other = other + least * np.eye(len(wanted))
    _, rotations = eigh(wanted, other)
    basis, _ = np.linalg.qr(rotations[:, ::-1][:, :count])
    energy = ((pushes @ basis) ** 2).sum(axis=1)
    centre = float(((np.arange(times) + 0.5) / times) @ energy / energy.sum())
    recipe: dict[str, Any] = {"by": "window", "count": count, "window": list(window), "among": len(wanted)}
    if against is not None:
        recipe |= {"by": "contrast", "against": list(against)} | ({} if ridge is None else {"ridge": ridge})
    return Rotation(basis, centre, recipe)


def _rotated(
    directions: Directions,
    count: int,
    window: tuple[int, int],
    against: tuple[int, int] | None,
    ridge: float | None = None,
) -> Selection:
    found = rotation_by_windows(
        directions.singular_values, directions.profiles, count, window, against, ridge=ridge
    )
    vectors = torch.from_numpy(found.coefficients.T.astype(np.float32)) @ vectors_of(directions)
    return Selection(vectors, found.centre, found.recipe)


def vectors_of(directions: Directions) -> Tensor:
    """The directions as a tensor (k, P), float32."""
    return torch.from_numpy(np.asarray(directions.vectors, dtype=np.float32))


def _check_count(available: int, count: int) -> None:
    if not 1 <= count <= available:
        raise ValueError(f"count is {count}: give 1 to {available}, as many directions as the lens gave")
