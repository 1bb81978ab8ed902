"""Directions of one run by every kind of row: raw, unit, of each loss term, applied changes, shared by both halves."""

from collections.abc import Iterator

import numpy as np

from ..agents.gradient_log import FIRST_EPOCH, TOTAL
from ..agents.parameters import parameter_layout
from ..agents.run import Run
from ..analysis.along_profiles import directions_along
from ..analysis.cross_half import cross_half_spectrum
from ..analysis.directions import Directions
from ..analysis.log_spectra import whole_log
from ..analysis.rows import Rows, UnitRows
from ..analysis.temporal_svd import directions, temporal_svd


def kinds_of_rows(run: Run, count: int) -> Iterator[tuple[str, Directions]]:
    """The strongest directions of each kind of row that the run has.

    Args:
        run: a trained run with its gradient log.
        count: directions of each; fewer where there are fewer.

    Raises:
        RunFileError: the gradient log is missing or cut off.
    """
    log = whole_log(run)
    layout = parameter_layout(run.network())

    def strongest(rows: Rows) -> Directions:
        svd = temporal_svd(rows)
        return directions(svd, rows, range(min(count, len(svd))), layout=layout)

    raw = log.rows(TOTAL)
    yield "raw", strongest(raw)
    yield "unit", strongest(UnitRows(raw))
    for term in log.terms:
        if term != TOTAL:
            yield f"{term} rows", strongest(log.rows(term))
    changes = run.applied_changes()
    if changes.shape[0] >= 2:
        yield "applied", strongest(changes)
    term = FIRST_EPOCH if FIRST_EPOCH in log.terms else TOTAL
    try:
        halves = log.rows(term, "A"), log.rows(term, "B")
    except ValueError:  # recorded without halves
        return
    spectrum = cross_half_spectrum(*halves, nulls=1, rng=np.random.default_rng(0))
    positive = min(count, int(np.count_nonzero(spectrum.eigenvalues > 0)))
    if positive >= 2:
        yield "cross-half", directions_along(log.rows(term), spectrum.profiles[:, :positive], layout=layout)
