"""The serialized state of Procgen's maze game, read and edited in place.

The layout is that of the game's own `serialize` (openai/procgen 0.10.7, `game.cpp`, `basic-abstract-game.cpp`,
`entity.cpp`, `maze.cpp`): little-endian int32 and float32, strings as an int32 length and bytes. The whole of it is
walked before anything is edited, as the game ends the process when it is given a state that it cannot read.

Cells have row 0 at the top here, as in the picture; the game counts rows from the bottom.
"""

import struct
from typing import Literal

import numpy as np

Mode = Literal["easy", "hard", "memory"]
# Cells along one side of the world, and the number of the mode in the state. Other modes the maze game does not have.
WORLD_SIZES: dict[Mode, int] = {"easy": 15, "hard": 25, "memory": 31}
_MODE_NUMBERS: dict[Mode, int] = {"easy": 0, "hard": 1, "memory": 10}
CHEESE, WALL, SPACE = 2, 51, 100

_VERSION = 0
_GAME = b"maze"
_END = 0xCAFECAFE
_INT, _PAIR, _PLACE = struct.Struct("<i"), struct.Struct("<ii"), struct.Struct("<ff")
# Fields of 4 bytes between the parts of variable length.
_OPTIONS, _MODE_OPTION, _LEVEL_RANGE = 12, 7, 13  # places in the options and the five integers after them
_GAME_FIELDS, _LEVEL_SEED, _ELAPSED = 15, 5, 13
_ENTITY_FIELDS, _TYPE, _REFLECTED = 31, 6, 15
_AFTER_ENTITIES = 19
_AFTER_ASSETS = 9
_MERSENNE = 624
_NO_TEXT = _INT.pack(0)


class ProcgenStateError(ValueError):
    """These bytes are no state of Procgen's maze game, or not of this mode; the message says in what."""


def check_mode(mode: str) -> None:
    """Refuse a distribution mode that the maze game does not have.

    Raises:
        ValueError: naming the modes that it has.
    """
    if not isinstance(mode, str) or mode not in WORLD_SIZES:
        raise ValueError(f"mode is {mode!r}: Procgen's maze has {', '.join(map(repr, WORLD_SIZES))}")


class MazeState:
    """One game's state. Setting an attribute edits the bytes; nothing reaches the game before it is given them.

    Mouse and cheese are set on free cells inside the world, the cheese not under the mouse: what is refused, with a
    ValueError, changes no byte.

    Args:
        content: what the game serialized; a copy is taken.
        mode: the distribution mode that it must be of.

    Attributes:
        content: the bytes, for the game.
        size: cells along one side of the world, W.
        maze_size: cells along one side of the maze, odd, 3…W; around it is a margin of wall.
        grid: (W, W) int32, the codes of the cells, row 0 at the top; writable. The mouse is not in it.

    Raises:
        ProcgenStateError: it is cut off, of another game, version or mode, or not whole.
    """

    def __init__(self, content: bytes | bytearray | memoryview, mode: Mode):
        self.mode: Mode = mode
        self.content = bytearray(content)
        self.size = WORLD_SIZES[mode]
        try:
            self._walk()
        except struct.error:
            raise ProcgenStateError(
                f"the state is cut off or damaged: {len(self.content)} bytes do not hold a whole game"
            ) from None

    def _walk(self) -> None:
        """Find where everything is."""
        content = self.content
        version, name_length = _PAIR.unpack_from(content, 0)
        at = 8 + name_length
        name = bytes(content[8:at]) if 0 < name_length < 100 else b""
        if version != _VERSION or not name:
            raise ProcgenStateError(
                "these bytes are no state of a Procgen game: give what the game serialized"
            )
        if name != _GAME:
            raise ProcgenStateError(
                f"the state is of the game {name.decode(errors='replace')!r}: give one of 'maze'"
            )
        self._options = at
        mode = self._int(at + 4 * _MODE_OPTION)
        if mode != _MODE_NUMBERS[self.mode]:
            there = next(
                (known for known, number in _MODE_NUMBERS.items() if number == mode), f"number {mode}"
            )
            raise ProcgenStateError(
                f"the state is of the mode {there!r}, this game is of the mode {self.mode!r}"
            )
        self._level_generator = at + 4 * (_OPTIONS + 5) + 4
        generator = self._after_string(self._level_generator) + 4
        self._fields = self._after_string(generator)
        at = self._fields + 4 * _GAME_FIELDS
        grid_size, entities = _PAIR.unpack_from(content, at)
        self._mouse = at + 8
        asset_generator = self._mouse + 4 * (_ENTITY_FIELDS * entities + _AFTER_ENTITIES) + 4
        self._generators = self._level_generator, generator, asset_generator
        at = self._after_string(asset_generator) + 4 * _AFTER_ASSETS
        width, height = _PAIR.unpack_from(content, at)
        cells = self._int(at + 8)
        end = at + 12 + 4 * self.size**2
        if entities != 1 or not grid_size == cells == width * height == self.size**2:
            raise ProcgenStateError(
                f"the state has {entities} entities on {width}×{height} cells: a maze of the mode {self.mode!r} has "
                f"one on {self.size}×{self.size}"
            )
        self.maze_size, world = _PAIR.unpack_from(content, end)
        if self._int(end + 8) != _END - (1 << 32) or len(content) != end + 12 or world != self.size:
            raise ProcgenStateError(
                "the state does not end where a state of the maze game ends: it is damaged"
            )
        if not (3 <= self.maze_size <= self.size and self.maze_size % 2):
            raise ProcgenStateError(f"the state is damaged: its maze is of {self.maze_size} cells")
        grid = np.frombuffer(content, dtype="<i4", count=cells, offset=at + 12)
        self.grid = grid.reshape(self.size, self.size)[::-1]
        x, y = _PLACE.unpack_from(content, self._mouse)
        if self._int(self._mouse + 4 * _TYPE) or not (0 < x < self.size and 0 < y < self.size):
            raise ProcgenStateError(f"the state is damaged: its mouse is at {x}, {y}")

    @property
    def margin(self) -> int:
        """Cells of wall on each side of the maze."""
        return (self.size - self.maze_size) // 2

    @property
    def walls(self) -> np.ndarray:
        """(W, W) bool, a copy."""
        return self.grid == WALL

    def corner(self, size: int) -> tuple[slice, slice]:
        """Rows and columns of the corner region: the k×k cells at the top right of the maze, all of a smaller one."""
        size = min(size, self.maze_size)
        top, right = self.margin, self.size - self.margin
        return slice(top, top + size), slice(right - size, right)

    @property
    def mouse(self) -> tuple[int, int]:
        """(row, column) of the mouse."""
        x, y = _PLACE.unpack_from(self.content, self._mouse)
        return self.size - 1 - int(y), int(x)

    @mouse.setter
    def mouse(self, place: tuple[int, int]) -> None:
        self._check_free("mouse", place)
        row, column = place
        _PLACE.pack_into(self.content, self._mouse, column + 0.5, self.size - 1 - row + 0.5)

    @property
    def cheese(self) -> tuple[int, int] | None:
        """(row, column) of the cheese; None if it is eaten."""
        cells = np.flatnonzero(self.grid.ravel() == CHEESE)
        return None if len(cells) == 0 else (int(cells[0]) // self.size, int(cells[0]) % self.size)

    @cheese.setter
    def cheese(self, place: tuple[int, int] | None) -> None:
        if place is not None:
            self._check_free("cheese", place)
            if tuple(place) == self.mouse:
                raise ValueError(f"the cheese is put at {place}, where the mouse is: give another cell")
        self.grid[self.grid == CHEESE] = SPACE
        if place is not None:
            self.grid[place] = CHEESE

    @property
    def facing_right(self) -> bool:
        """Whether the mouse is drawn looking right: after a move to the right, until one to the left."""
        return self._int(self._mouse + 4 * _REFLECTED) != 0

    @facing_right.setter
    def facing_right(self, value: bool) -> None:
        _INT.pack_into(self.content, self._mouse + 4 * _REFLECTED, int(value))

    @property
    def elapsed(self) -> int:
        """Env steps since the episode began."""
        return self._int(self._fields + 4 * _ELAPSED)

    @elapsed.setter
    def elapsed(self, steps: int) -> None:
        _INT.pack_into(self.content, self._fields + 4 * _ELAPSED, steps)

    @property
    def level_seed(self) -> int:
        """Seed of the level under way."""
        return self._int(self._fields + 4 * _LEVEL_SEED)

    @property
    def level_range(self) -> tuple[int, int]:
        """Levels are drawn from the first up to, and without, the second."""
        low, high = _PAIR.unpack_from(self.content, self._options + 4 * _LEVEL_RANGE)
        return low, high

    @level_range.setter
    def level_range(self, value: tuple[int, int]) -> None:
        _PAIR.pack_into(self.content, self._options + 4 * _LEVEL_RANGE, *value)

    def reseed(self, seed: int) -> None:
        """Start the stream that levels are drawn from anew."""
        start, stop = self._level_generator, self._after_string(self._level_generator)
        words = _mersenne_twister(seed).encode()
        # A view of the bytes would forbid to change their number.
        del self.grid
        self.content[start:stop] = _INT.pack(len(words)) + words
        self._walk()

    def without_generators(self) -> bytes:
        """The bytes with an empty text in place of each of the three random generators.

        The game reads a generator as a C++ stream does: nothing to be read leaves it as it was. So a copy that is given
        these bytes keeps its own, and reads them in half the time.
        """
        parts, start = [], 0
        for at in self._generators:
            parts += [self.content[start:at], _NO_TEXT]
            start = self._after_string(at)
        return b"".join([*parts, self.content[start:]])

    def check_maze(self) -> None:
        """Refuse a whole state whose maze was edited into one that the game does not have.

        Raises:
            ProcgenStateError: the mouse is in a wall, a cell is none of wall, space and cheese, or several are cheese.
        """
        if self.grid[self.mouse] == WALL:
            raise ProcgenStateError(
                f"the mouse of the state is at {self.mouse}, which is wall: give a free cell"
            )
        codes, counts = np.unique(self.grid, return_counts=True)
        cells = dict(zip(codes.tolist(), counts.tolist(), strict=True))
        others = sorted(cells.keys() - {CHEESE, WALL, SPACE})
        if others:
            raise ProcgenStateError(
                f"the grid of the state has the code {others[0]}: give {SPACE} space, {WALL} wall or {CHEESE} cheese"
            )
        if cells.get(CHEESE, 0) > 1:
            raise ProcgenStateError(f"the grid of the state has {cells[CHEESE]} cheeses: give at most one")

    def _check_free(self, what: str, place: tuple[int, int]) -> None:
        row, column = place
        if not (0 <= row < self.size and 0 <= column < self.size):
            raise ValueError(f"the {what} is put at {place}: give a cell of {self.size}×{self.size}")
        if self.grid[row, column] == WALL:
            raise ValueError(f"the {what} is put at {place}, which is wall: give a free cell")

    def _int(self, at: int) -> int:
        return _INT.unpack_from(self.content, at)[0]

    def _after_string(self, at: int) -> int:
        length = self._int(at)
        if length < 0 or at + 4 + length > len(self.content):
            raise struct.error
        return at + 4 + length


def _mersenne_twister(seed: int) -> str:
    """The freshly seeded std::mt19937 as libstdc++ prints it: its words, then where it stands in them."""
    words = [seed & 0xFFFFFFFF]
    for i in range(1, _MERSENNE):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + i) & 0xFFFFFFFF)
    return " ".join(map(str, [*words, _MERSENNE]))
