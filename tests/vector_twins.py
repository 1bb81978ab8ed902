"""What tests of vector environments compare them by: the same walk, and info told under masks."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode


def walk(envs: Any, steps: int, seed: int | None = None) -> list[Any]:
    """Random steps after a reset with a seed, or going on, with the resets that `DISABLED` asks for; all returned."""
    seen: list[Any] = [] if seed is None else [envs.reset(seed=seed)]
    count = int(envs.single_action_space.n)
    for action in np.random.default_rng(seed or 0).integers(count, size=(steps, envs.num_envs)):
        seen.append(envs.step(action))
        over = seen[-1][2] | seen[-1][3]
        if envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED and over.any():
            seen.append(envs.reset(options={"reset_mask": over}))
    return seen


def same_info(ours: dict, theirs: dict) -> bool:
    """Equal keys and masks, and equal values where the masks say there are any."""
    if ours.keys() != theirs.keys():
        return False
    for key in (key for key in ours if not key.startswith("_")):
        mask = ours[f"_{key}"]
        if mask.dtype != bool or not np.array_equal(mask, theirs[f"_{key}"]):
            return False
        if isinstance(ours[key], dict):
            if not same_info(ours[key], theirs[key]):
                return False
        elif ours[key].dtype != theirs[key].dtype or not all(
            np.array_equal(one, two) for one, two in zip(ours[key][mask], theirs[key][mask], strict=True)
        ):
            return False
    return True
