"""The stages of a maze agent's run, each from files to files, and whether one is done already.

What follows from settings is made once: a stage is done where its file is whole and was made with equal settings from
what is there now.
"""

import zlib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..ablate.ablation import TUNING, Ablation, OnCut
from ..ablate.journal import Journal
from ..ablate.judge import Judge
from ..ablate.maze_goals import MazeBehaviour
from ..ablate.table import save_table
from ..agents.files import RunFileError, read_json, write_json
from ..agents.open_run import MazeRun
from ..agents.rollout_run import HeldOut
from ..agents.run_directory import RunDirectory, check_device
from ..agents.settings_json import settings_to_json
from ..analysis.directions import Directions, stored_checksum

EVALUATION, ANALYSIS, ABLATION = "evaluation.json", "analysis/analysis.json", "ablation/table.json"
_DIRECTIONS = "directions.safetensors"
OnEntry = Callable[[str], None]


def evaluated(
    run: MazeRun,
    levels: int,
    *,
    theta: Tensor | None = None,
    split: HeldOut = "test",
    level_seed: int = 0,
    device: str | None = None,
) -> dict[str, Any]:
    """The measures of the untrained, trained, uniform-random and best agents on held-out levels, with intervals.

    Args:
        run: a trained run.
        levels: of each kind.
        theta: parameters (P,) in place of those at the end of training.
        split: which levels.
        level_seed: of the levels.
        device: where networks are asked; default where the run was trained.

    Raises:
        ValueError: this machine has no such device.
    """
    device = device or run.settings.device
    check_device(device)
    behaviour = run.behaviour(levels, split=split, seed=level_seed, device=device)
    theta_0, theta = run.parameters_after(0), run.parameters_after() if theta is None else theta
    judge = Judge(run.network(0).to(device), MazeBehaviour(behaviour), theta_0, theta)
    agents = {
        "untrained": judge.untrained,
        "trained": judge.trained,
        "uniform": judge.uniform,
        "best": {name: value.double().cpu() for name, value in behaviour.best().items()},
    }
    return {
        "levels": levels,
        "level_seed": level_seed,
        "split": split,
        "exact": behaviour.exact,
        "behaviour": behaviour.told,
        "measures": dict(judge.behaviour.measures),
        "agents": {name: judge.summary(measured) for name, measured in agents.items()},
    }


def save_analysis(run: RunDirectory[Any], result: dict[str, Any], found: Directions, settings: Any) -> None:
    """Keep what a lens found; analysis/."""
    path = run.path("analysis", "analysis.json")
    # The two files belong together: without analysis.json the other is not looked at.
    path.unlink(missing_ok=True)
    found.save(run.path("analysis", _DIRECTIONS))
    write_json(path, result | {"settings": settings_to_json(settings)})


def saved_analysis(run: RunDirectory[Any]) -> tuple[dict[str, Any], Directions]:
    """What analysis.json says, and the directions.

    Raises:
        RunFileError: the run is not analyzed.
    """
    path = run.directory / ANALYSIS
    if not path.exists():
        raise RunFileError(f"{path} is missing: run goalcut analyze {run.directory} first")
    return read_json(path), Directions.load(path.with_name(_DIRECTIONS))


def judge_all(
    run: RunDirectory[Any],
    ablation: Ablation,
    about: dict[str, Any],
    on_entry: OnEntry,
    on_cut: OnCut = lambda row: None,
) -> None:
    """Judge every cut and control, going on where an earlier call stopped; ablation/table.json."""
    path = run.path(*ABLATION.split("/"))
    path.unlink(missing_ok=True)  # the cuts' files are about to change
    kept = path.with_name("rows.jsonl")
    journal = Journal(kept, ablation.fingerprint())
    try:
        rows, curves, headline = ablation.rows(journal, on_entry, on_cut)
    finally:
        journal.close()
    judge = ablation.judge
    agents = (("untrained", judge.untrained), ("trained", judge.trained), ("uniform", judge.uniform))
    means = {
        name: {measure: float(value.mean()) for measure, value in measured.items()}
        for name, measured in agents
    }
    save_table(
        path, rows, curves, about | {"of": fingerprint(run), "tuning": TUNING, "headline": headline} | means
    )
    kept.unlink(missing_ok=True)


def up_to_date(run: RunDirectory[Any], file: str, settings: Any) -> bool:
    """Whether a result is there, whole, and was made with these settings from what is there now."""
    try:
        made = read_json(run.directory / file)
        if file == ANALYSIS:
            saved_analysis(run)
        if file == ABLATION and made.get("tuning", 1) != TUNING:
            return False
        return made["settings"] == settings_to_json(settings) and _made_of_these(run, made.get("of"))
    except (RunFileError, KeyError, TypeError, AttributeError, ValueError, FileNotFoundError):
        return False


def fingerprint(run: RunDirectory[Any]) -> int | None:
    """A checksum of the directions that cuts are made of; None where there are none."""
    path = run.directory / "analysis" / _DIRECTIONS
    return int(stored_checksum(path), 16) if path.exists() else None


def _made_of_these(run: RunDirectory[Any], of: int | None) -> bool:
    """Whether a result that says it is `of` these directions is of those that are there now."""
    if of in (None, fingerprint(run)):
        return True
    # Tables of older runs have a checksum of the file's bytes.
    path = run.directory / "analysis" / _DIRECTIONS
    return path.exists() and of == zlib.crc32(path.read_bytes())
