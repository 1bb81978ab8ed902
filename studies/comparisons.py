"""Two methods over the same seeds: paired differences, tests, effect sizes, and care for many comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import rankdata, wilcoxon

from .statistics import bootstrap, median, probability_of_improvement

_EXACT_UP_TO = 16
"""Seeds up to which all 2^n sign flips are taken; beyond, so many random ones as at that number."""


@dataclass(frozen=True)
class Comparison:
    """Ours against theirs on the same seeds; differences are ours − theirs.

    Attributes:
        seeds: how many pairs.
        difference: median difference, with its bootstrap interval: (value, low, high).
        wilcoxon_p: signed-rank test, two-sided; ties are split and zeros kept (Pratt). 1 where all are equal.
        permutation_p: sign-flip test of the mean difference, two-sided; exact up to 16 seeds.
        rank_biserial: matched-pairs rank-biserial correlation, −1 to 1 (Kerby 2014).
        cohens_d: mean difference over its standard deviation (d_z); None where that is 0.
        cliffs_delta: P(X > Y) − P(X < Y) over all pairs of runs, the pairing left aside.
        improvement: P(X > Y) + ½ P(X = Y).
        holm_p: `permutation_p` adjusted for all comparisons of a family; itself where there is but one.
    """

    seeds: int
    difference: tuple[float, float, float]
    wilcoxon_p: float
    permutation_p: float
    rank_biserial: float
    cohens_d: float | None
    cliffs_delta: float
    improvement: float
    holm_p: float

    def to_json(self) -> dict[str, Any]:
        """A flat object."""
        return asdict(self)


def compare(ours: np.ndarray, theirs: np.ndarray, *, seed: int = 0) -> Comparison:
    """Compare two methods' scores (seeds,), entry i of both being of one seed.

    Raises:
        ValueError: the shapes differ, or there is no seed.
    """
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise ValueError(f"scores are (seeds,) of the same seeds, got {ours.shape} and {theirs.shape}")
    differences = ours - theirs
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    p = sign_flip_p(differences, seed=seed)
    found = bootstrap(differences, median, seed=seed)
    return Comparison(
        seeds=len(ours),
        difference=(found.value, found.low, found.high),
        wilcoxon_p=_signed_rank_p(differences),
        permutation_p=p,
        rank_biserial=rank_biserial(differences),
        cohens_d=float(differences.mean()) / spread if spread > 0 else None,
        cliffs_delta=cliffs_delta(ours, theirs),
        improvement=probability_of_improvement(ours, theirs),
        holm_p=p,
    )


def compare_family(
    ours: np.ndarray, rivals: Mapping[str, np.ndarray], *, seed: int = 0
) -> dict[str, Comparison]:
    """Compare one method with several on the same seeds, their p-values adjusted by Holm's method."""
    found = {name: compare(ours, scores, seed=seed) for name, scores in rivals.items()}
    adjusted = holm([one.permutation_p for one in found.values()])
    return {name: replace(one, holm_p=p) for (name, one), p in zip(found.items(), adjusted, strict=True)}


def sign_flip_p(differences: np.ndarray, *, seed: int = 0) -> float:
    """Two-sided p-value of the mean under random signs of the differences (n,)."""
    n = len(differences)
    if n <= _EXACT_UP_TO:
        signs = np.array(list(product((1.0, -1.0), repeat=n)))
        extra = 0  # the identity is among them
    else:
        signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(2**_EXACT_UP_TO, n))
        extra = 1
    means = np.abs(signs @ differences)
    there = np.abs(differences.sum())
    as_large = np.count_nonzero(means >= there - 1e-12 * max(1.0, there))
    return float((as_large + extra) / (len(signs) + extra))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): reject all at most α and the chance of any false rejection is at most α."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted.tolist()


def cliffs_delta(ours: np.ndarray, theirs: np.ndarray) -> float:
    """P(X > Y) − P(X < Y) over all pairs, −1 to 1."""
    return 2 * probability_of_improvement(ours, theirs) - 1


def rank_biserial(differences: np.ndarray) -> float:
    """Share of the rank sum that favours us − the share that favours them; zeros are left out, 0 if all are."""
    moved = differences[differences != 0]
    if not len(moved):
        return 0.0
    ranks = rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def _signed_rank_p(differences: np.ndarray) -> float:
    if not differences.any():
        return 1.0
    found: Any = wilcoxon(differences, zero_method="pratt")
    return float(found.pvalue)
