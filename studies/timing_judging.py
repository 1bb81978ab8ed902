"""What the study of timing asks of one run: each direction's time and its causal share of each goal."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..ablate.judge import Judge
from ..ablate.maze_cuts import levels_judged_on
from ..ablate.maze_goals import MazeBehaviour, maze_goals, tuning_batches
from ..ablate.tuned import FEW_DOSES, tune_doses
from ..analysis.directions import Directions, module_of
from ..analysis.profiles import centre_of_mass
from .causal import causal_shares, learned, measure_gradients, module_shares_of, path_gradients
from .relation import Relation, random_subspaces, rank_correlation, relation, relation_of_doses
from .row_kinds import kinds_of_rows
from .study import Judged

DIRECTIONS, PATH_POINTS, DRAWS, SUBSPACES = 40, 8, 500, 20
_MOST_LEVELS, _TUNING_LEVELS = 100, 400
DOSES = replace(
    FEW_DOSES, steps=60, learning_rate=0.1, first_dose=0.1, norm_budget=0.08, doses_per="direction"
)
"""A dose for each direction, as a direction has one time."""
Gradients = dict[str, np.ndarray]


def judge_timing(judged: Judged) -> dict[str, Any]:
    """Times, causal shares and their relation, for every kind of row; JSON-able.

    Nothing but the crossing times where training did not change both goals.
    """
    run = judged.run
    world = run.settings.world
    split, level_seed = levels_judged_on(judged.role)
    behaviour = run.behaviour(min(judged.levels, _MOST_LEVELS), split=split, seed=level_seed)
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
        "path": path_gradients(judge, theta_0, theta, names, PATH_POINTS).numpy().astype(np.float64),
    }
    moved = (theta - theta_0).numpy().astype(np.float64)
    rng = np.random.default_rng(run.settings.seed)
    kinds = {
        kind: _kind(found, moved, gradients, added, rng) for kind, found in kinds_of_rows(run, DIRECTIONS)
    }
    kinds["raw, all kept"] = _kind(judged.directions, moved, gradients, added, rng)
    slopes = {which: _slope(of_measures, added) for which, of_measures in gradients.items()}
    rows = run.gradient_log().rows()
    random = random_subspaces(rows, moved, slopes, count=DIRECTIONS, draws=SUBSPACES, rng=rng)
    for which, drawn in random.items():
        tested = Relation(kinds["raw"][which]["correlation"], {"random subspace": drawn})
        kinds["raw"][which]["nulls"] |= _told(tested)["nulls"]
    strongest = judged.directions.subset(range(min(DIRECTIONS, len(judged.directions))))
    return {
        "measures": list(names),
        "added": added.tolist(),
        "kinds": kinds,
        "doses": _doses(judged, theta_0, theta, rng),
        "modules": _modules(strongest, moved, gradients, added),
        # All parameters together: on the path 1, but for the error of the midpoint rule.
        "whole": {which: (found @ moved / added).tolist() for which, found in gradients.items()},
    }


def _kind(
    found: Directions, moved: np.ndarray, gradients: Gradients, added: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    vectors = found.vectors.astype(np.float64)
    along = vectors @ moved
    result: dict[str, Any] = {
        "directions": len(found),
        "centre_of_mass": centre_of_mass(found.profiles).tolist(),
        "moved_share": float((along**2).sum() / (moved @ moved)),
    }
    for which, of_measures in gradients.items():
        shares = causal_shares(vectors, moved, of_measures, added)
        slopes = vectors @ _slope(of_measures, added)
        tested = relation(found.profiles, found.singular_values, along, slopes, draws=DRAWS, rng=rng)
        result[which] = {"shares": shares.tolist(), **_told(tested)}
    return result


def _doses(judged: Judged, theta_0: Tensor, theta: Tensor, rng: np.random.Generator) -> dict[str, Any]:
    """The dose of each direction in the tuned cut of either goal, and how their difference goes with time."""
    run, found, goals = judged.run, judged.directions, maze_goals(judged.run.settings.world)
    levels = 40 if judged.miniature else _TUNING_LEVELS
    batches = [run.behaviour(count, split="tune", seed=seed) for count, seed in tuning_batches(levels)]
    judges = [Judge(run.network(), MazeBehaviour(batch), theta_0, theta, goals=goals) for batch in batches]
    settings = replace(DOSES, steps=2) if judged.miniature else DOSES
    vectors = torch.from_numpy(found.vectors)
    proxy, paid = (doses.numpy() for doses in tune_doses(judges, theta, theta_0, vectors, goals, settings))
    tested = relation_of_doses(found.profiles, paid - proxy, draws=DRAWS, rng=rng)
    doses = {goal.name: of.tolist() for goal, of in zip(goals, (proxy, paid), strict=True)}
    return {"directions": len(found), "doses": doses, **_told(tested)}


def _told(tested: Relation) -> dict[str, Any]:
    return {
        "correlation": tested.correlation,
        "nulls": {
            name: {
                "mean": float(drawn.mean()),
                "interval": np.quantile(drawn, [0.025, 0.975]).tolist(),
                "p": tested.p_value(name),
            }
            for name, drawn in tested.nulls.items()
        },
    }


def _modules(
    found: Directions, moved: np.ndarray, gradients: Gradients, added: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Of each module's part of the shares, the correlation of preference with time, and how large the part is."""
    vectors, centres = found.vectors.astype(np.float64), centre_of_mass(found.profiles)
    result: dict[str, dict[str, Any]] = {}
    for module in dict.fromkeys(map(module_of, found.layout)):
        inside = np.zeros(len(moved), dtype=bool)
        for name, (start, stop, _) in found.layout.items():
            if module_of(name) == module:
                inside[start:stop] = True
        parts = {
            which: module_shares_of(vectors, moved, of_measures, added, inside)
            for which, of_measures in gradients.items()
        }
        result[module] = {
            which: {
                "correlation": rank_correlation(centres, part[:, 1] - part[:, 0]),
                "share": part.sum(axis=0).tolist(),
            }
            for which, part in parts.items()
        }
    return result


def _slope(gradients: np.ndarray, added: np.ndarray) -> np.ndarray:
    """What a step changes of the paid goal's share more than of the proxy's, (P,)."""
    return gradients[1] / added[1] - gradients[0] / added[0]
