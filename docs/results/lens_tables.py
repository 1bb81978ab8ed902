"""Tables of the lenses over seeds, as docs/lenses.md tells of them.

    python docs/results/lens_tables.py runs/default-0 runs/default-1 runs/default-2

Reads lenses/*.json of runs that differ in their seed alone, all of mazes or all of digits, and prints Markdown: per
lens its headline figures, each beside its controls, what it found through training where it was asked to
(`--through-training`), and what its cuts do beside those of random subspaces and single units. A cell is the median
over seeds with the lowest and highest; "above" counts the seeds in which a figure lies above all of its controls that
are known there.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lens_rows import COURSES, LENSES, Block, compare
from tables import header, row

from goalcut.agents.digit_run import DigitRun
from goalcut.agents.files import read_json
from goalcut.agents.open_run import open_run
from goalcut.agents.run import Run
from goalcut.report.style import decimal, finite, short
from goalcut.studies.statistics import over_seeds


def told(values: Sequence[float | None], digits: int | None) -> str:
    """Median (lowest to highest), and of how many seeds where some have no such figure."""

    def written(value: float) -> str:
        return short(value) if digits is None else decimal(value, digits)

    over = over_seeds(values)
    if over is None:
        return "–"
    ends = f" ({written(over['least'])} to {written(over['largest'])})" if over["seeds"] > 1 else ""
    few = f", {over['seeds']} of {len(values)}" if over["left_out"] else ""
    return written(over["median"][0]) + ends + few


def above(values: Sequence[float | None], controls: Sequence[Sequence[float | None]]) -> str:
    """In how many seeds a figure lies above every control that is known there, of those that have both."""
    known = [
        (value, [control for control in beside if control is not None])
        for value, beside in zip(values, zip(*controls, strict=True), strict=True)
        if value is not None
    ]
    held = [value > max(beside) for value, beside in known if beside]
    return f"{sum(held)} of {len(held)}" if held else "–"


def over_runs(blocks: Sequence[Block]) -> str:
    """One table of all runs, whose blocks these are: rows and columns in the order of the first that has them."""
    first = blocks[0]
    blocks = blocks[:1] if first.once else blocks
    names = list(dict.fromkeys(name for block in blocks for name in block.rows))
    if not names:
        return f"{first.caption}: none."
    columns = list(dict.fromkeys(column for block in blocks for of in block.rows.values() for column in of))
    lines = [f"{first.caption}\n", header(["", *columns, *(["above"] if first.against else [])])]
    for name in names:
        figures = {
            column: [finite(block.rows.get(name, {}).get(column)) for block in blocks] for column in columns
        }
        cells = [told(values, first.digits) for values in figures.values()]
        if first.against:
            cells.append(above(figures[first.held], [figures[column] for column in first.against]))
        lines.append(row([name, *cells]))
    return "\n".join(lines)


def tables(runs: Sequence[Run | DigitRun], k: int = 10) -> str:
    """All tables of some runs; a lens that a run lacks is told of the others.

    Raises:
        ValueError: runs are of different kinds, of the same seed, or a lens was run with different settings.
    """
    kinds, seeds = {run.kind for run in runs}, [run.settings.seed for run in runs]
    if len(kinds) > 1:
        raise ValueError(f"runs are of {' and '.join(sorted(kinds))}: give runs of one kind")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds of the runs are {seeds}: give a run of each seed")
    said = [f"Runs of {runs[0].kind}, seeds {', '.join(map(str, seeds))}."]
    for name in (*LENSES, "compare"):
        paths = [run.directory / "lenses" / f"{name}.json" for run in runs]
        files = {path: read_json(path) for path in paths if path.exists()}
        if not files:
            said.append(f"## {name}\n\nNot run.")
            continue
        first = next(iter(files))
        for path, saved in files.items():
            if saved["settings"] != files[first]["settings"]:
                raise ValueError(f"{path} has other settings than {first}: run {name} again, alike")
        lacking = [str(seed) for seed, path in zip(seeds, paths, strict=True) if path not in files]
        per_run = [
            compare(saved, k) if name == "compare" else LENSES[name](saved["figures"])
            for saved in files.values()
        ]
        told_of = [over_runs(blocks) for blocks in zip(*per_run, strict=True)]
        missing = [f"Without seeds {', '.join(lacking)}."] if lacking else []
        courses = (
            _through_training(name, dict(zip(seeds, paths, strict=True)), files) if name in COURSES else []
        )
        said.append("\n\n".join([f"## {name}", *missing, *told_of, *courses]))
    return "\n\n".join(said)


def _through_training(
    name: str, paths: Mapping[int, Path], files: Mapping[Path, Mapping[str, Any]]
) -> list[str]:
    """What one lens found through training; nothing where it was asked of no run.

    Raises:
        ValueError: it was asked with different settings.
    """
    courses = {
        path: saved["through_training"] for path, saved in files.items() if saved.get("through_training")
    }
    if not courses:
        return []
    first = next(iter(courses))
    for path, course in courses.items():
        if course["settings"] != courses[first]["settings"]:
            raise ValueError(
                f"{path} has other settings through training than {first}: run {name} again, alike"
            )
    lacking = [str(seed) for seed, path in paths.items() if path not in courses]
    missing = [f"Without seeds {', '.join(lacking)}."] if lacking else []
    per_run = [COURSES[name](course) for course in courses.values()]
    told_of = [over_runs(blocks) for blocks in zip(*per_run, strict=True)]
    return [f"### {name} through training", *missing, *told_of]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run directories that differ in their seed alone")
    parser.add_argument("--k", type=int, default=10, help="directions whose angles are told of (default 10)")
    arguments = parser.parse_args()
    try:
        runs = [open_run(directory) for directory in arguments.runs]
        print(tables(runs, arguments.k))
    except (OSError, ValueError) as error:
        raise SystemExit(f"lens_tables: {error}") from None


if __name__ == "__main__":
    main()
