"""Worlds: maze levels and batched environments. Knows nothing of learning.

Importing it registers the environments with Gymnasium (`registration.ENVIRONMENTS`).
"""

from . import ascii
from .ansi import ansi
from .cheese_maze import CheeseMaze, Step
from .editing import every_mouse, every_place, moved, with_wall, without_wall
from .episodes import Episodes, Film, film
from .first_pay import solvable, steps_to_pay
from .frames import frame, tiled
from .generator import layout_split, make_levels
from .gymnasium_env import CheeseMazeEnv
from .gymnasium_vector_env import CheeseMazeVectorEnv
from .hashing import duplicates, layout_hashes, level_hashes, shared
from .levels import MOVES, NUM_ACTIONS, STEPS, Level, Levels, corner_region
from .moves import default_time_limit, next_cells
from .mutators import move_mouse, move_thing, mutated, step_mouse, step_thing, toggle_wall
from .picture_files import episode_gif, write_gif, write_png
from .planes import observations, plane_names
from .registration import ENVIRONMENTS, WORLD_IDS, register_environments
from .solver import connected, distances, optimal_actions, shortest_path, solution
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
    "Episodes",
    "Film",
    "Level",
    "Levels",
    "LineAndGem",
    "StarsAndCheese",
    "StateGraph",
    "StateGraphTooLarge",
    "Step",
    "World",
    "ansi",
    "ascii",
    "connected",
    "corner_region",
    "default_time_limit",
    "distances",
    "duplicates",
    "episode_gif",
    "every_mouse",
    "every_place",
    "film",
    "frame",
    "layout_hashes",
    "layout_split",
    "level_hashes",
    "make_levels",
    "move_mouse",
    "move_thing",
    "moved",
    "mutated",
    "next_cells",
    "observations",
    "optimal_actions",
    "plane_names",
    "register_environments",
    "shared",
    "shortest_path",
    "solution",
    "solvable",
    "step_mouse",
    "step_thing",
    "steps_to_pay",
    "tiled",
    "toggle_wall",
    "with_wall",
    "without_wall",
    "world_named",
    "write_gif",
    "write_png",
]
