"""A run directory: the settings of a training, its files, and what they hold. Nothing here knows what is learned."""

import fcntl
import json
import platform
import subprocess
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Generic, NoReturn, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .files import (
    RESTORE,
    RunConflictError,
    RunFileError,
    SettingError,
    load_tensors,
    read_json,
    save_tensors,
    write_json,
)
from .gradient_log import GradientLog
from .parameters import parameter_layout, set_parameters
from .settings_json import check_finite, flat_settings, settings_from_json, settings_to_json

FORMAT = 3


class Settings(Protocol):
    """Everything needed to repeat a training: a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def checkpoint_every(self) -> int:
        """Rollouts or updates between checkpoints of the parameters."""
        ...

    def new_network(self) -> nn.Module:
        """The network at its initial parameters θ_0."""
        ...

    def resolved(self, held: Any | None = None) -> Any:
        """The same with `auto` made definite, as a run's settings `held` have it or as suits this machine."""
        ...


S = TypeVar("S", bound=Settings)


_of_any_machine: ContextVar[bool] = ContextVar("of_any_machine", default=False)


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or does not see; of settings read from a run only what it does not know.

    Raises:
        ValueError: with what to give instead.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device is {name!r}: give 'cpu', 'cuda' or 'cuda:0'") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {name!r}: goalcut runs on 'cpu' and 'cuda'")
    unseen = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if unseen and not _of_any_machine.get():
        raise ValueError(f"device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs: give 'cpu'")


class RunDirectory(Generic[S]):
    """The files of one run.

    Args:
        directory: the run directory; `config.json` must be there (`create` makes it).

    Raises:
        RunFileError: it is no run directory, or its config.json is damaged.
    """

    kind: ClassVar[str]
    """Which learner's runs these are, as config.json says it."""
    time_unit: ClassVar[str]
    """What training time is counted in: `rollout` or `update`."""
    settings_type: ClassVar[type]

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        config = self.config = read_json(self.directory / "config.json")
        # A run that was trained on a GPU is looked at where there is none, too.
        before = _of_any_machine.set(True)
        try:
            if config["format"] != FORMAT:
                raise RunFileError(
                    f"{directory} is of format {config['format']}, this goalcut reads {FORMAT}: train anew"
                )
            if config["kind"] != self.kind:
                raise RunConflictError(
                    f"{directory} holds a run of {config['kind']}, wanted one of {self.kind}: runs of digits are made "
                    f"and gone on with by goalcut mnist, those of Procgen's maze by goalcut procgen, those of our "
                    f"mazes by goalcut run and train"
                )
            self.settings: S = settings_from_json(self.settings_type, config["settings"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, RunFileError):
                raise
            raise RunFileError(f"{self.directory / 'config.json'} is damaged ({error}); restore it") from None
        finally:
            _of_any_machine.reset(before)

    @classmethod
    def create(cls, directory: Path, settings: S) -> Self:
        """Begin a run, or take up the same one again.

        Raises:
            ValueError: a setting is infinite or NaN.
            RunFileError: the directory holds another run, or other files.
        """
        directory = Path(directory)
        check_finite(settings)
        if (directory / "config.json").exists():
            run = cls(directory)
            settings = settings.resolved(run.settings)
            if run.settings != settings:
                there, here = (flat_settings(s) for s in (run.settings, settings))
                name = next(name for name in here if here[name] != there[name])
                raise RunConflictError(
                    f"{directory} holds another run: {name} is {there[name]!r} there, {here[name]!r} here; give "
                    f"another run directory, the same settings, or remove it"
                )
            return run
        if directory.exists() and not directory.is_dir():
            raise RunConflictError(f"{directory} is a file: give a directory")
        if directory.exists() and any(path.suffix != ".part" for path in directory.iterdir()):
            raise RunConflictError(f"{directory} is not empty and holds no run: give another directory")
        values = settings_to_json(settings.resolved())
        config = {"format": FORMAT, "kind": cls.kind, "settings": values} | cls.facts(settings) | provenance()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunConflictError(
                f"{directory} cannot be made ({error.strerror}): give another directory"
            ) from None
        write_json(directory / "config.json", config)
        return cls(directory)

    @classmethod
    def facts(cls, settings: S) -> dict[str, Any]:
        """What config.json keeps beside the settings, of files that they name.

        Raises:
            ValueError: such a file is damaged; no directory has been made then.
        """
        return {}

    def path(self, *parts: str) -> Path:
        """A path inside the run directory, its folder made."""
        path = self.directory.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def locked(self, doing: str = "trained") -> Iterator[None]:
        """Keep other processes from changing the run meanwhile; the lock goes with the process.

        Args:
            doing: what is done to the run, told to whom it keeps out.

        Raises:
            RunConflictError: another process has it.
        """
        with open(self.path("lock"), "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunConflictError(
                    f"{self.directory} is being {file.read() or 'used'} by another process: wait for it"
                ) from None
            file.truncate(0)
            file.write(doing)
            file.flush()
            yield

    # Parameters over time.

    def save_checkpoint(self, time: int, network: nn.Module) -> None:
        """Keep the parameters of this training time."""
        path = self._checkpoint_path(time)
        path.parent.mkdir(exist_ok=True)
        save_tensors(path, dict(network.named_parameters()))

    @property
    def checkpoints(self) -> list[int]:
        """The training times of which there is a checkpoint, ascending; 0 is θ_0."""
        names = (self.directory / "checkpoints").glob(f"{self.time_unit}-*.safetensors")
        return sorted(int(path.stem.removeprefix(f"{self.time_unit}-")) for path in names)

    def parameters_after(self, time: int | None = None) -> Tensor:
        """θ after so many rollouts or updates, (P,) float32; None is the end of training.

        Raises:
            SettingError: no training of these settings keeps such a checkpoint.
            RunFileError: it is not there yet or any more, or it is damaged or of another network.
        """
        time = self.last_time if time is None else time
        path = self._checkpoint_path(time)
        if not path.exists():
            self._say_missing(time, path)
        return self.parameters_from(path)

    def _say_missing(self, time: int, path: Path) -> NoReturn:
        there, last, unit = self.checkpoints, self.last_time, self.time_unit
        if not 0 <= time <= last:
            raise SettingError(f"{unit} is {time}, but the run is of {last} {unit}s: give one of 0 to {last}")
        if time > max(there, default=-1):
            how_far = f"to {unit} {there[-1]} of {last}" if there else "not at all"
            raise RunFileError(f"{path} is missing: the run is trained {how_far}; train it to its end")
        every = self.settings.checkpoint_every
        if time % every:
            raise SettingError(
                f"{unit} is {time}, but parameters are kept every {every} {unit}s: give one of those"
            )
        raise RunFileError(
            f"{path} is missing; of those that training keeps, the run has {len(there)}, from {unit} {there[0]} to "
            f"{there[-1]}: name one of these, or {RESTORE}"
        )

    def parameters_from(self, path: Path, remedy: str = RESTORE) -> Tensor:
        """θ from a file of named parameters, a checkpoint's or a cut's, (P,) float32.

        Args:
            path: of the file.
            remedy: what to do where it is missing or damaged.

        Raises:
            RunFileError: it is missing, damaged, or of another network.
        """
        tensors, _ = load_tensors(path, remedy)
        shapes = self._shapes
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != shapes:
            raise RunFileError(f"{path} is of another network than config.json says")
        return torch.cat([tensors[name].reshape(-1) for name in shapes])

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every named parameter, in order."""
        return {name: shape for name, (_, _, shape) in parameter_layout(self.settings.new_network()).items()}

    def network(self, time: int | None = None) -> nn.Module:
        """The network with θ after so many rollouts or updates; None is the end of training."""
        network = self.settings.new_network()
        set_parameters(network, self.parameters_after(time))
        return network

    def applied_changes(self) -> "AppliedChanges":
        """What each stretch between checkpoints changed of θ, as rows (T, P) for a lens."""
        return AppliedChanges(self)

    # Records of training.

    @property
    def gradients(self) -> Path:
        """The gradient log's directory."""
        return self.directory / "gradients"

    def gradient_log(self, *, verify: bool = True) -> GradientLog:
        """The gradient log.

        Raises:
            RunFileError: it is missing or damaged.
        """
        if not self.gradients.exists():
            raise RunFileError(
                f"{self.gradients} is missing, as the run was recorded with record 'none', is not yet trained, or was "
                f"packaged without it: restore it, train a run that records, or analyze with --replay rollout"
            )
        return GradientLog(self.gradients, verify=verify)

    def progress(self) -> list[dict[str, Any]]:
        """The records of training, in time order; a half-written last line is left out."""
        return self.progress_from(0)[0]

    def progress_from(self, start: int) -> tuple[list[dict[str, Any]], int]:
        """The records that lie beyond so many bytes of progress.jsonl, and the bytes up to their end."""
        path = self.directory / "progress.jsonl"
        if not path.exists():
            return [], start
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")[:-1]
        try:
            return [json.loads(line) for line in lines], start + sum(len(line) + 1 for line in lines)
        except ValueError as error:
            raise RunFileError(f"{path} is damaged ({error}): {RESTORE}") from None

    @property
    def trained(self) -> bool:
        """Whether training reached its end."""
        return self._checkpoint_path(self.last_time).exists()

    @property
    @abstractmethod
    def last_time(self) -> int:
        """The training time at which training ends."""

    @property
    @abstractmethod
    def logged_rows(self) -> int:
        """Rows of the whole gradient that a finished training has logged."""

    def _checkpoint_path(self, time: int) -> Path:
        return self.directory / "checkpoints" / f"{self.time_unit}-{time:05d}.safetensors"


class AppliedChanges:
    """θ's change between neighbouring checkpoints as rows (T, P), read by panels; float32."""

    dtype = np.dtype(np.float32)

    def __init__(self, run: "RunDirectory[Any]"):
        self.times = run.checkpoints
        self._thetas = torch.stack([run.parameters_after(time) for time in self.times]).numpy()
        self.shape = (len(self._thetas) - 1, self._thetas.shape[1])

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Columns start…stop of all rows."""
        return np.diff(self._thetas[:, start:stop], axis=0)


def provenance() -> dict[str, Any]:
    """`versions` of Python and the packages that results follow from, and goalcut's `commit`; None where not known."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("goalcut", "torch", "numpy", "scipy", "stable-baselines3"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
        commit = answer.stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        commit = None
    return {"versions": versions, "commit": commit}
