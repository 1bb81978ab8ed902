"""One process of a study: the stages of one run, told line by line on standard output.

Started by `runner`; ends at once when the process that started it does, as its standard input then closes.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .seeds import Role


@dataclass(frozen=True)
class Task:
    """What one process is to do; JSON on its command line.

    Attributes:
        study: name of the card.
        tiny: whether it is the card's miniature.
        root: where all studies lie, to take agents over from.
        directory: of the run.
        variant: of the study.
        seed: of the training.
        role: which levels.
        stages: to make, in order.
        threads: of CPU.
        partner: another seed's run, for `ablate`.
        drop_gradients: remove the gradient log when what reads it is done.
    """

    study: str
    tiny: bool
    root: str
    directory: str
    variant: str
    seed: int
    role: Role
    stages: tuple[str, ...]
    threads: int
    partner: str | None = None
    drop_gradients: bool = False

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def work(task: Task, say: Callable[[dict[str, Any]], None]) -> None:
    """Do it, saying how far it is: {stage, done, of}, and {stage, seconds} after each stage."""
    import torch

    from ..agents.allocator import keep_freed_memory
    from .cards import study_named
    from .run_stages import drop_gradients, make, take_over

    keep_freed_memory()
    torch.set_num_threads(task.threads)
    study = study_named(task.study)
    study = study.tiny() if task.tiny else study
    directory = Path(task.directory)
    settings = study.settings(task.variant, task.seed, task.threads)
    for stage in task.stages:
        said, began = 0.0, time.monotonic()
        say({"stage": stage, "done": 0, "of": 1})

        def on_step(done: int, of: int, stage: str = stage) -> None:
            nonlocal said
            if time.monotonic() - said > 0.5:
                said = time.monotonic()
                say({"stage": stage, "done": done, "of": of})

        if stage == "train" and (taken := take_over(directory, settings, Path(task.root))) is not None:
            say({"stage": stage, "taken": str(taken)})
            continue
        partner = None if task.partner is None else Path(task.partner)
        make(study, stage, directory, settings, task.role, partner=partner, on_step=on_step)
        torch.set_num_threads(task.threads)  # a training sets its own
        say({"stage": stage, "seconds": time.monotonic() - began})
        if task.drop_gradients and stage == ("judge" if study.judging is not None else "analyze"):
            drop_gradients(directory)


def main() -> None:
    """Entry point: the task as JSON is the one argument; exits with 0 or 1."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    values = json.loads(sys.argv[1])
    task = Task(**values | {"stages": tuple(values["stages"])})

    def say(event: dict[str, Any]) -> None:
        print(json.dumps(event), flush=True)

    try:
        work(task, say)
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split())
        say({"error": text or type(error).__name__})
        sys.exit(1)


def _end_with_parent() -> None:
    # Not through sys.stdin: Python cannot end while a thread waits in it.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
