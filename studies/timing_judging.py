"""What the study of timing asks of one run: each direction's time and its causal share of each goal."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..ablate.judge import Judge
from ..ablate.maze_cuts import levels_judged_on
from ..ablate.maze_goals import MazeBehaviour, maze_goals, tuning_batches
from ..ablate.tuned import FEW_DOSES, TuneSettings, tune_doses
from ..agents.parameters import entries_by_module
from ..analysis.directions import Directions
from ..analysis.profiles import centre_of_mass
from .causal import causal_shares, learned, measure_gradients, module_shares_of, path_gradients
from .relation import Relation, random_subspaces, relation, under_permuted_time
from .row_kinds import kinds_of_rows
from .study import Judged


@dataclass(frozen=True, eq=False)
class _Learned:
    """What training changed of θ, `moved` (P,), and of the measures, `added` (M,); gradients of these, each (M, P)."""

    moved: np.ndarray
    added: np.ndarray
    gradients: dict[str, np.ndarray]

    def slopes(self) -> dict[str, np.ndarray]:
        """Gradient → what a step changes of the paid goal's share more than of the proxy's, (P,)."""
        return {which: of[1] / self.added[1] - of[0] / self.added[0] for which, of in self.gradients.items()}


def _a_dose_each() -> TuneSettings:
    """A dose for each direction, as a direction has one time."""
    return replace(
        FEW_DOSES, steps=60, learning_rate=0.1, first_dose=0.1, norm_budget=0.08, doses_per="direction"
    )


@dataclass(frozen=True)
class JudgeTiming:
    """Times, causal shares and their relation, for every kind of row.

    Attributes:
        directions: strongest of each kind.
        path_points: of the way from θ_0 to θ that gradients of the measures are averaged over.
        draws: of permuted time and of random bases.
        subspaces: random ones of parameter space.
        levels: of each kind, at most, that gradients of the measures are taken on.
        tuning_levels: of each kind, that doses are tuned on.
        doses: how.
    """

    directions: int = 40
    path_points: int = 8
    draws: int = 999
    subspaces: int = 99
    levels: int = 100
    tuning_levels: int = 400
    doses: TuneSettings = field(default_factory=_a_dose_each)

    def tiny(self) -> "JudgeTiming":
        """The same with few draws and steps."""
        doses = replace(self.doses, steps=2)
        return replace(self, draws=99, subspaces=19, tuning_levels=40, doses=doses)

    def __call__(self, judged: Judged) -> dict[str, Any]:
        """Shares and correlations of every kind of row, of doses, by module.

        Nothing but the reason where training did not change both goals.
        """
        run = judged.run
        world = run.settings.world
        split, level_seed = levels_judged_on(judged.role)
        behaviour = run.behaviour(min(judged.levels, self.levels), split=split, seed=level_seed)
        proxy, paid = (goal.measure for goal in world.goals)
        if not behaviour.exact:
            return {"left_out": "the measures of this world are sampled, and so have no gradient"}
        theta_0, theta = run.parameters_after(0), run.parameters_after()
        judge = Judge(run.network(), MazeBehaviour(behaviour), theta_0, theta, goals=maze_goals(world))
        names = (proxy, paid)
        added = learned(judge, names)
        if np.isnan(added).any():
            lacking = names[int(np.isnan(added).argmax())]
            return {"left_out": f"training changed {lacking} by less than 0.05"}
        gradients = {
            "end": measure_gradients(judge, theta, names).numpy().astype(np.float64),
            "path": path_gradients(judge, theta_0, theta, names, self.path_points).numpy().astype(np.float64),
        }
        change = _Learned((theta - theta_0).numpy().astype(np.float64), added, gradients)
        rng = np.random.default_rng(run.settings.seed)
        kinds = {kind: self._kind(found, change, rng) for kind, found in kinds_of_rows(run, self.directions)}
        kinds["raw, all kept"] = self._kind(judged.directions, change, rng)
        rows, slopes = run.gradient_log().rows(), change.slopes()
        count, draws = self.directions, self.subspaces
        random = random_subspaces(rows, change.moved, slopes, count=count, draws=draws, rng=rng)
        for which, drawn in random.items():
            tested = Relation(kinds["raw"][which]["correlation"], {"random subspace": drawn})
            kinds["raw"][which]["nulls"] |= _told(tested)["nulls"]
        strongest = judged.directions.subset(range(min(self.directions, len(judged.directions))))
        return {
            "measures": list(names),
            "added": added.tolist(),
            "kinds": kinds,
            "doses": self._doses(judged, theta_0, theta, rng),
            "modules": self._modules(strongest, change, rng),
            # All parameters together: on the path 1, but for the error of the midpoint rule.
            "whole": {which: (found @ change.moved / added).tolist() for which, found in gradients.items()},
        }

    def _kind(self, found: Directions, change: _Learned, rng: np.random.Generator) -> dict[str, Any]:
        vectors = found.vectors.astype(np.float64)
        moved, slopes = change.moved, change.slopes()
        along = vectors @ moved
        result: dict[str, Any] = {
            "directions": len(found),
            "centre_of_mass": centre_of_mass(found.profiles).tolist(),
            "moved_share": float((along**2).sum() / (moved @ moved)),
        }
        for which, of_measures in change.gradients.items():
            shares = causal_shares(vectors, moved, of_measures, change.added)
            carried = vectors @ slopes[which]
            tested = relation(
                found.profiles, found.singular_values, along, carried, draws=self.draws, rng=rng
            )
            result[which] = {"shares": shares.tolist(), **_told(tested)}
        return result

    def _doses(
        self, judged: Judged, theta_0: Tensor, theta: Tensor, rng: np.random.Generator
    ) -> dict[str, Any]:
        """The dose of each direction in the tuned cut of either goal, and how their difference goes with time."""
        run, found, goals = judged.run, judged.directions, maze_goals(judged.run.settings.world)
        drawn = tuning_batches(self.tuning_levels)
        batches = [run.behaviour(count, split="tune", seed=seed) for count, seed in drawn]
        judges = [
            Judge(run.network(), MazeBehaviour(batch), theta_0, theta, goals=goals) for batch in batches
        ]
        vectors = torch.from_numpy(found.vectors)
        proxy, paid = (
            doses.numpy() for doses in tune_doses(judges, theta, theta_0, vectors, goals, self.doses)
        )
        tested = under_permuted_time(found.profiles, paid - proxy, draws=self.draws, rng=rng)
        doses = {goal.name: of.tolist() for goal, of in zip(goals, (proxy, paid), strict=True)}
        return {"directions": len(found), "doses": doses, **_told(tested)}

    def _modules(
        self, found: Directions, change: _Learned, rng: np.random.Generator
    ) -> dict[str, dict[str, Any]]:
        """Of each module's part of the shares, the correlation of preference with time, and how large the part is."""
        vectors = found.vectors.astype(np.float64)
        result: dict[str, dict[str, Any]] = {}
        for module, entries in entries_by_module(found.layout).items():
            inside = np.zeros(len(change.moved), dtype=bool)
            inside[entries.numpy()] = True
            parts = {
                which: module_shares_of(vectors, change.moved, of_measures, change.added, inside)
                for which, of_measures in change.gradients.items()
            }
            result[module] = {
                which: {
                    **_told(
                        under_permuted_time(
                            found.profiles, part[:, 1] - part[:, 0], draws=self.draws, rng=rng
                        )
                    ),
                    "share": part.sum(axis=0).tolist(),
                }
                for which, part in parts.items()
            }
        return result


def _told(tested: Relation) -> dict[str, Any]:
    return {
        "correlation": tested.correlation,
        "nulls": {
            name: {
                "mean": float(drawn.mean()),
                "interval": np.quantile(drawn, [0.025, 0.975]).tolist(),
                "p": tested.p_value(name),
                "draws": drawn.round(4).tolist(),
            }
            for name, drawn in tested.nulls.items()
        },
    }
