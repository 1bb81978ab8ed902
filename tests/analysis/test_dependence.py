import numpy as np
import pytest

from goalcut.analysis.dependence import coincidence, lagged_dependence, steadied

SETTINGS = {"max_lag": 4, "block": 50, "permutations": 199}


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
    found = lagged_dependence(np.ones((120, 1)), smooth_noise(rng, 120, 3), rng=rng, **SETTINGS)
    assert found.correlation[0] == 0
    assert found.p_value[0] == 1


def test_a_common_course_of_mean_and_spread_is_no_dependence() -> None:
    """Both calm down alike, as gradients and behaviour do, and are independent otherwise."""
    rng = np.random.default_rng(4)
    course = np.exp(-np.linspace(0, 4, 180))[:, None]
    p_values = []
    for _ in range(10):
        profiles, curves = (course * (3 + smooth_noise(rng, 180, 12)) for _ in range(2))
        found = lagged_dependence(steadied(profiles, 25), steadied(curves, 25), rng=rng, **SETTINGS)
        p_values.extend(found.p_value)
    assert np.count_nonzero(np.array(p_values) <= 0.05) <= 6 + 3 * 2.4
    raw = lagged_dependence(profiles, curves, rng=rng, **SETTINGS)
    assert raw.p_value.max() <= 0.05  # without it, everything would depend on everything


def test_steadied_curves_have_mean_zero_and_spread_one_everywhere() -> None:
    rng = np.random.default_rng(5)
    course = np.exp(-np.linspace(0, 4, 400))[:, None]
    found = steadied(course * (5 + rng.standard_normal((400, 3))), 31)
    for part in (found[:100], found[-100:]):
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=0.1)
        np.testing.assert_allclose(part.std(axis=0), 1, atol=0.15)
    assert not steadied(np.full((50, 1), 0.3), 11).any()
    with pytest.raises(ValueError, match="window is 20: give an odd number"):
        steadied(course, 20)


def test_turns_that_fall_together_are_told_from_chance() -> None:
    curve_turns = [np.array([23, 61, 140]), np.array([88, 171])]
    near = [np.array([22, 62, 88]), np.array([61, 139, 172])]
    together = coincidence(near, curve_turns, 200, tolerance=1, reach=30)
    assert (together.turns, together.coinciding) == (6, 6)
    assert together.null_mean < 2
    assert together.p_value == 1 / 57
    assert together.covered == 15 / 200
    far = [np.array([10, 40, 110]), np.array([75, 120])]
    assert coincidence(far, curve_turns, 200, tolerance=1, reach=30).p_value > 0.2


@pytest.mark.parametrize("shared", [0, 2, 6])
def test_turns_dense_at_the_same_time_and_shared_by_profiles_are_no_coincidence(shared: int) -> None:
    rng = np.random.default_rng(6)

    def early(count: int) -> np.ndarray:
        return np.unique((200 * rng.beta(1, 4, size=count)).astype(int) + 1)

    p_values = []
    for _ in range(120):
        common = early(shared)
        profiles = [np.union1d(common, early(6 - shared)) for _ in range(5)]
        p_values.append(
            coincidence(profiles, [early(6) for _ in range(3)], 202, tolerance=1, reach=30).p_value
        )
    assert np.count_nonzero(np.array(p_values) <= 0.05) <= 6 + 3 * 2.4


def test_the_number_of_findings_knows_that_profiles_share_what_they_are() -> None:
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(40):
        common = smooth_noise(rng, 120, 1)
        profiles = common + 0.3 * smooth_noise(rng, 120, 10)
        found = lagged_dependence(
            profiles, smooth_noise(rng, 120, 5), rng=rng, max_lag=2, block=30, permutations=99
        )
        p_values.append(found.found_p)
    assert np.count_nonzero(np.array(p_values) <= 0.05) <= 2 + 3 * 1.4
    planted = lagged_dependence(
        common.repeat(10, axis=1), common, rng=rng, max_lag=2, block=30, permutations=99
    )
    assert planted.found == 10
    assert planted.found_p <= 0.05


def test_profiles_without_turns_coincide_with_nothing() -> None:
    none = np.zeros(0, dtype=int)
    found = coincidence([none], [np.array([5])], 50, tolerance=1, reach=12)
    assert (found.turns, found.coinciding, found.p_value) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_lag": 70}, "max_lag is 70"),
        ({"block": 0}, "block is 0"),
        ({"curves": np.ones((119, 1))}, "share their times"),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str) -> None:
    curves = change.pop("curves", np.ones((120, 1)))
    with pytest.raises(ValueError, match=message):
        lagged_dependence(np.ones((120, 2)), curves, rng=np.random.default_rng(0), **SETTINGS | change)
