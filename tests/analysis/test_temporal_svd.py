import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goalcut.analysis import UnitRows, directions, temporal_svd
from goalcut.analysis.rows import FileRows

RATIOS = {"flat": 0.0, "to 1e-2": -2.0, "to 1e-4": -4.0, "to 1e-7": -7.0}
ROUTES = {np.float16: 3e-4, np.float32: 3e-4, np.float64: 2e-8}


def with_spectrum(values: np.ndarray, times: int, parameters: int, seed: int = 0) -> np.ndarray:
    """Rows (T, P) float64 of exactly these singular values."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((parameters, len(values))))[0]
    V = np.linalg.qr(rng.standard_normal((times, len(values))))[0]
    return (V * values) @ U.T


@pytest.mark.parametrize("lowest", RATIOS.values(), ids=RATIOS)
@pytest.mark.parametrize(("times", "parameters"), [(60, 2000), (80, 50)])
def test_known_spectra_come_back_to_ten_digits_in_float64(lowest, times, parameters):
    values = 3.7 * np.logspace(0, lowest, 40)
    svd = temporal_svd(with_spectrum(values, times, parameters), panel_bytes=60_000)
    np.testing.assert_allclose(svd.singular_values, values, rtol=1e-10 if lowest >= -4 else 1e-9)
    assert svd.below_floor == min(times, parameters) - 40


def test_float64_values_equal_those_of_a_dense_svd_down_to_its_own_accuracy():
    values = np.logspace(0, -12, 30)
    rows = with_spectrum(values, 50, 400)
    svd = temporal_svd(rows, floor=1e-13)
    np.testing.assert_allclose(svd.singular_values, values, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_rows_agree_with_the_dense_svd_above_the_floor(dtype):
    rows = with_spectrum(100 * np.logspace(0, -3, 25), 50, 3000).astype(dtype)
    dense = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    svd = temporal_svd(rows)
    strong = dense > 3e-3 * dense[0]
    np.testing.assert_allclose(svd.singular_values[: strong.sum()], dense[strong], rtol=5e-3)


def test_profiles_and_directions_equal_those_of_the_dense_svd():
    rows = with_spectrum(2.0 ** -np.arange(12.0), 30, 500)
    svd = temporal_svd(rows)
    found = directions(svd, rows, panel_bytes=10_000)
    U, _, Vt = np.linalg.svd(rows.T, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(svd.profiles * Vt[:12].T, axis=0)), 1, atol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors * U[:, :12].T, axis=1)), 1, atol=1e-12)
    np.testing.assert_allclose(
        (found.vectors.T * found.singular_values) @ found.profiles.T, rows.T, atol=1e-12
    )


@given(
    times=st.integers(1, 12),
    parameters=st.integers(1, 30),
    rank=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_and_rank_agree_with_the_dense_svd(times, parameters, rank, seed):
    values = np.random.default_rng(seed).uniform(0.1, 1.0, size=min(times, parameters, rank))
    rows = with_spectrum(values, times, parameters, seed)
    svd = temporal_svd(rows, panel_bytes=200)
    np.testing.assert_allclose(svd.singular_values, np.sort(values)[::-1], rtol=1e-10)
    np.testing.assert_allclose(svd.profiles.T @ svd.profiles, np.eye(len(svd)), atol=1e-12)


@pytest.mark.parametrize("dtype", ROUTES)
def test_chunking_changes_nothing_beyond_rounding(dtype):
    rows = with_spectrum(np.logspace(1, -1, 10), 20, 700).astype(dtype)
    whole, tiny = temporal_svd(rows), temporal_svd(rows, panel_bytes=20 * 8 * 3, rank=10)
    tolerance = 1e-12 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(whole.singular_values[:10], tiny.singular_values, rtol=tolerance)
    np.testing.assert_allclose(whole.profiles[:, :10], tiny.profiles, atol=tolerance)
    np.testing.assert_allclose(
        directions(whole, rows, range(10)).vectors,
        directions(whole, rows, range(10), panel_bytes=999).vectors,
        atol=tolerance,
    )


@pytest.mark.parametrize(("dtype", "floor"), ROUTES.items())
def test_values_below_the_floor_are_counted_and_never_returned(dtype, floor):
    values = np.array([1.0, 0.5, 10 * floor, floor / 10, floor / 100])
    svd = temporal_svd(with_spectrum(values, 5, 3000).astype(dtype))
    assert svd.floor == floor
    assert svd.singular_values.min() > floor * svd.singular_values[0]
    assert len(svd) + svd.below_floor == 5
    if dtype != np.float16:  # rounding to float16 is itself noise above this floor
        assert svd.below_floor == 2


def test_large_low_precision_problems_in_float32_agree_with_float64(monkeypatch):
    rows = with_spectrum(np.logspace(0, -2, 40), 60, 2000).astype(np.float32)
    double = temporal_svd(rows, rank=40)
    module = sys.modules[temporal_svd.__module__]  # the package's attribute of that name is the function
    monkeypatch.setattr(module, "_SINGLE_ABOVE", 59)
    single = temporal_svd(rows, rank=40)
    assert not np.array_equal(single.singular_values, double.singular_values)  # the other route was taken
    np.testing.assert_allclose(single.singular_values, double.singular_values, rtol=1e-3)
    np.testing.assert_allclose(single.profiles[:, :10], double.profiles[:, :10], atol=1e-3)


def test_rank_cuts_the_list_and_keeps_the_energy_of_all():
    rows = with_spectrum(np.array([3.0, 2.0, 1.0]), 10, 80)
    svd = temporal_svd(rows, rank=2)
    np.testing.assert_allclose(svd.singular_values, [3, 2])
    assert svd.profiles.shape == (10, 2)
    assert svd.below_floor == 0
    assert svd.energy == pytest.approx(14)
    np.testing.assert_allclose(svd.row_energies, (rows**2).sum(axis=1))


def test_a_single_row_is_its_own_direction():
    rows = np.random.default_rng(0).standard_normal((1, 40))
    svd = temporal_svd(rows)
    np.testing.assert_allclose(svd.singular_values, [np.linalg.norm(rows)])
    np.testing.assert_allclose(svd.profiles, [[1.0]])
    np.testing.assert_allclose(directions(svd, rows).vectors, rows / np.linalg.norm(rows))


@pytest.mark.parametrize("dtype", ROUTES)
def test_all_zero_rows_have_rank_zero(dtype):
    rows = np.zeros((4, 30), dtype=dtype)
    svd = temporal_svd(rows)
    assert len(svd) == 0
    assert svd.profiles.shape == (4, 0)
    assert svd.below_floor == 4
    assert directions(svd, rows).vectors.shape == (0, 30)


def test_zero_rows_among_others_have_no_part_in_any_profile():
    rows = with_spectrum(np.array([2.0, 1.0]), 8, 50)
    rows[3] = 0
    np.testing.assert_allclose(temporal_svd(rows).profiles[3], 0, atol=1e-15)


def test_equal_singular_values_span_the_right_profiles():
    rows = with_spectrum(np.array([2.0, 2.0, 2.0, 1.0]), 20, 90)
    V = temporal_svd(rows).profiles[:, :3]
    dense = np.linalg.svd(rows)[0][:, :3]
    np.testing.assert_allclose(V @ V.T, dense @ dense.T, atol=1e-12)


def test_unit_rows_are_analysed_like_the_scaled_matrix():
    rows = with_spectrum(np.logspace(1, -1, 10), 20, 300)
    scaled = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(
        temporal_svd(UnitRows(rows)).singular_values[:10],
        np.linalg.svd(scaled, compute_uv=False)[:10],
        rtol=1e-10,
    )


def test_signs_point_along_the_summed_gradient():
    rows = with_spectrum(np.logspace(0, -1, 8), 15, 200)
    svd = temporal_svd(rows)
    assert np.all(directions(svd, rows).vectors @ rows.sum(axis=0) > 0)
    flipped = temporal_svd(-rows)
    np.testing.assert_allclose(flipped.profiles, svd.profiles, atol=1e-10)


def test_a_profile_without_a_sum_has_its_largest_entry_positive():
    profile = np.array([0.1, -0.5, 0.4])
    svd = temporal_svd(np.outer(profile, np.arange(1.0, 9.0)))
    assert svd.profiles[1, 0] > 0
    assert abs(svd.profiles.sum()) < 1e-12


def test_a_value_that_is_not_finite_is_named():
    rows = np.ones((5, 20), dtype=np.float16)
    rows[4, 7] = np.nan
    with pytest.raises(ValueError, match="row 4 holds nan at parameter 7"):
        temporal_svd(rows)


@pytest.mark.parametrize("bad", [{"rank": 0}, {"floor": 0.0}, {"floor": 1.0}])
def test_settings_out_of_range_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        temporal_svd(np.ones((2, 3)), **bad)


def test_directions_below_the_floor_or_of_other_rows_are_refused():
    rows = with_spectrum(np.array([1.0, 0.5]), 6, 40)
    svd = temporal_svd(rows)
    with pytest.raises(ValueError, match="0…1"):
        directions(svd, rows, [2])
    with pytest.raises(ValueError, match="rows it came from"):
        directions(svd, rows[:, :39])
    with pytest.raises(ValueError, match="rows it came from"):
        directions(svd, 10 * rows)


def test_directions_carry_their_layout_and_source():
    rows = with_spectrum(np.array([1.0, 0.5]), 6, 40)
    found = directions(
        temporal_svd(rows), rows, [1], layout={"w": (0, 40, (8, 5))}, source={"run": "a"}, space="conv"
    )
    assert (found.layout, found.source, found.space) == ({"w": (0, 40, (8, 5))}, {"run": "a"}, "conv")
    assert found.singular_values == pytest.approx([0.5])


@pytest.mark.parametrize(("dtype", "passes"), [(np.float16, 1), (np.float32, 1), (np.float64, 2)])
def test_rows_of_a_file_are_analysed_like_the_array_and_read_once_per_pass(tmp_path, dtype, passes):
    class Counted(FileRows):
        read = 0

        def panel(self, start, stop):
            self.read += stop - start
            return super().panel(start, stop)

    values = with_spectrum(np.logspace(0, -1, 12), 12, 900).astype(dtype)
    values.tofile(tmp_path / "rows.bin")
    rows = Counted(tmp_path / "rows.bin", values.shape, dtype)
    svd, dense = temporal_svd(rows, panel_bytes=9_000), temporal_svd(values, panel_bytes=9_000)
    np.testing.assert_array_equal(svd.singular_values, dense.singular_values)
    np.testing.assert_array_equal(svd.profiles, dense.profiles)
    assert rows.read == 900 * passes
    found = directions(svd, rows, panel_bytes=9_000)
    np.testing.assert_array_equal(found.vectors, directions(dense, values, panel_bytes=9_000).vectors)
    assert rows.read == 900 * (passes + 1)
