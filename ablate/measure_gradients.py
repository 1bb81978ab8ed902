"""Gradients of the exact measures themselves: the directions of parameters along which goals part fastest.

To first order a step −ε g/‖g‖ lowers retention(remove) − retention(keep) by ε ‖g‖, and no step of that length by
more: what lenses that never look at behaviour are to be compared with.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..agents.parameters import parameter_layout
from ..analysis.directions import Directions
from .goal import Goal
from .judge import Judge
from .principal import principal_directions
from .tuning_loss import TuningLoss


def measure_gradients(judges: Sequence[Judge], goal: Goal, at: Tensor | None = None) -> Tensor:
    """∇_θ (retention of the goal to remove − mean retention of those to keep), one row per judge, (judges, P).

    Args:
        judges: of tuning units, which no result may be reported on; each gives one gradient.
        goal: what to remove and keep.
        at: θ where gradients are taken, (P,); default the trained one.
    """
    theta = judges[0].theta
    loss = TuningLoss(judges, goal)
    rows = []
    for judge in judges:
        point = (theta if at is None else at).detach().clone().requires_grad_(True)
        kept = loss.retention(judge.surrogate(point, goal.measures), judge)
        parted = kept[goal.remove] - torch.stack([kept[name] for name in goal.keep]).mean()
        rows.append(torch.autograd.grad(parted, point)[0])
    return torch.stack(rows)


def gradient_directions(
    judges: Sequence[Judge], goal: Goal, *, stops: Sequence[float] = (1.0,)
) -> Directions:
    """Principal directions of these gradients, at points θ_0 + s (θ − θ_0) of the way that training went.

    Args:
        judges: of tuning units.
        goal: what to remove and keep.
        stops: s of each point; 1 is the trained agent, more of them ask where the goals part on the way there.

    Returns:
        At most judges · stops directions of the span of the gradients, strongest first.
    """
    theta_0, theta = judges[0].theta_0, judges[0].theta
    points = [torch.lerp(theta_0, theta, stop) for stop in stops]
    rows = torch.cat([measure_gradients(judges, goal, point) for point in points])
    source = {"lens": "measure gradients", "goal": goal.name, "stops": list(stops)}
    layout = parameter_layout(judges[0].network)
    return principal_directions(rows, space="parameters", layout=layout, source=source)
