"""The journal of an ablation: what is judged already, so that a killed one goes on where it stopped."""

import json
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Journal:
    """Named entries in the order of their making, one JSON line each, appended as they are made.

    An ablation makes the same entries in the same order every time, so what was kept is given back in that order. The
    first line says what the entries follow from; a journal of anything else is begun anew, and from a line that is
    half-written, damaged or of another name on, the rest is dropped.

    Args:
        path: the file; made if missing.
        fingerprint: a checksum of all that the entries follow from.
    """

    def __init__(self, path: Path, fingerprint: int):
        self.path = path
        header = _line({"fingerprint": fingerprint})
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        self._kept: deque[tuple[dict[str, Any], int]] = deque()
        if lines[:1] == [header]:
            self._kept.extend(_whole_entries(lines[1:]))
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._length = len(header)
        if not self._kept:
            os.ftruncate(self._file, 0)
            self._append(header, 0)

    def entry(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The entry of this name: as kept, or as `make` gives it now, JSON either way.

        Raises:
            OSError: the disk is full; what was kept stays whole.
        """
        if self._kept and self._kept[0][0]["name"] == name:
            kept, length = self._kept.popleft()
            self._length += length
            return kept["entry"]
        self._kept.clear()
        line = _line({"name": name, "entry": make()})
        self._append(line, self._length)
        self._length += len(line)
        return json.loads(line)["entry"]

    def close(self) -> None:
        """Close the file; what is in it is kept for another time."""
        os.close(self._file)

    def _append(self, line: bytes, at: int) -> None:
        os.ftruncate(self._file, at)
        written = os.pwrite(self._file, line, at)
        if written != len(line):
            raise OSError(28, f"No space left on device while writing {self.path}; free space and go on")


def _line(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _whole_entries(lines: list[bytes]) -> list[tuple[dict[str, Any], int]]:
    """The entries of the lines up to the first that is not whole, each with its length in bytes."""
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(entry, dict) or not {"name", "entry"} <= set(entry):
            break
        entries.append((entry, len(line)))
    return entries
