"""Makes the trained agents that come with the package; see `agents.packaged`.

python -m goalcut.studies.pack runs/demo agents/trained/corner-9x9 --checkpoints 40 80
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..agents.files import write_json
from ..agents.run import Run
from ..analysis.maze_analysis import AnalyzeSettings, analyze_run
from .stages import ANALYSIS, EVALUATION, evaluated, save_analysis, saved_analysis

DIRECTIONS, LEVELS = 16, 400
"""Directions are most of what is kept; tuned over 16 of them a cut of the default agent removes a goal for the most."""


def pack(run: Run, target: Path, times: Sequence[int]) -> Run:
    """Make a packaged agent of a trained run.

    Args:
        run: trained, with its gradient log.
        target: the directory to make.
        times: rollouts whose checkpoints are kept besides those of the beginning and the end.

    Raises:
        RunFileError: the run is not trained, a checkpoint or the gradient log is missing.
        FileExistsError: the target is there already.
    """
    settings = AnalyzeSettings(directions=DIRECTIONS)
    result, found = analyze_run(run, settings, lambda step: None)
    measures = evaluated(run, LEVELS)
    kept = sorted({0, *times, run.last_time})
    for time in kept:
        run.parameters_after(time)  # says which checkpoints there are
    (target / "checkpoints").mkdir(parents=True)
    checkpoints = [f"checkpoints/{run.time_unit}-{time:05}.safetensors" for time in kept]
    for name in ("progress.jsonl", *checkpoints, "config.json"):
        shutil.copyfile(run.directory / name, target / name)
    packed = Run(target)
    # As `goalcut evaluate` has them, so that a report does not measure again.
    there = {"levels": LEVELS, "rollout": None, "parameters": None, "device": None}
    write_json(packed.path(EVALUATION), measures | {"settings": there})
    save_analysis(packed, result, found, settings)
    found.save(target / ANALYSIS.replace("analysis.json", "directions.safetensors"), half=True)
    saved_analysis(packed)
    return packed


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--checkpoints", type=int, nargs="*", default=[])
    args = parser.parse_args()
    packed = pack(Run(args.run), args.target, args.checkpoints)
    print(
        f"{packed.directory}: {sum(path.stat().st_size for path in packed.directory.rglob('*')) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
