"""What a report reads of a maze agent's run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..agents.run import Run
from .inputs import LEAST_CHANGE, Inputs, dig
from .style import ENV_STEPS, MAZE_MEASURES, MeasureStyle, finite

_PASSED = 0.7


@dataclass(frozen=True)
class Passing:
    """Where corner-seeking was first learned, and how far cheese-seeking was then."""

    env_steps: float
    cheese_retention: float | None


@dataclass(frozen=True)
class MazeInputs(Inputs[Run]):
    """The contents of a maze agent's run directory."""

    run_type = Run
    axis = ENV_STEPS
    agent_names: ClassVar[Mapping[str, str]] = {
        "untrained": "untrained",
        "trained": "trained",
        "uniform": "uniform-random",
        "best": "shortest path",
    }
    measure_styles: ClassVar[Mapping[str, MeasureStyle]] = MAZE_MEASURES
    goals = ("corner", "cheese")
    halved = "environments"
    whole = "run"
    staged = True

    @property
    def measures(self) -> dict[str, str]:
        """Name of each measure of the run's world → what it says."""
        return {measure.name: measure.meaning for measure in self.run.settings.world.measures}

    @property
    def passed(self) -> float:
        """The share of what training changed at which a goal counts as learned."""
        known = finite(dig(self.analysis, "settings", "passes"))
        return _PASSED if known is None else known

    def retention_curve(self, measure: str) -> list[float | None]:
        """The curve as the share of what training changed in the end; empty where it changed next to nothing."""
        _, values = self.curve(measure)
        if (
            not values
            or values[0] is None
            or values[-1] is None
            or abs(values[-1] - values[0]) < LEAST_CHANGE
        ):
            return []
        first, last = values[0], values[-1]
        return [None if value is None else (value - first) / (last - first) for value in values]

    def passing(self) -> Passing | None:
        """Where the retention of corner_reach first passes `passed`, by analysis.json or the learning curves."""
        at = finite(dig(self.analysis, "behaviour", "corner_passes_env_steps"))
        if at is not None:
            return Passing(at, finite(dig(self.analysis, "behaviour", "cheese_retention_there")))
        steps, _ = self.curve("corner_reach")
        corner, cheese = self.retention_curve("corner_reach"), self.retention_curve("cheese_from_corner")
        for here in range(1, len(corner)):
            before, after, start, stop = corner[here - 1], corner[here], steps[here - 1], steps[here]
            if (
                before is None
                or after is None
                or start is None
                or stop is None
                or not before < self.passed <= after
            ):
                continue
            way = (self.passed - before) / (after - before)
            left, right = cheese[here - 1 : here + 1] if cheese else (None, None)
            there = None if left is None or right is None else left + way * (right - left)
            return Passing(start + way * (stop - start), there)
        return None
