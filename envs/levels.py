"""What a level is: walls, cheese, mouse start; one of them, or a batch that the environments and measures take."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Row and column steps of the four moves, in the order of the actions.
MOVES = ("up", "down", "left", "right")
STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
OPPOSITE = np.array([1, 0, 3, 2])


@dataclass(frozen=True, eq=False)
class Level:
    """One maze: `walls` (n, n) bool, `mouse` and `cheese` as (row, column), row 0 at the top."""

    walls: np.ndarray
    mouse: tuple[int, int]
    cheese: tuple[int, int]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Level):
            return NotImplemented
        same_places = self.mouse == other.mouse and self.cheese == other.cheese
        return same_places and np.array_equal(self.walls, other.walls)

    def __hash__(self) -> int:
        return hash((self.walls.tobytes(), self.mouse, self.cheese))


@dataclass(frozen=True, eq=False)
class Levels:
    """A batch of L levels of one size.

    `walls` (L, n, n) bool; `mouse` and `cheese` (L,) int64, cells numbered row by row (row * n + column).
    """

    walls: np.ndarray
    mouse: np.ndarray
    cheese: np.ndarray

    def __post_init__(self) -> None:
        count, rows, columns = self.walls.shape
        if rows != columns or self.mouse.shape != (count,) or self.cheese.shape != (count,):
            raise ValueError(
                f"levels want walls (L, n, n), mouse (L,) and cheese (L,); got {self.walls.shape}, "
                f"{self.mouse.shape} and {self.cheese.shape}"
            )
        flat, level = self.walls.reshape(count, rows * rows), np.arange(count)
        for name, cells in (("mouse", self.mouse), ("cheese", self.cheese)):
            if count and (cells.min() < 0 or cells.max() >= rows * rows):
                raise ValueError(f"a {name} lies outside its maze of {rows}×{rows} cells")
            if flat[level, cells].any():
                raise ValueError(f"the {name} of level {int(np.argmax(flat[level, cells]))} lies in a wall")

    @property
    def size(self) -> int:
        """Cells along one side, n."""
        return self.walls.shape[-1]

    def __len__(self) -> int:
        return len(self.walls)

    def __getitem__(self, index: int) -> Level:
        row_column = np.divmod(np.array([self.mouse[index], self.cheese[index]]), self.size)
        mouse, cheese = np.transpose(row_column).tolist()
        return Level(self.walls[index], tuple(mouse), tuple(cheese))

    def __iter__(self) -> Iterator[Level]:
        return (self[index] for index in range(len(self)))

    def take(self, indices: np.ndarray | slice) -> "Levels":
        """The levels at `indices`, as a batch."""
        return Levels(self.walls[indices], self.mouse[indices], self.cheese[indices])

    @staticmethod
    def of(levels: list[Level]) -> "Levels":
        """A batch from single levels, all of one size."""
        if not levels or len({level.walls.shape for level in levels}) != 1:
            raise ValueError("levels want at least one level, and all of one size")
        size = levels[0].walls.shape[0]
        cells = np.array([(level.mouse, level.cheese) for level in levels], dtype=np.int64) @ [size, 1]
        return Levels(np.stack([level.walls for level in levels]), cells[:, 0], cells[:, 1])

    @staticmethod
    def concatenate(parts: list["Levels"]) -> "Levels":
        """One batch after the other."""
        return Levels(
            np.concatenate([part.walls for part in parts]),
            np.concatenate([part.mouse for part in parts]),
            np.concatenate([part.cheese for part in parts]),
        )


def corner_region(size: int, corner_size: int) -> np.ndarray:
    """Which cells of an n×n maze belong to its corner region: the k×k cells at the top right, (n, n) bool."""
    region = np.zeros((size, size), dtype=bool)
    region[:corner_size, size - corner_size :] = True
    return region
