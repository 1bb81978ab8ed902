"""Lenses: gradient rows in, spectra and directions out. Pure numerics, arrays in, arrays out."""

from .along_profiles import directions_along
from .cluster import open_cluster
from .cross_half import CrossHalfSpectrum, cross_half_of_product, cross_half_spectrum
from .directions import Directions, Layout, module_shares
from .gram import gram
from .maze_analysis import AnalyzeSettings, analyze_run
from .null_spectra import count_above, matched_noise_spectrum, random_walk_shares
from .profiles import centre_of_mass, change_points, crossing_time, energy_before, energy_between
from .replay import Replay, replay_directions
from .rotations import Varimax, principal_angles, rotated, varimax
from .rows import PANEL_BYTES, FileRows, Rows, UnitRows, as_rows, panels, row_norms
from .temporal_svd import TemporalSVD, directions, svd_of_gram, temporal_svd

__all__ = [
    "PANEL_BYTES",
    "AnalyzeSettings",
    "CrossHalfSpectrum",
    "Directions",
    "FileRows",
    "Layout",
    "Replay",
    "Rows",
    "TemporalSVD",
    "UnitRows",
    "Varimax",
    "analyze_run",
    "as_rows",
    "centre_of_mass",
    "change_points",
    "count_above",
    "cross_half_of_product",
    "cross_half_spectrum",
    "crossing_time",
    "directions",
    "directions_along",
    "energy_before",
    "energy_between",
    "gram",
    "matched_noise_spectrum",
    "module_shares",
    "open_cluster",
    "panels",
    "principal_angles",
    "random_walk_shares",
    "replay_directions",
    "rotated",
    "row_norms",
    "svd_of_gram",
    "temporal_svd",
    "varimax",
]
