"""The temporal lens on one run: gradient log in, directions and the figures of the report out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..agents.gradient_log import FIRST_EPOCH, TOTAL, GradientLog
from ..agents.run import Run
from ..agents.run_directory import check_device
from .cross_half import cross_half_spectrum
from .directions import Directions, module_shares
from .log_spectra import cross_half_figures, spectrum_figures, whole_log
from .profiles import centre_of_mass, change_points, crossing_time
from .rows import Rows, UnitRows
from .temporal_svd import directions, temporal_svd

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class AnalyzeSettings:
    """What the temporal lens computes.

    Attributes:
        rows: which rows of the gradient log are decomposed: `total`, `first_epoch`, or a loss term.
        unit: whether every row is first brought to unit norm.
        directions: how many of the strongest directions are kept.
        nulls: sign-flipped nulls of the cross-half spectrum.
        passes: retention of corner_reach whose first passing parts early from late.
        device: where matrix products run.
        seed: of the nulls.
    """

    rows: str = TOTAL
    unit: bool = False
    directions: int = 160
    nulls: int = 20
    passes: float = 0.7
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("directions", "nulls"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if not 0 < self.passes < 1:
            raise ValueError(f"passes is {self.passes}: give a retention between 0 and 1")


def analyze_run(
    run: Run, settings: AnalyzeSettings, on_step: OnStep = lambda step: None
) -> tuple[dict[str, Any], Directions]:
    """Decompose a run's gradients; returns what analysis.json holds, and the strongest directions."""
    check_device(settings.device)
    log = whole_log(run)
    rng = np.random.default_rng(settings.seed)
    rows: Rows = log.rows(settings.rows)
    env_steps = rows.records["env_steps"].astype(float)  # pyright: ignore[reportAttributeAccessIssue]
    chosen: Rows = UnitRows(rows) if settings.unit else rows
    svd = temporal_svd(chosen, device=settings.device)
    on_step("temporal SVD")
    found = directions(svd, chosen, range(min(settings.directions, len(svd.singular_values))))
    found = Directions(
        vectors=found.vectors,
        singular_values=found.singular_values,
        profiles=found.profiles,
        space="parameters",
        layout=log.layout,
        source={
            "lens": "temporal SVD",
            "rows": settings.rows,
            "unit": settings.unit,
            "seed": run.settings.seed,
        },
    )
    on_step("directions")
    behaviour = _behaviour(run, settings.passes)
    split = behaviour["corner_passes_env_steps"] or float(env_steps[len(env_steps) // 2])
    split_row = int(np.clip(np.searchsorted(env_steps, split, side="right"), 1, len(env_steps) - 1))
    shares = found.profiles**2
    result: dict[str, Any] = {
        "row": log.about["row"],
        "env_steps": env_steps.tolist(),
        "behaviour": behaviour,
        **spectrum_figures(svd, rng),
        "floor": svd.floor,
        "below_floor": svd.below_floor,
        "directions": {
            "count": len(found.singular_values),
            "centre_of_mass": centre_of_mass(found.profiles).tolist(),
            "early_share": shares[:split_row].sum(0).tolist(),
            "late_share": shares[split_row:].sum(0).tolist(),
            "split_env_steps": split,
            "split_row": split_row,
            "change_points": [
                env_steps[change_points(profile)].tolist() for profile in shares.T[: min(40, shares.shape[1])]
            ],
            "module_shares": {name: share.tolist() for name, share in module_shares(found).items()},
        },
    }
    unit = UnitRows(rows)
    result["unit"] = _whole_spectrum(unit, settings, rng)
    on_step("unit rows")
    # Of first-epoch halves where the log has them: those of later epochs have met each other's samples.
    term = FIRST_EPOCH if FIRST_EPOCH in log.terms else settings.rows
    # Rows of single updates share their rollout's noise, and so its sign.
    ppo = run.settings.ppo
    block = ppo.epochs * ppo.minibatches if run.settings.record == "update" else 1
    result["cross_half"] = _cross_half(log, term, settings, rng, block)
    on_step("cross-half spectrum")
    terms = [term for term in log.terms if term not in (TOTAL, FIRST_EPOCH)]
    result["terms"] = {
        term: _whole_spectrum(log.rows(term), settings, rng)
        | {"cross_half": _cross_half(log, term, settings, rng)}
        for term in terms
    }
    on_step("loss terms")
    changes = run.applied_changes()
    result["applied"] = _whole_spectrum(changes, settings, rng) if changes.shape[0] > 1 else None
    on_step("applied changes")
    return result, found


def _whole_spectrum(rows: Rows, settings: AnalyzeSettings, rng: np.random.Generator) -> dict[str, Any]:
    return spectrum_figures(temporal_svd(rows, device=settings.device), rng)


def _cross_half(
    log: GradientLog, term: str, settings: AnalyzeSettings, rng: np.random.Generator, block: int = 1
) -> dict[str, Any] | None:
    """The cross-half spectrum of one term's rows; None where they were recorded without halves."""
    try:
        half_a, half_b = log.rows(term, "A"), log.rows(term, "B")
    except ValueError:
        return None
    spectrum = cross_half_spectrum(
        half_a, half_b, nulls=settings.nulls, rng=rng, block=block, device=settings.device
    )
    return cross_half_figures(spectrum, term)


def _behaviour(run: Run, passes: float) -> dict[str, Any]:
    """When each goal was learned, from the measures taken during training."""
    measured = [record for record in run.progress() if "measures" in record]
    nothing = {"corner_passes_env_steps": None, "cheese_retention_there": None, "change_points": {}}
    if len(measured) < 3:
        return nothing
    steps = np.array([record["env_steps"] for record in measured], dtype=float)
    curves = {
        name: np.array([record["measures"][name] for record in measured]) for name in measured[0]["measures"]
    }
    retention = {
        name: (curve - curve[0]) / (curve[-1] - curve[0])
        for name, curve in curves.items()
        if curve[-1] != curve[0]
    }
    if "corner_reach" not in retention or "cheese_from_corner" not in retention:
        return nothing
    passed = crossing_time(steps, retention["corner_reach"], passes)
    there = None if passed is None else float(np.interp(passed, steps, retention["cheese_from_corner"]))
    return {
        "corner_passes_env_steps": passed,
        "cheese_retention_there": there,
        "change_points": {name: steps[change_points(curve)].tolist() for name, curve in curves.items()},
    }
