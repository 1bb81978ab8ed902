"""Worlds: maze levels and batched environments. Knows nothing of learning.

Importing it registers the environments with Gymnasium (`registration.ENVIRONMENTS`).
"""

from . import ascii
from .cheese_maze import CheeseMaze, Step, default_time_limit, next_cells, observations
from .frames import frame
from .generator import LevelSettings, layout_split, make_levels
from .gymnasium_env import CheeseMazeEnv
from .gymnasium_vector_env import CheeseMazeVectorEnv
from .levels import MOVES, STEPS, Level, Levels, corner_region
from .registration import ENVIRONMENTS, register_environments
from .solver import distances, optimal_actions, shortest_path

register_environments()

__all__ = [
    "ENVIRONMENTS",
    "MOVES",
    "STEPS",
    "CheeseMaze",
    "CheeseMazeEnv",
    "CheeseMazeVectorEnv",
    "Level",
    "LevelSettings",
    "Levels",
    "Step",
    "ascii",
    "corner_region",
    "default_time_limit",
    "distances",
    "frame",
    "layout_split",
    "make_levels",
    "next_cells",
    "observations",
    "optimal_actions",
    "shortest_path",
]
