"""Cuts: remove directions, compare with controls, tell which goal went away."""

from .ablation import Ablation
from .activations import EditedNetwork, activations_at
from .compare import Budget, ComparedRow, Comparison, best_within
from .contrast_pairs import corner_pairs, thing_pairs
from .contrast_vectors import contrast_directions, contrast_vector
from .cuts import cut_parameters, relative_norm
from .digit_cuts import DigitAblateSettings, DigitAblation
from .digit_goals import DIGIT_GOALS, ClassifierBehaviour
from .edits import AddVector, ClampChannel, Edit, MeanAblation, ProjectOut, ResampleAblation, mean_activations
from .goal import Goal
from .journal import Journal
from .judge import Behaviour, Judge, Verdict
from .maze_compare import CompareSettings, MazeComparison
from .maze_cuts import AblateSettings, MazeAblation
from .maze_goals import MazeBehaviour, maze_goals
from .maze_methods import maze_methods
from .measure_gradients import gradient_directions, measure_gradients
from .method import Change, Method, Rung
from .method_settings import MethodSettings
from .plan import CutSettings, PlannedCut
from .remake import remade
from .selection import Selection, by_contrast, by_rank, by_time, by_window, within_module
from .side_effects import SideEffect, SideEffects
from .sparse_masks import SparseSettings, found_change, largest_entries, moved_in, sparse_change
from .subspaces import module_directions, random_coordinates, random_directions
from .table import CutRow, DoseCurve, load_table, save_table
from .tuned import FEW_DOSES, TuneSettings, tune_doses
from .tuned_edits import tune_projection
from .tuning_loss import TuningLoss

__all__ = [
    "DIGIT_GOALS",
    "FEW_DOSES",
    "AblateSettings",
    "Ablation",
    "AddVector",
    "Behaviour",
    "Budget",
    "Change",
    "ClampChannel",
    "ClassifierBehaviour",
    "CompareSettings",
    "ComparedRow",
    "Comparison",
    "CutRow",
    "CutSettings",
    "DigitAblateSettings",
    "DigitAblation",
    "DoseCurve",
    "Edit",
    "EditedNetwork",
    "Goal",
    "Journal",
    "Judge",
    "MazeAblation",
    "MazeBehaviour",
    "MazeComparison",
    "MeanAblation",
    "Method",
    "MethodSettings",
    "PlannedCut",
    "ProjectOut",
    "ResampleAblation",
    "Rung",
    "Selection",
    "SideEffect",
    "SideEffects",
    "SparseSettings",
    "TuneSettings",
    "TuningLoss",
    "Verdict",
    "activations_at",
    "best_within",
    "by_contrast",
    "by_rank",
    "by_time",
    "by_window",
    "contrast_directions",
    "contrast_vector",
    "corner_pairs",
    "cut_parameters",
    "found_change",
    "gradient_directions",
    "largest_entries",
    "load_table",
    "maze_goals",
    "maze_methods",
    "mean_activations",
    "measure_gradients",
    "module_directions",
    "moved_in",
    "random_coordinates",
    "random_directions",
    "relative_norm",
    "remade",
    "save_table",
    "sparse_change",
    "thing_pairs",
    "tune_doses",
    "tune_projection",
    "within_module",
]
