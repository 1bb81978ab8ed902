"""Tuned cuts of activations: doses of directions at a layer, optimised through the measures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from .activations import EditedNetwork
from .edits import ProjectOut, as_rows
from .goal import Goal
from .judge import Judge
from .tuned import TuneSettings, optimised_doses
from .tuning_loss import TuningLoss


def tune_projection(
    judges: Sequence[Judge],
    goal: Goal,
    layer: str,
    cut: ProjectOut,
    activations: Tensor,
    settings: TuneSettings,
) -> ProjectOut:
    """The cut with a dose for each direction, (k,), that removes one goal and keeps the others.

    As `tune_doses` does for parameters; the norm that is held to its budget is ‖Δh‖ / ‖h‖.

    Args:
        judges: of tuning units, which no result may be reported on; each step takes the next one's units.
        goal: what to remove, keep and guard.
        layer: where, a name of `named_modules`.
        cut: its directions and mean; its dose does not matter.
        activations: of the layer over ordinary inputs, (N, C, …), that norms are taken over.
        settings: how.
    """
    judge = judges[0]
    loss_of = TuningLoss(judges, goal, settings.guard_floor)
    values = judge.parameters_at(judge.theta)
    rows, _ = as_rows(activations, cut.vectors.shape[1])
    rows = rows.reshape(-1, rows.shape[-1])
    moved = rows if cut.mean is None else rows - cut.mean.to(rows)
    # Of orthonormal directions ‖Δh‖² is the sum of α_k² times what lies along each.
    along = ((moved @ cut.vectors.to(rows).T).square().sum(0) / rows.square().sum()).cpu()  # where doses are

    def at(step: int, of_goals: Mapping[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        (doses,) = of_goals.values()
        network = EditedNetwork(judge.network, {layer: replace(cut, dose=doses)}, values)
        of_step = judges[step % len(judges)]
        measured = of_step.surrogate_network(network, goal.measures)
        loss = loss_of(measured, of_step, settings.guarding_at(step))
        return {0: (loss, ((doses.square() * along).sum() + 1e-20).sqrt())}

    (doses,) = optimised_doses([loss_of.unchanged()], (len(cut.vectors),), at, settings)
    return replace(cut, dose=doses)
