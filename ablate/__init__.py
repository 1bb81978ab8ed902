"""Cuts: remove directions, compare with controls, tell which goal went away."""

from .ablation import AblateSettings, Ablation
from .cuts import cut_parameters, relative_norm
from .judge import GOAL_MEASURE, OTHER_GOAL, Judge, Verdict
from .selection import Selection, by_contrast, by_time, by_window, within_module
from .table import CutRow, DoseCurve, load_table, save_table
from .tuned import TuneSettings, tune_doses

__all__ = [
    "GOAL_MEASURE",
    "OTHER_GOAL",
    "AblateSettings",
    "Ablation",
    "CutRow",
    "DoseCurve",
    "Judge",
    "Selection",
    "TuneSettings",
    "Verdict",
    "by_contrast",
    "by_time",
    "by_window",
    "cut_parameters",
    "load_table",
    "relative_norm",
    "save_table",
    "tune_doses",
    "within_module",
]
