import numpy as np
import pytest

from goalcut.analysis.dependence import coincidence, detrended, lagged_dependence

SETTINGS = {"max_lag": 4, "block": 8, "permutations": 199}


def smooth_noise(rng: np.random.Generator, n: int, columns: int) -> np.ndarray:
    """Noise with a short memory, as measured curves have."""
    white = rng.standard_normal((n + 4, columns))
    return sum(white[shift : n + shift] for shift in range(5)) / 5**0.5


def test_a_planted_dependence_is_found_with_its_lag_and_sign() -> None:
    rng = np.random.default_rng(0)
    curves = smooth_noise(rng, 200, 6)
    profiles = smooth_noise(rng, 200, 4)
    profiles[:, 2] = 0.3 * profiles[:, 2] - np.roll(curves[:, 5], -3)  # the curve follows three times later
    found = lagged_dependence(profiles, curves, rng=rng, **SETTINGS)
    assert (found.curve[2], found.lag[2]) == (5, 3)
    assert found.correlation[2] < -0.8
    assert found.p_value[2] == 1 / 200


def test_the_curve_that_follows_has_a_positive_lag() -> None:
    rng = np.random.default_rng(1)
    cause = smooth_noise(rng, 200, 1)
    found = lagged_dependence(cause, np.roll(cause, 2, axis=0), rng=rng, **SETTINGS)
    assert found.lag[0] == 2
    assert found.correlation[0] > 0.9


def test_independent_curves_are_called_dependent_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(2)
    p_values = np.concatenate(
        [
            lagged_dependence(
                smooth_noise(rng, 150, 20),
                smooth_noise(rng, 150, 10),
                rng=rng,
                **SETTINGS | {"permutations": 99},
            ).p_value
            for _ in range(8)
        ]
    )
    # 160 tests at 5 % give 8; three standard deviations more is 16.
    assert np.count_nonzero(p_values <= 0.05) <= 16
    assert 0.35 < p_values.mean() < 0.65


def test_a_constant_profile_depends_on_nothing() -> None:
    rng = np.random.default_rng(0)
    found = lagged_dependence(np.ones((60, 1)), smooth_noise(rng, 60, 3), rng=rng, **SETTINGS)
    assert found.correlation[0] == 0
    assert found.p_value[0] == 1


def test_a_common_trend_is_taken_out() -> None:
    t = np.linspace(0, 1, 201)[:, None]
    trend = np.exp(-5 * t)
    np.testing.assert_allclose(detrended(trend, 21)[20:-20], 0, atol=0.01)
    with pytest.raises(ValueError, match="window is 20: give an odd number"):
        detrended(trend, 20)


def test_turns_that_fall_together_are_told_from_chance() -> None:
    rng = np.random.default_rng(3)
    curve_turns = [np.array([23, 61, 140]), np.array([88, 171])]
    near = [np.array([22, 62, 88]), np.array([61, 139, 172])]
    together = coincidence(near, curve_turns, 200, tolerance=1, permutations=499, rng=rng)
    assert (together.turns, together.coinciding) == (6, 6)
    assert together.null_mean < 2
    assert together.p_value <= 0.01
    far = [np.array([10, 40, 110]), np.array([75, 120])]
    assert coincidence(far, curve_turns, 200, tolerance=1, permutations=499, rng=rng).p_value > 0.2


def test_profiles_without_turns_coincide_with_nothing() -> None:
    none = np.zeros(0, dtype=int)
    found = coincidence(
        [none], [np.array([5])], 50, tolerance=1, permutations=9, rng=np.random.default_rng(0)
    )
    assert (found.turns, found.coinciding, found.p_value) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_lag": 40}, "max_lag is 40"),
        ({"block": 0}, "block is 0"),
        ({"curves": np.ones((59, 1))}, "share their times"),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str) -> None:
    curves = change.pop("curves", np.ones((60, 1)))
    with pytest.raises(ValueError, match=message):
        lagged_dependence(np.ones((60, 2)), curves, rng=np.random.default_rng(0), **SETTINGS | change)
