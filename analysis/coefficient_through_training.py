"""The learning coefficient through training: does it rise where regret falls?

For agents that fetch cheese in the corner Elliott et al. (arXiv 2601.07524) report "opposing staircases": regret falls
in steps, and the coefficient of the regret's landscape rises at the same ones. Here regret is exact: the best walker's
reward on each training level less the agent's, differentiable in θ (`agents.behaviour`), so that its landscape is
sampled without noise of episodes. One γ and one ε serve all times, or the coefficients could not be compared. Before
the end of training θ is no minimum, and λ̂ may be below zero: sampled parameters are then better than θ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..agents.behaviour import action_probabilities, best_rewards, expected_rewards, network_policy
from ..agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from ..envs.generator import make_levels
from ..envs.moves import default_time_limit
from ..envs.state_graph import StateGraph
from ..envs.world import TRAINING, World
from .dependence import coincidence
from .learning_coefficient import Losses, SGLDSettings, learning_coefficient, losses_of
from .lens import OnStep
from .profiles import change_points
from .subject import Subject


def regret_losses(
    world: World, network: nn.Module, levels: int, *, seed: int = 0, time_limit: int | None = None
) -> Losses:
    """Regret of each training level as a function of θ: levels are the samples.

    Every call walks all levels, so that batches of fewer save nothing.

    Args:
        world: the card.
        network: the architecture; its own parameters do not matter.
        levels: how many.
        seed: of the levels.
        time_limit: steps of a walk.
    """
    graph = StateGraph(make_levels(world, levels, seed=seed, split="train", distribution=TRAINING))
    horizon = default_time_limit(world.size) if time_limit is None else time_limit
    layout = parameter_layout(network)
    start = graph.start.to(torch.float32)
    best = (best_rewards(graph, graph.over, horizon) * start).sum(-1)

    def losses(theta: Tensor, some: Tensor) -> Tensor:
        parameters = named_parameters_of(theta, layout)
        policy = network_policy(lambda planes: functional_call(network, parameters, (planes,)))
        paid = expected_rewards(action_probabilities(policy, graph), graph, graph.over, horizon)
        return (best - (paid * start).sum(-1))[some]

    return losses


def coefficients_through_training(
    subjects: Mapping[int, Subject],
    settings: SGLDSettings,
    *,
    regret: Losses | None = None,
    levels: int = 0,
    on_step: OnStep = lambda what, done, of: None,
) -> list[dict[str, Any]]:
    """λ̂ at each training time.

    Args:
        subjects: training time → subject, from `subject_of(run, time=…)`.
        settings: of the sampling, the same for all times.
        regret: from `regret_losses`, whose landscape is sampled; default each subject's own loss.
        levels: of the regret.
        on_step: told of the times done.

    Returns:
        A row per time: `time` and the figures of the coefficient; `loss` is the mean regret.
    """
    rows = []
    for done, (time, subject) in enumerate(sorted(subjects.items())):
        if regret is None:
            losses, theta = losses_of(subject)
            samples = len(subject)
        else:
            losses, theta, samples = regret, flat_parameters(subject.network), levels
        rows.append({"time": time, **learning_coefficient(losses, theta, samples, settings).figures()})
        on_step("times", done + 1, len(subjects))
    return rows


def staircases(
    rows: Sequence[Mapping[str, Any]],
    *,
    profile_turns: Sequence[np.ndarray] = (),
    tolerance: int = 1,
    permutations: int = 1000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Does the coefficient rise where the loss falls, more than by chance, and do its steps stand where profiles turn?

    Args:
        rows: from `coefficients_through_training`, in time.
        profile_turns: of each profile, the indices of rows at which it turns, from `change_points` over the same times.
        tolerance: rows by which a turn may miss a step.
        permutations: of the coefficient's changes, the control.
        rng: the generator to draw from.

    Returns:
        `opposing`: share of intervals in which one falls and the other rises, with `opposing_null` and `opposing_p`
        over permutations, all 1 where both only ever fall and rise; `correlation`, Spearman's of both changes, and
        `correlation_p`, the share of permutations at or below it; `steps` and `loss_steps`, times of the steps;
        and, given profiles, `met`: turns, those on steps of the coefficient, and the same for shifted turns.

    Raises:
        ValueError: there are fewer than 4 rows.
    """
    if len(rows) < 4:
        raise ValueError(f"rows are of {len(rows)} training times: give at least 4")
    times = np.array([row["time"] for row in rows])
    curve, loss = (np.array([row[name] for row in rows], dtype=np.float64) for name in ("value", "loss"))
    changes, falls = np.diff(curve), np.diff(loss)

    def opposing(changes: np.ndarray) -> float:
        return float((changes * falls < 0).mean())

    drawn = np.array([opposing(rng.permutation(changes)) for _ in range(permutations)])
    steps, loss_steps = change_points(curve), change_points(loss)
    ranked = scipy.stats.rankdata(falls)

    def correlation(changes: np.ndarray) -> float:
        return float(np.corrcoef(scipy.stats.rankdata(changes), ranked)[0, 1])

    varied = bool(np.ptp(falls) > 0 and np.ptp(changes) > 0)
    found_correlation = correlation(changes) if varied else None
    correlations = (
        np.array([correlation(rng.permutation(changes)) for _ in range(permutations)]) if varied else None
    )
    found: dict[str, Any] = {
        "opposing": opposing(changes),
        "opposing_null": float(drawn.mean()),
        "opposing_p": float((1 + (drawn >= opposing(changes)).sum()) / (1 + permutations)),
        "correlation": found_correlation,
        "correlation_p": None
        if correlations is None
        else float((1 + (correlations <= found_correlation).sum()) / (1 + permutations)),
        "steps": times[steps].tolist(),
        "loss_steps": times[loss_steps].tolist(),
    }
    if len(profile_turns):
        met = coincidence(
            profile_turns, [steps], len(rows), tolerance=tolerance, reach=max(2, len(rows) // 4)
        )
        found["met"] = {
            "turns": met.turns,
            "coinciding": met.coinciding,
            "coinciding_null": met.null_mean,
            "coinciding_p": met.p_value,
            "covered": met.covered,
        }
    return found
