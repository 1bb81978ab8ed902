"""The batched mazes as Stable-Baselines3 knows vector environments; needs the extra `goalcut[sb3]`."""

import numpy as np
from gymnasium import spaces

from .cheese_maze import CheeseMaze
from .frames import frame
from .sb3_batch import BatchVecEnv


class MazeVecEnv(BatchVecEnv[CheeseMaze]):
    """All mice of a `CheeseMaze` as one Stable-Baselines3 `VecEnv`; steps, infos and attributes as in `BatchVecEnv`.

    Observations are planes (N, C, n, n) int8 in a `MultiBinary` space: values are 0 and 1, so nothing divides them by
    255 or takes them for a picture; `MlpPolicy` flattens them.

    Args:
        maze: the batch.
        render_mode: `rgb_array`, or None.
        cell: pixels along the side of one cell of a frame.
        corner_size: frames show the corner region of this size; None shows none.
    """

    def __init__(
        self,
        maze: CheeseMaze,
        *,
        render_mode: str | None = None,
        cell: int = 16,
        corner_size: int | None = None,
    ):
        self.cell, self.corner_size = cell, corner_size
        super().__init__(
            maze, spaces.MultiBinary(tuple(maze.observations.shape[1:])), render_mode=render_mode
        )

    def close(self) -> None:
        """Nothing is held open."""

    def get_images(self) -> list[np.ndarray]:
        """A frame (n * cell, n * cell, 3) uint8 of every mouse's maze."""
        planes = self._observations()
        return list(frame(planes, self.cell, corner_size=self.corner_size, world=self.maze.world))
