"""The environments that importing `goalcut.envs` makes known to Gymnasium, as a table."""

import gymnasium

# id: one environment, the batch.
ENVIRONMENTS = {
    "goalcut/CheeseMaze-v0": ("gymnasium_env:CheeseMazeEnv", "gymnasium_vector_env:CheeseMazeVectorEnv"),
}


def register_environments() -> None:
    """Add every row of the table to Gymnasium's registry; a second call changes nothing."""
    for name, (single, batch) in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name, entry_point=f"{__package__}.{single}", vector_entry_point=f"{__package__}.{batch}"
            )
