"""What a report reads of a run: every file that is there, None for each that is not."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open

from ..agents.files import RunFileError, read_json
from ..agents.parameters import Layout, parameter_layout
from ..agents.run_directory import RunDirectory
from ..analysis.lenses import LENSES
from .style import MeasureStyle, TimeAxis, finite, finites

R = TypeVar("R", bound=RunDirectory[Any])


@dataclass(frozen=True)
class Inputs(ABC, Generic[R]):
    """The contents of a run directory; what a kind of learner adds is what its measures and its time are called.

    Attributes:
        run: the run.
        config: config.json, whole.
        progress: one record per rollout or stretch of updates.
        evaluation, analysis, ablation, summary: the files of those names, or None.
        profiles: (T, k) of the directions, or None.
        strengths: their singular values, (k,) or empty.
        measured: the records of `progress` that hold measures.
        lenses: name → content of lenses/NAME.json, those that are there; `compare` is their comparison.
    """

    run_type: ClassVar[type[RunDirectory[Any]]]
    axis: ClassVar[TimeAxis]
    """What training time is counted in."""
    agent_names: ClassVar[Mapping[str, str]]
    """Agents that are measured, in reading order, and what they are called."""
    halved: ClassVar[str]
    """What the two halves of a row are of."""
    whole: ClassVar[str]
    """The command that makes the whole run."""
    stages: ClassVar[frozenset[str]]
    """The parts of a run that have a command of their own, with no settings of the training."""

    run: R
    config: dict[str, Any]
    progress: list[dict[str, Any]]
    evaluation: dict[str, Any] | None = None
    analysis: dict[str, Any] | None = None
    ablation: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    profiles: np.ndarray | None = None
    strengths: list[float | None] = field(default_factory=list)
    measured: list[dict[str, Any]] = field(default_factory=list)
    lenses: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read a run directory.

        Raises:
            RunFileError: it is no run directory, or one of its files is damaged.
        """
        run: Any = cls.run_type(directory)
        progress = run.progress()
        profiles, strengths = _profiles(run.directory / "analysis" / "directions.safetensors")
        return cls(
            run=run,
            config=read_json(run.directory / "config.json"),
            progress=progress,
            evaluation=_optional_json(run.directory / "evaluation.json"),
            analysis=_optional_json(run.directory / "analysis" / "analysis.json"),
            ablation=_optional_json(run.directory / "ablation" / "table.json"),
            summary=_optional_json(run.directory / "summary.json"),
            profiles=profiles,
            strengths=strengths,
            measured=[record for record in progress if record.get("measures")],
            lenses={
                name: found
                for name in (*LENSES, "compare")
                if (found := _optional_json(run.directory / "lenses" / f"{name}.json")) is not None
            },
        )

    @cached_property
    def layout(self) -> Layout:
        """Parameter name → (start, stop, shape) of the run's network."""
        return parameter_layout(self.run.settings.new_network())

    def module_name(self, module: str) -> str:
        """What a module of the network is called."""
        return module

    @property
    def parameters(self) -> int:
        """How many parameters the network has, P."""
        return max(stop for _, stop, _ in self.layout.values())

    @property
    @abstractmethod
    def measure_styles(self) -> Mapping[str, MeasureStyle]:
        """How each measure is drawn, in the order of tables."""

    @property
    @abstractmethod
    def goal_colours(self) -> Mapping[str, str]:
        """What cuts may remove, and the colour of each."""

    @property
    def goals(self) -> tuple[str, ...]:
        """What cuts may remove."""
        return tuple(self.goal_colours)

    @property
    def default_settings(self) -> Any:
        """What the command that makes such a run takes where nothing is given."""
        return self.run.settings_type()

    @property
    def named_defaults(self) -> list[str]:
        """The options that choose these defaults among others."""
        return []

    # Training.

    @property
    def trained_for(self) -> float | None:
        """Env steps or updates trained."""
        return finite(self.progress[-1].get(self.axis.field)) if self.progress else None

    @property
    def seconds(self) -> float | None:
        """Seconds of training."""
        known = dig(self.summary, "training", "seconds")
        spent = [finite(record.get("seconds")) or 0.0 for record in self.progress]
        return finite(known) if known is not None else (sum(spent) if spent else None)

    def curve(self, measure: str) -> tuple[list[float | None], list[float | None]]:
        """Times and values of a measure over training."""
        return (
            [finite(record.get(self.axis.field)) for record in self.measured],
            [finite(record["measures"].get(measure)) for record in self.measured],
        )

    def row_times(self, rows: int) -> np.ndarray:
        """The training time of every row of the log, (rows,); evenly spread where the file does not say."""
        known = [time for time in finites(dig(self.analysis, self.axis.rows)) if time is not None]
        return (
            np.array(known) if len(known) == rows else np.linspace(0, self.trained_for or rows, rows + 1)[1:]
        )

    # Measures.

    def measure(self, agent: str, name: str) -> dict[str, float | None]:
        """mean, low and high of a measure of one of `agent_names`."""
        entry = dig(self.evaluation, "agents", agent, name)
        if isinstance(entry, dict):
            return {end: finite(entry.get(end)) for end in ("mean", "low", "high")}
        known = finite(dig(self.summary, "measures", agent, name))
        if known is None:
            known = finite(dig(self.ablation, agent, name))
        if known is None and self.measured and agent in ("untrained", "trained"):
            record = self.measured[0 if agent == "untrained" else -1]
            is_it = self.run.trained if agent == "trained" else record.get(self.run.time_unit) == 0
            known = finite(record["measures"].get(name)) if is_it else None
        return {"mean": known, "low": None, "high": None}

    @property
    def agents(self) -> list[str]:
        """The agents of whom anything is measured, in reading order."""
        return [
            agent
            for agent in self.agent_names
            if any(self.measure(agent, name)["mean"] is not None for name in self.measure_styles)
        ]

    # Cuts.

    @property
    def cuts(self) -> list[dict[str, Any]]:
        """The rows of the ablation that are cuts, not controls."""
        return [row for row in self.rows if row.get("selection") != "control"]

    @property
    def controls(self) -> list[dict[str, Any]]:
        """The rows of the ablation that are controls."""
        return [row for row in self.rows if row.get("selection") == "control"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows of the ablation."""
        return [row for row in (self.ablation or {}).get("rows") or [] if isinstance(row, dict)]

    def controls_of(self, cut: dict[str, Any]) -> list[dict[str, Any]]:
        """The controls of one cut."""
        return [row for row in self.controls if row.get("control_of") == cut.get("name")]

    def best_cut(self, goal: str) -> dict[str, Any] | None:
        """The most selective cut that removes this goal."""
        return most_selective([row for row in self.cuts if row.get("removes") == goal])

    def best_control(self, cut: dict[str, Any]) -> dict[str, Any] | None:
        """The most selective control of a cut; None where it has none of its own."""
        return most_selective(self.controls_of(cut))

    @property
    def headline(self) -> list[dict[str, Any]]:
        """The cuts to show in mazes and dose–response; the best of each goal where the file names none."""
        by_name = {row.get("name"): row for row in self.rows}
        named = [by_name[name] for name in (self.ablation or {}).get("headline") or [] if name in by_name]
        best = [self.best_cut(goal) for goal in self.goals]
        return named or [row for row in best if row is not None]


def dig(nest: Any, *path: str) -> Any:
    """nest[path[0]][path[1]]…, or None where any of it is missing."""
    for name in path:
        if not isinstance(nest, dict):
            return None
        nest = nest.get(name)
    return nest


def most_selective(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of highest selectivity, or None."""
    known = [row for row in rows if finite(row.get("selectivity")) is not None]
    return max(known, key=lambda row: row["selectivity"], default=None)


def told_apart(cut: dict[str, Any], control: dict[str, Any]) -> bool:
    """Whether a cut is more selective than its control, by their intervals where there are any."""
    low = (finites(cut.get("selectivity_interval")) or [None])[0]
    high = (finites(control.get("selectivity_interval")) or [None])[-1]
    low = finite(cut.get("selectivity")) if low is None else low
    high = finite(control.get("selectivity")) if high is None else high
    return low is None or high is None or low > high


def without_cut(row: dict[str, Any]) -> str:
    """A control's name without that of its cut, which stands above it."""
    return str(row.get("name")).removesuffix(f" | {row.get('control_of')}")


def direction_fields(inputs: Inputs[Any]) -> dict[str, list[float | None]]:
    """centre_of_mass, early_share, late_share, singular_values of the directions, each (k,) or empty."""
    directions = dig(inputs.analysis, "directions") or {}
    fields = {name: finites(directions.get(name)) for name in ("centre_of_mass", "early_share", "late_share")}
    strengths = inputs.strengths or finites(dig(inputs.analysis, "singular_values"))
    fields["singular_values"] = strengths[: len(fields["centre_of_mass"])]
    return fields


def _optional_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict):
        raise RunFileError(f"{path} is damaged (no JSON object); make it anew")
    return content


def _profiles(path: Path) -> tuple[np.ndarray | None, list[float | None]]:
    """Profiles (T, k) and singular values (k,) alone: the vectors beside them are hundreds of megabytes."""
    if not path.exists():
        return None, []
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            profiles = file.get_tensor("profiles") if "profiles" in names else None
            strengths = file.get_tensor("singular_values").tolist() if "singular_values" in names else []
    except (SafetensorError, OSError) as error:
        raise RunFileError(f"{path} is cut off or damaged ({error}); make it anew") from None
    return (profiles if profiles is not None and profiles.ndim == 2 else None), finites(strengths)
