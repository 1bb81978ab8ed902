"""A run directory: the settings of a training, its files, and what they hold."""

import dataclasses
import fcntl
import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..envs.cheese_maze import NUM_ACTIONS, PLANES, default_time_limit
from ..envs.generator import LevelSettings
from .files import RunConflictError, RunFileError, load_tensors, read_json, save_tensors, write_json
from .gradient_log import GradientLog
from .networks import ActorCritic, NetworkName, build_network
from .parameters import parameter_layout, set_parameters
from .ppo import PPOSettings

FORMAT = 1


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or does not see.

    Raises:
        ValueError: with what to give instead.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device is {name!r}: give 'cpu', 'cuda' or 'cuda:0'") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs: give 'cpu'")


@dataclass(frozen=True)
class TrainSettings:
    """Everything needed to repeat a training.

    Attributes:
        world: how levels are made.
        ppo: the learner's settings.
        network: `conv` (169k parameters at 9×9), `mlp` or `impala`.
        num_levels: size of the pool of training levels.
        time_limit: steps per episode; default 8 × size.
        seed: seed of levels, initial parameters, actions and minibatches.
        record: a row of the gradient log per `rollout` (mean over its updates) or per `update`; or `none`.
        record_terms_every: every how many rollouts each loss term's gradient is recorded alone; 0 is never.
        checkpoint_every: rollouts between checkpoints of the parameters.
        save_every: rollouts between the bundles that a killed run resumes from.
        measure_every: rollouts between exact measures; 0 is never.
        measure_levels: held-out levels of each kind that these measures use.
        device: `cpu`, `cuda`, or another torch device.
        threads: CPU threads; default all. One thread makes runs bit-identical on one machine.
    """

    world: LevelSettings = field(default_factory=LevelSettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    network: NetworkName = "conv"
    num_levels: int = 16384
    time_limit: int | None = None
    seed: int = 0
    record: Literal["rollout", "update", "none"] = "rollout"
    record_terms_every: int = 8
    checkpoint_every: int = 1
    save_every: int = 5
    measure_every: int = 5
    measure_levels: int = 150
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("num_levels", 1),
            ("seed", 0),
            ("record_terms_every", 0),
            ("checkpoint_every", 1),
            ("save_every", 1),
            ("measure_every", 0),
            ("measure_levels", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        for name in ("time_limit", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give at least 1, or leave it out")
        if self.record not in ("rollout", "update", "none"):
            raise ValueError(f"record is {self.record!r}: give 'rollout', 'update' or 'none'")
        if self.network not in ("mlp", "conv", "impala"):
            raise ValueError(f"network is {self.network!r}: give 'mlp', 'conv' or 'impala'")
        if self.measure_every and self.world.corner_size == self.world.size:
            raise ValueError(
                f"corner_size is {self.world.corner_size}, the whole maze: there are no conflict levels to measure "
                f"on; give at most {self.world.size - 1}, or measure_every 0"
            )
        check_device(self.device)

    @property
    def horizon(self) -> int:
        """Steps per episode."""
        return default_time_limit(self.world.size) if self.time_limit is None else self.time_limit

    def new_network(self) -> ActorCritic:
        """The network at its initial parameters θ_0."""
        shape = (len(PLANES), self.world.size, self.world.size)
        return build_network(self.network, shape, NUM_ACTIONS, seed=self.seed)


PRESETS: dict[str, TrainSettings] = {
    "default": TrainSettings(),
    "random-start": TrainSettings(world=LevelSettings(size=9, corner_size=3, start="random")),
}


class Run:
    """The files of one run.

    Args:
        directory: the run directory; `config.json` must be there (`Run.create` makes it).

    Raises:
        RunFileError: it is no run directory, or its config.json is damaged.
    """

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        config = read_json(self.directory / "config.json")
        try:
            if config["format"] != FORMAT:
                raise RunFileError(
                    f"{directory} is of format {config['format']}, this goalcut reads {FORMAT}: train anew"
                )
            self.settings: TrainSettings = settings_from_json(TrainSettings, config["settings"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, RunFileError):
                raise
            raise RunFileError(f"{self.directory / 'config.json'} is damaged ({error}); restore it") from None

    @classmethod
    def create(cls, directory: Path, settings: TrainSettings) -> "Run":
        """Begin a run, or take up the same one again.

        Raises:
            RunFileError: the directory holds another run, or other files.
        """
        directory = Path(directory)
        if (directory / "config.json").exists():
            run = cls(directory)
            if run.settings != settings:
                there, here = (dict(_flat(dataclasses.asdict(s))) for s in (run.settings, settings))
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
        directory.mkdir(parents=True, exist_ok=True)
        config = {"format": FORMAT, "settings": dataclasses.asdict(settings)} | _provenance()
        write_json(directory / "config.json", config)
        return cls(directory)

    def path(self, *parts: str) -> Path:
        """A path inside the run directory, its folder made."""
        path = self.directory.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here meanwhile; the lock goes with the process.

        Raises:
            RunConflictError: another process has it.
        """
        with open(self.path("lock"), "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunConflictError(
                    f"{self.directory} is being trained by another process: wait for it"
                ) from None
            yield

    # Parameters over time.

    def save_checkpoint(self, rollout: int, network: ActorCritic) -> None:
        """Keep the parameters after so many rollouts."""
        path = self._checkpoint_path(rollout)
        path.parent.mkdir(exist_ok=True)
        save_tensors(path, dict(network.named_parameters()))

    @property
    def checkpoints(self) -> list[int]:
        """The rollouts after which there is a checkpoint, ascending; 0 is θ_0."""
        names = (self.directory / "checkpoints").glob("rollout-*.safetensors")
        return sorted(int(path.stem.removeprefix("rollout-")) for path in names)

    def parameters_after(self, rollout: int | None = None) -> Tensor:
        """θ after so many rollouts, (P,) float32; None is the end of training.

        Raises:
            RunFileError: there is no such checkpoint, or it is damaged or of another network.
        """
        last = self.settings.ppo.rollouts
        path = self._checkpoint_path(last if rollout is None else rollout)
        if not path.exists():
            there = self.checkpoints
            seen = (
                f"the run has those of {there[0]} to {there[-1]} of {last} rollouts"
                if there
                else "it has none"
            )
            raise RunFileError(f"{path} is missing: {seen}; train it to the end or name another")
        return self.parameters_from(path)

    def parameters_from(self, path: Path) -> Tensor:
        """θ from a file of named parameters, a checkpoint's or a cut's, (P,) float32.

        Raises:
            RunFileError: it is missing, damaged, or of another network.
        """
        tensors, _ = load_tensors(path)
        layout = parameter_layout(self.settings.new_network())
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != {
            n: s for n, (_, _, s) in layout.items()
        }:
            raise RunFileError(f"{path} is of another network than config.json says")
        return torch.cat([tensors[name].reshape(-1) for name in layout])

    def network(self, rollout: int | None = None) -> ActorCritic:
        """The network with θ after so many rollouts; None is the end of training."""
        network = self.settings.new_network()
        set_parameters(network, self.parameters_after(rollout))
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

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
                f"{self.gradients} is missing: the run was trained with record 'none', or not yet"
            )
        return GradientLog(self.gradients, verify=verify)

    def progress(self) -> list[dict[str, Any]]:
        """One record per rollout; a half-written last line is left out."""
        path = self.directory / "progress.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")[:-1]
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise RunFileError(f"{path} is damaged ({error}); restore it") from None

    @property
    def trained(self) -> bool:
        """Whether training reached its end."""
        return self._checkpoint_path(self.settings.ppo.rollouts).exists()

    def _checkpoint_path(self, rollout: int) -> Path:
        return self.directory / "checkpoints" / f"rollout-{rollout:05d}.safetensors"


class AppliedChanges:
    """θ's change between neighbouring checkpoints as rows (T, P), read by panels; float32."""

    dtype = np.dtype(np.float32)

    def __init__(self, run: Run):
        self.rollouts = run.checkpoints
        self._thetas = torch.stack([run.parameters_after(rollout) for rollout in self.rollouts]).numpy()
        self.shape = (len(self._thetas) - 1, self._thetas.shape[1])

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Columns start…stop of all rows."""
        return np.diff(self._thetas[:, start:stop], axis=0)


def settings_from_json(kind: type, values: dict[str, Any]) -> Any:
    """A settings dataclass from what `dataclasses.asdict` gave; unknown or missing names raise TypeError."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = set(values) - set(fields)
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]}")
    nested = {"world": LevelSettings, "ppo": PPOSettings}
    return kind(
        **{
            name: settings_from_json(nested[name], value)
            if name in nested and isinstance(value, dict)
            else value
            for name, value in values.items()
        }
    )


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for name, value in values.items():
        items += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return items


def _provenance() -> dict[str, Any]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("goalcut", "torch", "numpy", "scipy"):
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
