import numpy as np
import pytest

from goalcut.analysis import directions_along

rng = np.random.default_rng(0)
ROWS = rng.standard_normal((12, 90))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float16, 1e-3), (np.float32, 1e-5), (np.float64, 1e-14)]
)
def test_a_window_gives_the_mean_gradient_of_its_times(dtype, tolerance):
    window = np.zeros((12, 1))
    window[3:7] = 1.0
    mean = ROWS[3:7].mean(axis=0)
    found = directions_along(ROWS.astype(dtype), window, panel_bytes=500)
    np.testing.assert_allclose(found.vectors[0], mean / np.linalg.norm(mean), atol=tolerance)
    assert found.singular_values[0] == pytest.approx(np.linalg.norm(mean) * 2, rel=tolerance)


def test_the_scale_of_a_profile_does_not_matter():
    profiles = rng.standard_normal((12, 3))
    a, b = directions_along(ROWS, profiles), directions_along(ROWS, 1e3 * profiles)
    np.testing.assert_allclose(a.vectors, b.vectors, atol=1e-14)
    np.testing.assert_allclose(a.singular_values, b.singular_values)


def test_profiles_that_name_no_direction_are_refused():
    with pytest.raises(ValueError, match=r"\(T, k\) with T = 12"):
        directions_along(ROWS, np.ones((11, 2)))
    with pytest.raises(ValueError, match="profile 1 is zero"):
        directions_along(ROWS, np.array([[1.0, 0.0]] * 12))
    with pytest.raises(ValueError, match="profile 0 is zero or not finite"):
        directions_along(ROWS, np.full((12, 1), np.nan))
    silent = ROWS.copy()
    silent[5] = 0
    with pytest.raises(ValueError, match="profile 0 meets no gradient"):
        directions_along(silent, np.eye(12)[:, [5]])
