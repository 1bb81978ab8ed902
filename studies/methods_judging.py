"""What the study of methods asks of one run: every method's ladder of changes, judged through one harness."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..ablate.journal import Journal
from ..ablate.maze_compare import CompareSettings, MazeComparison
from ..ablate.maze_cuts import levels_judged_on
from ..ablate.method_settings import MethodSettings
from ..ablate.sparse_masks import SparseSettings
from ..ablate.tuned import FEW_DOSES, TuneSettings
from ..agents.settings_json import settings_to_json
from ..analysis.curvature_lens import gauss_newton_directions
from ..analysis.directions import Directions
from ..analysis.subject import subject_of
from .row_kinds import kinds_of_rows
from .study import Judged

LEFT_OUT = ("raw", "entropy rows")
"""Kinds of rows that are no method of their own: the lens itself, and a term that pushes hardly anything."""


def _methods() -> MethodSettings:
    """Fewer norms and steps than `MethodSettings` has: forty ladders on many seeds are to take minutes."""
    return MethodSettings(norm_budgets=(0.03, 0.09), tune=replace(FEW_DOSES, steps=60), times=6)


@dataclass(frozen=True)
class JudgeMethods:
    """Every change of every method; what a killed call had judged already is kept.

    Attributes:
        directions: strongest of each kind of rows.
        eigenvectors: leading ones of the Hessian; of an agent held against itself it is the Gauss–Newton matrix.
        curvature_inputs: states of training levels that these are taken over.
        compare: how methods are compared; levels, their split and their seed are the study's.
    """

    directions: int = 160
    eigenvectors: int = 20
    curvature_inputs: int = 1000
    compare: CompareSettings = field(default_factory=lambda: CompareSettings(methods=_methods()))

    def to_json(self) -> dict[str, Any]:
        """All that is told of them: not the levels, their split and their seed, which are the study's."""
        compare = settings_to_json(self.compare)
        own = {name: of for name, of in compare.items() if name not in ("levels", "split", "level_seed")}
        plain = {name: getattr(self, name) for name in ("directions", "eigenvectors", "curvature_inputs")}
        return plain | {"compare": own}

    def tiny(self) -> "JudgeMethods":
        """A few changes of each method."""
        compare = CompareSettings(tuning_levels=8, choosing_levels=4, inputs=64, methods=_FEW)
        return JudgeMethods(directions=8, eigenvectors=4, curvature_inputs=100, compare=compare)

    def __call__(self, judged: Judged) -> dict[str, Any]:
        """Names of the goals, and a row of each change."""
        run = judged.run
        split, level_seed = levels_judged_on(judged.role)
        settings = replace(self.compare, levels=judged.levels, split=split, level_seed=level_seed)
        comparison = MazeComparison(run, self._lenses(judged), settings)
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
        return {
            "goals": [goal.name for goal in comparison.judge.goals],
            "rows": [asdict(row) for row in rows],
        }

    def _lenses(self, judged: Judged) -> dict[str, Directions]:
        """The temporal SVD of every kind of row, and leading curvature."""
        found = {"temporal SVD": judged.directions}
        kinds = kinds_of_rows(judged.run, self.directions)
        found |= {f"temporal SVD of {kind}": of for kind, of in kinds if kind not in LEFT_OUT}
        subject = subject_of(judged.run, inputs=self.curvature_inputs)
        found["Gauss–Newton"] = gauss_newton_directions(subject, self.eigenvectors)
        return found


_FEW = MethodSettings(
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
