import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goalcut.analysis import centre_of_mass, change_points, crossing_time, energy_before, energy_between


def test_a_uniform_profile_lies_in_the_middle():
    np.testing.assert_allclose(centre_of_mass(np.ones((10, 1))), [0.5])


def test_a_profile_of_one_row_lies_in_the_middle_of_its_step():
    np.testing.assert_allclose(centre_of_mass(np.eye(4)), [0.125, 0.375, 0.625, 0.875])


@given(st.integers(1, 30), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_mirrored_time_mirrors_the_centre_and_scale_does_not_matter(times, seed):
    profiles = np.random.default_rng(seed).standard_normal((times, 3))
    np.testing.assert_allclose(centre_of_mass(profiles[::-1]), 1 - centre_of_mass(profiles))
    np.testing.assert_allclose(centre_of_mass(5 * profiles), centre_of_mass(profiles))


def test_energy_before_runs_from_zero_to_one():
    profiles = np.random.default_rng(0).standard_normal((6, 4))
    shares = np.stack([energy_before(profiles, t) for t in range(7)])
    np.testing.assert_allclose(shares[0], 0)
    np.testing.assert_allclose(shares[-1], 1)
    assert np.all(np.diff(shares, axis=0) > 0)
    np.testing.assert_allclose(shares[2], (profiles[:2] ** 2).sum(0) / (profiles**2).sum(0))


def test_energies_of_phases_sum_to_one():
    profiles = np.random.default_rng(0).standard_normal((9, 2))
    phases = energy_between(profiles, [3, 7])
    assert phases.shape == (3, 2)
    np.testing.assert_allclose(phases.sum(axis=0), 1)
    np.testing.assert_allclose(phases[0], energy_before(profiles, 3))
    with pytest.raises(ValueError, match="boundaries"):
        energy_between(profiles, [7, 3])


def test_profiles_without_a_place_in_time_are_refused():
    with pytest.raises(ValueError, match="profile 1 is zero"):
        centre_of_mass(np.array([[1.0, 0.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match=r"\(T, k\)"):
        centre_of_mass(np.ones(5))
    with pytest.raises(ValueError, match="0…2; got 3"):
        energy_before(np.ones((2, 1)), 3)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_planted_steps_in_noise_are_found_at_their_places(scale):
    rng, exact = np.random.default_rng(0), 0
    for _ in range(20):
        signal = np.repeat([0.0, 1.0, -0.5, 0.8], [50, 70, 40, 80]) + 0.15 * rng.standard_normal(240)
        found = change_points(scale * (signal + 10))
        assert all(np.abs(found - place).min() <= 1 for place in (50, 120, 160))
        exact += len(found) == 3
    assert exact >= 18


def test_pure_noise_rarely_has_a_change():
    rng = np.random.default_rng(1)
    found = [len(change_points(rng.standard_normal(240))) > 0 for _ in range(60)]
    assert sum(found) <= 3


def test_steps_without_noise_are_found_exactly():
    signal = np.repeat([0.1, 0.7, 0.3], [20, 5, 15])
    np.testing.assert_array_equal(change_points(signal), [20, 25])


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_a_constant_curve_has_no_change(value):
    assert len(change_points(np.full(50, value))) == 0


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_curve_too_short_for_two_phases_has_no_change(length):
    assert len(change_points(np.arange(float(length)))) == 0


def test_the_segmentation_is_the_best_of_all():
    rng = np.random.default_rng(2)
    signal = np.repeat([0.0, 1.5, 0.2], 4) + 0.4 * rng.standard_normal(12)
    cost = 3.0 * 0.4**2 * np.log(12)

    def total(cuts):
        edges = [0, *cuts, 12]
        parts = [signal[a:b] for a, b in itertools.pairwise(edges)]
        if min(map(len, parts)) < 2:
            return np.inf
        return sum(((part - part.mean()) ** 2).sum() for part in parts) + cost * len(cuts)

    subsets = [[i for i in range(1, 12) if mask >> i & 1] for mask in range(0, 2**12, 2)]
    np.testing.assert_array_equal(change_points(signal, noise=0.4), min(subsets, key=total))


def test_phases_are_no_shorter_than_asked():
    signal = np.random.default_rng(0).standard_normal(100)
    found = change_points(signal, penalty=0.05, min_length=7)
    assert len(found) > 2
    assert np.diff([0, *found, 100]).min() >= 7


@pytest.mark.parametrize(
    ("signal", "changes"),
    [
        (np.ones((3, 3)), {}),
        (np.array([1, np.nan]), {}),
        (np.ones(9), {"penalty": 0}),
        (np.ones(9), {"min_length": 0}),
    ],
)
def test_change_points_refuses_what_is_no_curve_or_setting(signal, changes):
    with pytest.raises(ValueError, match=r"signal|penalty"):
        change_points(signal, **changes)


def test_crossing_is_interpolated_between_points():
    assert crossing_time([0, 10, 20], [0.0, 0.5, 1.0], 0.75) == pytest.approx(15)
    assert crossing_time([0, 10, 20], [1.0, 0.5, 0.0], 0.25, falling=True) == pytest.approx(15)


def test_the_first_crossing_counts_and_a_curve_that_starts_above_has_crossed():
    assert crossing_time([0, 1, 2, 3], [0.0, 1.0, 0.0, 1.0], 0.5) == pytest.approx(0.5)
    assert crossing_time([4, 5], [0.9, 0.1], 0.5) == 4
    assert crossing_time([4, 5], [0.1, 0.5], 0.5) == 5


def test_a_level_never_reached_has_no_time():
    assert crossing_time([0, 1], [0.0, 0.4], 0.5) is None
    assert crossing_time([0, 1], [0.6, 0.7], 0.5, falling=True) is None
    assert crossing_time([], [], 0.5) is None


@pytest.mark.parametrize(("times", "curve"), [([0, 1], [0.0]), ([1, 0], [0.0, 1.0]), ([0, 1], [0.0, np.nan])])
def test_crossing_refuses_what_is_no_curve(times, curve):
    with pytest.raises(ValueError, match=r"times"):
        crossing_time(times, curve, 0.5)
