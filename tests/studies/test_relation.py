import numpy as np
import pytest
from scipy.stats import spearmanr

from goalcut.analysis.rows import as_rows
from goalcut.studies.relation import random_subspaces, rank_correlation, relation, under_permuted_time


def staggered(times: int, count: int) -> np.ndarray:
    """Profiles (times, count), each pushed in its own stretch of time, one after the other."""
    profiles = np.zeros((times, count))
    for k in range(count):
        profiles[k * times // count : (k + 1) * times // count, k] = 1
    return profiles / np.linalg.norm(profiles, axis=0)


def test_the_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 30).astype(float), rng.standard_normal(30)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0.0


def test_late_directions_that_carry_the_late_goal_stand_above_both_nulls() -> None:
    count = 12
    along = np.ones(count)
    slopes = np.linspace(-1, 1, count)
    found = relation(
        staggered(60, count), np.ones(count), along, slopes, draws=99, rng=np.random.default_rng(0)
    )
    assert found.correlation == pytest.approx(1.0)
    assert found.p_value("permuted time") == pytest.approx(0.01)
    assert found.p_value("random basis") == pytest.approx(0.01)


def test_doses_that_follow_time_stand_above_permuted_time_and_others_within() -> None:
    rng, profiles = np.random.default_rng(2), staggered(60, 12)
    found = under_permuted_time(profiles, np.linspace(-1, 1, 12), draws=99, rng=rng)
    assert found.correlation == pytest.approx(1.0)
    assert found.p_value("permuted time") == pytest.approx(0.01)
    chance = [under_permuted_time(profiles, rng.standard_normal(12), draws=49, rng=rng) for _ in range(20)]
    assert 0.3 < np.mean([one.p_value("permuted time") for one in chance]) < 0.7


def test_what_directions_carry_at_random_stays_within_the_nulls() -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(20):
        found = relation(
            staggered(60, 12),
            np.ones(12),
            rng.standard_normal(12),
            rng.standard_normal(12),
            draws=49,
            rng=rng,
        )
        p_values.append(found.p_value("permuted time"))
    assert 0.3 < np.mean(p_values) < 0.7


def test_random_subspaces_are_as_if_their_directions_were_made_whole() -> None:
    rows = np.zeros((40, 60), dtype=np.float32)
    rows[:20, :30] = np.random.default_rng(0).standard_normal((20, 30))
    rows[20:, 30:] = np.random.default_rng(1).standard_normal((20, 30))
    moved = np.ones(60)
    slope = np.concatenate([-np.ones(30), np.ones(30)])
    drawn = random_subspaces(
        as_rows(rows), moved, {"end": slope}, count=200, draws=5, rng=np.random.default_rng(2)
    )["end"]
    rng = np.random.default_rng(2)
    whole = rng.standard_normal((60, 1000), dtype=np.float32)
    pushes, preference = rows @ whole, (moved @ whole) * (slope @ whole)
    energy = pushes.astype(float) ** 2
    centres = (np.arange(40) + 0.5) / 40 @ (energy / energy.sum(0))
    expected = [rank_correlation(centres[i : i + 200], preference[i : i + 200]) for i in range(0, 1000, 200)]
    assert drawn == pytest.approx(expected, abs=1e-3)
