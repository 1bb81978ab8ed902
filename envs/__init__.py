"""Worlds: maze levels and batched environments. Knows nothing of learning."""

from .cheese_maze import CheeseMaze, Step, default_time_limit, next_cells, observations
from .generator import LevelSettings, layout_split, make_levels
from .levels import MOVES, STEPS, Level, Levels, corner_region

__all__ = [
    "MOVES",
    "STEPS",
    "CheeseMaze",
    "Level",
    "LevelSettings",
    "Levels",
    "Step",
    "corner_region",
    "default_time_limit",
    "layout_split",
    "make_levels",
    "next_cells",
    "observations",
]
