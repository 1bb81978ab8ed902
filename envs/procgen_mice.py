"""Where the mice of Procgen's mazes are, followed through the walls alongside the game, which does not tell."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .levels import STEPS
from .procgen_game import ACTION_MOVES, TIME_LIMIT
from .procgen_state import WALL, MazeState

_NO_CELL = -1
_TRUE = b"\1"
_LEFT, _RIGHT = -1, 1
# Steps that room is made for at once.
_STEPS = 256


class Room(NamedTuple):
    """What a step of the mice gives; the tensors are of this step alone.

    Attributes:
        cells: (N,) int64, where each mouse is, cells numbered row by row.
        won: (N,) bool, which reached the cheese.
        no_rewards: (N,) float32, zeros.
        none: (N,) bool, False.
    """

    cells: Tensor
    won: Tensor
    no_rewards: Tensor
    none: Tensor


class FollowedMice:
    """The mice of N copies: where each is, where it looks, what its episode ends by.

    Between two steps of the game everything here is cold in the processor's caches, so that a step runs through as few
    different operations as will do; what only ended episodes need is left until one has ended.

    Args:
        num_envs: how many copies.
        size: cells along one side of the world, W.

    Attributes:
        level: (N,) int64, seed of the level that each copy is in.
    """

    def __init__(self, num_envs: int, size: int):
        self._size = size
        # Cells are numbered through all worlds, each with a rim of wall, which spares looking for its edges.
        width = size + 2
        rim = np.arange(width**2)
        self._deltas = np.append(STEPS @ [width, 1], 0)[ACTION_MOVES]
        self._rims = np.arange(num_envs) * width**2
        self._cells = np.tile(((rim // width - 1) * size + rim % width - 1).clip(0), num_envs)
        self._walls = np.ones((num_envs, width, width), dtype=bool)
        # Steps taken; when each copy was last taken up, when the time of its episode is up, and the first such time.
        self._time, self._soonest = 0, TIME_LIMIT
        self._mouse, self._cheese, self._since, self._limit, self.level = (
            np.zeros(num_envs, dtype=np.int64) for _ in range(5)
        )
        # The last moves tried, from which follows where the mouse of an episode that ends looks.
        self._tried: deque[np.ndarray] = deque(maxlen=TIME_LIMIT)
        self._rooms = _rooms(num_envs)

    def moves(self, actions: np.ndarray) -> np.ndarray:
        """How far each action (N,) uint32 goes, for `follow`.

        Raises:
            IndexError: one is none of the game's; −1 as such is beyond the table.
        """
        return self._deltas.take(actions)

    def follow(self, moves: np.ndarray) -> tuple[bool, Room]:
        """Make every mouse try its move (N,), which is kept; returns whether any episode ends, and what came of it."""
        cells, won, room = next(self._rooms)
        self._tried.append(moves)
        self._time += 1
        ahead = self._mouse + moves
        self._mouse = mouse = np.where(self._walls.take(ahead), self._mouse, ahead)
        np.equal(mouse, self._cheese, out=won)
        self._cells.take(mouse, out=cells, mode="clip")  # none is out of range; to look for one takes a copy
        # Bytes are looked through in a tenth of the time of `any`.
        return (_TRUE in won.tobytes() or self._time >= self._soonest, room)

    def timed_out(self) -> np.ndarray:
        """Whose time is up, (N,) bool."""
        late = self._limit <= self._time
        self._soonest = int(self._limit[~late].min(initial=self._time + TIME_LIMIT))
        return late

    def take_up(self, index: int, state: MazeState, cheese: tuple[int, int] | None) -> None:
        """Note where walls, mouse and cheese of a copy are, which is in this state from now on."""
        width = self._size + 2
        self._walls[index, 1:-1, 1:-1] = state.grid == WALL
        row, column = state.mouse
        first = self._rims[index] + width + 1
        self._mouse[index] = first + row * width + column
        self._cheese[index] = _NO_CELL if cheese is None else first + cheese[0] * width + cheese[1]
        self._since[index], self._limit[index] = self._time, self._time - state.elapsed + TIME_LIMIT
        self._soonest = min(self._soonest, int(self._limit[index]))
        self.level[index] = state.level_seed

    def place(self, index: int) -> tuple[int, int]:
        """(row, column) of one mouse."""
        return divmod(int(self._cells[self._mouse[index]]), self._size)

    def looks_right(self, index: int, state: MazeState) -> bool:
        """Where one mouse looks: where it last went sideways, or as in the state that it was taken up in."""
        for moves in islice(reversed(self._tried), self._time - int(self._since[index])):
            if moves[index] == _LEFT or moves[index] == _RIGHT:
                return bool(moves[index] == _RIGHT)
        return state.facing_right


def _rooms(num_envs: int) -> Iterator[tuple[np.ndarray, np.ndarray, Room]]:
    """Room for what a step gives, its cells and wins as arrays over the same memory too.

    It is made for many steps at once, since making a tensor takes longer than to fill it.
    """
    while True:
        cells, won = np.zeros((_STEPS, num_envs), dtype=np.int64), np.zeros((_STEPS, num_envs), dtype=bool)
        tensors = (
            torch.from_numpy(cells),
            torch.from_numpy(won),
            torch.zeros(_STEPS, num_envs),
            torch.zeros(_STEPS, num_envs, dtype=torch.bool),
        )
        rooms = map(Room, *(tensor.unbind() for tensor in tensors))
        yield from zip(cells, won, rooms, strict=True)
