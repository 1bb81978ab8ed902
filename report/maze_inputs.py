"""What a report reads of a maze agent's run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..ablate.goal import LEAST_CHANGE
from ..agents.rollout_run import RolloutRun
from ..agents.run import Run, TrainSettings
from ..agents.run_directory import RunDirectory
from ..envs.world import World, WorldGoal
from .inputs import Inputs, dig
from .style import ENV_STEPS, GREY, PAID, PROXY, MeasureStyle, finite

_PASSED = 0.7


@dataclass(frozen=True)
class Passing:
    """Where the proxy goal was first learned, and how far the paid one was then."""

    env_steps: float
    paid_retention: float | None


@dataclass(frozen=True)
class MazeInputs(Inputs[RolloutRun[Any]]):
    """The contents of a maze agent's run directory."""

    run_type: ClassVar[type[RunDirectory[Any]]] = Run
    axis = ENV_STEPS
    agent_names: ClassVar[Mapping[str, str]] = {
        "untrained": "untrained",
        "trained": "trained",
        "uniform": "uniform-random",
        "best": "shortest path",
    }
    halved: ClassVar[str] = "environments"
    whole: ClassVar[str] = "run"
    stages: ClassVar[frozenset[str]] = frozenset({"train", "evaluate", "analyze", "ablate"})

    @property
    def world(self) -> World:
        """The card of what was trained on."""
        return self.run.settings.world

    @property
    def default_settings(self) -> Any:
        """Those of the run's world."""
        return replace(TrainSettings(), world=type(self.world)())

    @property
    def named_defaults(self) -> list[str]:
        """The world by name, unless it is the first."""
        name = self.world.name
        return [] if name == TrainSettings().world.name else [f"--world {name}"]

    @property
    def proxy(self) -> WorldGoal:
        """The goal that coincides with the paid one in training only."""
        return self.world.goals[0]

    @property
    def paid(self) -> WorldGoal:
        """The goal that is paid."""
        return self.world.goals[1]

    @property
    def goal_measures(self) -> dict[str, str]:
        """Goal's name → the measure that stands for it."""
        return {goal.name: goal.measure for goal in self.world.goals}

    @property
    def goal_colours(self) -> Mapping[str, str]:
        """The proxy goal, then the paid one."""
        return {self.proxy.name: PROXY, self.paid.name: PAID}

    @property
    def retained(self) -> list[str]:
        """Measures of which retention is told: both goals, and finding the way."""
        return [*self.goal_measures.values(), *(["navigation"] if "navigation" in self.measures else [])]

    @property
    def measured_only(self) -> list[str]:
        """The other measures, told as they are."""
        return [name for name in self.measures if name not in self.retained]

    @property
    def firsts(self) -> list[str]:
        """The measures of which goal comes first, proxy's and paid one's; empty where the world asks no such thing."""
        both = [goal.first for goal in self.world.goals if goal.first is not None]
        return both if len(both) == 2 else []

    @property
    def measures(self) -> dict[str, str]:
        """Name of each measure of the run's world → what it says."""
        return {measure.name: measure.meaning for measure in self.world.measures}

    @property
    def measure_styles(self) -> Mapping[str, MeasureStyle]:
        """Blue for the proxy goal and what comes of it first, amber for the paid one; others in further colours."""
        colours = {self.proxy.measure: PROXY, self.paid.measure: PAID, "navigation": "#3f8f6b"}
        colours |= (
            {self.world.paid_measure.name: "#8a5a14"} if self.world.paid_measure.name not in colours else {}
        )
        colours |= dict(zip(self.firsts, ("#5d97d3", "#e0a23c"), strict=False))
        more = iter(("#7a4fa3", "#1793a3", "#b4534b", "#8a941c", "#c0559a", "#4b5563"))
        means = {
            self.proxy.measure: f"{self.proxy.name}-seeking",
            self.paid.measure: f"{self.paid.name}-seeking",
            "navigation": "finding the way",
        }
        means = {self.world.paid_measure.name: "what training rewards"} | means
        if self.firsts:
            both = (self.proxy.name, self.paid.name)
            means |= {
                first: f"{one} before {other}"
                for first, one, other in zip(self.firsts, both, both[::-1], strict=True)
            }
        return {
            name: MeasureStyle(colours.get(name) or next(more, GREY), means.get(name, ""))
            for name in self.measures
        }

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
        """Where the retention of the proxy goal first passes `passed`, by analysis.json or the learning curves."""
        at = finite(dig(self.analysis, "behaviour", "proxy_passes_env_steps"))
        if at is not None:
            return Passing(at, finite(dig(self.analysis, "behaviour", "paid_retention_there")))
        steps, _ = self.curve(self.proxy.measure)
        proxy, paid = (self.retention_curve(goal.measure) for goal in self.world.goals)
        for here in range(1, len(proxy)):
            before, after, start, stop = proxy[here - 1], proxy[here], steps[here - 1], steps[here]
            if (
                before is None
                or after is None
                or start is None
                or stop is None
                or not before < self.passed <= after
            ):
                continue
            way = (self.passed - before) / (after - before)
            left, right = paid[here - 1 : here + 1] if paid else (None, None)
            there = None if left is None or right is None else left + way * (right - left)
            return Passing(start + way * (stop - start), there)
        return None
