"""What the study of methods asks of one run: every method's ladder of changes, judged through one harness."""

from dataclasses import asdict, replace
from typing import Any

from ..ablate.journal import Journal
from ..ablate.maze_compare import CompareSettings, MazeComparison
from ..ablate.maze_cuts import levels_judged_on
from ..ablate.method_settings import MethodSettings
from ..ablate.sparse_masks import SparseSettings
from ..ablate.tuned import FEW_DOSES, TuneSettings
from ..analysis.curvature_lens import gauss_newton_directions
from ..analysis.directions import Directions
from ..analysis.subject import subject_of
from .row_kinds import kinds_of_rows
from .study import Judged

DIRECTIONS, EIGENVECTORS = 160, 20
METHODS = MethodSettings(norm_budgets=(0.03, 0.09), tune=replace(FEW_DOSES, steps=60), times=6)
"""Fewer norms and steps than `MethodSettings` has: the ladders of 30 methods on many seeds are to take minutes."""
LEFT_OUT = ("raw", "entropy rows")
"""Kinds of rows that are no method of their own: the lens itself, and a term that pushes hardly anything."""


def judge_methods(judged: Judged) -> dict[str, Any]:
    """Every change of every method, JSON-able; what a killed call had judged already is kept."""
    run = judged.run
    split, level_seed = levels_judged_on(judged.role)
    settings = CompareSettings(levels=judged.levels, split=split, level_seed=level_seed, methods=METHODS)
    if judged.miniature:
        settings = _tiny(settings)
    comparison = MazeComparison(run, _lenses(judged), settings)
    journal = Journal(run.path("study", "compared.jsonl"), comparison.fingerprint())
    planned, done = comparison.planned(comparison.methods), 0

    def on_row(name: str) -> None:
        nonlocal done
        done += 1
        judged.on_step(name, done, planned)

    try:
        rows = comparison.rows(comparison.methods, journal, on_row)
    finally:
        journal.close()
    return {"goals": [goal.name for goal in comparison.judge.goals], "rows": [asdict(row) for row in rows]}


def _lenses(judged: Judged) -> dict[str, Directions]:
    """The temporal SVD of every kind of row, and leading curvature."""
    count = 8 if judged.miniature else DIRECTIONS
    found = {"temporal SVD": judged.directions}
    found |= {
        f"temporal SVD of {kind}": of for kind, of in kinds_of_rows(judged.run, count) if kind not in LEFT_OUT
    }
    subject = subject_of(judged.run, inputs=100 if judged.miniature else 1000)
    found["Gauss–Newton"] = gauss_newton_directions(subject, 4 if judged.miniature else EIGENVECTORS)
    return found


def _tiny(settings: CompareSettings) -> CompareSettings:
    methods = MethodSettings(
        counts=(1, 2),
        doses=(1.0,),
        lengths=(0.1,),
        norm_budgets=(0.1,),
        groups=4,
        tuned=4,
        times=2,
        entries=(30,),
        layers=("trunk",),
        vector_doses=(-1.0, 1.0),
        pairs=8,
        components=4,
        tune=TuneSettings(steps=2),
        sparse=SparseSettings(steps=2, again=1),
    )
    return replace(settings, tuning_levels=8, choosing_levels=4, inputs=64, methods=methods)
