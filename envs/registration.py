"""The environments that importing `goalcut.envs` makes known to Gymnasium, as a table."""

import gymnasium

# id: one environment, the batch.
ENVIRONMENTS = {
    "goalcut/CheeseMaze-v0": ("gymnasium_env:CheeseMazeEnv", "gymnasium_vector_env:CheeseMazeVectorEnv"),
}
# The same, of the extra goalcut[procgen]; without it, making one says so.
PROCGEN_ENVIRONMENTS = {
    "goalcut/ProcgenMaze-v0": ("procgen_gymnasium:ProcgenMazeEnv", "procgen_gymnasium:ProcgenMazeVectorEnv"),
}


def register_environments() -> None:
    """Add every row of the tables to Gymnasium's registry; a second call changes nothing."""
    for name, (single, batch) in (ENVIRONMENTS | PROCGEN_ENVIRONMENTS).items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name, entry_point=f"{__package__}.{single}", vector_entry_point=f"{__package__}.{batch}"
            )
