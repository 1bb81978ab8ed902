"""The gradient log on disk: appended row by row, whole after any crash, read back by panels.

    layout.json   what a row is: name → place in the flat parameter vector, dtype, how often a row is taken
    rows.bin      raw rows, float16, P entries each; a gradient is the row times its scale
    rows.index    one fixed-size record per row: when, which loss term, which half, norms, scale, checksums

A row is written before its record, so a row without a whole record was cut off and is dropped. Rows of the halves
A and B are contributions: the gradient of the whole is their sum.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from .files import RESTORE, RunFileError, read_json, write_json

TOTAL = "total"
# The mean over a rollout's first epoch alone: its halves have not yet met each other's samples again.
FIRST_EPOCH = "first_epoch"
RECORD = np.dtype(
    [
        ("update", "<i8"),  # optimizer steps before this row's last one
        ("env_steps", "<i8"),
        ("averaged", "<i4"),  # updates averaged in this row
        ("term", "S12"),  # "total", "first_epoch", or a loss term's name
        ("half", "S1"),  # "A", "B", or "" where a row is not halved
        ("lr", "<f8"),
        ("norm", "<f8"),  # of this row, before clipping
        ("whole_norm", "<f8"),  # of A and B together
        ("clip", "<f8"),  # factor that clipping applied, averaged; 1 is none, NaN where no step was taken
        ("scale", "<f8"),
        ("checksum", "<u4"),  # of the row's bytes
        ("record_checksum", "<u4"),  # of this record up to here
    ]
)
_RECORD_BODY = RECORD.itemsize - 4
_FLUSH_BYTES = 8 * 2**20
_LARGEST = 2.0**15  # a row's largest entry, scaled, lies in (2^14, 2^15]: float16 keeps 2^-39 of it


@dataclass(frozen=True)
class Row:
    """What the recorder appends: a gradient (P,) float32 and its record's fields."""

    gradient: np.ndarray
    update: int
    env_steps: int
    averaged: int = 1
    term: str = TOTAL
    half: str = ""
    lr: float = float("nan")
    whole_norm: float = float("nan")
    clip: float = float("nan")

    def record(self, *, scale: float, checksum: int) -> np.ndarray:
        """Its record (1,) of `RECORD`: that of a row stored as bytes of this checksum, to be times `scale`."""
        record = np.zeros(1, dtype=RECORD)
        for field in ("update", "env_steps", "averaged", "lr", "whole_norm", "clip"):
            record[field] = getattr(self, field)
        record["term"], record["half"] = self.term.encode(), self.half.encode()
        gradient = torch.from_numpy(self.gradient)
        record["norm"] = float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
        record["scale"], record["checksum"] = scale, checksum
        record["record_checksum"] = zlib.crc32(record.tobytes()[:_RECORD_BODY])
        return record


class GradientSink(Protocol):
    """Where a recorder's rows go: a log on disk, or a computation that takes each row as it comes by."""

    @property
    def rows(self) -> int:
        """Rows taken so far."""
        ...

    def append(self, row: Row) -> None:
        """Take one row. The recorder writes over its gradient afterwards: copy what is to stay."""
        ...

    def sync(self) -> None:
        """Make what was taken so far survive a crash, where it is to survive one at all."""
        ...

    def close(self) -> None:
        """No more rows will come."""
        ...


Training = Callable[[GradientSink], None]
"""Trains anew, from the first step to the last, each time it is called, with all rows going into the sink."""


class GradientLogWriter:
    """Appends rows to a gradient log directory.

    Args:
        directory: made if missing.
        layout: name → shape of every parameter, in the order of the flat vector.
        about: what a row is, in words, kept in layout.json.
        keep: rows to keep of a log that exists (a resumed run), which are read and checked; None refuses an existing
            log.

    Raises:
        RunFileError: the log is of another network, or a row to keep is missing or damaged. It is left as it was.
    """

    def __init__(
        self,
        directory: Path,
        layout: dict[str, tuple[int, ...]],
        *,
        about: dict[str, str | int] | None = None,
        keep: int | None = None,
    ):
        directory.mkdir(parents=True, exist_ok=True)
        self.parameters, places = 0, {}
        for name, shape in layout.items():
            count = int(np.prod(shape, dtype=np.int64))
            places[name] = {"slice": [self.parameters, self.parameters + count], "shape": list(shape)}
            self.parameters += count
        head = {"parameters": places, "dtype": "float16", "row_bytes": 2 * self.parameters, **(about or {})}
        layout_file = directory / "layout.json"
        if layout_file.exists():
            if keep is None:
                raise RunFileError(
                    f"{directory} already holds a gradient log; give another directory or resume"
                )
            if read_json(layout_file) != json.loads(json.dumps(head)):
                raise RunFileError(
                    f"{layout_file} describes another network or schedule; give another directory"
                )
        else:
            write_json(layout_file, head)
        if keep:
            _check_kept(directory, keep)
        self.rows = keep or 0
        flags = os.O_WRONLY | os.O_CREAT
        self._rows_file = os.open(directory / "rows.bin", flags, 0o644)
        self._index_file = os.open(directory / "rows.index", flags, 0o644)
        self._directory = directory
        self._scaled = torch.empty(self.parameters)
        self._narrow = torch.empty(self.parameters, dtype=torch.float16)
        # A fresh page of the disk cache costs more than its part of a row: pages given back are used again.
        self._flusher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gradient-log")
        self._flush, self._in_cache = self._flusher.submit(int), 0
        for file, row_bytes in ((self._rows_file, 2 * self.parameters), (self._index_file, RECORD.itemsize)):
            os.ftruncate(file, self.rows * row_bytes)
            os.lseek(file, 0, os.SEEK_END)

    def append(self, row: Row) -> None:
        """Write one row, then its record.

        Raises:
            OSError: the disk is full; every earlier row stays whole.
        """
        # In torch, on its own threads: numpy's conversion is slower, and its BLAS threads would wait for torch's.
        gradient = torch.from_numpy(row.gradient)
        least, most = torch.aminmax(gradient)
        largest = max(-float(least), float(most))
        # A power of two, so that scaling rounds nothing.
        scale = 2.0 ** (np.ceil(np.log2(largest)) - np.log2(_LARGEST)) if largest > 0 else 1.0
        if scale > 2.0**-100:
            self._narrow.copy_(torch.mul(gradient, 1 / scale, out=self._scaled))
        else:  # 1 / scale overflows float32 there
            self._narrow.copy_(gradient.double() * (1 / scale))
        content = self._narrow.numpy().data.cast("B")
        record = row.record(scale=scale, checksum=zlib.crc32(content))
        self._write(self._rows_file, content)
        self._write(self._index_file, memoryview(record.tobytes()))
        self.rows += 1
        self._hand_back(len(content))

    def _hand_back(self, written: int) -> None:
        """Now and then, and behind the training's back, put rows on the disk and give their cache pages back."""
        self._in_cache += written
        if self._in_cache < _FLUSH_BYTES or not self._flush.done() or not hasattr(os, "posix_fadvise"):
            return
        self._flush.result()  # raises what the last one raised
        self._in_cache = 0
        self._flush = self._flusher.submit(_put_on_disk, self._rows_file)

    def _write(self, file: int, view: memoryview) -> None:
        try:
            while view:
                view = view[os.write(file, view) :]
        except OSError as error:
            message = f"{error.strerror} while writing row {self.rows} of {self._directory}"
            raise OSError(
                error.errno, f"{message}; the rows before it are whole: free space and resume"
            ) from error

    def sync(self) -> None:
        """Have the disk hold all rows so far."""
        os.fsync(self._rows_file)
        os.fsync(self._index_file)

    def close(self) -> None:
        """Close both files."""
        self._flusher.shutdown()
        os.close(self._rows_file)
        os.close(self._index_file)


def _check_kept(directory: Path, keep: int) -> None:
    """Refuse to go on with a log whose first `keep` rows are not all there and whole."""
    log = GradientLog(directory, verify=False)
    if len(log) < keep:
        raise RunFileError(
            f"{directory} holds {len(log)} of the {keep} rows to resume from: restore its rows.bin and rows.index, or "
            f"train in another directory"
        )
    log.verify(keep)


def _put_on_disk(file: int) -> int:
    os.fdatasync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    return 0


class GradientLog:
    """A gradient log to read.

    Attributes:
        index: the records of all whole rows, a structured array (R,) of `RECORD`.
        layout: name → (start, stop, shape) in the flat parameter vector.
        parameters: P.
        dropped: half-written rows at the end that were left out.

    Raises:
        RunFileError: a file is missing, or a row or record does not match its checksum.
    """

    def __init__(self, directory: Path, *, verify: bool = True):
        head = read_json(directory / "layout.json")
        try:
            self.layout = {
                name: (place["slice"][0], place["slice"][1], tuple(place["shape"]))
                for name, place in head["parameters"].items()
            }
            self.parameters = max(stop for _, stop, _ in self.layout.values())
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise RunFileError(f"{directory / 'layout.json'} is damaged ({error!r}): {RESTORE}") from None
        self.about = head
        self._path = (directory / "rows.bin").absolute()  # for workers of a cluster, wherever they run
        try:
            records, stored = (directory / "rows.index").read_bytes(), self._path.stat().st_size
        except FileNotFoundError as error:
            raise RunFileError(
                f"{error.filename} is missing, so the gradient log is not whole: {RESTORE}"
            ) from None
        rows = min(len(records) // RECORD.itemsize, stored // (2 * self.parameters))
        self.index = np.frombuffer(records, dtype=RECORD, count=rows)
        begun = max(-(-len(records) // RECORD.itemsize), -(-stored // (2 * self.parameters)))
        self.dropped = begun - rows
        if verify:
            self.verify()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def terms(self) -> list[str]:
        """The loss terms that rows were recorded for, `total` first."""
        names = sorted({term.decode() for term in np.unique(self.index["term"])})
        return sorted(names, key=lambda name: name != TOTAL)

    def memmap(self) -> np.memmap:
        """The raw rows (R, P) float16, unscaled."""
        return np.memmap(self._path, dtype=np.float16, mode="r", shape=(len(self), self.parameters))

    def rows(self, term: str = TOTAL, half: str | None = None) -> "LogRows":
        """The rows of one loss term, in time order: one half's, or (None) those of the whole, A + B.

        Raises:
            ValueError: there are none.
        """
        of_term = self.index["term"] == term.encode()
        if not of_term.any():
            raise ValueError(f"the log has no rows of the term {term!r}; it has {', '.join(self.terms)}")
        numbers = {
            part: np.flatnonzero(of_term & (self.index["half"] == part.encode())) for part in ("", "A", "B")
        }
        if half is not None:
            if not len(numbers[half]):
                raise ValueError(f"the log has no rows of half {half!r}: the run was recorded without halves")
            parts = [numbers[half]]
        elif len(numbers["A"]):
            whole = min(len(numbers["A"]), len(numbers["B"]))  # a crash may leave an A without its B
            parts = [numbers["A"][:whole], numbers["B"][:whole]]
        else:
            parts = [numbers[""]]
        return LogRows(self, parts)

    def verify(self, count: int | None = None) -> None:
        """Compare the first `count` rows and their records (default all) with their checksums.

        Raises:
            RunFileError: the first that differs.
        """
        bodies = self.index.view(np.uint8).reshape(len(self), RECORD.itemsize)[:, :_RECORD_BODY]
        with open(self._path, "rb") as file:
            for number, record in enumerate(self.index[:count]):
                if zlib.crc32(bodies[number].tobytes()) != record["record_checksum"]:
                    raise RunFileError(
                        f"record {number} of {self._path.with_suffix('.index')} is damaged: {RESTORE}"
                    )
                if zlib.crc32(file.read(2 * self.parameters)) != record["checksum"]:
                    raise RunFileError(
                        f"row {number} of {self._path} is damaged, its checksum differs: {RESTORE}"
                    )


class LogRows:
    """Rows of a log as a matrix (T, P) that is read by panels of parameters; each entry is the sum of its parts."""

    dtype = np.dtype(np.float16)

    def __init__(self, log: GradientLog, parts: Iterable[np.ndarray]):
        self._parts = list(parts)
        self._path = log._path
        self._scales = [log.index["scale"][numbers].astype(np.float32) for numbers in self._parts]
        self.shape = (len(self._parts[0]), log.parameters)
        self.records = log.index[self._parts[-1]]

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Columns start…stop of all rows, (T, stop − start) float32."""
        panel = np.empty((self.shape[0], stop - start), dtype=np.float32)
        entries = bytearray(2 * (stop - start))
        buffer = np.frombuffer(entries, dtype=np.float16)
        # Row by row through read calls: a memory map would make nearly the whole file resident.
        file = os.open(self._path, os.O_RDONLY)
        try:
            for place, (numbers, scales) in enumerate(zip(self._parts, self._scales, strict=True)):
                for row, (number, scale) in enumerate(zip(numbers, scales, strict=True)):
                    offset = 2 * (int(number) * self.shape[1] + start)
                    if os.preadv(file, [entries], offset) != len(entries):
                        raise RunFileError(
                            f"{self._path} ends within row {number}: it was cut off while in use"
                        )
                    if place == 0:
                        np.multiply(buffer, scale, out=panel[row], dtype=np.float32)
                    else:
                        panel[row] += np.multiply(buffer, scale, dtype=np.float32)
        finally:
            os.close(file)
        return panel
