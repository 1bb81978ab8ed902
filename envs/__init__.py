"""Worlds: maze levels and batched environments. Knows nothing of learning.

Importing it registers the environments with Gymnasium (`registration.ENVIRONMENTS`).
"""

from . import ascii
from .cheese_maze import CheeseMaze, Step
from .frames import frame
from .generator import layout_split, make_levels
from .gymnasium_env import CheeseMazeEnv
from .gymnasium_vector_env import CheeseMazeVectorEnv
from .levels import MOVES, NUM_ACTIONS, STEPS, Level, Levels, corner_region
from .moves import default_time_limit, next_cells
from .planes import observations, plane_names
from .registration import ENVIRONMENTS, WORLD_IDS, register_environments
from .solver import distances, optimal_actions, shortest_path, solution
from .state_graph import StateGraph, StateGraphTooLarge
from .world import World
from .worlds import WORLDS, CheeseInCorner, CheeseOnDish, LineAndGem, StarsAndCheese, world_named

register_environments()

__all__ = [
    "ENVIRONMENTS",
    "MOVES",
    "NUM_ACTIONS",
    "STEPS",
    "WORLDS",
    "WORLD_IDS",
    "CheeseInCorner",
    "CheeseMaze",
    "CheeseMazeEnv",
    "CheeseMazeVectorEnv",
    "CheeseOnDish",
    "Level",
    "Levels",
    "LineAndGem",
    "StarsAndCheese",
    "StateGraph",
    "StateGraphTooLarge",
    "Step",
    "World",
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
    "plane_names",
    "register_environments",
    "shortest_path",
    "solution",
    "world_named",
]
