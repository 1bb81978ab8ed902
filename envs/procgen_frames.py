"""Pictures of any state of Procgen's maze, and states of levels by their seeds."""

from functools import partial
from typing import Any

import numpy as np
import torch

from .procgen_game import FRAME, ProcgenGame
from .procgen_maze import Cheese, ProcgenMaze
from .procgen_state import MazeState, Mode

_BATCH = 64
# Whether the mouse looks right, in the order of the pictures.
GAZES = (False, True)


def level_states(
    seeds: np.ndarray, *, mode: Mode, cheese: Cheese = "stock", corner_size: int = 5
) -> list[MazeState]:
    """The state at the start of each level, by its seed (L,), with the cheese where `ProcgenMaze` puts it.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a seed or setting is out of range, naming it.
    """
    env = ProcgenMaze(
        min(_BATCH, max(1, len(seeds))), seed=0, mode=mode, cheese=cheese, corner_size=corner_size
    )
    states: list[MazeState] = []
    for first in range(0, len(seeds), env.num_envs):
        batch = torch.as_tensor(seeds[first : first + env.num_envs], dtype=torch.int64)
        wanted = len(batch)
        if wanted < env.num_envs:
            batch = torch.cat([batch, batch[:1].expand(env.num_envs - wanted)])
        env.reset(batch)
        states += [env.read(index) for index in range(wanted)]
    env.close()
    return states


class Renderer:
    """Procgen's own drawing, put to use on states.

    Args:
        mode: distribution mode of the states.
        large: also draw 512×512 pictures, for people.

    Raises:
        ProcgenMissingError: Procgen is not installed.
    """

    def __init__(self, mode: Mode, *, large: bool = False):
        self.mode: Mode = mode
        self._large = large
        self._game = ProcgenGame(1, mode, seed=0, num_levels=1, threads=0, large_frames=large)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: it draws what it is given, so that another one is the same."""
        return partial(Renderer, large=self._large), (self.mode,)

    def frames(self, state: MazeState, places: list[tuple[int, int]]) -> np.ndarray:
        """What the mouse would see in each of P cells, looking left and then right; (2, P, 64, 64, 3) uint8.

        The state stays as it is.
        """
        mouse, gaze = state.mouse, state.facing_right
        pictures = np.empty((len(GAZES), len(places), FRAME, FRAME, 3), dtype=np.uint8)
        for looks, facing_right in enumerate(GAZES):
            state.facing_right = facing_right
            for number, place in enumerate(places):
                state.mouse = place
                self._game.write(0, state, generators=False)
                pictures[looks, number] = self._game.frames[0]
        state.mouse, state.facing_right = mouse, gaze
        return pictures

    def large_frame(self, state: MazeState) -> np.ndarray:
        """(512, 512, 3) uint8, for people."""
        self._game.write(0, state, generators=False)
        return self._game.large_frames()[0]
