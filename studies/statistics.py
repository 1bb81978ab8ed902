"""Figures over seeds: the seed is the unit, and every figure has an interval.

The interquartile mean and its stratified bootstrap are those of Agarwal et al. 2021 (arXiv 2108.13264, rliable): the
mean of the middle half of all scores, and percentiles of what it is when runs are drawn again, with replacement, from
each stratum (world, task) by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, trim_mean

RESAMPLES = 5000
Statistic = Callable[[np.ndarray], np.ndarray]
"""Scores (…, n) to a figure of each row (…,)."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: of the scores as they are.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """[value, low, high]."""
        return [self.value, self.low, self.high]


def median(scores: np.ndarray) -> np.ndarray:
    """The median of the last axis."""
    return np.median(scores, axis=-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """The mean of the last axis."""
    return np.mean(scores, axis=-1)


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """The mean of the middle half of the last axis: ⌊n/4⌋ scores are left out at each end."""
    return np.asarray(trim_mean(scores, 0.25, axis=-1))


def bootstrap(
    strata: Sequence[np.ndarray] | np.ndarray,
    statistic: Statistic = interquartile_mean,
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A statistic of all scores, with a percentile interval by stratified bootstrap.

    Args:
        strata: scores (seeds,) of each stratum, or of the only one; each is drawn again by itself.
        statistic: of the scores of all strata together.
        resamples: how many.
        confidence: share of resamples within the interval.
        seed: of the draws.

    Raises:
        ValueError: there are no scores, one is not finite, or `confidence` is not between 0 and 1.
    """
    if isinstance(strata, np.ndarray) and strata.ndim == 1:
        strata = [strata]
    scores = [np.asarray(stratum, dtype=np.float64) for stratum in strata]
    if not scores or not all(len(stratum) for stratum in scores):
        raise ValueError("there are no scores, or a stratum has none: give at least one seed of each")
    if not all(np.isfinite(stratum).all() for stratum in scores):
        raise ValueError("a score is not finite: leave out what could not be measured")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a share between 0 and 1")
    rng = np.random.default_rng(seed)
    drawn = [stratum[rng.integers(len(stratum), size=(resamples, len(stratum)))] for stratum in scores]
    figures = statistic(np.concatenate(drawn, axis=-1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Estimate(float(statistic(np.concatenate(scores))), float(low), float(high))


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """P(X > Y) + ½ P(X = Y) of one run of each drawn at random, the Mann–Whitney U over all pairs.

    Args:
        ours: (n,) scores.
        theirs: (m,) scores.
    """
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    ranks = rankdata(np.concatenate([ours, theirs]))
    wins = ranks[: len(ours)].sum() - len(ours) * (len(ours) + 1) / 2
    return float(wins / (len(ours) * len(theirs)))


def improvement(
    ours: np.ndarray, theirs: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """`probability_of_improvement`, with an interval by drawing the runs of each again."""
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    rng = np.random.default_rng(seed)
    x = ours[rng.integers(len(ours), size=(resamples, len(ours)))]
    y = theirs[rng.integers(len(theirs), size=(resamples, len(theirs)))]
    signs = np.sign(x[:, :, None] - y[:, None, :])
    low, high = np.quantile((signs.mean(axis=(1, 2)) + 1) / 2, [0.025, 0.975])
    return Estimate(probability_of_improvement(ours, theirs), float(low), float(high))


def over_seeds(scores: Sequence[float | None] | np.ndarray) -> dict[str, Any] | None:
    """What a report tells of one figure over seeds: n, median, interquartile mean with intervals, least and largest.

    Seeds where it could not be measured (None) are left out and counted; None where no seed is left.
    """
    known = np.array([score for score in scores if score is not None], dtype=np.float64)
    if not len(known):
        return None
    return {
        "seeds": len(known),
        "left_out": len(scores) - len(known),
        "median": bootstrap(known, median).to_json(),
        "iqm": bootstrap(known, interquartile_mean).to_json(),
        "least": float(known.min()),
        "largest": float(known.max()),
    }


def each_and_over_seeds(scores: Sequence[float | None]) -> dict[str, Any]:
    """A figure of every seed, `values`, and what `over_seeds` tells of them."""
    return {"values": list(scores), "over_seeds": over_seeds(scores)}
