"""Does a direction turn when a capability turns? Profiles beside behavioural curves, with a permutation null.

Both kinds of curve change fast and much early in training, slowly and little later, so that anything looks dependent on
anything. Hence the slow course of each is taken out first, of its mean and of its spread, and what is left is compared
with itself in shuffled order: blocks of times are permuted, which keeps the curve's short memory and breaks its place
in time. Turns are moved instead, all together and only so far that they remain about as dense as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal

_PASSES = 0.05
"""A profile with at most this p-value counts as found."""


@dataclass(frozen=True, eq=False)
class LaggedDependence:
    """Strongest lagged correlation of each profile with any behavioural curve.

    Attributes:
        correlation: largest in size over curves and lags, with its sign (k,).
        curve: index of the curve that has it (k,).
        lag: times by which the curve follows the profile there (k,); negative where it leads.
        p_value: share of block permutations of the profile whose largest is at least as large (k,); never zero.
        found: profiles with a p-value of at most 0.05.
        found_null: mean of the same number over the permutations, each held against the others.
        found_p: share of the permutations that find as many; never zero. Profiles share their times and curves, so
            that their p-values are not independent: this one knows.
    """

    correlation: np.ndarray
    curve: np.ndarray
    lag: np.ndarray
    p_value: np.ndarray
    found: int
    found_null: float
    found_p: float


@dataclass(frozen=True)
class Coincidence:
    """How many turns of the profiles fall on turns of the curves.

    Attributes:
        turns: turns of all profiles.
        coinciding: of them, those within the tolerance of a turn of some curve.
        null_mean: mean number over the shifts.
        p_value: share of the shifts with at least as many, the place found counted as one; never zero.
        covered: share of all times within the tolerance of a turn of some curve. Near 1 nothing can be found.
    """

    turns: int
    coinciding: int
    null_mean: float
    p_value: float
    covered: float


def steadied(curves: np.ndarray, window: int) -> np.ndarray:
    """Curves (n, m) less their slow course, over the running spread of what is left.

    The slow course is a running line (Savitzky & Golay 1964), which leaves nothing of a steep fall at the ends.

    Args:
        curves: (n, m); a constant one becomes zero.
        window: times that course and spread run over; odd.

    Raises:
        ValueError: the window is not odd, or longer than the curves.
    """
    if window < 3 or window % 2 == 0 or window > len(curves):
        raise ValueError(f"window is {window}: give an odd number from 3 to {len(curves)}")

    left = curves - scipy.signal.savgol_filter(curves, window, 1, axis=0, mode="interp")
    energy = scipy.ndimage.uniform_filter1d(left**2, window, axis=0, mode="mirror")
    spread = np.sqrt(np.maximum(energy, 0.0))
    rounding = 1e-9 * np.abs(curves).max(axis=0, initial=0.0)
    return np.divide(left, spread, out=np.zeros_like(left), where=spread > rounding)


def lagged_dependence(
    profiles: np.ndarray,
    curves: np.ndarray,
    *,
    max_lag: int,
    block: int,
    permutations: int,
    rng: np.random.Generator,
) -> LaggedDependence:
    """Correlate each profile with each curve at every lag, beside block permutations of the profile.

    The largest of all curves and lags is compared with the largest of all curves and lags of each permutation, so that
    having looked at many costs nothing in honesty.

    Args:
        profiles: (n, k), already `steadied`.
        curves: (n, m), at the same times, likewise.
        max_lag: lags from −max_lag to max_lag.
        block: times that stay together when permuted. Give twice the window of `steadied`: what that leaves swings
            about once per window, and shorter blocks break the swing, so that chance passes for dependence (at a
            quarter of the window, one independent curve in five at p ≤ 0.05).
        permutations: how many.
        rng: the generator to draw from.

    Raises:
        ValueError: the shapes differ or a setting is out of range.
    """
    if profiles.ndim != 2 or curves.ndim != 2 or len(profiles) != len(curves):
        raise ValueError(
            f"profiles (n, k) and curves (n, m) share their times; got {profiles.shape}, {curves.shape}"
        )
    n, k = profiles.shape
    if not 0 <= max_lag < n // 2:
        raise ValueError(f"max_lag is {max_lag}: give 0 to {n // 2 - 1}")
    if not 1 <= block <= n // 2:
        raise ValueError(f"block is {block}: give 1 to {n // 2} times")
    lags = np.arange(-max_lag, max_lag + 1)
    shifted = np.stack([_shifted(curves, int(lag)) for lag in lags])  # (lags, n, m)
    found = np.einsum("nk,lnm->klm", _standard(profiles), shifted)
    flat = np.abs(found).reshape(k, -1)
    at = flat.argmax(axis=1)
    which_lag, which_curve = np.unravel_index(at, found.shape[1:])
    strongest = flat.max(axis=1)
    # The order that was found counts as one permutation, the first.
    largest = np.empty((permutations + 1, k))
    largest[0] = strongest
    for draw in range(1, permutations + 1):
        order = _permuted_blocks(n, block, rng)  # one for all profiles: what they share stays shared
        null = np.abs(np.einsum("nk,lnm->klm", _standard(profiles[order]), shifted))
        largest[draw] = null.reshape(k, -1).max(axis=1)
    ascending = np.sort(largest, axis=0)
    p_values = np.stack(
        [
            len(largest) - np.searchsorted(ascending[:, profile], largest[:, profile] - 1e-12)
            for profile in range(k)
        ],
        axis=1,
    ) / len(largest)
    counts = np.count_nonzero(p_values <= _PASSES, axis=1)
    return LaggedDependence(
        correlation=found.reshape(k, -1)[np.arange(k), at],
        curve=which_curve,
        lag=lags[which_lag],
        p_value=p_values[0],
        found=int(counts[0]),
        found_null=float(counts[1:].mean()) if permutations else float("nan"),
        found_p=float(np.mean(counts >= counts[0])),
    )


def coincidence(
    profile_turns: Sequence[np.ndarray],
    curve_turns: Sequence[np.ndarray],
    times: int,
    *,
    tolerance: int,
    reach: int,
) -> Coincidence:
    """Count turns of profiles near turns of curves, beside the same turns a little earlier or later.

    In the null all turns of all profiles move together, for profiles turn together where gradients grow or shrink.

    Args:
        profile_turns: per profile, the first times of its new phases, increasing (as `change_points` gives them).
        curve_turns: the same per curve.
        times: n, in which all of them lie.
        tolerance: times apart that still coincide.
        reach: how far turns move, every shift of more than twice the tolerance and at most this, either way.

    Raises:
        ValueError: the reach leaves no room beyond the tolerance.
    """
    least = 2 * tolerance + 1
    if not least <= reach < times:
        raise ValueError(f"reach is {reach}: give {least} to {times - 1}, beyond twice the tolerance")
    near = np.zeros(times, dtype=bool)
    for turns in curve_turns:
        for turn in turns:
            near[max(0, turn - tolerance) : turn + tolerance + 1] = True
    kept = [np.asarray(turns, dtype=np.int64) for turns in profile_turns if len(turns)]
    together = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)

    def coinciding(shift: int) -> int:
        moved = np.abs(together + shift)  # mirrored at the ends, so that none is lost
        return int(near[np.where(moved >= times, 2 * (times - 1) - moved, moved)].sum())

    count = coinciding(0)
    nulls = np.array([coinciding(sign * shift) for shift in range(least, reach + 1) for sign in (-1, 1)])
    return Coincidence(
        turns=len(together),
        coinciding=count,
        null_mean=float(nulls.mean()),
        p_value=float((1 + np.count_nonzero(nulls >= count)) / (len(nulls) + 1)),
        covered=float(near.mean()),
    )


def _standard(series: np.ndarray) -> np.ndarray:
    """Each column less its mean, of norm 1; a constant one is zero."""
    centred = series - series.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 1e-12)


def _shifted(curves: np.ndarray, lag: int) -> np.ndarray:
    """Row t holds the standardised curves of time t + lag; zero where there is none."""
    shifted, standard = np.zeros_like(curves), _standard(curves)
    if lag >= 0:
        shifted[: len(curves) - lag] = standard[lag:]
    else:
        shifted[-lag:] = standard[:lag]
    return shifted


def _permuted_blocks(n: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """0…n−1 in blocks of neighbours, the blocks in random order and beginning at a random place of the circle."""
    circle = np.roll(np.arange(n), -int(rng.integers(n)))
    blocks = [circle[start : start + block] for start in range(0, n, block)]
    return np.concatenate([blocks[number] for number in rng.permutation(len(blocks))])
