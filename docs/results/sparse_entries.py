"""How few parameters must move to drop a goal, and where they lie: sparse changes over seeds, beside their controls.

    python docs/results/sparse_entries.py runs/studies/methods/default/seed-*

Two tables: selectivity, length, finding the way and KL by how many parameters; then the share of them in each module.
Changes are those of the study `methods`, judged on its report levels; eight minutes for five agents on one core.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from study_tables import header, number, row

from goalcut.ablate.compare import ComparedRow
from goalcut.ablate.maze_compare import MazeComparison
from goalcut.ablate.sparse_masks import moved_in
from goalcut.agents.open_run import open_maze_run
from goalcut.agents.parameters import parameter_layout
from goalcut.studies.cards import study_named
from goalcut.studies.methods_judging import JudgeMethods
from goalcut.studies.statistics import over_seeds

FIGURES = ("selectivity", "relative_norm", "navigation", "kl")


def told(values: list[float], digits: int = 2) -> str:
    """Interquartile mean with its interval."""
    middle, low, high = over_seeds(values)["iqm"]
    return f"{number(middle, digits)} ({number(low, digits)}–{number(high, digits)})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="trained agents of one world")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = replace(JudgeMethods().compare, levels=study_named("methods").levels)
    found: dict[tuple[str, str, int], list[ComparedRow]] = defaultdict(list)
    for directory in args.runs:
        run = open_maze_run(directory)
        comparison = MazeComparison(run, {}, settings)
        few = [
            method
            for method in comparison.methods
            if method.name.startswith("sparse") or method.name.endswith("taken back")
        ]
        for change in comparison.rows(few):
            found[change.removes, change.method, change.k].append(change)
        everywhere = moved_in(torch.ones_like(comparison.judge.theta), parameter_layout(run.network()))
    names = [
        "removed, by, parameters at most",
        "selectivity (95 %)",
        "lowest",
        "‖Δθ‖/‖θ−θ₀‖",
        "navigation",
        "KL, nats",
    ]
    lines = [header(names)]
    for (goal, method, count), rows in found.items():
        selectivity, *figures = ([getattr(one, name) for one in rows] for name in FIGURES)
        middles = (
            number(over_seeds(of)["iqm"][0], 3 if place == 0 else 2) for place, of in enumerate(figures)
        )
        cells = [f"{goal}, {method}, {count:,}", told(selectivity), number(min(selectivity)), *middles]
        lines.append(row(cells))
    total = sum(everywhere.values())
    lines += ["", header(["share of the parameters moved", *everywhere])]
    lines.append(row(["all parameters", *(number(of / total, 3) for of in everywhere.values())]))
    for (goal, method, count), rows in found.items():
        shares = [
            [one.recipe["moved in"][module] / max(1, sum(one.recipe["moved in"].values())) for one in rows]
            for module in everywhere
        ]
        lines.append(row([f"{goal}, {method}, {count:,}", *(told(of, 3) for of in shares)]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
