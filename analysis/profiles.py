"""When a direction was pushed: the temporal place of profiles, and of changes in behaviour.

Time runs over rows t = 0…T−1, row t standing for the middle of its step, (t + 1/2) / T. The energy of a profile at
row t is v_kt² / Σ_s v_ks².
"""

import itertools
from collections.abc import Sequence

import numpy as np


def centre_of_mass(profiles: np.ndarray) -> np.ndarray:
    """Mean training time of each profile's energy, Σ_t ((t + 1/2) / T) v_kt²; 0 is the start, 1 the end, (k,).

    Args:
        profiles: (T, k), need not be of unit norm.

    Raises:
        ValueError: a profile is zero, or they are not (T, k).
    """
    energies = _energies(profiles)
    return (np.arange(len(energies)) + 0.5) / len(energies) @ energies


def energy_before(profiles: np.ndarray, t: int) -> np.ndarray:
    """Share of each profile's energy in rows 0…t−1, (k,); the late share is 1 minus this.

    Raises:
        ValueError: t is outside 0…T, a profile is zero, or they are not (T, k).
    """
    energies = _energies(profiles)
    if not 0 <= t <= len(energies):
        raise ValueError(f"t counts rows, 0…{len(energies)}; got {t}")
    return energies[:t].sum(axis=0)


def energy_between(profiles: np.ndarray, boundaries: Sequence[int] | np.ndarray) -> np.ndarray:
    """Share of each profile's energy in every phase between changes, (phases, k), summing to 1 over phases.

    Args:
        profiles: (T, k).
        boundaries: first rows of the second and later phases, increasing, as `change_points` gives them.
    """
    energies = _energies(profiles)
    edges = [0, *(int(boundary) for boundary in boundaries), len(energies)]
    if any(later < earlier for earlier, later in itertools.pairwise(edges)):
        raise ValueError(f"boundaries increase within 0…{len(energies)}, got {edges[1:-1]}")
    return np.stack([energies[start:stop].sum(axis=0) for start, stop in itertools.pairwise(edges)])


def change_points(
    signal: np.ndarray, *, penalty: float = 3.0, min_length: int = 2, noise: float | None = None
) -> np.ndarray:
    """First rows of new phases of a curve, by a piecewise constant mean (Killick et al. 2012, eq. 3).

    Minimises Σ_phases Σ_t (x_t − mean)² + penalty · noise² · log(n) · changes exactly, by dynamic programming (optimal
    partitioning, Jackson et al. 2005; n² steps). A penalty of 2 is the Schwarz criterion; 3 also pays for the choice of
    place and finds a change in less than one curve of independent noise in twenty. A smooth trend is cut in steps, and
    noise that is correlated in time looks like changes: average such curves over blocks, or raise the penalty.

    Args:
        signal: (n,).
        penalty: cost of a change in units of noise² log(n).
        min_length: fewest rows in a phase.
        noise: standard deviation of the noise; None takes it from the median size of successive differences.

    Returns:
        Increasing indices in min_length…n − min_length; empty where nothing changes.

    Raises:
        ValueError: not one-dimensional, not finite, or a setting is out of range.
    """
    x = np.asarray(signal, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(
            f"signal is one finite curve (n,), got shape {x.shape}: give one curve, without gaps"
        )
    if min_length < 1 or penalty <= 0:
        raise ValueError(f"min_length is at least 1 and penalty above 0, got {min_length} and {penalty}")
    n = len(x)
    if n < 2 * min_length:
        return np.zeros(0, dtype=np.int64)
    rounding = np.finfo(np.float64).eps * float(np.abs(x).max())
    x = x - x.mean()  # the cost below is a difference of sums of squares
    spread = typical_noise(x) if noise is None else noise
    # The lower bounds keep rounding from passing for changes where there is no noise.
    change_cost = penalty * max(spread**2, 1e-9 * float(np.mean(x**2)), 100 * rounding**2) * np.log(n)

    sums = np.concatenate([[0.0], np.cumsum(x)])
    squares = np.concatenate([[0.0], np.cumsum(x**2)])
    best = np.full(n + 1, np.inf)  # least cost of rows 0…end−1
    best[0] = -change_cost
    start_of_last = np.zeros(n + 1, dtype=np.int64)
    for end in range(min_length, n + 1):
        start = np.arange(end - min_length + 1)
        within = squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)
        costs = best[start] + within + change_cost
        start_of_last[end] = np.argmin(costs)
        best[end] = costs[start_of_last[end]]
    found, end = [], int(start_of_last[n])
    while end > 0:
        found.append(end)
        end = int(start_of_last[end])
    return np.array(found[::-1], dtype=np.int64)


def typical_noise(signal: np.ndarray) -> float:
    """Standard deviation of a curve's noise from the median size of its successive differences.

    A few large steps do not move it. A curve that mostly stands still has 0, whatever it does in between.
    """
    return float(np.median(np.abs(np.diff(signal)))) / (
        0.6745 * np.sqrt(2.0)
    )  # the median of |N(0, 2 noise²)|


def crossing_time(
    times: np.ndarray, curve: np.ndarray, level: float, *, falling: bool = False
) -> float | None:
    """First time a curve is at or above a level (below it, if `falling`), linear between points; None if never.

    Args:
        times: increasing (n,), in any unit (env steps, rollouts).
        curve: (n,).
        level: to be passed.
        falling: look for the first time at or below the level.

    Raises:
        ValueError: lengths differ, times do not increase, or the curve is not finite.
    """
    times, curve = np.asarray(times, dtype=np.float64), np.asarray(curve, dtype=np.float64)
    if times.ndim != 1 or times.shape != curve.shape:
        raise ValueError(f"times and curve are both (n,), got {times.shape} and {curve.shape}")
    if np.any(np.diff(times) <= 0) or not np.isfinite(curve).all():
        raise ValueError("times must increase and the curve must be finite: sort it and leave out gaps")
    passed = np.flatnonzero(curve <= level if falling else curve >= level)
    if not len(passed):
        return None
    at = int(passed[0])
    if at == 0:
        return float(times[0])
    share = (level - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(times[at - 1] + share * (times[at] - times[at - 1]))


def _energies(profiles: np.ndarray) -> np.ndarray:
    if profiles.ndim != 2 or not len(profiles):
        raise ValueError(f"profiles are (T, k), got {profiles.shape}")
    squares = np.square(profiles, dtype=np.float64)
    totals = squares.sum(axis=0)
    if not np.all(totals > 0):
        raise ValueError(
            f"profile {int(np.argmin(totals > 0))} is zero: it has no place in time; leave it out"
        )
    return squares / totals
