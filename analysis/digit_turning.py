"""Do a classifier's directions turn when its capabilities do? Profiles beside each digit's accuracy and confusions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..agents.digit_run import DigitRun
from .dependence import coincidence, lagged_dependence, steadied
from .profiles import change_points, typical_noise


def turning(
    run: DigitRun,
    profiles: np.ndarray,
    updates: np.ndarray,
    *,
    window: int,
    permutations: int,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """Whether profiles turn when a digit's accuracy or a confusion does, beside permutations.

    Args:
        run: a trained run whose progress holds the confusions.
        profiles: (T, k), of the directions to test.
        updates: of each row (T,).
        window: measured times of the running mean and spread that are taken out of both; odd. Twice as many stay
            together when permuted; turns move by up to a third of it.
        permutations: how many.
        rng: the generator to draw from.

    Returns:
        What analysis.json holds; None where the run was measured no more often than four windows take.
    """
    # Records of equal distance alone: a shorter stretch holds less of everything, in every curve alike.
    every = run.settings.measure_every
    measured = [r for r in run.progress() if "measures" in r and every and r["update"] % every == 0]
    if len(measured) <= 4 * window:
        return None
    edges = np.array([record["update"] for record in measured])
    names, curves, noise = _behaviour_curves(measured, run.settings.measure_images)
    # Energy of each profile between two measures, and how the measures changed over the same updates.
    within = updates < edges[-1]
    bins = np.searchsorted(edges, updates[within], side="right") - 1
    energies = np.stack([np.bincount(bins, p**2) for p in profiles[within].T], axis=1)
    changes = np.abs(np.diff(curves, axis=0))
    lagged = lagged_dependence(
        steadied(energies, window),
        steadied(changes, window),
        max_lag=3,
        block=2 * window,
        permutations=permutations,
        rng=rng,
    )
    turns = [change_points(profile) for profile in energies.T]
    curve_turns = [
        change_points(curve, noise=max(least, typical_noise(curve)))
        for curve, least in zip(curves[1:].T, noise, strict=True)
    ]
    met = coincidence(turns, curve_turns, len(energies), tolerance=1, reach=window)
    return {
        "times": edges[1:].tolist(),
        "curves": names,
        "correlation": lagged.correlation.tolist(),
        "curve": [names[index] for index in lagged.curve],
        "lag": lagged.lag.tolist(),
        "p_value": lagged.p_value.tolist(),
        "found": lagged.found,
        "found_null": lagged.found_null,
        "found_p": lagged.found_p,
        "turns": met.turns,
        "coinciding": met.coinciding,
        "coinciding_null": met.null_mean,
        "coinciding_p": met.p_value,
        "covered": met.covered,
        "profile_turns": [edges[1:][found].tolist() for found in turns],
        "curve_turns": {
            name: edges[1:][found].tolist() for name, found in zip(names, curve_turns, strict=True)
        },
    }


def _behaviour_curves(
    measured: Sequence[dict[str, Any]], images: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Each digit's accuracy less the mean of all digits, and the ten largest confusions of the second half, (n, 20).

    Also the error of each curve that comes of counting so few images, (20,): a share p of n images has √(p(1 − p)/n),
    and at least that of one image.
    """
    table = np.array([record["confusion"] for record in measured])
    late = table[len(table) // 2 :].mean(axis=0)
    accuracy = np.stack([table[:, digit, digit] for digit in range(10)], axis=1)
    # An untrained network's confusions are of its initial parameters and soon gone: they are no capability.
    largest = np.argsort(late * ~np.eye(10, dtype=bool), axis=None)[::-1][:10]
    pairs = [tuple(int(i) for i in np.unravel_index(flat, (10, 10))) for flat in largest]
    names = [f"digit_{digit}" for digit in range(10)]
    names += [f"{shown} called {called}" for shown, called in pairs]
    curves = [accuracy - accuracy.mean(axis=1, keepdims=True)]
    curves += [table[:, shown, called][:, None] for shown, called in pairs]
    shares = np.array([late[digit, digit] for digit in range(10)] + [late[pair] for pair in pairs])
    per_digit = images / 10
    noise = np.sqrt(np.maximum(shares * (1 - shares), 1 / per_digit) / per_digit)
    return names, np.concatenate(curves, axis=1), noise
