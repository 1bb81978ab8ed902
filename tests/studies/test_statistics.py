import numpy as np
import pytest

from goalcut.studies.statistics import (
    bootstrap,
    improvement,
    interquartile_mean,
    mean,
    median,
    over_seeds,
    probability_of_improvement,
)


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    scores = np.array([100.0, 2, 3, 4, 5, 6, 7, -100])
    assert interquartile_mean(scores) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert interquartile_mean(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    found = bootstrap(np.full(10, 0.7))
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    scores = np.random.default_rng(0).standard_normal(400)
    found = bootstrap(scores, mean, resamples=4000)
    error = scores.std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert found.low < found.value < found.high


def test_strata_are_drawn_again_each_by_itself() -> None:
    """Two strata without any scatter inside them: nothing can change, whatever lies between them."""
    found = bootstrap([np.zeros(5), np.ones(5)], mean)
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
    together = bootstrap(np.array([0.0] * 5 + [1.0] * 5), mean)
    assert together.high - together.low > 0.3


def test_a_seed_that_could_not_be_measured_is_left_out_and_counted() -> None:
    found = over_seeds([0.2, None, 0.4])
    assert found is not None
    assert (found["seeds"], found["left_out"], found["least"], found["largest"]) == (2, 1, 0.2, 0.4)
    assert found["median"][0] == pytest.approx(0.3)
    assert over_seeds([None, None]) is None


@pytest.mark.parametrize("scores", [np.array([]), np.array([1.0, np.nan])])
def test_no_scores_and_scores_that_are_no_numbers_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="score"):
        bootstrap(scores, median)


def test_improvement_counts_pairs_and_half_of_the_ties() -> None:
    assert probability_of_improvement(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert probability_of_improvement(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(
        (0 + 0 + 1 + 0.5) / 4
    )
    found = improvement(np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 2.5]))
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)
