"""The environments that importing `goalcut.envs` makes known to Gymnasium, as a table."""

from typing import Any

import gymnasium

from .world import World
from .worlds import WORLDS


def _id(card: type[World]) -> str:
    # The first world had its id before it had sisters.
    title = {"CheeseInCorner": "CheeseMaze"}.get(card.__name__, card.__name__)
    return f"goalcut/{title}-v0"


WORLD_IDS: dict[str, str] = {name: _id(card) for name, card in WORLDS.items()}
"""Name of a world → id of its environments."""

# id: one environment, the batch, settings.
ENVIRONMENTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    WORLD_IDS[name]: (
        "gymnasium_env:CheeseMazeEnv",
        "gymnasium_vector_env:CheeseMazeVectorEnv",
        {"world": name},
    )
    for name in WORLDS
}
# The same, of the extra goalcut[procgen]; without it, making one says so.
PROCGEN_ENVIRONMENTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "goalcut/ProcgenMaze-v0": (
        "procgen_gymnasium:ProcgenMazeEnv",
        "procgen_gymnasium:ProcgenMazeVectorEnv",
        {},
    ),
}


def register_environments() -> None:
    """Add every row of the tables to Gymnasium's registry; a second call changes nothing."""
    for name, (single, batch, settings) in (ENVIRONMENTS | PROCGEN_ENVIRONMENTS).items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point=f"{__package__}.{single}",
                vector_entry_point=f"{__package__}.{batch}",
                kwargs=settings,
            )
