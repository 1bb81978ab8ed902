"""The temporal lens on one run: gradient log in, directions and the figures of the report out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..agents.files import SettingError
from ..agents.gradient_log import FIRST_EPOCH, TOTAL, GradientLog, Training
from ..agents.open_run import MazeRun
from ..agents.parameters import parameter_layout
from ..agents.procgen_run import ProcgenRun, replay_procgen_training
from ..agents.rollout_run import RolloutSettings
from ..agents.run_directory import check_device
from ..agents.training import replay_training
from .cluster import check_address, optional_cluster
from .cross_half import cross_half_of_product, cross_half_spectrum
from .directions import Directions, module_shares
from .log_spectra import check_replay, cross_half_figures, replay_figures, spectrum_figures, whole_log
from .profiles import centre_of_mass, change_points, crossing_time
from .replay import replay_directions
from .rows import Rows, UnitRows
from .sampling import unit_gram
from .temporal_svd import TemporalSVD, directions, svd_of_gram, temporal_svd

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class AnalyzeSettings:
    """What the temporal lens computes.

    Attributes:
        rows: which rows of the gradient log are decomposed: `total`, `first_epoch`, or a loss term.
        unit: whether every row is first brought to unit norm.
        directions: how many of the strongest directions are kept.
        nulls: sign-flipped nulls of the cross-half spectrum.
        passes: retention of the proxy goal whose first passing parts early from late.
        device: where matrix products run.
        dask: run them on a Dask cluster: `local`, or a scheduler's address, tcp://host:port.
        replay: train twice more instead of reading a gradient log, a row being a `rollout` or an `update`; wants the
            run's machine, versions and number of threads, and no disk.
        window_mb: memory for the rows of a replay; where they do not fit they are sketched.
        sketch_width: of that sketch.
        seed: of the nulls.
    """

    rows: str = TOTAL
    unit: bool = False
    directions: int = 160
    nulls: int = 20
    passes: float = 0.7
    device: str = "cpu"
    dask: str | None = None
    replay: Literal["rollout", "update"] | None = None
    window_mb: int = 1024
    sketch_width: int = 8192
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replay is not None and (self.unit or self.dask is not None):
            other = "unit" if self.unit else "dask"
            raise ValueError(
                f"replay is {self.replay!r} beside {other}, which wants a gradient log: leave one out"
            )
        for name in ("directions", "nulls"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        check_replay(self.window_mb, self.sketch_width)
        check_device(self.device)
        if self.dask is not None:
            check_address(self.dask, "dask")
        if not 0 < self.passes < 1:
            raise ValueError(f"passes is {self.passes}: give a retention between 0 and 1")


def analyze_run(
    run: MazeRun, settings: AnalyzeSettings, on_step: OnStep = lambda step: None
) -> tuple[dict[str, Any], Directions]:
    """Decompose a run's gradients; returns what analysis.json holds, and the strongest directions."""
    if settings.replay is not None:
        return _analyze_replay(run, settings, on_step)
    log = whole_log(run)
    if settings.rows not in log.terms:
        raise SettingError(f"rows is {settings.rows!r}: give one of {', '.join(log.terms)}")
    rng = np.random.default_rng(settings.seed)
    rows: Rows = log.rows(settings.rows)
    env_steps = rows.records["env_steps"].astype(float)  # pyright: ignore[reportAttributeAccessIssue]
    with optional_cluster(settings.dask) as cluster:
        how = {"device": settings.device, "cluster": cluster}
        chosen: Rows = UnitRows(rows) if settings.unit else rows
        svd = temporal_svd(chosen, **how)
        on_step("temporal SVD")
        source = {
            "lens": "temporal SVD",
            "rows": settings.rows,
            "unit": settings.unit,
            "seed": run.settings.seed,
        }
        which = range(min(settings.directions, len(svd)))
        found = directions(svd, chosen, which, layout=log.layout, source=source, **how)
        on_step("directions")
        result = _described(run, settings, svd, found, env_steps, rng) | {"row": log.about["row"]}
        result["unit"] = spectrum_figures(temporal_svd(UnitRows(rows), **how), rng)
        on_step("unit rows")
        # Of first-epoch halves where the log has them: those of later epochs have met each other's samples.
        term = FIRST_EPOCH if FIRST_EPOCH in log.terms else settings.rows
        result["cross_half"] = _cross_half(log, term, settings.nulls, rng, _noise_block(run.settings), how)
        on_step("cross-half spectrum")
        result["terms"] = {
            term: spectrum_figures(temporal_svd(log.rows(term), **how), rng)
            | {"cross_half": _cross_half(log, term, settings.nulls, rng, 1, how)}
            for term in log.terms
            if term not in (TOTAL, FIRST_EPOCH)
        }
        on_step("loss terms")
    result["applied"] = _applied(run, settings, rng)
    on_step("applied changes")
    return result, found


def _analyze_replay(
    run: MazeRun, settings: AnalyzeSettings, on_step: OnStep
) -> tuple[dict[str, Any], Directions]:
    """The same from two more trainings instead of a gradient log; loss terms need a log."""
    trained, training = _retrained(run, settings.replay)
    replay = replay_directions(
        training,
        layout=parameter_layout(trained.new_network()),
        count=settings.directions,
        times=trained.ppo.logged_rows(trained.record) if settings.rows == TOTAL else None,
        term=settings.rows,
        window_bytes=settings.window_mb * 2**20,
        width=settings.sketch_width,
        seed=settings.seed,
        source={"rows": settings.rows, "unit": False, "seed": run.settings.seed},
    )
    on_step("replay")
    rng, products, found = np.random.default_rng(settings.seed), replay.products, replay.directions
    env_steps = products.time_records["env_steps"].astype(float)
    result = _described(run, settings, replay.svd, found, env_steps, rng)
    parameters = products.shape[1]
    result["unit"] = spectrum_figures(svd_of_gram(unit_gram(products.gram), parameters=parameters), rng)
    result["cross_half"] = None
    if products.cross is not None:
        block = _noise_block(trained)
        cross = cross_half_of_product(products.cross, nulls=settings.nulls, rng=rng, block=block)
        result["cross_half"] = cross_half_figures(cross, settings.rows)
    result |= {"terms": {}, "applied": _applied(run, settings, rng), "replay": replay_figures(replay)}
    on_step("spectra")
    return result | {"row": f"one {settings.replay}, replayed"}, found


def _retrained(run: MazeRun, row: Literal["rollout", "update"] | None) -> tuple[RolloutSettings, Training]:
    """The run's settings with such a row on record, and the training of them."""
    assert row is not None
    if isinstance(run, ProcgenRun):
        trained = replace(run.settings, record=row)
        return trained, replay_procgen_training(trained)
    trained = replace(run.settings, record=row)
    return trained, replay_training(trained)


def _described(
    run: MazeRun,
    settings: AnalyzeSettings,
    svd: TemporalSVD,
    found: Directions,
    env_steps: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The spectrum beside its null, and the directions' place in time and in the network."""
    behaviour = _behaviour(run, settings.passes)
    passed = behaviour["proxy_passes_env_steps"]
    split = float(env_steps[len(env_steps) // 2]) if passed is None else passed
    split_row = int(np.clip(np.searchsorted(env_steps, split, side="right"), 1, len(env_steps) - 1))
    shares = found.profiles**2
    return {
        "env_steps": env_steps.tolist(),
        "behaviour": behaviour,
        **spectrum_figures(svd, rng),
        "floor": svd.floor,
        "below_floor": svd.below_floor,
        "directions": {
            "count": len(found),
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


def _noise_block(settings: RolloutSettings) -> int:
    """Rows that share their noise, and so its sign: those of the updates of one rollout."""
    return settings.ppo.epochs * settings.ppo.minibatches if settings.record == "update" else 1


def _applied(run: MazeRun, settings: AnalyzeSettings, rng: np.random.Generator) -> dict[str, Any] | None:
    changes = run.applied_changes()
    if changes.shape[0] < 2:
        return None
    return spectrum_figures(temporal_svd(changes, device=settings.device), rng)


def _cross_half(
    log: GradientLog, term: str, nulls: int, rng: np.random.Generator, block: int, how: dict[str, Any]
) -> dict[str, Any] | None:
    """The cross-half spectrum of one term's rows; None where they were recorded without halves."""
    try:
        half_a, half_b = log.rows(term, "A"), log.rows(term, "B")
    except ValueError:
        return None
    return cross_half_figures(
        cross_half_spectrum(half_a, half_b, nulls=nulls, rng=rng, block=block, **how), term
    )


def _behaviour(run: MazeRun, passes: float) -> dict[str, Any]:
    """When each goal was learned, from the measures taken during training."""
    measured = [record for record in run.progress() if "measures" in record]
    nothing = {"proxy_passes_env_steps": None, "paid_retention_there": None, "change_points": {}}
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
    proxy, paid = (goal.measure for goal in run.settings.world.goals)
    if proxy not in retention or paid not in retention:
        return nothing
    passed = crossing_time(steps, retention[proxy], passes)
    there = None if passed is None else float(np.interp(passed, steps, retention[paid]))
    return {
        "proxy_passes_env_steps": passed,
        "paid_retention_there": there,
        "change_points": {name: steps[change_points(curve)].tolist() for name, curve in curves.items()},
    }
