"""What a study says in the terminal: its plan beforehand, its findings afterwards."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..studies.answer import load_answer
from ..studies.costs import Costs
from ..studies.plan import Plan
from ..studies.seeds import written
from .inputs import dig
from .study_cuts import best
from .study_figures import env_steps, spread
from .study_methods import BUDGETS, ranked
from .style import decimal, duration


def plan_table(plan: Plan, costs: Costs) -> Table:
    """Per variant: seeds, the stages still to be made and how long one run takes."""
    table = _table("the plan")
    table.add_column("variant", min_width=max(len(run.variant) for run in plan.runs))
    table.add_column("seeds")
    for stage in plan.study.stages:
        table.add_column(stage, justify="right")
    table.add_column("one run", justify="right")
    for variant in dict.fromkeys(run.variant for run in plan.runs):
        runs = [run for run in plan.runs if run.variant == variant]
        missing = [str(sum(stage in run.missing for run in runs) or "done") for stage in plan.study.stages]
        one = sum(costs.seconds(variant, stage) for stage in plan.study.stages)
        table.add_row(variant, written(tuple(run.seed for run in runs)), *missing, duration(one))
    return table


def print_study(directory: Path, console: Console) -> None:
    """Print what a study's results.json says.

    Raises:
        RunFileError: there are no results, or they are damaged.
    """
    results = load_answer(directory)
    console.print(Text(f"{results['study']}: {results['told']}", style="bold"))
    variants = results["summary"]["variants"]
    if results["study"] == "timing":
        console.print(_timing(variants))
        for name, variant in variants.items():
            if variant["relation"]:
                console.print(_relation(name, variant))
    elif results["study"] == "methods":
        for name, variant in variants.items():
            for goal, methods in variant["methods"].items():
                console.print(_methods(f"{name}: remove {goal}", methods))
    else:
        for name, variant in variants.items():
            console.print(_cuts(name, variant))


def _timing(variants: dict[str, Any]) -> Table:
    table = _table(
        "when each goal passes 0.7 of its final change (interquartile mean over seeds, 95 % interval)"
    )
    for heading in ("variant", "proxy, env steps", "paid, env steps", "gap / training", "paid there"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for name, variant in variants.items():
        at = variant["over_seeds"]["0.7"]
        table.add_row(
            name,
            *(env_steps(dig(at, which, "iqm")) for which in ("proxy", "paid")),
            *(spread(dig(at, which, "iqm")) for which in ("share", "paid_there")),
        )
    return table


def _relation(name: str, variant: dict[str, Any]) -> Table:
    table = _table(f"{name}: ρ of a direction's time with what it carries (path gradient)")
    for heading in ("rows", "ρ", "p over seeds", "passes permuted time", "passes random basis"):
        table.add_column(heading, justify="left" if heading == "rows" else "right")
    for kind, found in variant["relation"].items():
        path = found["path"]
        nulls = [path["nulls"][null] for null in ("permuted time", "random basis")]
        table.add_row(
            kind,
            spread(dig(path, "over_seeds", "iqm")),
            decimal(path["p"], 3),
            *(f"{null['passed']}/{len(null['p_values'])}" for null in nulls),
        )
    return table


def _methods(title: str, methods: dict[str, Any]) -> Table:
    """What each method reaches within the budgets, the best first."""
    table = _table(f"{title}; selectivity, interquartile mean over seeds, 95 % interval")
    table.add_column("method", min_width=22)
    for budget in ("norm", "norm and navigation"):
        table.add_column(BUDGETS[budget], justify="right")
    table.add_column("navigation", justify="right")
    for method in ranked(methods, "norm"):
        within = methods[method]["within"]
        told = [
            spread(dig(within[budget], "selectivity", "over_seeds", "iqm"))
            for budget in ("norm", "norm and navigation")
        ]
        table.add_row(
            Text(method), *told, decimal(dig(within, "norm", "navigation", "over_seeds", "median")[0])
        )
    return table


def _cuts(name: str, variant: dict[str, Any]) -> Table:
    """Of each goal the best tuned cut and the best with nothing tuned, each above its strongest control."""
    table = _table(f"{name}: medians over seeds {written(tuple(variant['seeds']))}")
    table.add_column("cut", min_width=22)
    for heading in (*variant["retained"], "moved"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("selectivity", justify="right", min_width=12)
    for goal in variant["goal_names"]:
        for tuned in (True, False):
            cut = best(variant, goal, tuned=tuned)
            if cut is None:
                continue
            _add(table, cut, cut["name"], variant["retained"], "")
            controls = sorted(
                cut["controls"], key=lambda one: one["selectivity"]["over_seeds"]["median"][0], reverse=True
            )
            for control in controls[:1]:
                _add(table, control, f"  control: {control['name']}", variant["retained"], "dim")
    return table


def _add(table: Table, entry: dict[str, Any], name: str, retained: list[str], style: str) -> None:
    kept = [decimal(dig(entry["retention"][measure], "over_seeds", "median")[0]) for measure in retained]
    moved = decimal(entry["relative_norm"]["over_seeds"]["median"][0], 3)
    table.add_row(Text(name), *kept, moved, spread(entry["selectivity"]["over_seeds"]["median"]), style=style)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
