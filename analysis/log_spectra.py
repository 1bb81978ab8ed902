"""Figures of a gradient log that every learner's analysis gives: spectra beside their nulls."""

from dataclasses import asdict
from typing import Any

import numpy as np

from ..agents.files import RESTORE, RunFileError
from ..agents.gradient_log import GradientLog
from ..agents.run_directory import RunDirectory
from .cross_half import CrossHalfSpectrum
from .null_spectra import count_above, matched_noise_spectrum
from .replay import Replay
from .temporal_svd import TemporalSVD


def whole_log(run: RunDirectory[Any]) -> GradientLog:
    """The run's log.

    Raises:
        RunFileError: it is missing or damaged, or has fewer rows than a finished training leaves.
    """
    log = run.gradient_log()
    there = log.rows().shape[0]
    if run.trained and there != run.logged_rows:
        raise RunFileError(
            f"{run.gradients} is cut off: {there} whole rows of {run.logged_rows} are left: {RESTORE}"
        )
    if there < 2:
        raise ValueError(f"the log has {there} rows: a temporal SVD wants at least 2")
    return log


def spectrum_figures(svd: TemporalSVD, rng: np.random.Generator) -> dict[str, Any]:
    """Singular values beside those of white noise of the same row norms."""
    times, parameters = svd.shape
    null = matched_noise_spectrum(np.sqrt(svd.row_energies), parameters, rng)
    return {
        "rows": times,
        "parameters": parameters,
        "singular_values": svd.singular_values.tolist(),
        "null_singular_values": null.tolist(),
        "above_tenth": count_above(svd.singular_values),
        "null_above_tenth": count_above(null),
    }


def cross_half_figures(spectrum: CrossHalfSpectrum, term: str) -> dict[str, Any]:
    """The cross-half spectrum of one term's rows, in units of the whole gradient's squared singular values."""
    whole = 4.0  # A and B are contributions: the whole is their sum, twice the size of either
    return {
        "term": term,
        "eigenvalues": (whole * spectrum.eigenvalues).tolist(),
        "null_top": (whole * spectrum.null_top).tolist(),
        "threshold": whole * spectrum.threshold,
        "signal_directions": spectrum.signal_directions,
        "negative_directions": spectrum.negative_directions,
        "noise_floor": whole * spectrum.noise_floor,
    }


def replay_figures(replay: Replay) -> dict[str, Any]:
    """What a replay cost, and how far its inner products may be from the rows' own."""
    products = replay.products
    return asdict(replay.cost) | {
        "sketch_width": products.sketch_width,
        "spectral_error": products.spectral_error(),
    }


def check_replay(window_mb: int, sketch_width: int) -> None:
    """Refuse settings of a replay that it could not use.

    Raises:
        ValueError: with what to give instead.
    """
    if window_mb < 0:
        raise ValueError(f"window_mb is {window_mb}: give megabytes, or 0 to sketch always")
    if sketch_width < 2 or sketch_width % 2:
        raise ValueError(f"sketch_width is {sketch_width}: give an even number, for instance 8192")
