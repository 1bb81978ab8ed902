"""Handwritten digits: the classifier's world. MNIST comes with the package and is read without a network."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

DigitSplit = Literal["train", "test"]

PIXELS = 28
"""Height and width of an image."""

_PACKAGED = Path(__file__).parent / "mnist"
# SHA-256 of the files as published (LeCun et al. 1998); see mnist/README.md for their source and licence.
_CHECKSUMS = {
    "train-images-idx3-ubyte": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "train-labels-idx1-ubyte": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    "t10k-images-idx3-ubyte": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}
_STEM = {"train": "train", "test": "t10k"}


class DigitFileError(ValueError):
    """A file of digits is missing, damaged or of another kind; the message names it and the remedy."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images and what they show.

    Attributes:
        images: (N, 28, 28) uint8, 0 is background.
        labels: (N,) int64 in 0…9.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self) -> Tensor:
        """What a classifier is shown: (N, 1, 28, 28) float32 in 0…1."""
        return self.images[:, None].float() / 255

    def subset(self, which: Tensor) -> "Digits":
        """Those of these numbers, or where a mask is true."""
        return Digits(self.images[which], self.labels[which])


def load_digits(split: DigitSplit, data_dir: Path | None = None) -> Digits:
    """The training or the test digits.

    Args:
        split: `train` (MNIST: 60,000) or `test` (10,000).
        data_dir: a folder with files of the same names and format (idx, gzipped or not); None is the packaged MNIST,
            whose checksums are verified.

    Raises:
        DigitFileError: a file is missing, damaged, or not what its name says.
    """
    if split not in _STEM:
        raise ValueError(f"split is {split!r}: give 'train' or 'test'")
    images_path, images = _read(f"{_STEM[split]}-images-idx3-ubyte", data_dir)
    labels_path, labels = _read(f"{_STEM[split]}-labels-idx1-ubyte", data_dir)
    if images.shape[1:] != (PIXELS, PIXELS):
        height, width = images.shape[1:]
        raise DigitFileError(f"{images_path} holds images of {height}×{width} pixels: give 28×28")
    if len(images) != len(labels):
        raise DigitFileError(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels: give files that belong "
            f"together"
        )
    if not len(labels):
        raise DigitFileError(f"{images_path} holds no image: give at least one")
    if labels.max() > 9:
        number = int(labels.argmax())
        raise DigitFileError(f"{labels_path} has label {labels[number]} at {number}: labels are 0 to 9")
    return Digits(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


def _read(name: str, data_dir: Path | None) -> tuple[Path, np.ndarray]:
    """The file used and its array of unsigned bytes."""
    folder = _PACKAGED if data_dir is None else Path(data_dir)
    if not folder.is_dir():
        raise DigitFileError(f"data_dir is {folder}, which is no folder: give one with MNIST's four files")
    path = folder / f"{name}.gz"
    if data_dir is not None and not path.exists() and (folder / name).exists():
        path = folder / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        remedy = (
            "install goalcut anew" if data_dir is None else "data_dir wants MNIST's four files by their names"
        )
        raise DigitFileError(f"{path} is missing: {remedy}") from None
    if data_dir is None and hashlib.sha256(content).hexdigest() != _CHECKSUMS[name]:
        raise DigitFileError(f"{path} is damaged: its SHA-256 differs from MNIST's; install goalcut anew")
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DigitFileError(f"{path} is cut off or no gzip file ({error}); fetch it anew") from None
    return path, _idx(content, path, dimensions=3 if "images" in name else 1)


def _idx(content: bytes, path: Path, dimensions: int) -> np.ndarray:
    """An array of the idx format: 0, 0, type 8 (unsigned byte), dimensions; big-endian sizes; entries."""
    if content[:4] != bytes((0, 0, 8, dimensions)):
        raise DigitFileError(
            f"{path} begins with bytes {content[:4].hex(' ') or 'none'}, wanted 00 00 08 {dimensions:02x}: no "
            f"idx file of {'images' if dimensions == 3 else 'labels'}"
        )
    head = 4 + 4 * dimensions
    sizes = np.frombuffer(content[4:head].ljust(4 * dimensions, b"\0"), dtype=">u4").astype(np.int64)
    if len(content) - head != int(np.prod(sizes)):
        shape = "×".join(str(size) for size in sizes)
        raise DigitFileError(
            f"{path} says {shape} entries and holds {len(content) - head}: it is cut off or damaged"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(sizes).copy()
