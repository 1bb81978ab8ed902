"""Tables of maze runs, one column or row per run, as the pages of docs/results have them.

    python docs/results/tables.py runs/default-0 runs/default-1 runs/default-2

Reads evaluation.json, analysis/analysis.json and ablation/table.json of each run, as far as they are there, and prints
Markdown: what was learned, when, the spectra, the cuts, and the controls of the tuned cuts.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from goalcut.ablate.table import CutRow, load_table
from goalcut.agents import Run
from goalcut.agents.files import read_json

CONTROLS = {
    "random directions": "random",
    "random inside span(G)": "in the span",
    "neighbouring time": "neighbouring time",
    "another seed": "another seed",
    "rewind": "rewind",
    "shrink": "shrink",
    "tuned over random": "tuned over random",
}


def row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def header(cells: list[str]) -> str:
    return f"{row(cells)}\n{row(['---'] * len(cells))}"


def number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    told = f"{value:.{digits}f}"
    return told.removeprefix("-") if float(told) == 0 else told.replace("-", "−")


def learned(runs: list[Run]) -> str:
    """Every measure of every run, then of the untrained, uniform and best walker of the first."""
    files = [read_json(run.directory / "evaluation.json")["agents"] for run in runs]
    names = list(files[0]["trained"])
    lines = [header(["seed", *names])]
    for run, agents in zip(runs, files, strict=True):
        cells = [
            f"{number(v['mean'])} ({number(v['low'])}–{number(v['high'])})"
            for v in agents["trained"].values()
        ]
        lines.append(row([run.settings.seed, *cells]))
    lines += [
        row([agent, *(number(files[0][agent][name]["mean"]) for name in names)])
        for agent in ("untrained", "uniform", "best")
    ]
    return "\n".join(lines)


def passing(runs: list[Run], analyses: list[dict[str, Any]]) -> str:
    proxy, paid = (goal.measure for goal in runs[0].settings.world.goals)
    lines = [header(["seed", f"env steps when {proxy} passes", f"{paid} there"])]
    for run, analysis in zip(runs, analyses, strict=True):
        at, there = (
            analysis["behaviour"][name] for name in ("proxy_passes_env_steps", "paid_retention_there")
        )
        lines.append(row([run.settings.seed, "never" if at is None else f"{at / 1000:.0f}k", number(there)]))
    return "\n".join(lines)


def spectra(runs: list[Run], analyses: list[dict[str, Any]]) -> str:
    """Singular values above a tenth of the largest / of white noise; signal directions; centres of mass."""

    def counts(part: dict[str, Any]) -> str:
        return f"{part['above_tenth']:.0f} / {part['null_above_tenth']:.0f}"

    terms = list(analyses[0]["terms"])
    heads = ["seed", "rows / noise", "unit rows / noise", "applied changes / noise", "signal"]
    lines = [header([*heads, *(f"{term}; signal" for term in terms), "centres"])]
    for run, analysis in zip(runs, analyses, strict=True):
        cells = [counts(analysis), counts(analysis["unit"]), counts(analysis["applied"])]
        cells.append(str(analysis["cross_half"]["signal_directions"]))
        cells += [
            f"{counts(part)}; {part['cross_half']['signal_directions']}"
            for part in analysis["terms"].values()
        ]
        centres = sorted(analysis["directions"]["centre_of_mass"][:40])
        lines.append(row([run.settings.seed, *cells, f"{number(centres[0])} … {number(centres[-1])}"]))
    return "\n".join(lines)


def cuts(runs: list[Run], tables: list[list[CutRow]], kept: list[str]) -> str:
    """Retention of `kept`; selectivity with its interval; relative norm."""
    lines = [header(["cut", *(f"seed {run.settings.seed}" for run in runs)])]
    by_name = [{cut.name: cut for cut in table if cut.control_of is None} for table in tables]
    for name in by_name[0]:
        cells = []
        for cut in (of_run[name] for of_run in by_name):
            low, high = cut.selectivity_interval
            cells.append(
                f"{' / '.join(number(cut.retention[measure]) for measure in kept)}; {number(cut.selectivity)} "
                f"({number(low)}–{number(high)}); {number(cut.relative_norm, 3)}"
            )
        lines.append(row([name, *cells]))
    return "\n".join(lines)


def controls(runs: list[Run], tables: list[list[CutRow]], kept: list[str]) -> str:
    """Retention of the two goals, selectivity s and relative norm n of every control of the tuned cuts."""
    lines = [header(["cut", "control", *(f"seed {run.settings.seed}" for run in runs)])]
    for name in (cut.name for cut in tables[0] if cut.selection == "tuned"):
        for begins, called in CONTROLS.items():
            cells = [
                ", ".join(
                    f"{number(c.retention[kept[0]])}/{number(c.retention[kept[1]])} s{number(c.selectivity)} "
                    f"n{number(c.relative_norm)}"
                    for c in table
                    if c.control_of == name and c.name.startswith(begins)
                )
                for table in tables
            ]
            if any(cells):
                lines.append(row([name, called, *cells]))
    return "\n".join(lines)


def largest_random_change(tables: list[list[CutRow]], trained: list[dict[str, float]], tuned: bool) -> float:
    """The largest change of any measure by a random cut of a cut's norm, of the cuts that have such a control."""
    chosen = {cut.name for table in tables for cut in table if cut.selection == "tuned"}
    return max(
        abs(value - of_run[name])
        for table, of_run in zip(tables, trained, strict=True)
        for control in table
        if control.name.startswith("random directions") and (not tuned or control.control_of in chosen)
        for name, value in control.measures.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run directories of one world, a seed each")
    runs = [Run(directory) for directory in parser.parse_args().runs]
    kept = [goal.measure for goal in runs[0].settings.world.goals] + ["navigation"]
    print(f"What was learned\n\n{learned(runs)}")
    if all((run.directory / "analysis" / "analysis.json").exists() for run in runs):
        analyses = [read_json(run.directory / "analysis" / "analysis.json") for run in runs]
        print(f"\nWhen\n\n{passing(runs, analyses)}\n\nSpectra\n\n{spectra(runs, analyses)}")
    paths = [run.directory / "ablation" / "table.json" for run in runs]
    if all(path.exists() for path in paths):
        tables = [load_table(path)["rows"] for path in paths]
        trained = [read_json(path)["trained"] for path in paths]
        print(
            f"\nCuts: retention of {' / '.join(kept)}; selectivity; ‖Δθ‖/‖θ−θ_0‖\n\n{cuts(runs, tables, kept)}"
        )
        print(f"\nControls of the tuned cuts\n\n{controls(runs, tables, kept)}")
        changes = [largest_random_change(tables, trained, tuned) for tuned in (True, False)]
        print(
            f"\nLargest change of a measure by a random cut: {changes[0]:.3f} of the tuned, {changes[1]:.3f} of all"
        )


if __name__ == "__main__":
    main()
