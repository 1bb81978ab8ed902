"""Logs of a training for other tools, kept in step with progress.jsonl, which stays the one truth.

What is logged is read from the run directory, so this works for every learner, and changes neither what is trained nor
the settings that config.json keeps: a training may log one way today and another way when it goes on.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any, Literal, Self

from .log_sinks import SINKS, LogSink
from .run_directory import RunDirectory

LogKind = Literal["csv", "tensorboard", "wandb"]


class TrainingLogs:
    """The logs of one run, for the time that one process trains it.

    Files of an earlier process are written anew from the first record on, so steps that were lost in a kill and trained
    again stand there once.

    Example:
        with TrainingLogs(run, ["csv", "tensorboard"]) as logs:
            train(run, on_rollout=lambda record: logs.follow())

    Args:
        run: of any learner.
        kinds: which logs; none is allowed.

    Raises:
        ValueError: the package that a log needs is not installed.
    """

    def __init__(self, run: RunDirectory[Any], kinds: Sequence[LogKind]):
        check_logs(kinds)
        self._run, self._kinds = run, tuple(dict.fromkeys(kinds))
        self._sinks: list[LogSink] = []
        self._read = 0  # bytes of progress.jsonl

    def follow(self) -> None:
        """Log what progress.jsonl has that was not logged yet. To be called while the run is locked.

        Raises:
            ValueError: W&B did not start.
            OSError: the disk is full.
        """
        if not self._kinds:
            return
        records, self._read = self._run.progress_from(self._read)
        if not records:
            return
        # Not before there is a record: until then another process may have the run.
        for kind in self._kinds[len(self._sinks) :]:
            self._sinks.append(SINKS[kind](self._run))
        rows = [(self._step(record), scalars(record)) for record in records]
        for sink in self._sinks:
            sink.write(rows)

    def close(self) -> None:
        """Close all logs."""
        while self._sinks:
            self._sinks.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _step(self, record: dict[str, Any]) -> int:
        """Env steps where there are any, else rollouts or updates."""
        return record.get("env_steps", record[self._run.time_unit])


def check_logs(kinds: Sequence[LogKind]) -> None:
    """Refuse a log whose package is missing.

    Raises:
        ValueError: with what to install.
    """
    for kind in kinds:
        if kind not in SINKS:
            raise ValueError(f"log is {kind!r}: give {', '.join(SINKS)}")
        # W&B leaves folders of its own name about, which Python takes for a package without an origin.
        found = None if kind == "csv" else importlib.util.find_spec(kind)
        if kind != "csv" and (found is None or found.origin is None):
            raise ValueError(f"log is {kind!r}, which is not installed: pip install 'goalcut[{kind}]'")


def scalars(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a record by name, those of nested records as `outer/inner`; lists and text are left out."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found[prefix + name] = value
    return found
