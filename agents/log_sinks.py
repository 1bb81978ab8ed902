"""Where the records of a training can also go: a CSV file, TensorBoard, Weights & Biases.

A sink is opened anew by every process that trains, and is then given the records of the run from the first on. So none
keeps what a killed training did after its last saved state, and one asked for late has the early records as well.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .files import write_atomically
from .run_directory import RunDirectory
from .settings_json import settings_to_json

Scalars = Mapping[str, float]
"""One record: a number under each name, nested names joined by a slash."""


class LogSink(Protocol):
    """Takes the records of a run, in their order."""

    def write(self, rows: Sequence[tuple[int, Scalars]]) -> None:
        """Add records, each with its step."""
        ...

    def close(self) -> None:
        """All that was added is where it belongs."""
        ...


class CsvLog:
    """progress.csv: one line per record, one column per name; a name that a record has not leaves its cell empty."""

    def __init__(self, run: RunDirectory[Any]):
        self._path, self._file = run.path("progress.csv"), None
        self._columns: dict[str, None] = {}  # in the order of their coming

    def write(self, rows: Sequence[tuple[int, Scalars]]) -> None:
        """Append; on a new column the file is written anew."""
        lines: list[Mapping[str, Any]] = [row for _, row in rows]
        new = {name: None for line in lines for name in line if name not in self._columns}
        if new or self._file is None:
            if self._file is not None:
                self.close()
                with open(self._path, newline="", encoding="utf-8") as file:
                    lines = [*csv.DictReader(file), *lines]
            self._columns |= new
            write_atomically(self._path, (_line(self._columns) + self._text(lines)).encode())
            self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        else:
            self._file.write(self._text(lines))
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _text(self, lines: Sequence[Mapping[str, Any]]) -> str:
        return "".join(_line([line.get(name, "") for name in self._columns]) for line in lines)


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class TensorBoardLog:
    """Event files in tensorboard/, for `tensorboard --logdir RUN`; its clock is the seconds of training."""

    def __init__(self, run: RunDirectory[Any]):
        from torch.utils.tensorboard import SummaryWriter

        folder = run.directory / "tensorboard"
        # A TensorBoard that is left open stays at a file which is deleted, so the last one is kept.
        for earlier in sorted(folder.glob("events.out.tfevents.*"))[:-1]:
            earlier.unlink()
        # What was read before of this step or later is then forgotten: all of it.
        self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=10)
        self._clock = (run.directory / "config.json").stat().st_mtime

    def write(self, rows: Sequence[tuple[int, Scalars]]) -> None:
        """Add a point to each name's curve."""
        for step, row in rows:
            self._clock += row.get("seconds", 0.0)
            for name, value in row.items():
                self._writer.add_scalar(name, value, step, walltime=self._clock)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


class WandbLog:
    """A run of Weights & Biases, the same one (wandb/run-id) whenever the training goes on.

    WANDB_MODE, WANDB_PROJECT, WANDB_NAME and its other variables hold. Offline, every process that trains leaves a
    whole copy: sync the latest.

    Raises:
        ValueError: W&B did not start.
    """

    def __init__(self, run: RunDirectory[Any]):
        import wandb

        known = run.path("wandb", "run-id")
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "goalcut"),
                name=os.environ.get("WANDB_NAME", run.directory.resolve().name),
                dir=run.directory,
                id=known.read_text().strip() if known.exists() else None,
                resume="allow",
                reinit="create_new",
                config=settings_to_json(run.settings),
                settings=wandb.Settings(console="off", save_code=False),
            )
        except wandb.Error as error:
            raise ValueError(
                f"W&B did not start ({error}): run wandb login, set WANDB_MODE=offline, or leave wandb out"
            ) from error
        write_atomically(known, self._run.id.encode())

    def write(self, rows: Sequence[tuple[int, Scalars]]) -> None:
        """Add records that W&B does not have yet."""
        for step, row in rows:
            if step >= self._run.starting_step:
                self._run.log(dict(row), step=step)

    def close(self) -> None:
        """Wait until W&B has everything."""
        self._run.finish()


SINKS: dict[str, type[CsvLog] | type[TensorBoardLog] | type[WandbLog]] = {
    "csv": CsvLog,
    "tensorboard": TensorBoardLog,
    "wandb": WandbLog,
}
