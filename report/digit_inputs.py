"""What a report reads of a classifier's run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..ablate.goal import LEAST_CHANGE
from ..agents.classifiers import NUM_DIGITS
from ..agents.digit_run import DigitRun
from .inputs import Inputs, dig
from .style import DIGIT_STYLES, UPDATES, MeasureStyle, finite, finites

# Where files of cuts and of the evaluation call an agent otherwise than the report does.
_ALSO_CALLED = {"chance": "uniform"}
_SINGLE = re.compile(r"direction (\d+)\b")


@dataclass(frozen=True)
class DigitInputs(Inputs[DigitRun]):
    """The contents of a classifier's run directory."""

    run_type = DigitRun
    axis = UPDATES
    agent_names: ClassVar[Mapping[str, str]] = {
        "untrained": "untrained",
        "trained": "trained",
        "chance": "chance",
    }
    halved = "images"
    whole = "mnist"
    stages = frozenset()

    @property
    def measure_styles(self) -> Mapping[str, MeasureStyle]:
        """One per digit."""
        return DIGIT_STYLES

    @property
    def goal_colours(self) -> Mapping[str, str]:
        """The digits, each a goal."""
        return {name: style.colour for name, style in DIGIT_STYLES.items()}

    def measure(self, agent: str, name: str) -> dict[str, float | None]:
        """mean, low and high of a digit's accuracy, of `untrained`, `trained` or `chance`."""
        known = super().measure(agent, name)
        if known["mean"] is None and agent in _ALSO_CALLED:
            return super().measure(_ALSO_CALLED[agent], name)
        return known

    def accuracy(self, agent: str) -> dict[str, float | None]:
        """mean, low and high of the share of all test images recognised; else the mean over the digits."""
        known = self.measure(agent, "accuracy")
        if known["mean"] is not None:
            return known
        return {"mean": mean_of(self.measure(agent, name)["mean"] for name in self.goals)} | {
            "low": None,
            "high": None,
        }

    def confusions(self) -> np.ndarray | None:
        """Share of each digit (row) that is called each digit (column) at every measure, (n, 10, 10), or None."""
        tables = [record.get("confusion") for record in self.measured]
        try:
            found = np.array(tables, dtype=float)
        except (TypeError, ValueError):
            return None
        return found if found.shape[1:] == (NUM_DIGITS, NUM_DIGITS) else None

    def counts(self, rows: str, figure: str) -> list[float | None]:
        """`mean`, `sd`, `null_mean`, `null_sd` or `whole` over the thresholds, of rows `raw`, `unit` or `centred`."""
        return finites(dig(self.analysis, "counts", rows, figure))

    @property
    def thresholds(self) -> list[float]:
        """Shares of the largest singular value at which counts are taken."""
        return [share for share in finites(dig(self.analysis, "counts", "thresholds")) if share]

    def count_at(self, rows: str, figure: str, share: float) -> float | None:
        """One count, at this share of the largest."""
        known = dict(zip(self.thresholds, self.counts(rows, figure), strict=False))
        return known.get(share)

    def module_name(self, module: str) -> str:
        """Layers by their place and the shape of their weights, as the network has numbers for names."""
        weights = {name: shape for name, (_, _, shape) in self.layout.items() if name.endswith(".weight")}
        if f"{module}.weight" not in weights:
            return module
        place = list(weights).index(f"{module}.weight") + 1
        return f"layer {place} ({'×'.join(str(size) for size in weights[f'{module}.weight'])})"

    # Cuts.

    @cached_property
    def learned(self) -> frozenset[str]:
        """The digits that training taught; of the others a retention is a quotient of noise."""
        names = []
        for name in self.goals:
            ends = [finite(dig(self.ablation, agent, name)) for agent in ("uniform", "trained")]
            if None in ends:
                ends = [self.measure(agent, name)["mean"] for agent in ("chance", "trained")]
            if ends[0] is None or ends[1] is None or abs(ends[1] - ends[0]) >= LEAST_CHANGE:
                names.append(name)
        return frozenset(names)

    def retention(self, row: dict[str, Any], name: str) -> float | None:
        """What a cut leaves of a digit, where it was learned."""
        return finite(dig(row, "retention", name)) if name in self.learned else None

    def left(self, row: dict[str, Any]) -> tuple[float | None, float | None]:
        """Retention of the digit that a cut (or curve of one dose) is to remove, and the mean of the nine others."""
        removed = str(row.get("removes"))
        return self.retention(row, removed), mean_of(
            self.retention(row, n) for n in self.goals if n != removed
        )

    @property
    def singles(self) -> list[dict[str, Any]]:
        """The cuts of one direction, by its rank."""
        ranked = [(int(found[1]), row) for row in self.cuts if (found := _SINGLE.match(str(row.get("name"))))]
        return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]

    @property
    def tuned(self) -> list[dict[str, Any]]:
        """The tuned cuts, by the digit they are to forget."""
        rows = [row for row in self.cuts if row.get("selection") == "tuned"]
        return sorted(rows, key=lambda row: str(row.get("removes")))


def control_kind(row: dict[str, Any]) -> str:
    """What a control is: its name before that of its cut; rewinds to any time are one kind."""
    kind = str(row.get("name")).partition(" | ")[0]
    return "rewind" if kind.startswith("rewind") else kind


def rank_of(row: dict[str, Any]) -> str:
    """A single direction's number by strength, as its cut's name has it."""
    found = _SINGLE.match(str(row.get("name")))
    return found[1] if found else "–"


def digit_of(measure: Any) -> str:
    """The digit that a measure or goal is of: digit_3 → 3."""
    return str(measure).removeprefix("digit_")


def mean_of(values: Any) -> float | None:
    """The mean of the values that are known; None where none is."""
    known: Sequence[float] = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
