"""Cuts: remove directions, compare with controls, tell which goal went away."""

from .ablation import Ablation
from .cuts import cut_parameters, relative_norm
from .digit_cuts import DigitAblateSettings, DigitAblation
from .digit_goals import DIGIT_GOALS, ClassifierBehaviour
from .goal import Goal
from .journal import Journal
from .judge import Behaviour, Judge, Verdict
from .maze_cuts import AblateSettings, MazeAblation
from .maze_goals import MazeBehaviour, maze_goals
from .plan import CutSettings, PlannedCut
from .selection import Selection, by_contrast, by_rank, by_time, by_window, within_module
from .table import CutRow, DoseCurve, load_table, save_table
from .tuned import TuneSettings, tune_doses

__all__ = [
    "DIGIT_GOALS",
    "AblateSettings",
    "Ablation",
    "Behaviour",
    "ClassifierBehaviour",
    "CutRow",
    "CutSettings",
    "DigitAblateSettings",
    "DigitAblation",
    "DoseCurve",
    "Goal",
    "Journal",
    "Judge",
    "MazeAblation",
    "MazeBehaviour",
    "PlannedCut",
    "Selection",
    "TuneSettings",
    "Verdict",
    "by_contrast",
    "by_rank",
    "by_time",
    "by_window",
    "cut_parameters",
    "load_table",
    "maze_goals",
    "relative_norm",
    "save_table",
    "tune_doses",
    "within_module",
]
