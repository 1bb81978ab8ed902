import pickle
import threading
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goalcut.analysis import UnitRows, as_rows, panels, row_norms
from goalcut.analysis.rows import PANELS_HELD, FileRows, read_ahead, read_panel


@given(
    times=st.integers(1, 40),
    parameters=st.integers(1, 300),
    panel_bytes=st.integers(1, 20_000),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
@settings(max_examples=60, deadline=None)
def test_panels_tile_the_parameters_within_the_budget(times, parameters, panel_bytes, dtype):
    rows = as_rows(np.ones((times, parameters), dtype=dtype))
    found = list(panels(rows, panel_bytes))
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == parameters
    column = times * (8 if dtype == np.float64 else 4)
    assert all(stop - start == 1 or (stop - start) * column <= panel_bytes for start, stop in found)


@pytest.mark.parametrize(
    ("stored", "worked"), [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)]
)
def test_panels_come_in_the_precision_the_rows_deserve(stored, worked):
    values = np.arange(12, dtype=stored).reshape(3, 4)
    panel = as_rows(values).panel(1, 3)
    assert panel.dtype == worked
    np.testing.assert_array_equal(panel, values[:, 1:3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_tensors_serve_as_rows_with_or_without_a_gradient(dtype):
    tensor = torch.arange(12.0, dtype=dtype).reshape(3, 4).requires_grad_()
    np.testing.assert_array_equal(as_rows(tensor).panel(0, 4), np.arange(12.0).reshape(3, 4))


@pytest.mark.parametrize("times", [5, 600])
def test_memory_mapped_rows_read_as_the_array_that_was_written(tmp_path, times):
    written = np.random.default_rng(0).standard_normal((times, 50)).astype(np.float16)
    written.tofile(tmp_path / "rows.bin")
    mapped = np.memmap(tmp_path / "rows.bin", dtype=np.float16, mode="r", shape=written.shape)
    np.testing.assert_array_equal(as_rows(mapped).panel(7, 31), written[:, 7:31].astype(np.float32))


def test_rows_that_are_not_written_yet_survive_in_a_copy_on_write_map(tmp_path):
    np.zeros((4, 5), dtype=np.float32).tofile(tmp_path / "rows.bin")
    mapped = np.memmap(tmp_path / "rows.bin", dtype=np.float32, mode="c", shape=(4, 5))
    mapped[2, 3] = 7.0
    as_rows(mapped).panel(0, 5)
    assert as_rows(mapped).panel(0, 5)[2, 3] == 7.0


def test_the_rows_an_object_serves_pass_through():
    class Served:
        shape, dtype = (2, 3), np.dtype(np.float16)

        def panel(self, start, stop):
            return np.ones((2, stop - start), dtype=np.float32)

    served = Served()
    assert as_rows(served) is served
    np.testing.assert_allclose(row_norms(served), np.sqrt([3.0, 3.0]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"\(3,\)"),
        (np.ones((2, 3), dtype=np.int32), "int32"),
        (np.ones((0, 3)), r"\(0, 3\)"),
        (np.ones((3, 0)), r"\(3, 0\)"),
    ],
)
def test_arrays_that_are_no_rows_are_refused_with_their_shape(array, message):
    with pytest.raises(ValueError, match=message):
        as_rows(array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_first_row_that_is_not_finite_is_named(value, dtype):
    values = np.ones((6, 5), dtype=dtype)
    values[3, 2] = values[5, 0] = value
    with pytest.raises(ValueError, match=f"row 3 holds {value} at parameter 2"):
        read_panel(as_rows(values), 0, 5)


def test_infinities_that_cancel_are_still_found():
    values = np.ones((2, 4), dtype=np.float32)
    values[1, :2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="row 1"):
        read_panel(as_rows(values), 0, 4)


def test_finite_values_whose_sum_overflows_are_no_error():
    values = np.full((2, 4), 3e38, dtype=np.float32)
    np.testing.assert_array_equal(read_panel(as_rows(values), 0, 4), values)


def test_a_panel_of_the_wrong_width_is_refused():
    class Short:
        shape, dtype = (2, 3), np.dtype(np.float32)

        def panel(self, start, stop):
            return np.ones((2, 1), dtype=np.float32)

    with pytest.raises(ValueError, match=r"wanted \(2, 3\)"):
        read_panel(Short(), 0, 3)


def test_panel_bytes_of_zero_are_refused():
    with pytest.raises(ValueError, match="panel_bytes"):
        list(panels(as_rows(np.ones((2, 3))), 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_unit_rows_have_norm_one_and_zero_rows_stay_zero(dtype):
    values = np.random.default_rng(1).standard_normal((4, 60)).astype(dtype)
    values[0] *= dtype(100)
    values[2] = 0
    unit = UnitRows(values, panel_bytes=500)
    panel = np.concatenate([unit.panel(0, 25), unit.panel(25, 60)], axis=1)
    np.testing.assert_allclose(np.linalg.norm(panel.astype(np.float64), axis=1), [1, 1, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(unit.norms, np.linalg.norm(values.astype(np.float64), axis=1), rtol=1e-6)
    assert unit.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 13])
def test_rows_of_a_file_read_as_the_array_that_was_written(tmp_path, dtype, offset):
    written = np.random.default_rng(0).standard_normal((9, 50)).astype(dtype)
    (tmp_path / "rows.bin").write_bytes(bytes(offset) + written.tobytes() + b"more")
    rows = FileRows(tmp_path / "rows.bin", written.shape, dtype, offset=offset)
    for start, stop in [(0, 50), (7, 31), (49, 50)]:
        panel = read_panel(rows, start, stop)
        assert panel.dtype == (np.float64 if dtype == np.float64 else np.float32)
        np.testing.assert_array_equal(panel, written[:, start:stop])


def test_rows_of_a_file_pickle_as_its_path_and_are_found_from_any_folder(tmp_path, monkeypatch):
    written = np.random.default_rng(0).standard_normal((100, 500))
    written.tofile(tmp_path / "rows.bin")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(FileRows("rows.bin", written.shape, "float64"))
    monkeypatch.chdir("/")
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).panel(3, 9), written[:, 3:9])


def test_a_file_shorter_than_its_rows_is_refused_with_both_sizes(tmp_path):
    np.ones((4, 5), dtype=np.float32).tofile(tmp_path / "rows.bin")
    FileRows(tmp_path / "rows.bin", (4, 5), "float32")
    with pytest.raises(ValueError, match=r"holds 80 bytes, but float32 rows \(5, 5\) need 100"):
        FileRows(tmp_path / "rows.bin", (5, 5), "float32")
    with pytest.raises(ValueError, match="int32"):
        FileRows(tmp_path / "rows.bin", (4, 5), "int32")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FileRows(tmp_path / "nowhere.bin", (4, 5), "float32")


def test_a_file_cut_off_while_in_use_is_named(tmp_path):
    np.ones((4, 5), dtype=np.float32).tofile(tmp_path / "rows.bin")
    rows = FileRows(tmp_path / "rows.bin", (4, 5), "float32")
    (tmp_path / "rows.bin").write_bytes(bytes(70))
    with pytest.raises(OSError, match=r"rows\.bin ends at byte 70"):
        rows.panel(0, 5)


def test_memory_mapped_rows_do_not_pickle_whole():
    mapped = np.memmap("/dev/zero", dtype=np.float32, mode="c", shape=(2, 3))
    with pytest.raises(ValueError, match="FileRows"):
        pickle.dumps(as_rows(mapped))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(as_rows(np.eye(2)))).panel(0, 2), np.eye(2))


def test_the_next_panel_is_read_while_the_caller_works_and_no_more_than_two_are_held():
    alive, most, read = weakref.WeakSet(), 0, [threading.Event() for _ in range(6)]

    class Watched:
        shape, dtype = (2, 60), np.dtype(np.float32)

        def panel(self, start, stop):
            nonlocal most
            panel = np.full((2, stop - start), start, dtype=np.float32)
            alive.add(Held := panel.view(Tracked))
            most = max(most, len(alive))
            read[start // 10].set()
            return Held

    class Tracked(np.ndarray):
        __hash__ = object.__hash__

    borders = [(start, start + 10) for start in range(0, 60, 10)]
    for start, stop, panels_read in read_ahead([Watched()], borders):
        assert (stop, panels_read[0][0, 0]) == (start + 10, start)
        assert start == 50 or read[start // 10 + 1].wait(10)
        del panels_read
    assert most == PANELS_HELD


def test_what_goes_wrong_while_reading_ahead_reaches_the_caller():
    values = np.ones((3, 40), dtype=np.float32)
    values[1, 35] = np.nan
    seen = []
    with pytest.raises(ValueError, match="row 1 holds nan at parameter 35"):
        seen += [start for start, _, _ in read_ahead([as_rows(values)], [(0, 20), (20, 40)])]
