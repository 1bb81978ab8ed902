"""ProcgenMaze as Stable-Baselines3 knows vector environments; needs the extras `goalcut[procgen,sb3]`."""

import numpy as np

from .procgen_frames import Renderer
from .procgen_gymnasium import procgen_spaces
from .procgen_maze import ProcgenMaze
from .sb3_batch import BatchVecEnv


class ProcgenVecEnv(BatchVecEnv[ProcgenMaze]):
    """All mice of a `ProcgenMaze` as one `VecEnv`; steps, infos and attributes as in `BatchVecEnv`.

    Observations are (N, 3, 64, 64) uint8 in 0…255; `CnnPolicy` takes them.

    Args:
        maze: the batch.
        render_mode: `rgb_array`, 512×512 per mouse, or None.
    """

    def __init__(self, maze: ProcgenMaze, *, render_mode: str | None = None):
        super().__init__(maze, procgen_spaces()[0], render_mode=render_mode)
        self._renderer: Renderer | None = None

    def close(self) -> None:
        """Free the games."""
        self.maze.close()

    def get_images(self) -> list[np.ndarray]:
        """A picture (512, 512, 3) uint8 of every mouse's maze."""
        self._renderer = self._renderer or Renderer(self.maze.mode, large=True)
        return [self._renderer.large_frame(self.maze.read(index)) for index in range(self.num_envs)]
