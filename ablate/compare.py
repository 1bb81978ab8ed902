"""All methods of cutting through one harness: what each removes, keeps, and breaks, at which length of change."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from .bootstrap import Interval
from .goal import Goal
from .journal import Journal
from .judge import Judge
from .method import Method, Rung
from .side_effects import SideEffects

OnRow = Callable[[str], None]


@dataclass(frozen=True)
class ComparedRow:
    """One change of one method, meant to remove one goal.

    Attributes:
        method: its name.
        removes: name of the goal.
        space: `parameters`, or the layer whose activations are edited.
        k: how many directions or parameters; which module or time where the method says so.
        dose: as the method means it.
        relative_norm: ‖Δθ‖ / ‖θ − θ_0‖, or ‖Δh‖ / ‖h‖ over ordinary inputs.
        selectivity: on the units that are reported, with its 95 % interval over them.
        retention: name of a measure → what the cut leaves of it, on the units that are reported.
        navigation: retention of finding the way; None where that is not measured.
        kl: mean KL(trained ‖ cut) on ordinary inputs, in nats.
        value_error: root mean square change of the value on them; None where there is no value.
        tuning_selectivity: on the tuning units that choices are made on.
        tuning_navigation: likewise.
        recipe: what else says which change it is.
    """

    method: str
    removes: str
    space: str
    k: int
    dose: float
    relative_norm: float
    selectivity: float
    selectivity_interval: Interval
    retention: dict[str, float]
    navigation: float | None
    kl: float
    value_error: float | None
    tuning_selectivity: float
    tuning_navigation: float | None
    recipe: dict[str, Any]


class Comparison:
    """Judges the ladders of methods.

    Args:
        judge: of the units that are reported, its goals those to remove.
        chooser: of tuning units, which choices are made on.
        side_effects: of the trained network on ordinary inputs; its inputs also measure ‖Δh‖.

    Raises:
        ValueError: the judge has no goals, or the two judge other parameters.
    """

    def __init__(self, judge: Judge, chooser: Judge, side_effects: SideEffects):
        if not judge.goals:
            raise ValueError("goals of the judge are none: give those that are to be removed")
        if not torch.equal(judge.theta, chooser.theta) or not torch.equal(judge.theta_0, chooser.theta_0):
            raise ValueError("judge and chooser are of other parameters: give both the same θ and θ_0")
        self.judge, self.chooser, self.side_effects = judge, chooser, side_effects

    def rows(
        self, methods: Sequence[Method], journal: Journal | None = None, on_row: OnRow = lambda name: None
    ) -> list[ComparedRow]:
        """Every change of every method, for the goal or, where its ladder asks for none, for all goals.

        Args:
            methods: of unique names.
            journal: what it holds is not made again.
            on_row: called with the name of each change that is judged.

        Raises:
            ValueError: two methods share a name.
        """
        names = [method.name for method in methods]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ValueError(f"two methods are called {doubled!r}: give each its own name")
        rows: list[ComparedRow] = []
        for name, method, rung, goals in self._planned(methods):

            def make(
                method: Method = method, rung: Rung = rung, goals: Sequence[Goal] = goals
            ) -> dict[str, Any]:
                return {"rows": [asdict(row) for row in self._judged(method, rung, goals)]}

            entry = make() if journal is None else journal.entry(name, make)
            rows += [compared_row(row) for row in entry["rows"]]
            on_row(name)
        return rows

    def planned(self, methods: Sequence[Method]) -> int:
        """How many changes `rows` judges."""
        return sum(1 for _ in self._planned(methods))

    def _planned(self, methods: Sequence[Method]) -> Iterator[tuple[str, Method, Rung, Sequence[Goal]]]:
        """The changes in their order, each with its name and the goals that it is judged for."""
        for method in methods:
            groups = [[goal] for goal in self.judge.goals] if method.per_goal else [self.judge.goals]
            for goals in groups:
                about = goals[0].name if method.per_goal else "any goal"
                for number, rung in enumerate(method.ladder(goals[0])):
                    name = f"{method.name} | {about} | {number}: {rung.k}, {rung.dose:g}"
                    yield name, method, rung, goals

    def _judged(self, method: Method, rung: Rung, goals: Sequence[Goal]) -> list[ComparedRow]:
        change = rung.make()
        network = change.network(self.judge)
        verdict = self.judge.judge_network(network)
        tuning = self.chooser.retention_network(change.network(self.chooser))
        with torch.no_grad():
            effect = self.side_effects.of(network)
        norm = change.relative_norm(self.judge, self.side_effects.subject.inputs)
        return [
            ComparedRow(
                method=method.name,
                removes=goal.name,
                space=method.space,
                k=rung.k,
                dose=float(rung.dose),
                relative_norm=norm,
                selectivity=verdict.selectivity[goal.name],
                selectivity_interval=verdict.selectivity_intervals[goal.name],
                retention=verdict.retention,
                navigation=verdict.retention.get("navigation"),
                kl=effect.kl,
                value_error=effect.value_error,
                tuning_selectivity=float(goal.selectivity(_tensors(tuning))),
                tuning_navigation=tuning.get("navigation"),
                recipe=dict(rung.recipe) | dict(change.about),
            )
            for goal in goals
        ]


@dataclass(frozen=True)
class Budget:
    """What a change may cost.

    Attributes:
        relative_norm: at most.
        navigation: retention at least, on tuning units.
    """

    relative_norm: float = 0.1
    navigation: float = 0.9


def best_within(rows: Iterable[ComparedRow], budget: Budget) -> dict[str, dict[str, ComparedRow | None]]:
    """Goal → method → its most selective change within the budget; None where no change keeps to it.

    Navigation and selectivity that choose are those of tuning units; what the chosen row says of itself was measured
    on others. Of equals the shortest is chosen.
    """
    best: dict[str, dict[str, ComparedRow | None]] = {}
    for row in rows:
        chosen = best.setdefault(row.removes, {})
        held = chosen.setdefault(row.method, None)
        navigates = row.tuning_navigation is None or row.tuning_navigation >= budget.navigation
        if row.relative_norm > budget.relative_norm or not navigates:
            continue
        if held is None or _order(row) > _order(held):
            chosen[row.method] = row
    return best


def compared_row(values: dict[str, Any]) -> ComparedRow:
    """A row from the JSON of it."""
    low, high = values["selectivity_interval"]
    return replace(ComparedRow(**values), selectivity_interval=(low, high))


def _order(row: ComparedRow) -> tuple[float, float]:
    return row.tuning_selectivity, -row.relative_norm


def _tensors(values: dict[str, float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}
