import gzip
import shutil
from pathlib import Path

import pytest
import torch

from goalcut.envs import digits
from goalcut.envs.digits import DigitFileError, load_digits

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


@pytest.fixture
def copied(few_digits: Path, tmp_path: Path) -> Path:
    return shutil.copytree(few_digits, tmp_path / "copy")


def test_the_packaged_digits_are_mnist() -> None:
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (60_000, 10_000)
    # Counts as the publishers give them.
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert float(train.inputs()[:1000].max()) == 1.0
    # The mean pixel of the training images, 0.1307, is quoted everywhere.
    assert float(train.images.float().mean() / 255) == pytest.approx(0.1307, abs=5e-5)


def test_files_of_the_user_are_read_gzipped_or_not(copied: Path) -> None:
    zipped = load_digits("train", copied)
    for name in NAMES:
        path = copied / f"{name}.gz"
        (copied / name).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    plain = load_digits("train", copied)
    assert len(plain) == 640
    assert torch.equal(plain.images, zipped.images)
    assert torch.equal(plain.labels, load_digits("train").labels[:640])


def test_a_subset_keeps_images_and_labels_together() -> None:
    test = load_digits("test")
    threes = test.subset(test.labels == 3)
    assert set(threes.labels.tolist()) == {3}
    assert torch.equal(threes.images[0], test.images[int((test.labels == 3).nonzero()[0])])


def test_a_packaged_file_with_one_flipped_bit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = shutil.copytree(digits._PACKAGED, tmp_path / "mnist")
    path = packaged / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(digits, "_PACKAGED", packaged)
    with pytest.raises(DigitFileError, match=r"t10k-labels-idx1-ubyte.gz is damaged: its SHA-256 differs"):
        load_digits("test")
    assert len(load_digits("train")) == 60_000


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (NAMES[0], lambda content: content[:-7], "cut off"),
        (NAMES[0], lambda content: bytes((0, 0, 8, 1)) + content[4:], "no idx file of images"),
        (NAMES[0], lambda content: b"", "begins with bytes none"),
        (NAMES[0], lambda content: content[:9], "cut off"),
        (NAMES[1], lambda content: content[:8] + b"\x0b" + content[9:], "has label 11 at 0"),
        (NAMES[1], lambda content: content[:4] + (639).to_bytes(4, "big") + content[8:-1], "belong together"),
        (
            NAMES[0],
            lambda content: content[:8] + (14).to_bytes(4, "big") + (56).to_bytes(4, "big") + content[16:],
            "14×56",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(copied: Path, name: str, change, message: str) -> None:
    path = copied / f"{name}.gz"
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), 1))
    with pytest.raises(DigitFileError, match=message) as error:
        load_digits("train", copied)
    assert str(copied) in str(error.value)


def test_a_cut_off_gzip_and_a_missing_file_are_refused_by_name(copied: Path) -> None:
    images = copied / f"{NAMES[0]}.gz"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(DigitFileError, match=r"train-images-idx3-ubyte.gz is cut off or no gzip"):
        load_digits("train", copied)
    images.unlink()
    with pytest.raises(DigitFileError, match=r"train-images-idx3-ubyte.gz is missing: data_dir wants"):
        load_digits("train", copied)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split is 'validation'"):
        load_digits("validation")  # pyright: ignore
