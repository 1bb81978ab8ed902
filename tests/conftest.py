"""What tests of several folders share."""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from emulated_device import emulated_cuda, why_not

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


@pytest.fixture(scope="module")
def without_torchvision() -> Iterator[None]:
    """No transformer here needs it, and one that came with another tool may be of another build of torch."""
    pytest.importorskip("transformers", reason="of the extra goalcut[transformers]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchvision", None)
        from transformers.utils.import_utils import is_torchvision_available

        is_torchvision_available.cache_clear()
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, where it and its driver are installed."""
    chromium = Path("/usr/bin/chromium")
    playwright_api = pytest.importorskip("playwright.sync_api")
    if not chromium.exists():
        pytest.skip(f"{chromium} is not installed")
    with playwright_api.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        # Milliseconds: on busy cores a browser takes more than the usual half minute to start.
        browser = started.chromium.launch(executable_path=str(chromium), args=arguments, timeout=180_000)
        yield browser
        browser.close()


@pytest.fixture
def emulated() -> Iterator[str]:
    """The name of a device that is emulated: it computes, and draws, what the CPU does, and refuses to be mixed."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with emulated_cuda():
        yield "cuda"


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a GPU: a real one if there is one, else the emulated one."""
    there = torch.cuda.is_available()
    if not there and why_not() is not None:
        pytest.skip(f"no GPU here, and {why_not()}")
    with nullcontext() if there else emulated_cuda():
        yield "cuda"
