import numpy as np
import pytest

from goalcut.analysis import Directions, directions, temporal_svd
from goalcut.analysis.beyond import RowsBeyond, directions_beyond, joined


def rows(seed: int, times: int = 12, parameters: int = 90) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((times, parameters))


def strongest(of: np.ndarray, count: int) -> Directions:
    return directions(temporal_svd(of), of, range(count), layout={"w": (0, of.shape[1], (of.shape[1],))})


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_directions_beyond_others_are_those_of_the_rows_with_their_span_taken_out(dtype, tolerance):
    known, of = strongest(rows(0).astype(dtype), 5), rows(1).astype(dtype)
    found = directions_beyond(of, known, 7)
    U = known.vectors.astype(np.float64)
    left = of - of @ U.T @ U
    _, sigma, vectors = np.linalg.svd(left, full_matrices=False)
    np.testing.assert_allclose(found.singular_values, sigma[:7], rtol=tolerance)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors * vectors[:7], axis=1)), 1, atol=tolerance)
    assert found.layout == known.layout


def test_known_directions_and_those_beyond_are_one_orthonormal_set_that_spans_the_rows():
    known, of = strongest(rows(0), 5), rows(1)
    both = joined(known, directions_beyond(of, known, 100))
    assert len(both) == 17
    np.testing.assert_allclose(both.vectors @ both.vectors.T, np.eye(17), atol=1e-9)
    np.testing.assert_allclose(of @ both.vectors.T @ both.vectors, of, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_inside_the_known_span_have_no_direction_beyond_it(dtype):
    known = strongest(rows(0).astype(dtype), 12)
    inside = (rows(2, 8, 12) @ known.vectors).astype(dtype)
    assert len(directions_beyond(inside, known, 5)) == 0
    assert len(joined(known, directions_beyond(inside, known, 5))) == 12


def test_panels_change_nothing():
    U = strongest(rows(0), 5).vectors
    whole, narrow = RowsBeyond(rows(1), U), RowsBeyond(rows(1), U, panel_bytes=600)
    np.testing.assert_allclose(narrow.panel(10, 40), whole.panel(10, 40), atol=1e-13)
    np.testing.assert_array_equal(RowsBeyond(rows(1), U[:0]).panel(0, 90), rows(1))


def test_profiles_of_other_times_are_brought_to_those_of_the_first():
    first = strongest(rows(0, times=12), 4)
    ramp = np.linspace(0, 1, 30)[:, None]
    second = strongest(rows(3, times=30), 1).replaced(profiles=ramp / np.linalg.norm(ramp))
    both = joined(first, second)
    assert both.profiles.shape == (12, 5)
    assert np.linalg.norm(both.profiles[:, 4]) == pytest.approx(1)
    assert np.all(np.diff(both.profiles[:, 4]) > 0)


def test_directions_of_another_network_are_refused():
    known = strongest(rows(0), 3)
    with pytest.raises(ValueError, match=r"\(k, P\) with P = 80"):
        directions_beyond(rows(1, parameters=80), known, 2)
    with pytest.raises(ValueError, match="two sets of one network"):
        joined(known, strongest(rows(1, parameters=80), 3))
