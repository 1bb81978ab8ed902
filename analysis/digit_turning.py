"""Do a classifier's directions turn when its capabilities do? Profiles beside each digit's accuracy and confusions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..agents.digit_run import DigitRun
from .dependence import coincidence, lagged_dependence, steadied
from .profiles import change_points


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
    measured = [record for record in run.progress() if "measures" in record]
    if len(measured) <= 4 * window:
        return None
    edges = np.array([record["update"] for record in measured])
    names, curves = _behaviour_curves(measured)
    # Energy of each profile between two measures, and how the measures changed over the same updates.
    bins = np.searchsorted(edges, updates, side="right") - 1
    energies = np.stack([np.bincount(bins, p**2, minlength=len(edges) - 1) for p in profiles.T], axis=1)
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
    curve_turns = [change_points(curve) for curve in curves[1:].T]
    met = coincidence(
        turns, curve_turns, len(energies), tolerance=1, reach=window // 3, permutations=permutations, rng=rng
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
        "curve_turns": {
            name: edges[1:][found].tolist() for name, found in zip(names, curve_turns, strict=True)
        },
    }


def _behaviour_curves(measured: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
    """Each digit's accuracy less the mean of all digits, and the ten largest confusions, (n, 20)."""
    table = np.array([record["confusion"] for record in measured])
    accuracy = np.stack([table[:, digit, digit] for digit in range(10)], axis=1)
    confusions = table.max(axis=0) * ~np.eye(10, dtype=bool)
    largest = np.argsort(confusions, axis=None)[::-1][:10]
    pairs = [tuple(int(i) for i in np.unravel_index(flat, (10, 10))) for flat in largest]
    names = [f"digit_{digit}" for digit in range(10)] + [
        f"{shown} called {called}" for shown, called in pairs
    ]
    curves = [accuracy - accuracy.mean(axis=1, keepdims=True)]
    curves += [table[:, shown, called][:, None] for shown, called in pairs]
    return names, np.concatenate(curves, axis=1)
