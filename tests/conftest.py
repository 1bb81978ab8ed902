"""What tests of several folders share."""

import gzip
from pathlib import Path

import pytest
import torch

from goalcut.envs.digits import Digits, load_digits


def write_idx(path: Path, array: torch.Tensor) -> None:
    """An array of unsigned bytes in the idx format, gzipped if the name says so."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = bytes((0, 0, 8, array.ndim)) + sizes + array.to(torch.uint8).numpy().tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def write_digits(folder: Path, split: str, digits: Digits) -> None:
    write_idx(folder / f"{split}-images-idx3-ubyte.gz", digits.images)
    write_idx(folder / f"{split}-labels-idx1-ubyte.gz", digits.labels)


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first 640 training and 300 test digits of MNIST, for `data_dir`."""
    folder = tmp_path_factory.mktemp("digits")
    for name, split, count in (("train", "train", 640), ("t10k", "test", 300)):
        write_digits(folder, name, load_digits(split).subset(torch.arange(count)))
    return folder
