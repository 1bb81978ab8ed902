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
from study_cells import told
from tables import header, number, row

from goalcut.ablate.compare import ComparedRow
from goalcut.ablate.maze_compare import MazeComparison
from goalcut.ablate.sparse_masks import moved_in
from goalcut.agents.open_run import open_maze_run
from goalcut.agents.parameters import parameter_layout
from goalcut.studies.cards import study_named
from goalcut.studies.methods_judging import JudgeMethods
from goalcut.studies.methods_summary import modules_moved
from goalcut.studies.statistics import over_seeds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="trained agents of one world")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = replace(JudgeMethods().compare, levels=study_named("methods").levels)
    found: dict[str, list[ComparedRow]] = defaultdict(list)
    for directory in args.runs:
        comparison = MazeComparison(open_maze_run(directory), {}, settings)
        few = [
            method
            for method in comparison.methods
            if method.name.startswith("sparse") or method.name.endswith("taken back")
        ]
        for change in comparison.rows(few):
            found[f"{change.removes}, {change.method}, {change.k:,}"].append(change)
    side = {"‖Δθ‖/‖θ−θ₀‖": "relative_norm", "navigation": "navigation", "KL, nats": "kl"}
    print(header(["removed, by, parameters at most", "selectivity (95 %)", "lowest", *side]))
    for name, rows in found.items():
        selectivity = [one.selectivity for one in rows]
        middles = (over_seeds([getattr(one, figure) for one in rows])["iqm"][0] for figure in side.values())
        cells = (number(middle, 3 if place == 0 else 2) for place, middle in enumerate(middles))
        print(row([name, told(over_seeds(selectivity)), number(min(selectivity)), *cells]))
    everywhere = torch.ones_like(comparison.judge.theta)
    counts = moved_in(everywhere, parameter_layout(comparison.judge.network))
    print("\n" + header(["share of the parameters moved", *counts]))
    print(row(["all parameters", *(number(count / len(everywhere), 3) for count in counts.values())]))
    for name, rows in found.items():
        shares = modules_moved(rows)
        print(row([name, *(told(shares[module], 3) for module in shares)]))


if __name__ == "__main__":
    main()
