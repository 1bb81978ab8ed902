"""A row of the table made again from what it says: the recipe in, the parameters θ' out."""

import torch
from torch import Tensor

from ..analysis.directions import Directions
from .ablation import Ablation
from .controls import Recipe, random_control, same_norm, shrink, span_control
from .made import NEIGHBOUR, OTHER_SEED, by_rank_of, later_in_time
from .selection import Selection, by_contrast, by_rank, by_time, by_window, within_module
from .table import CutRow


def remade(ablation: Ablation, row: CutRow, cut: CutRow | None = None) -> Tensor:
    """θ' (P,) of one row, from its recipe alone.

    Args:
        ablation: of the same run, directions and settings; nothing of it is tuned or judged.
        row: of its table.
        cut: of a control: the row that it is a control of.

    Raises:
        ValueError: it is a control and its cut is not given, or directions were chosen in a way of a study's own.
    """
    recipe, theta, theta_0 = row.recipe, ablation.theta, ablation.theta_0
    judge, kind = ablation.judge, row.recipe.get("control")
    if kind is None:
        if recipe["by"] == "tuned":
            vectors, doses = ablation.span_of(tuned=True), torch.tensor(recipe["doses"])
        else:
            vectors, doses = _chosen(ablation.directions, recipe).vectors, torch.ones(())
        return judge.cut(vectors, doses)
    if kind == "rewind":
        return ablation.run.parameters_after(recipe[ablation.run.time_unit])
    if kind == "shrink":
        return shrink(theta, theta_0, recipe["norm"]).make()[0]
    if kind == "tuned random":
        return judge.cut(ablation.random_pieces(recipe["seed"]), torch.tensor(recipe["doses"]))
    if kind == "random":
        control = random_control(theta, theta_0, recipe["norm"], recipe["directions"], recipe["seed"])
        return control.make()[0]
    if cut is None or cut.name != row.control_of:
        raise ValueError(f"{row.name!r} is a control of {row.control_of!r}: give that row as `cut`")
    tuned = cut.recipe["by"] == "tuned"
    if kind == "span":
        norm, count, seed = recipe["norm"], recipe["directions"], recipe["seed"]
        return span_control(theta, theta_0, ablation.span_of(tuned=tuned), norm, count, seed).make()[0]
    vectors, doses = _others(ablation, kind, recipe, cut.recipe if tuned else None)
    parts = judge.parts_of(doses)
    return same_norm(kind, theta, theta_0, vectors, recipe["norm"], {}, doses=doses, parts=parts).make()[0]


def _others(ablation: Ablation, kind: str, recipe: Recipe, tuned: Recipe | None) -> tuple[Tensor, Tensor]:
    """Directions of a neighbouring time or another seed, and their doses."""
    if kind == NEIGHBOUR:
        if tuned is None:
            return _chosen(ablation.directions, recipe).vectors, torch.ones(())
        return later_in_time(ablation.tuned_among), torch.tensor(tuned["doses"])
    other = ablation.other if tuned is None else ablation.others_tuned_among()
    if kind != OTHER_SEED or other is None:
        raise ValueError(f"the row is a control by {kind}: give the ablation `other_run` {recipe.get('run')}")
    if tuned is None:
        return _chosen(other, recipe).vectors, torch.ones(())
    return by_rank_of(other, torch.tensor(tuned["doses"]))


def _chosen(directions: Directions, recipe: Recipe) -> Selection:
    """The choice by profile that a recipe names."""
    by = recipe["by"]
    if by in ("earliest", "latest"):
        among = directions.subset(range(recipe["among"]))
        chosen = by_time(among, recipe["count"], latest=by == "latest", skip=recipe["skip"])
    elif by == "rank":
        chosen = by_rank(directions, recipe["rank"], later=recipe["later"])
    elif by == "window":
        chosen = by_window(directions, recipe["count"], *recipe["window"])
    elif by == "contrast":
        window, against = tuple(recipe["window"]), tuple(recipe["against"])
        chosen = by_contrast(directions, recipe["count"], window, against, ridge=recipe.get("ridge"))
    else:
        raise ValueError(f"the recipe chooses by {by!r}: make it again with the study that names it")
    return within_module(directions, chosen, recipe["module"]) if "module" in recipe else chosen
