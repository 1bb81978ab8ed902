"""The temporal lens on a classifier's run: the counts of the MNIST baseline, beside what they are counts of.

All of it but the directions follows from three T × T matrices, the inner products of the halves' rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..agents.digit_run import DigitRun, replay_digit_training
from ..agents.parameters import parameter_layout
from ..agents.run_directory import check_device
from .cluster import check_address, optional_cluster
from .cross_half import cross_half_of_product
from .digit_turning import turning
from .directions import Directions, module_shares
from .gram import gram
from .log_spectra import check_replay, cross_half_figures, replay_figures, spectrum_figures, whole_log
from .null_spectra import count_above
from .profiles import centre_of_mass
from .replay import replay_directions
from .sampling import (
    centred_gram,
    residual_of_directions,
    residual_share,
    sampled_counts,
    singular_values_of_gram,
    unit_gram,
)
from .temporal_svd import TemporalSVD, directions, svd_of_gram

OnStep = Callable[[str], None]
THRESHOLDS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
RANKS = (1, 2, 5, 10, 20, 50, 100, 200, 400)


@dataclass(frozen=True)
class DigitAnalyzeSettings:
    """What is computed from a classifier's gradient log.

    Attributes:
        directions: how many of the strongest directions are kept.
        sampled: updates per sample whose singular values are counted.
        draws: samples.
        residual_samples: updates per sample whose span is held against the other updates.
        nulls: sign-flipped nulls of the cross-half spectrum.
        turning: how many of the strongest directions are tested for turning with a digit.
        permutations: of the tests whether a direction turns when a digit does.
        window: measured times of the running mean and spread that these tests take out; odd, 9 at least.
        device: where matrix products run.
        dask: run them on a Dask cluster: `local`, or a scheduler's address, tcp://host:port.
        replay: train twice more instead of reading a gradient log; wants the run's machine, versions and number of
            threads, and no disk.
        window_mb: memory for the rows of a replay; where they do not fit they are sketched.
        sketch_width: of that sketch.
        seed: of samples and nulls.
    """

    directions: int = 160
    sampled: int = 400
    draws: int = 10
    residual_samples: tuple[int, ...] = (50, 100, 200, 300, 400)
    nulls: int = 20
    turning: int = 20
    permutations: int = 999
    window: int = 31
    device: str = "cpu"
    dask: str | None = None
    replay: bool = False
    window_mb: int = 1024
    sketch_width: int = 8192
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replay and self.dask is not None:
            raise ValueError(f"dask is {self.dask!r} beside replay, which has no log to share: leave one out")
        for name in ("directions", "sampled", "draws", "nulls", "turning", "permutations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if any(size < 1 for size in self.residual_samples):
            raise ValueError(f"residual_samples is {self.residual_samples}: give numbers of at least 1")
        if self.window < 9 or self.window % 2 == 0:
            raise ValueError(f"window is {self.window}: give an odd number of at least 9")
        check_replay(self.window_mb, self.sketch_width)
        check_device(self.device)
        if self.dask is not None:
            check_address(self.dask, "dask")


@dataclass(frozen=True, eq=False)
class _Products:
    """Inner products of the rows, from a log or a replay, and the directions that go with them."""

    K: np.ndarray
    AB: np.ndarray
    AA: np.ndarray | None  # a replay keeps no products within the halves
    svd: TemporalSVD
    found: Directions
    updates: np.ndarray
    row: str
    replay: dict[str, Any] | None = None


def analyze_digits(
    run: DigitRun, settings: DigitAnalyzeSettings, on_step: OnStep = lambda step: None
) -> tuple[dict[str, Any], Directions]:
    """Decompose a classifier's gradients; returns what analysis.json holds, and the strongest directions."""
    products = (_of_replay if settings.replay else _of_log)(run, settings, on_step)
    rng = np.random.default_rng(settings.seed)
    svd, found = products.svd, products.found
    result: dict[str, Any] = {
        "kind": run.kind,
        "row": products.row,
        "updates": products.updates.tolist(),
        "updates_per_epoch": run.last_time // run.settings.epochs,
        "row_norms": np.sqrt(svd.row_energies).tolist(),
        **spectrum_figures(svd, rng),
        "floor": svd.floor,
        "below_floor": svd.below_floor,
        "replay": products.replay,
        "directions": {
            "count": len(found),
            "centre_of_mass": centre_of_mass(found.profiles).tolist(),
            "module_shares": {name: share.tolist() for name, share in module_shares(found).items()},
        },
    }
    cross = cross_half_of_product(products.AB, nulls=settings.nulls, rng=rng)
    result["cross_half"] = cross_half_figures(cross, "total")
    on_step("cross-half spectrum")
    result["counts"] = _counts(products.K, svd.shape[1], settings, rng)
    on_step("counts of samples")
    result["residual"] = _residuals(products, run.settings.epochs, settings, rng)
    on_step("residuals")
    result["turning"] = turning(
        run,
        found.profiles[:, : settings.turning],
        products.updates,
        window=settings.window,
        permutations=settings.permutations,
        rng=rng,
    )
    on_step("turning with digits")
    return result, found


def _of_log(run: DigitRun, settings: DigitAnalyzeSettings, on_step: OnStep) -> _Products:
    log = whole_log(run)
    rows, half_a, half_b = log.rows(), log.rows(half="A"), log.rows(half="B")
    with optional_cluster(settings.dask) as cluster:
        how = {"device": settings.device, "cluster": cluster}
        AA = gram(half_a, **how)
        on_step("inner products of half A")
        K = AA + gram(half_b, **how)
        on_step("inner products of half B")
        AB = gram(half_a, half_b, **how)
        K += AB + AB.T
        on_step("inner products of A with B")
        svd = svd_of_gram(K, parameters=log.parameters)
        source = {"lens": "temporal SVD", "rows": "total", "unit": False, "seed": run.settings.seed}
        which = range(min(settings.directions, len(svd)))
        found = directions(svd, rows, which, layout=log.layout, source=source, **how)
    on_step("directions")
    updates = rows.records["update"].astype(int)  # pyright: ignore[reportAttributeAccessIssue]
    return _Products(K, AB, AA, svd, found, updates, log.about["row"])


def _of_replay(run: DigitRun, settings: DigitAnalyzeSettings, on_step: OnStep) -> _Products:
    trained = replace(run.settings, record="update")
    replay = replay_directions(
        replay_digit_training(trained),
        layout=parameter_layout(trained.new_network()),
        count=settings.directions,
        times=run.last_time,
        window_bytes=settings.window_mb * 2**20,
        width=settings.sketch_width,
        seed=settings.seed,
        source={"rows": "total", "unit": False, "seed": trained.seed},
    )
    on_step("replay")
    products = replay.products
    assert products.cross is not None  # a classifier's rows come in halves
    updates = products.time_records["update"].astype(int)
    return _Products(
        *(
            products.gram,
            products.cross,
            None,
            replay.svd,
            replay.directions,
            updates,
            "one update, replayed",
        ),
        replay=replay_figures(replay),
    )


def _counts(
    K: np.ndarray, parameters: int, settings: DigitAnalyzeSettings, rng: np.random.Generator
) -> dict[str, Any]:
    """Counts of sampled and of all updates' singular values, of the rows as they are, of unit length, and centred."""
    sampled = min(settings.sampled, len(K))
    figures: dict[str, Any] = {"sampled": sampled, "draws": settings.draws, "thresholds": list(THRESHOLDS)}
    for name, matrix in (("raw", K), ("unit", unit_gram(K)), ("centred", centred_gram(K))):
        found = sampled_counts(matrix, sampled, settings.draws, THRESHOLDS, parameters=parameters, rng=rng)
        whole = singular_values_of_gram(matrix)
        figures[name] = {
            "mean": found.counts.mean(0).tolist(),
            "sd": _sd(found.counts),
            "null_mean": found.null_counts.mean(0).tolist(),
            "null_sd": _sd(found.null_counts),
            "whole": [count_above(whole, share) for share in THRESHOLDS],
        }
    return figures


def _residuals(
    products: _Products, epochs: int, settings: DigitAnalyzeSettings, rng: np.random.Generator
) -> dict[str, Any]:
    """What samples and earlier epochs leave over of other updates' gradients, noise included and without it."""
    K, AB, AA = products.K, products.AB, products.AA
    T, energy, parameters = len(K), np.diag(K), products.svd.shape[1]
    samples: dict[str, Any] = {"sampled": [], "mean": [], "sd": [], "noise": []}
    samples |= {"signal_mean": [], "signal_sd": []} if AA is not None else {}
    for size in (size for size in settings.residual_samples if size < T):
        shares, signal_shares = [], []
        for _ in range(settings.draws):
            order = rng.permutation(T)
            basis, others = order[:size], order[size:]
            left = residual_share(K, basis, others)
            shares.append(float(left @ energy[others] / energy[others].sum()))
            if AA is not None:
                signal_shares.append(_signal_left(K, AA, AB, basis, others))
        samples["sampled"].append(size)
        samples["mean"].append(float(np.mean(shares)))
        samples["sd"].append(_sd(np.array(shares)))
        samples["noise"].append(1 - size / parameters)  # white noise leaves this
        if signal_shares:
            samples["signal_mean"].append(float(np.mean(signal_shares)))
            samples["signal_sd"].append(_sd(np.array(signal_shares)))
    result: dict[str, Any] = {"samples": samples, "epochs": None}
    if epochs > 1:
        per_epoch = T // epochs
        first, second = np.arange(per_epoch), np.arange(per_epoch, 2 * per_epoch)
        result["epochs"] = _epoch_residuals(K, energy, first, second)
    return result


def _epoch_residuals(
    K: np.ndarray, energy: np.ndarray, first: np.ndarray, second: np.ndarray
) -> dict[str, Any]:
    """Directions of epoch 1 on every other update of epoch 2, beside those of the updates in between."""
    held_out, between = second[1::2], second[::2]
    ranks = [rank for rank in RANKS if rank <= len(between)]
    share = energy[held_out] / energy[held_out].sum()
    of_first = residual_of_directions(K, first, held_out, ranks) @ share
    of_between = residual_of_directions(K, between, held_out, ranks) @ share
    return {"ranks": ranks, "epoch_1": of_first.tolist(), "same_epoch": of_between.tolist()}


def _signal_left(
    K: np.ndarray, AA: np.ndarray, AB: np.ndarray, basis: np.ndarray, others: np.ndarray
) -> float:
    """Share of the others' noise-free energy outside the span of the basis rows; its estimate may leave 0…1.

    The product of a row's halves has no noise bias: its signal is 4 a·b, and of that 4 a·Πb lies in the span.
    """
    weights = np.linalg.pinv(K[np.ix_(basis, basis)], rcond=1e-7, hermitian=True)
    along_a = (AA + AB.T)[np.ix_(basis, others)]  # whole rows with half A
    along_b = K[np.ix_(basis, others)] - along_a
    explained = np.einsum("bm,bm->", along_a, weights @ along_b)
    return float(1 - explained / np.diag(AB)[others].sum())


def _sd(values: np.ndarray) -> Any:
    """Standard deviation over draws; zero for a single one."""
    return (values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])).tolist()
