"""What a killed training goes on from: the learner's state in one bundle, and how much of each record belongs to it."""

import json
import os
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from .files import RESTORE, RunFileError, load_tensors, save_tensors
from .run_directory import RunDirectory


class Learner(Protocol):
    """Anything that trains and can be taken up again."""

    def state(self) -> dict[str, Tensor]:
        """All that training changes, as tensors."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave."""
        ...


class ProgressFile:
    """progress.jsonl: one record a line, appended whole; what lies beyond `keep` bytes is dropped."""

    def __init__(self, run: RunDirectory[Any], keep: int):
        path = run.path("progress.jsonl")
        # Before it is opened: a file that is missing must not come to be, empty.
        if (path.stat().st_size if path.exists() else 0) < keep:
            raise RunFileError(f"{path} is missing or shorter than when the run was saved: {RESTORE}")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.ftruncate(self._file, keep)
        os.lseek(self._file, 0, os.SEEK_END)
        self.bytes = keep

    def append(self, record: dict[str, Any]) -> None:
        """Write one record."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(28, "No space left on device while writing progress.jsonl; free space and resume")
        self.bytes += written

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def save_bundle(run: RunDirectory[Any], learner: Learner, *, rows: int, progress: ProgressFile) -> None:
    """Keep the learner's state, and how many log rows and progress bytes were there at the time."""
    place = {"rows": rows, "progress_bytes": progress.bytes}
    save_tensors(_bundle(run), learner.state(), {name: str(value) for name, value in place.items()})


def resume(run: RunDirectory[Any], learner: Learner) -> dict[str, int]:
    """Bring the learner to the run's last saved state; how many log rows and progress bytes belong to it."""
    if not _bundle(run).exists():
        learned = max((record[run.time_unit] for record in run.progress()), default=0)
        # There was a bundle: starting anew would wipe what was recorded.
        if learned > run.settings.save_every:
            raise RunFileError(
                f"{_bundle(run)} is missing, though {learned} {run.time_unit}s are recorded: {RESTORE}"
            )
        return {"rows": 0, "progress_bytes": 0}
    state, place = load_tensors(_bundle(run))
    try:
        learner.load_state(state)
        return {name: int(place[name]) for name in ("rows", "progress_bytes")}
    except (KeyError, ValueError, RuntimeError) as error:
        raise RunFileError(f"{_bundle(run)} does not fit this run ({error}): {RESTORE}") from None


def _bundle(run: RunDirectory[Any]) -> Path:
    return run.path("checkpoints", "resume.safetensors")
