"""The temporal lens on a classifier's run: the counts of the MNIST baseline, beside what they are counts of.

All of it but the directions follows from three T × T matrices, the inner products of the halves' rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..agents.digit_run import DigitRun
from ..agents.run_directory import check_device
from .cross_half import cross_half_of_product
from .dependence import coincidence, detrended, lagged_dependence
from .directions import Directions, module_shares
from .gram import gram
from .log_spectra import cross_half_figures, spectrum_figures, whole_log
from .null_spectra import count_above
from .profiles import centre_of_mass, change_points
from .sampling import (
    centred_gram,
    residual_of_directions,
    residual_share,
    sampled_counts,
    singular_values_of_gram,
    unit_gram,
)
from .temporal_svd import directions, svd_of_gram

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
        window: measured times of the running mean that these tests take out; odd.
        device: where matrix products run.
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
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("directions", "sampled", "draws", "nulls", "turning", "permutations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if any(size < 1 for size in self.residual_samples):
            raise ValueError(f"residual_samples is {self.residual_samples}: give numbers of at least 1")
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"window is {self.window}: give an odd number of at least 3")
        check_device(self.device)


def analyze_digits(
    run: DigitRun, settings: DigitAnalyzeSettings, on_step: OnStep = lambda step: None
) -> tuple[dict[str, Any], Directions]:
    """Decompose a classifier's gradients; returns what analysis.json holds, and the strongest directions."""
    log = whole_log(run)
    rng = np.random.default_rng(settings.seed)
    rows, half_a, half_b = log.rows(), log.rows(half="A"), log.rows(half="B")
    AA = gram(half_a, device=settings.device)
    on_step("inner products of half A")
    BB = gram(half_b, device=settings.device)
    on_step("inner products of half B")
    AB = gram(half_a, half_b, device=settings.device)
    on_step("inner products of A with B")
    K = AA + AB + AB.T + BB
    svd = svd_of_gram(K, parameters=log.parameters, dtype=rows.dtype)
    found = directions(
        svd, rows, range(min(settings.directions, len(svd))), layout=log.layout, device=settings.device
    ).replaced(source={"lens": "temporal SVD", "rows": "total", "unit": False, "seed": run.settings.seed})
    on_step("directions")
    updates = rows.records["update"].astype(int)  # pyright: ignore[reportAttributeAccessIssue]
    result: dict[str, Any] = {
        "kind": run.kind,
        "row": log.about["row"],
        "updates": updates.tolist(),
        "updates_per_epoch": run.last_time // run.settings.epochs,
        "row_norms": np.sqrt(svd.row_energies).tolist(),
        **spectrum_figures(svd, rng),
        "floor": svd.floor,
        "below_floor": svd.below_floor,
        "directions": {
            "count": len(found.singular_values),
            "centre_of_mass": centre_of_mass(found.profiles).tolist(),
            "module_shares": {name: share.tolist() for name, share in module_shares(found).items()},
        },
    }
    cross = cross_half_of_product(AB, nulls=settings.nulls, rng=rng)
    result["cross_half"] = cross_half_figures(cross, "total")
    on_step("cross-half spectrum")
    result["counts"] = _counts(K, log.parameters, settings, rng)
    on_step("counts of samples")
    result["residual"] = _residuals(AA, AB, BB, run, settings, rng)
    on_step("residuals")
    result["turning"] = turning(run, found.profiles[:, : settings.turning], updates, settings, rng)
    on_step("turning with digits")
    return result, found


def _counts(
    K: np.ndarray, parameters: int, settings: DigitAnalyzeSettings, rng: np.random.Generator
) -> dict[str, Any]:
    """Counts of sampled and of all updates' singular values, of the rows as they are, of unit length, and centred."""
    sampled = min(settings.sampled, len(K))
    figures: dict[str, Any] = {"sampled": sampled, "draws": settings.draws, "thresholds": list(THRESHOLDS)}
    for name, matrix in (("raw", K), ("unit", unit_gram(K)), ("centred", centred_gram(K))):
        found = sampled_counts(
            matrix, sampled, settings.draws, THRESHOLDS, parameters=parameters, rng=rng
        )
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
    AA: np.ndarray,
    AB: np.ndarray,
    BB: np.ndarray,
    run: DigitRun,
    settings: DigitAnalyzeSettings,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """What samples and earlier epochs leave over of other updates' gradients, noise included and without it."""
    K, T = AA + AB + AB.T + BB, len(AA)
    # The product of the halves has no noise: a row's signal is 4 a·b, and its part outside a span follows likewise.
    crossed = AA + AB.T, AB + BB  # rows of the whole with half A, and with half B
    energy, signal = np.diag(K), 4 * np.diag(AB)
    samples: dict[str, Any] = {"sampled": [], "mean": [], "sd": [], "signal_mean": [], "signal_sd": [], "noise": []}
    for size in (size for size in settings.residual_samples if size < T):
        shares, signal_shares = [], []
        for _ in range(settings.draws):
            order = rng.permutation(T)
            basis, others = order[:size], order[size:]
            left = residual_share(K, basis, others)
            shares.append(float(left @ energy[others] / energy[others].sum()))
            signal_shares.append(_signal_left(K, crossed, signal, basis, others))
        samples["sampled"].append(size)
        samples["mean"].append(float(np.mean(shares)))
        samples["sd"].append(_sd(np.array(shares)))
        samples["signal_mean"].append(float(np.mean(signal_shares)))
        samples["signal_sd"].append(_sd(np.array(signal_shares)))
        samples["noise"].append(1 - size / run.parameters_after(0).numel())  # white noise leaves this
    result: dict[str, Any] = {"samples": samples, "epochs": None}
    per_epoch = T // run.settings.epochs
    if run.settings.epochs > 1:
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
    K: np.ndarray,
    crossed: tuple[np.ndarray, np.ndarray],
    signal: np.ndarray,
    basis: np.ndarray,
    others: np.ndarray,
) -> float:
    """Share of the others' noise-free energy outside the span of the basis rows; its estimate may leave 0…1."""
    weights = np.linalg.pinv(K[np.ix_(basis, basis)], rcond=1e-7, hermitian=True)
    along_a, along_b = (products[np.ix_(basis, others)] for products in crossed)
    explained = 4 * np.einsum("bm,bc,cm->m", along_a, weights, along_b, optimize=True)
    return float(1 - explained.sum() / signal[others].sum())


def turning(
    run: DigitRun,
    profiles: np.ndarray,
    updates: np.ndarray,
    settings: DigitAnalyzeSettings,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """Whether profiles turn when a digit's accuracy or a confusion does, beside permutations; None if unmeasured."""
    measured = [record for record in run.progress() if "measures" in record]
    if len(measured) < 2 * settings.window:
        return None
    edges = np.array([record["update"] for record in measured])
    names, curves = _behaviour_curves(measured)
    # Energy of each profile between two measures, and how the measures changed over the same updates.
    bins = np.searchsorted(edges, updates, side="right") - 1
    energies = np.stack([np.bincount(bins, p**2, minlength=len(edges) - 1) for p in profiles.T], axis=1)
    changes = np.abs(np.diff(curves, axis=0))
    window, width = settings.window, settings.window // 3
    lagged = lagged_dependence(
        detrended(energies, window),
        detrended(changes, window),
        max_lag=3,
        block=width,
        permutations=settings.permutations,
        rng=rng,
    )
    turns = [change_points(profile) for profile in energies.T]
    curve_turns = [change_points(curve) for curve in curves[1:].T]
    met = coincidence(
        turns, curve_turns, len(energies), tolerance=1, permutations=settings.permutations, rng=rng
    )
    return {
        "times": edges[1:].tolist(),
        "curves": names,
        "correlation": lagged.correlation.tolist(),
        "curve": [names[index] for index in lagged.curve],
        "lag": lagged.lag.tolist(),
        "p_value": lagged.p_value.tolist(),
        "turns": met.turns,
        "coinciding": met.coinciding,
        "coinciding_null": met.null_mean,
        "coinciding_p": met.p_value,
        "profile_turns": [edges[1:][found].tolist() for found in turns],
        "curve_turns": {name: edges[1:][found].tolist() for name, found in zip(names, curve_turns, strict=True)},
    }


def _behaviour_curves(measured: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
    """Each digit's accuracy less the mean of all digits, and the ten largest confusions, (n, 20)."""
    table = np.array([record["confusion"] for record in measured])
    accuracy = np.stack([table[:, digit, digit] for digit in range(10)], axis=1)
    confusions = table.max(axis=0) * ~np.eye(10, dtype=bool)
    largest = np.argsort(confusions, axis=None)[::-1][:10]
    pairs = [tuple(int(i) for i in np.unravel_index(flat, (10, 10))) for flat in largest]
    names = [f"digit_{digit}" for digit in range(10)] + [f"{shown} called {called}" for shown, called in pairs]
    curves = [accuracy - accuracy.mean(axis=1, keepdims=True)]
    curves += [table[:, shown, called][:, None] for shown, called in pairs]
    return names, np.concatenate(curves, axis=1)


def _sd(values: np.ndarray) -> Any:
    """Standard deviation over draws; zero for a single one."""
    return (values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])).tolist()
