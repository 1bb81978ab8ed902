import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from goalcut.agents.files import RunFileError
from goalcut.agents.gradient_log import RECORD, GradientLog, GradientLogWriter, Row

LAYOUT = {"body.weight": (7, 11), "body.bias": (7,)}
P = 84


def rows(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-12, 6, size=(count, 1))
    return (rng.normal(size=(count, P)) * sizes).astype(np.float32)


def written(directory: Path, gradients: np.ndarray, halves: bool = False) -> Path:
    writer = GradientLogWriter(directory, LAYOUT)
    for number, gradient in enumerate(gradients):
        for half, part in (("A", 0.25), ("B", 0.75)) if halves else (("", 1.0),):
            writer.append(Row(gradient * np.float32(part), number, 100 * number, half=half))
    writer.close()
    return directory


def test_rows_come_back_within_half_precision_at_any_scale(tmp_path: Path) -> None:
    gradients = rows(20)
    log = GradientLog(written(tmp_path / "g", gradients))
    back = log.rows().panel(0, P)
    error = np.abs(back - gradients).max(axis=1) / np.abs(gradients).max(axis=1)
    assert error.max() <= 2.0**-11
    np.testing.assert_allclose(log.index["norm"], np.linalg.norm(gradients.astype(float), axis=1), rtol=1e-6)


def test_small_entries_beside_large_ones_are_kept(tmp_path: Path) -> None:
    gradient = np.full((1, P), 1e-7, dtype=np.float32)
    gradient[0, 0] = 1.0  # float16 alone would keep 1e-7 to one digit
    back = GradientLog(written(tmp_path / "g", gradient)).rows().panel(0, P)
    np.testing.assert_allclose(back, gradient, rtol=1e-3)


def test_the_whole_is_the_sum_of_its_halves(tmp_path: Path) -> None:
    gradients = rows(5)
    log = GradientLog(written(tmp_path / "g", gradients, halves=True))
    assert log.rows().shape == (5, P)
    a, b = (log.rows(half=half).panel(3, 60) for half in "AB")
    np.testing.assert_array_equal(log.rows().panel(3, 60), a + b)
    np.testing.assert_allclose(a + b, gradients[:, 3:60], rtol=0, atol=np.abs(gradients).max() * 1e-3)


def test_a_zero_row_comes_back_as_zero(tmp_path: Path) -> None:
    log = GradientLog(written(tmp_path / "g", np.zeros((2, P), dtype=np.float32)))
    assert not log.rows().panel(0, P).any()


@pytest.mark.parametrize("cut", [1, 2 * P - 1, 2 * P, 2 * P + 5])
def test_a_half_written_tail_is_dropped_and_nothing_before_it(tmp_path: Path, cut: int) -> None:
    gradients = rows(6)
    directory = written(tmp_path / "g", gradients)
    path = directory / "rows.bin"
    os.truncate(path, path.stat().st_size - cut)
    log = GradientLog(directory)
    assert len(log) == (6 * 2 * P - cut) // (2 * P)
    np.testing.assert_allclose(log.rows().panel(0, P), gradients[: len(log)], rtol=2e-3, atol=1e-3)


def test_a_row_without_a_whole_record_is_dropped(tmp_path: Path) -> None:
    directory = written(tmp_path / "g", rows(4))
    path = directory / "rows.index"
    os.truncate(path, path.stat().st_size - 3)
    log = GradientLog(directory)
    assert len(log) == 3
    assert log.dropped == 1


def test_an_a_half_without_its_b_half_is_left_out(tmp_path: Path) -> None:
    directory = written(tmp_path / "g", rows(3), halves=True)
    os.truncate(directory / "rows.index", 5 * RECORD.itemsize)
    assert GradientLog(directory).rows().shape == (2, P)


@pytest.mark.parametrize(
    ("file", "place"), [("rows.bin", 2 * P * 2 + 17), ("rows.index", RECORD.itemsize + 9)]
)
def test_a_flipped_bit_is_named_with_its_row(tmp_path: Path, file: str, place: int) -> None:
    directory = written(tmp_path / "g", rows(4))
    content = bytearray((directory / file).read_bytes())
    content[place] ^= 4
    (directory / file).write_bytes(content)
    with pytest.raises(RunFileError, match=r"(row 2|record 1) of .* is damaged"):
        GradientLog(directory)


@pytest.mark.parametrize("file", ["rows.bin", "rows.index", "layout.json"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    directory = written(tmp_path / "g", rows(2))
    (directory / file).unlink()
    with pytest.raises(RunFileError, match=f"{file} is missing"):
        GradientLog(directory)


def test_a_log_taken_up_again_keeps_the_rows_asked_for(tmp_path: Path) -> None:
    gradients = rows(6)
    directory = written(tmp_path / "g", gradients)
    writer = GradientLogWriter(directory, LAYOUT, keep=4)
    writer.append(Row(gradients[5], 9, 900))
    writer.close()
    log = GradientLog(directory)
    assert log.index["update"].tolist() == [0, 1, 2, 3, 9]


def test_an_existing_log_is_not_written_over(tmp_path: Path) -> None:
    directory = written(tmp_path / "g", rows(2))
    with pytest.raises(RunFileError, match="already holds a gradient log"):
        GradientLogWriter(directory, LAYOUT)
    with pytest.raises(RunFileError, match="another network"):
        GradientLogWriter(directory, {"other": (3,)}, keep=0)
    with pytest.raises(RunFileError, match=r"2 of the 9 rows to resume from: restore .* or train in another"):
        GradientLogWriter(directory, LAYOUT, keep=9)


@pytest.mark.parametrize("file", ["rows.bin", "rows.index"])
def test_a_log_to_go_on_with_that_lacks_a_file_is_told_with_a_remedy_and_left_as_it_is(
    tmp_path: Path, file: str
) -> None:
    directory = written(tmp_path / "g", rows(4))
    (directory / file).unlink()
    with pytest.raises(RunFileError, match=f"{file} is missing.*: restore it, or train in another directory"):
        GradientLogWriter(directory, LAYOUT, keep=4)
    assert not (directory / file).exists()


@pytest.mark.parametrize(
    ("file", "place"), [("rows.bin", 2 * P * 2 + 17), ("rows.index", RECORD.itemsize + 9)]
)
def test_a_flipped_bit_in_a_row_to_keep_is_told_before_training_goes_on(
    tmp_path: Path, file: str, place: int
) -> None:
    directory = written(tmp_path / "g", rows(4))
    content = bytearray((directory / file).read_bytes())
    content[place] ^= 4
    (directory / file).write_bytes(content)
    with pytest.raises(RunFileError, match=r"is damaged.*: restore it, or train in another directory"):
        GradientLogWriter(directory, LAYOUT, keep=3)
    assert (directory / file).read_bytes() == content
    GradientLogWriter(directory, LAYOUT, keep=1).close()  # what lies beyond is not kept anyway


def test_terms_that_were_not_recorded_are_named(tmp_path: Path) -> None:
    log = GradientLog(written(tmp_path / "g", rows(2)))
    with pytest.raises(ValueError, match="no rows of the term 'policy'; it has total"):
        log.rows("policy")
    with pytest.raises(ValueError, match="without halves"):
        log.rows(half="A")


def test_a_rows_record_is_what_the_index_holds(tmp_path: Path) -> None:
    [gradient] = rows(1)
    row = Row(gradient, 7, 700, averaged=3, term="policy", half="A", lr=0.5, whole_norm=2.0, clip=0.25)
    writer = GradientLogWriter(tmp_path / "g", LAYOUT)
    writer.append(row)
    writer.close()
    [stored] = GradientLog(tmp_path / "g").index
    content = (tmp_path / "g" / "rows.bin").read_bytes()
    [made] = row.record(scale=float(stored["scale"]), checksum=zlib.crc32(content))
    assert made == stored
    assert (made["update"], made["env_steps"], made["averaged"], made["half"]) == (7, 700, 3, b"A")
    assert made["norm"] == pytest.approx(np.linalg.norm(gradient.astype(float)), rel=1e-12)


def test_a_memory_map_shows_the_raw_rows(tmp_path: Path) -> None:
    gradients = rows(3)
    log = GradientLog(written(tmp_path / "g", gradients))
    scaled = log.memmap().astype(np.float32) * log.index["scale"][:, None].astype(np.float32)
    np.testing.assert_array_equal(scaled, log.rows().panel(0, P))
