"""Runs the plan of a study: a process for each run, so many at once; what fails is reported and loses nothing else."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .costs import Cost, Costs
from .plan import Plan, PlannedRun
from .results import ANALYSIS
from .seeds import SeedSet
from .work import Task

OnProgress = Callable[[float, float, str], None]
"""Share of the predicted work that is done, seconds left, and what is going on."""
_TERMINATED_WITHIN = 10.0


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Attributes:
        variant: of the study.
        seed: of the training.
        error: one line.
        log: the file with everything it said.
    """

    variant: str
    seed: int
    error: str
    log: Path


@dataclass(frozen=True)
class How:
    """How a plan is run.

    Attributes:
        root: where all studies lie.
        directory: of this one.
        seeds: of this call.
        tiny: whether it is the miniature.
        jobs: processes at once.
        threads: of CPU in each.
        drop_gradients: remove each gradient log once it is analyzed.
    """

    root: Path
    directory: Path
    seeds: SeedSet
    tiny: bool = False
    jobs: int = 2
    threads: int = 1
    drop_gradients: bool = False


@dataclass
class _Job:
    run: PlannedRun
    stages: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes]
    error: str | None = None
    stage: str = ""
    share: float = 0.0
    finished: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    @property
    def cuts(self) -> bool:
        return self.stages == ("ablate",)


class Runner:
    """Runs what a plan says is missing.

    Args:
        plan: of the study.
        how: how many at once, and so on.
        costs: kept up to date.
        on_progress: called about twice a second.
    """

    def __init__(self, plan: Plan, how: How, costs: Costs, on_progress: OnProgress):
        self.plan, self.how, self.costs, self.on_progress = plan, how, costs, on_progress
        self.failures: list[Failure] = []
        self._events: queue.Queue[tuple[_Job, dict[str, Any] | None]] = queue.Queue()
        # A run is measured first and cut when the run that its cuts stand beside is analyzed, too.
        self._to_measure = [run for run in plan.runs if any(stage != "ablate" for stage in run.missing)]
        self._to_cut = [run for run in plan.runs if "ablate" in run.missing]
        self._running: list[_Job] = []
        self._done_seconds = 0.0

    def run(self) -> list[Failure]:
        """Run all of it; returns what failed. Ends its processes whatever happens."""
        try:
            while self._to_measure or self._to_cut or self._running:
                for run, stages, partner in self._startable(self.how.jobs - len(self._running)):
                    self._start(run, stages, partner)
                self._told()
                try:
                    job, event = self._events.get(timeout=0.5)
                except queue.Empty:
                    continue
                self._heard(job, event)
        finally:
            self._stop()
        return self.failures

    def _startable(self, free: int) -> Iterator[tuple[PlannedRun, tuple[str, ...], Path | None]]:
        for run in list(self._to_cut):
            if free <= 0:
                return
            partner = self._partner(run)
            if self._pending(run) or (partner is not None and self._pending(partner)):
                continue
            self._to_cut.remove(run)
            if (run.variant, run.seed) in {(failure.variant, failure.seed) for failure in self.failures}:
                continue
            free -= 1
            yield run, ("ablate",), None if partner is None else partner.directory
        for run in self._to_measure[: max(0, free)]:
            self._to_measure.remove(run)
            yield run, tuple(stage for stage in run.missing if stage != "ablate"), None

    def _pending(self, run: PlannedRun) -> bool:
        """Whether a run is yet to be measured, or is just now."""
        return run in self._to_measure or any(job.run == run and not job.cuts for job in self._running)

    def _partner(self, run: PlannedRun) -> PlannedRun | None:
        """The next seed of the same variant that is analyzed or will be, round and round; None: there is no other."""
        group = [other for other in self.plan.runs if other.variant == run.variant]
        place = group.index(run)
        for other in group[place + 1 :] + group[:place]:
            if self._pending(other) or (other.directory / ANALYSIS).exists():
                return other
        return None

    def _start(self, run: PlannedRun, stages: tuple[str, ...], partner: Path | None) -> None:
        how = self.how
        task = Task(
            study=self.plan.study.name,
            tiny=how.tiny,
            root=str(how.root),
            directory=str(run.directory),
            variant=run.variant,
            seed=run.seed,
            role=how.seeds.role,
            stages=stages,
            threads=how.threads,
            partner=None if partner is None else str(partner),
            drop_gradients=how.drop_gradients,
        )
        log = how.directory / "logs" / f"{run.variant}-seed-{run.seed}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = {name: str(how.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        with open(log, "ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "goalcut.studies.work", task.to_json()],
                stdin=subprocess.PIPE,  # closes when we end, however that is
                stdout=subprocess.PIPE,
                stderr=said,
                env=os.environ | threads,
                start_new_session=True,  # Ctrl-C comes to us alone
            )
        job = _Job(run, stages, log, process, stage=stages[0])
        self._running.append(job)
        listener = threading.Thread(target=self._listen, args=(job,), daemon=True)
        listener.start()
        job.listener = listener  # none to join where Ctrl-C comes before it has started

    def _listen(self, job: _Job) -> None:
        assert job.process.stdout is not None
        with job.process.stdout as said:
            for line in said:
                try:
                    self._events.put((job, json.loads(line)))
                except ValueError:
                    continue  # not ours: something that a library printed
        self._events.put((job, None))

    def _heard(self, job: _Job, event: dict[str, Any] | None) -> None:
        if event is None:
            self._ended(job)
        elif "error" in event:
            job.error = str(event["error"])
        elif "seconds" in event or "taken" in event:
            stage = str(event["stage"])
            self._done_seconds += self.costs.seconds(job.run.variant, stage)
            job.finished.append(stage)
            job.share = 0.0
            if "seconds" in event:
                self.costs.add(Cost(job.run.variant, stage, float(event["seconds"])))
        else:
            job.stage, job.share = str(event["stage"]), min(1.0, event["done"] / max(1, event["of"]))

    def _ended(self, job: _Job) -> None:
        code = job.process.wait()
        _close(job)
        self._running.remove(job)
        if code == 0:
            return
        error = job.error or (
            f"its process was killed by signal {-code}" if code < 0 else f"exit code {code}"
        )
        self.failures.append(Failure(job.run.variant, job.run.seed, f"{job.stage}: {error}", job.log))

    def _told(self) -> None:
        seconds = self.costs.seconds
        left = going = 0.0
        for run in self._to_measure:
            left += sum(seconds(run.variant, stage) for stage in run.missing if stage != "ablate")
        left += sum(seconds(run.variant, "ablate") for run in self._to_cut)
        notes = []
        for job in self._running:
            there = [stage for stage in job.stages if stage not in job.finished]
            now = seconds(job.run.variant, there[0]) * job.share if there else 0.0
            going += now
            left += sum(seconds(job.run.variant, stage) for stage in there) - now
            notes.append(f"{job.run.variant} {job.run.seed}: {job.stage} {job.share:.0%}")
        at_once = max(1, min(self.how.jobs, len(self._running) + len(self._to_measure) + len(self._to_cut)))
        done = self._done_seconds + going
        self.on_progress(done / max(done + left, 1e-9), left / at_once, "; ".join(notes))

    def _stop(self) -> None:
        for job in self._running:
            job.process.terminate()
        for job in self._running:
            try:
                job.process.wait(_TERMINATED_WITHIN)
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()
            _close(job)
        self._running.clear()


def _close(job: _Job) -> None:
    if job.process.stdin is not None:
        job.process.stdin.close()
    if job.listener is not None:
        job.listener.join()
