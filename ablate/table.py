"""The table of all cuts and controls, each row reproducible from what it says."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..agents.files import RunFileError, read_json, write_json
from .judge import Interval, Verdict

Selected = Literal["profile", "tuned", "control"]


@dataclass(frozen=True)
class CutRow:
    """One cut or control and what the agent then does on held-out units: levels or images.

    Attributes:
        name: what it is.
        selection: `profile` (directions chosen with no behaviour looked at), `tuned` (doses from tuning units) or
            `control`.
        removes: name of the goal that it is meant to remove, or whose cut it controls.
        control_of: name of the cut that it is a control of.
        directions: how many; None of a control that has none, as rewinding.
        dose: α, the mean of them where each direction has its own; None of a control that is scaled to the cut's norm.
        relative_norm: ‖Δθ‖ / ‖θ − θ_0‖.
        measures: name → mean over units; `intervals` has the 95 % intervals over units.
        retention: name → (cut − floor) / (trained − floor); the floor is the untrained agent, or a guess.
        selectivity: mean retention of the goals to keep − retention of the goal to remove, each clipped to 0…1.
        recipe: all that is needed to make the cut again (`remade`).
        parameters_file: where θ' is kept, relative to the run directory.
    """

    name: str
    selection: Selected
    removes: str
    control_of: str | None
    directions: int | None
    dose: float | None
    relative_norm: float
    measures: dict[str, float]
    intervals: dict[str, Interval]
    retention: dict[str, float]
    retention_intervals: dict[str, Interval]
    selectivity: float
    selectivity_interval: Interval
    recipe: dict[str, Any]
    parameters_file: str | None = None

    @classmethod
    def of(cls, verdict: Verdict, removes: str, **fields: Any) -> "CutRow":
        """A row from what the judge said."""
        return cls(
            removes=removes,
            measures=verdict.measures,
            intervals=verdict.intervals,
            retention=verdict.retention,
            retention_intervals=verdict.retention_intervals,
            selectivity=verdict.selectivity[removes],
            selectivity_interval=verdict.selectivity_intervals[removes],
            **fields,
        )


@dataclass(frozen=True)
class DoseCurve:
    """Retention of every measure against the dose, of a cut or of one of its controls."""

    name: str
    removes: str
    selection: Selected
    control_of: str | None
    doses: list[float]
    relative_norm: list[float]
    retention: dict[str, list[float]]


def save_table(path: Path, rows: list[CutRow], curves: list[DoseCurve], about: dict[str, Any]) -> None:
    """Write the table as JSON, atomically."""
    curve_rows = [asdict(curve) | {"control": curve.control_of is not None} for curve in curves]
    write_json(path, about | {"rows": [asdict(row) for row in rows], "dose_response": curve_rows}, short=True)


def load_table(path: Path) -> dict[str, Any]:
    """The table as `save_table` wrote it, its rows as `CutRow`.

    Raises:
        RunFileError: it is missing or damaged.
    """
    table = read_json(path)
    try:
        return table | {"rows": [CutRow(**row) for row in table["rows"]]}
    except (KeyError, TypeError) as error:
        raise RunFileError(f"{path} is damaged ({error}); run goalcut ablate again") from None
