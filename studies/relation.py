"""Do directions that were pushed late carry the goal that was learned late? A rank correlation beside its nulls.

The unit here is a direction, within one run; over runs the seed is the unit. Over directions the correlation of centre
of mass with *preference* (the causal share of the late goal − that of the early one) is compared with
- permuted time: the rows of all profiles in another order, the same for all; what is left of time is chance;
- a random basis of the same span: is it these directions, or any that span the same?
- random subspaces of parameter space: random directions, each with the times at which the rows pushed it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ..analysis.profiles import centre_of_mass
from ..analysis.rows import Rows

_WIDTH = 2**24  # entries of one panel of random directions


@dataclass(frozen=True, eq=False)
class Relation:
    """A rank correlation over directions, beside its nulls.

    Attributes:
        correlation: Spearman's ρ.
        nulls: name → (draws,) of the same under it.
    """

    correlation: float
    nulls: dict[str, np.ndarray]

    def p_value(self, null: str) -> float:
        """Two-sided: how often the null is as far from 0."""
        return two_sided_p(self.correlation, self.nulls[null])


def two_sided_p(value: float, drawn: np.ndarray) -> float:
    """How often draws (n,) of a null are as far from 0 as the value, itself counted among them."""
    return float((1 + np.count_nonzero(np.abs(drawn) >= abs(value))) / (1 + len(drawn)))


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's ρ of two (n,); 0 where one of them does not vary.

    Raises:
        ValueError: the shapes differ.
    """
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two of (n,) are correlated, got {x.shape} and {y.shape}")
    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0


def relation(
    profiles: np.ndarray,
    singular_values: np.ndarray,
    along: np.ndarray,
    slopes: np.ndarray,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Relation:
    """Centre of mass against preference, over directions.

    Args:
        profiles: (T, k).
        singular_values: (k,).
        along: uᵀ(θ − θ_0) of each direction (k,).
        slopes: uᵀ(g_late / added − g_early / added) of each direction (k,), so that along · slopes is its preference.
        draws: of each null.
        rng: draws them.
    """
    preference = along * slopes
    k = len(along)
    permuted, rotated = np.empty(draws), np.empty(draws)
    pushes = profiles * singular_values
    for draw in range(draws):
        order = rng.permutation(len(profiles))
        permuted[draw] = rank_correlation(centre_of_mass(profiles[order]), preference)
        basis, _ = np.linalg.qr(rng.standard_normal((k, k)))
        centres = centre_of_mass(pushes @ basis)
        rotated[draw] = rank_correlation(centres, (along @ basis) * (slopes @ basis))
    found = rank_correlation(centre_of_mass(profiles), preference)
    return Relation(found, {"permuted time": permuted, "random basis": rotated})


def under_permuted_time(
    profiles: np.ndarray, preference: np.ndarray, *, draws: int, rng: np.random.Generator
) -> Relation:
    """Centre of mass against any preference of the directions for the late goal; of the nulls permuted time alone.

    A tuned dose, or what lies in one module, says nothing of another basis or subspace, which has its own.

    Args:
        profiles: (T, k).
        preference: (k,).
        draws: of the null.
        rng: draws it.
    """
    permuted = [
        rank_correlation(centre_of_mass(profiles[rng.permutation(len(profiles))]), preference)
        for _ in range(draws)
    ]
    found = rank_correlation(centre_of_mass(profiles), preference)
    return Relation(found, {"permuted time": np.array(permuted)})


def random_subspaces(
    rows: Rows,
    moved: np.ndarray,
    slopes: dict[str, np.ndarray],
    *,
    count: int,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The same correlation over random directions of parameter space, pushed as the rows push them.

    Args:
        rows: (T, P).
        moved: θ − θ_0 (P,).
        slopes: name → g_late / added − g_early / added (P,).
        count: directions of each draw.
        draws: how many.
        rng: draws them.

    Returns:
        Name → (draws,).
    """
    k = count * draws
    pushes, along = np.zeros((rows.shape[0], k)), np.zeros(k)
    sloped = {name: np.zeros(k) for name in slopes}
    parameters = rows.shape[1]
    width = max(1, _WIDTH // k)
    for start in range(0, parameters, width):
        stop = min(start + width, parameters)
        drawn = rng.standard_normal((stop - start, k), dtype=np.float32)
        pushes += rows.panel(start, stop) @ drawn
        along += moved[start:stop] @ drawn
        for name, slope in slopes.items():
            sloped[name] += slope[start:stop] @ drawn
    found = {name: np.empty(draws) for name in slopes}
    for draw in range(draws):
        of_draw = slice(draw * count, (draw + 1) * count)
        centres = centre_of_mass(pushes[:, of_draw])
        for name, values in sloped.items():
            found[name][draw] = rank_correlation(centres, along[of_draw] * values[of_draw])
    return found
