"""The learning coefficient through training: does it rise where regret falls?

For agents that fetch cheese in the corner Elliott et al. (arXiv 2601.07524) report "opposing staircases": regret falls
in steps, and the coefficient of the regret's landscape rises at the same ones. Here regret is exact: the best walker's
reward on each training level less the agent's, differentiable in θ (`agents.behaviour`), so that its landscape is
sampled without noise of episodes. One γ and one ε serve all times, or the coefficients could not be compared. Before
the end of training θ is no minimum, and λ̂ may be below zero: sampled parameters are then better than θ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..agents.behaviour import action_probabilities, best_rewards, expected_rewards, network_policy
from ..agents.linear import plain_linear
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


@dataclass(frozen=True)
class CoefficientSettings:
    """How the learning coefficient is sampled through training.

    Attributes:
        levels: of a maze, whose regret makes the landscape; every step walks them all.
        chains: at each time.
        burn_in: steps of each that are not counted.
        draws: steps of each that are.
        batch_size: inputs of a step, of a classifier.
        localization: γ in units of nβ λ_1, with the largest λ_1 of all times.
        step_size: ε in units of 1 / (nβ λ_1 + γ), below 4.
        seed: of batches and noise.
    """

    levels: int = 32
    chains: int = 2
    burn_in: int = 30
    draws: int = 50
    batch_size: int = 256
    localization: float = 0.01
    step_size: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"levels": 3, "chains": 2, "burn_in": 0, "draws": 10, "batch_size": 1, "seed": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {lowest}")
        for name, most in (("step_size", 4.0), ("localization", math.inf)):
            if not 0 < getattr(self, name) < most:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0 and below {most:g}")


def steepest(losses: Losses, theta: Tensor, samples: int, *, iterations: int = 12, seed: int = 0) -> float:
    """The largest |λ| of the mean loss's Hessian at θ by power iteration, from below; in float32 good to a few percent.

    Args:
        losses: of samples, twice differentiable in θ.
        theta: (P,).
        samples: how many there are.
        iterations: products with the Hessian.
        seed: of the first vector.
    """
    at = theta.detach().clone().requires_grad_()
    with plain_linear():
        loss = losses(at, torch.arange(samples, device=theta.device)).mean()
        [slope] = torch.autograd.grad(loss, at, create_graph=True)
        if not slope.requires_grad:  # θ enters the loss linearly, or not at all
            return 0.0
        v = torch.randn(theta.shape, generator=torch.Generator().manual_seed(seed)).to(theta)
        size = 0.0
        for _ in range(iterations):
            v = v / v.norm().clamp_min(1e-30)
            [v] = torch.autograd.grad(slope @ v, at, retain_graph=True)
            size = float(v.norm())
    return size


def sampling_of(
    landscapes: Mapping[int, tuple[Losses, Tensor]],
    samples: int,
    settings: CoefficientSettings,
    *,
    losses: Losses | None = None,
) -> SGLDSettings:
    """One γ and one ε for all times, by the steepest direction of any: no chain then runs away at one of them.

    Args:
        landscapes: training time → losses of samples, and θ.
        samples: n.
        settings: what γ and ε are in units of λ_1.
        losses: one landscape for all times, such as the regret, in place of each one's own.

    Raises:
        ValueError: the loss is flat, or not finite, at every time.
    """
    steep = [
        steepest(own if losses is None else losses, theta, samples, seed=settings.seed)
        for own, theta in landscapes.values()
    ]
    largest = float(np.max(steep))
    if not 0 < largest < math.inf:
        raise ValueError(
            f"the loss has a largest curvature of {largest}: give one that depends on θ, and is finite"
        )
    return SGLDSettings.in_units_of(
        largest,
        samples,
        localization=settings.localization,
        step_size=settings.step_size,
        chains=settings.chains,
        burn_in=settings.burn_in,
        draws=settings.draws,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def regret_losses(
    world: World, network: nn.Module, levels: int, *, seed: int = 0, time_limit: int | None = None
) -> Losses:
    """Regret of each training level as a function of θ: levels are the samples.

    Every call walks all levels, so that batches of fewer save nothing.

    Args:
        world: the card.
        network: the architecture, on the device that θ will be on; its own parameters do not matter.
        levels: how many.
        seed: of the levels.
        time_limit: steps of a walk.
    """
    made = make_levels(world, levels, seed=seed, split="train", distribution=TRAINING)
    graph = StateGraph(made, next(network.parameters()).device)
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
            profile_turns,
            [steps],
            len(rows),
            tolerance=tolerance,
            reach=max(2 * tolerance + 1, len(rows) // 4),
        )
        found["met"] = {
            "turns": met.turns,
            "coinciding": met.coinciding,
            "coinciding_null": met.null_mean,
            "coinciding_p": met.p_value,
            "covered": met.covered,
        }
    return found
