"""A run of the classifier: its run directory, and training as a run."""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..envs.digits import Digits, load_digits
from .allocator import keep_freed_memory
from .classification import Classification, DigitSettings
from .digit_behaviour import DigitBehaviour
from .files import RunFileError
from .gradient_log import GradientSink, Training
from .recorder import GradientRecorder
from .resuming import ProgressFile, resume, save_bundle
from .run_directory import RunDirectory

OnMeasure = Callable[[dict[str, Any]], None]


class DigitRun(RunDirectory[DigitSettings]):
    """The files of one classifier's run; training time is counted in updates.

    Attributes:
        training_images: how many images an epoch has.
    """

    kind: ClassVar[str] = "digits"
    time_unit: ClassVar[str] = "update"
    settings_type: ClassVar[type] = DigitSettings

    def __init__(self, directory: Path):
        super().__init__(directory)
        try:
            self.training_images = int(self.config["digits"]["images"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFileError(
                f"{directory}/config.json is damaged (digits: {error!r}); restore it"
            ) from None

    @property
    def last_time(self) -> int:
        """Updates of the whole training."""
        return self.settings.updates_of(self.training_images)

    @property
    def logged_rows(self) -> int:
        """One row per update."""
        return self.last_time

    @classmethod
    def facts(cls, settings: DigitSettings) -> dict[str, Any]:
        """Number and checksum of the training digits."""
        return {"digits": _identity(load_digits("train", settings.data_dir))}

    def training_digits(self) -> Digits:
        """The digits that the run began with.

        Raises:
            RunFileError: other ones are there now.
        """
        digits = load_digits("train", self.settings.data_dir)
        if _identity(digits) != self.config["digits"]:
            raise RunFileError(
                f"the training digits of {self.settings.data_dir or 'the package'} are other ones than when "
                f"{self.directory} began: restore them, or train in another directory"
            )
        return digits


def train_digits(run: DigitRun, *, on_record: OnMeasure | None = None) -> None:
    """Train a classifier to its end, from its last saved state if it has one.

    Args:
        run: from `DigitRun.create`.
        on_record: called with each record that goes to progress.jsonl: mean loss of the updates since the last one,
            and every digit's accuracy and confusions on test images.

    Raises:
        GradientError: the loss or a gradient is not finite.
        DigitFileError: the digits are damaged.
        RunFileError: a file to resume from is damaged.
        OSError: the disk is full; what was recorded stays whole.
    """
    if run.trained:
        return
    with run.locked():
        _train(run, on_record)


def replay_digit_training(settings: DigitSettings) -> Training:
    """The training that `train_digits` does of these settings, as often as wanted, its gradients going into a sink.

    Nothing is written, measured or resumed. With one thread, on one machine, every row is bit for bit what
    `train_digits` records.

    Args:
        settings: of a run that records.

    Returns:
        A function of a sink; it leaves the number of torch's threads as it was.

    Raises:
        ValueError: the settings record nothing.
    """
    if settings.record == "none":
        raise ValueError("record is 'none': there is no gradient to replay; give 'update'")
    digits = load_digits("train", settings.data_dir)

    def training(sink: GradientSink) -> None:
        threads = torch.get_num_threads()
        try:
            learner = _new_learner(settings, digits)
            recorder = GradientRecorder(learner.network, learner.optimizer, sink, per_update=True)
            try:
                while learner.updates_done < learner.updates:
                    learner.update(recorder)
            finally:
                recorder.close()
        finally:
            torch.set_num_threads(threads)

    return training


def held_out_behaviour(
    settings: DigitSettings, images: int | None = None, *, device: str = "cpu"
) -> DigitBehaviour:
    """The classifier's behaviour on test images: all of them, or so many, a tenth of them of each digit.

    Of a digit with fewer images all are taken. They lie on the CPU, as the parameters of a run do, or on `device`.
    """
    digits = load_digits("test", settings.data_dir)
    if images is not None and images < len(digits):
        per_digit = max(1, images // 10)
        chosen = [torch.nonzero(digits.labels == digit)[:per_digit, 0] for digit in range(10)]
        digits = digits.subset(torch.cat(chosen).sort().values)
    return DigitBehaviour(digits, device=device)


def _train(run: DigitRun, on_record: OnMeasure | None) -> None:
    settings = run.settings
    learner = _new_learner(settings, run.training_digits())
    behaviour = None
    if settings.measure_every:
        behaviour = held_out_behaviour(settings, settings.measure_images, device=settings.device)
    saved = resume(run, learner)
    recorder = None
    if settings.record != "none":
        recorder = GradientRecorder(
            learner.network, learner.optimizer, run.gradients, per_update=True, keep=saved["rows"]
        )
        recorder.updates = learner.updates_done
    progress = ProgressFile(run, saved["progress_bytes"])
    if learner.updates_done == 0:
        run.save_checkpoint(0, learner.network)
        progress.append(_record(learner, behaviour, losses=[], seconds=0.0, recording_seconds=0.0))
    losses: list[float] = []
    began, recorded = time.perf_counter(), 0.0
    try:
        while learner.updates_done < learner.updates:
            losses.append(learner.update(recorder))
            done = learner.updates_done
            last = done == learner.updates
            # A bundle may only follow a record: the losses since the last one are not in it.
            saves = last or done % settings.save_every == 0
            if saves or (settings.measure_every and done % settings.measure_every == 0):
                now, spent = time.perf_counter(), recorder.seconds if recorder else 0.0
                record = _record(
                    learner,
                    behaviour,
                    losses=losses,
                    seconds=now - began,
                    recording_seconds=spent - recorded,
                )
                began, recorded, losses = now, spent, []
                progress.append(record)
                if on_record is not None:
                    on_record(record)
            if done % settings.checkpoint_every == 0 and not last:
                run.save_checkpoint(done, learner.network)
            if saves:
                if recorder is not None:
                    recorder.log.sync()
                save_bundle(run, learner, rows=recorder.log.rows if recorder else 0, progress=progress)
    finally:
        progress.close()
        if recorder is not None:
            recorder.close()
    run.save_checkpoint(learner.updates_done, learner.network)  # its file tells that training ended


def _identity(digits: Digits) -> dict[str, int]:
    checksum = zlib.crc32(digits.labels.numpy().tobytes(), zlib.crc32(digits.images.numpy().tobytes()))
    return {"images": len(digits), "checksum": checksum}


def _new_learner(settings: DigitSettings, digits: Digits) -> Classification:
    """The learner before its first update, and the process made ready for it."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    return Classification(settings, digits)


def _record(
    learner: Classification, behaviour: DigitBehaviour | None, *, losses: list[float], **seconds: float
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "update": learner.updates_done,
        "images": learner.images_seen,
        "loss": sum(losses) / len(losses) if losses else None,
        **seconds,
    }
    if behaviour is None:
        return record
    with torch.no_grad():
        confusion = behaviour.confusion(learner.network)
    accuracy = {f"digit_{digit}": float(confusion[digit, digit]) for digit in range(len(confusion))}
    return record | {
        "measures": accuracy,
        "confusion": [[round(x, 6) for x in row] for row in confusion.tolist()],
    }
