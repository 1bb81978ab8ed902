import json
import os
import subprocess
import sys

import numpy as np
import pytest

from goalcut.analysis import Directions, module_shares
from goalcut.analysis.directions import stored_checksum

LAYOUT = {
    "body.0.weight": (0, 12, (3, 4)),
    "body.0.bias": (12, 15, (3,)),
    "policy.weight": (15, 27, (4, 3)),
    "scale": (27, 30, (3,)),
}


def some_directions(k: int = 4, d: int = 30, dtype: type = np.float32, **changes) -> Directions:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((k, d)).astype(dtype)
    fields = {
        "vectors": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        "singular_values": np.arange(k, 0.0, -1.0),
        "profiles": rng.standard_normal((7, k)),
        "layout": LAYOUT if d == 30 else {},
        "source": {"lens": "temporal SVD", "seed": 3, "rows": [0, 240], "note": "σ"},
    }
    return Directions(**(fields | changes))


def assert_same(a: Directions, b: Directions) -> None:
    for name in ("vectors", "singular_values", "profiles"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    assert (a.space, dict(a.layout), dict(a.source)) == (b.space, dict(b.layout), dict(b.source))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [0, 1, 4])
def test_directions_come_back_from_a_file_bit_for_bit(tmp_path, dtype, k):
    saved = some_directions(k=k, dtype=dtype, space="conv2")
    saved.save(tmp_path / "directions.safetensors")
    assert_same(Directions.load(tmp_path / "directions.safetensors"), saved)


def test_a_subset_that_is_a_strided_view_is_saved_right(tmp_path):
    chosen = some_directions().subset(slice(None, None, -2))
    chosen.save(tmp_path / "d")
    assert_same(Directions.load(tmp_path / "d"), chosen)


def test_saving_leaves_one_file_and_replaces_an_older_one(tmp_path):
    some_directions().save(tmp_path / "d")
    some_directions(k=2).save(tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert len(Directions.load(tmp_path / "d")) == 2


def test_equal_directions_are_equal_bytes_whichever_process_saves_them(tmp_path):
    make = (
        "import sys; from pathlib import Path; import numpy as np; from goalcut.analysis import Directions; "
        "Directions(np.eye(2, 3), np.ones(2), np.ones((4, 2)), layout={'a': (0, 3, (3,))}, source={'s': 'σ'})"
        ".save(Path(sys.argv[1]))"
    )
    for name in "abcd":
        subprocess.run([sys.executable, "-c", make, tmp_path / name], check=True)
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    os.umask(held := os.umask(0))
    return held


def test_files_whose_words_come_in_another_order_are_still_read(tmp_path):
    # As safetensors itself writes them: in an order of its own.
    saved = some_directions()
    saved.save(tmp_path / "d")
    content = (tmp_path / "d").read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:stop])
    header["__metadata__"] = dict(reversed(header["__metadata__"].items()))
    text = json.dumps(header).encode()
    (tmp_path / "other").write_bytes(len(text).to_bytes(8, "little") + text + content[stop:])
    assert_same(Directions.load(tmp_path / "other"), saved)
    assert stored_checksum(tmp_path / "other") == stored_checksum(tmp_path / "d")


def test_the_stored_checksum_tells_directions_apart_and_wants_a_whole_header(tmp_path):
    some_directions().save(tmp_path / "a")
    some_directions(singular_values=np.arange(5.0, 1.0, -1.0)).save(tmp_path / "b")
    assert stored_checksum(tmp_path / "a") != stored_checksum(tmp_path / "b")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:50])
    with pytest.raises(ValueError, match="cut off or no file of directions"):
        stored_checksum(tmp_path / "b")


def test_a_save_that_fails_keeps_the_older_file(tmp_path, monkeypatch):
    some_directions().save(tmp_path / "d")

    def full_disk(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        some_directions(k=2).save(tmp_path / "d")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert len(Directions.load(tmp_path / "d")) == 4


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Directions.load(tmp_path / "nowhere")


def test_a_file_cut_off_anywhere_is_refused_by_name(tmp_path):
    path = tmp_path / "d.safetensors"
    some_directions().save(path)
    content = path.read_bytes()
    for length in [0, 4, 8, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"d\.safetensors is cut off"):
            Directions.load(path)


def test_a_flipped_bit_is_refused_or_harmless(tmp_path):
    path, saved = tmp_path / "d.safetensors", some_directions()
    saved.save(path)
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            assert_same(Directions.load(path), saved)
        except ValueError as error:
            assert "d.safetensors" in str(error)  # noqa: PT017, either outcome is right
            refused += 1
    assert refused > 0.9 * len(content) / 3


def test_another_safetensors_file_is_refused(tmp_path):
    import safetensors.numpy

    safetensors.numpy.save_file({"vectors": np.ones((1, 1))}, tmp_path / "other")
    with pytest.raises(ValueError, match="holds no directions"):
        Directions.load(tmp_path / "other")


@pytest.mark.parametrize(
    "indices", [[2, 0], range(3), np.array([1]), np.array([True, False, True, False]), slice(2), []]
)
def test_a_subset_takes_vectors_values_and_profiles_alike(indices):
    whole = some_directions()
    chosen = np.arange(4)[indices if not isinstance(indices, range) else list(indices)]
    part = whole.subset(indices)
    np.testing.assert_array_equal(part.vectors, whole.vectors[chosen])
    np.testing.assert_array_equal(part.singular_values, whole.singular_values[chosen])
    np.testing.assert_array_equal(part.profiles, whole.profiles[:, chosen])
    assert part.layout == whole.layout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": np.ones(30)}, r"\(k, d\)"),
        ({"vectors": np.ones((4, 30))}, "vector 0 has norm 5.47"),
        ({"vectors": np.full((4, 30), np.nan)}, "norm nan"),
        ({"singular_values": np.ones(3)}, r"singular_values \(4,\)"),
        ({"profiles": np.ones((7, 3))}, r"profiles \(T, 4\)"),
        ({"profiles": np.full((7, 4), np.inf)}, "finite"),
        ({"layout": {"w": (0, 31, (31,))}}, "reaches to 31"),
        ({"source": {"run": object()}}, "JSON-able"),
    ],
)
def test_fields_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        some_directions(**changes)


def test_module_shares_sum_to_one_and_equal_the_energy_of_their_slices():
    found = some_directions()
    shares = module_shares(found)
    assert list(shares) == ["body.0", "policy", "scale"]
    np.testing.assert_allclose(sum(shares.values()), 1.0)
    np.testing.assert_allclose(shares["body.0"], (found.vectors[:, :15] ** 2).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"a": (0, 10, (10,)), "b": (11, 30, (19,))},
        {"a": (0, 20, (20,)), "b": (10, 30, (20,))},
        {"a": (0, 29, (29,))},
    ],
)
def test_shares_of_a_layout_that_does_not_tile_the_vectors_are_refused(layout):
    with pytest.raises(ValueError, match="layout"):
        module_shares(some_directions(layout=layout))
