from itertools import product

import numpy as np
import pytest

from goalcut.studies.comparisons import (
    cliffs_delta,
    compare,
    compare_family,
    holm,
    rank_biserial,
    sign_flip_p,
)


def test_the_sign_flip_test_counts_all_flips_that_are_as_far_from_zero() -> None:
    differences = np.array([1.0, 2.0, 3.0, -0.5])
    flips = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=4)]
    assert sign_flip_p(differences) == sum(total >= 5.5 for total in flips) / 16
    assert sign_flip_p(np.array([1.0, 1.0, 1.0, 1.0])) == 2 / 16
    assert sign_flip_p(np.zeros(4)) == 1.0


def test_many_seeds_are_flipped_at_random_and_agree_with_the_normal_law() -> None:
    differences = np.concatenate([np.ones(24), -np.ones(16)])
    # 24 of 40 heads or further out, two-sided: 0.268.
    assert sign_flip_p(differences) == pytest.approx(0.268, abs=0.01)


def test_holms_method_gives_the_textbook_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_effect_sizes_of_a_clean_sweep_and_of_a_draw() -> None:
    ours, theirs = np.array([0.8, 0.9, 1.0]), np.array([0.1, 0.2, 0.0])
    assert cliffs_delta(ours, theirs) == 1.0
    assert cliffs_delta(ours, ours) == 0.0
    assert rank_biserial(np.array([1.0, 2.0, 3.0])) == 1.0
    assert rank_biserial(np.array([1.0, -2.0, 3.0])) == pytest.approx((1 - 2 + 3) / 6)
    assert rank_biserial(np.zeros(3)) == 0.0


def test_a_comparison_is_paired_by_seed() -> None:
    """Seeds differ much more than methods do; by pairs the better one is plain."""
    seeds = np.array([0.1, 0.5, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4])
    found = compare(seeds + 0.05, seeds)
    assert found.permutation_p == found.wilcoxon_p == 2 / 2**8
    assert found.difference == pytest.approx((0.05, 0.05, 0.05))
    assert abs(found.cliffs_delta) < 0.3
    apart = compare(np.array([2.0, 3.0, 7.0]), np.array([1.0, 1.0, 4.0]))
    assert apart.cohens_d == pytest.approx(2.0)


def test_equal_methods_differ_in_nothing() -> None:
    found = compare(np.ones(5), np.ones(5))
    assert (found.permutation_p, found.wilcoxon_p, found.cohens_d, found.improvement) == (1.0, 1.0, None, 0.5)


def test_p_values_of_a_family_are_adjusted_together() -> None:
    ours = np.arange(1.0, 7.0)
    found = compare_family(ours, {"lower": ours - 1, "same": ours.copy(), "mixed": ours[::-1].copy()})
    plain = [one.permutation_p for one in found.values()]
    assert [one.holm_p for one in found.values()] == holm(plain)
    assert found["lower"].holm_p == pytest.approx(3 * 2 / 2**6)


def test_scores_of_different_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="same seeds"):
        compare(np.ones(3), np.ones(4))
