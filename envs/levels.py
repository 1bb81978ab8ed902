"""What a level is: walls, mouse start, things; one of them, or a batch that the environments and measures take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .world import Thing, World

# Row and column steps of the four moves, in the order of the actions.
MOVES = ("up", "down", "left", "right")
STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
OPPOSITE = np.array([1, 0, 3, 2])
NUM_ACTIONS = len(STEPS)
ABSENT = -1
"""In place of a cell: the level has none of that thing."""
Cell = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Level:
    """One maze: `walls` (n, n) bool, `mouse` as (row, column), row 0 at the top, and the cells of its things.

    Attributes:
        things: name → cells; a thing that the level does not have is not named.
    """

    walls: np.ndarray
    mouse: Cell
    things: Mapping[str, tuple[Cell, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "things", {name: tuple(cells) for name, cells in self.things.items() if cells}
        )

    @property
    def cheese(self) -> Cell:
        """Where its cheese lies.

        Raises:
            KeyError: it has none.
        """
        return self.things["cheese"][0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Level):
            return NotImplemented
        same_places = self.mouse == other.mouse and self.things == other.things
        return same_places and np.array_equal(self.walls, other.walls)

    def __hash__(self) -> int:
        return hash((self.walls.tobytes(), self.mouse, tuple(sorted(self.things.items()))))


@dataclass(frozen=True, eq=False)
class Levels:
    """A batch of L levels of one size and world.

    Attributes:
        world: the card that says what its things do.
        walls: (L, n, n) bool.
        mouse: (L,) int64, cells numbered row by row (row * n + column).
        places: thing's name → (L, count) int64, `ABSENT` for what a level does not have; things not named are in none.
    """

    world: World
    walls: np.ndarray
    mouse: np.ndarray
    places: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, rows, columns = self.walls.shape
        if rows != columns or self.mouse.shape != (count,):
            raise ValueError(
                f"levels want walls (L, n, n) and mouse (L,); got {self.walls.shape}, {self.mouse.shape}"
            )
        given, places = dict(self.places), {}
        for thing in self.world.things:
            cells = given.pop(thing.name, np.full((count, thing.count), ABSENT))
            places[thing.name] = cells[:, None] if cells.ndim == 1 else cells
        if given:
            raise ValueError(f"the world {self.world.name!r} has no {next(iter(given))}")
        object.__setattr__(self, "places", places)
        flat, level = self.walls.reshape(count, rows * rows), np.arange(count)
        for name, cells in (("mouse", self.mouse[:, None]), *places.items()):
            if cells.shape[0] != count or cells.ndim != 2:
                raise ValueError(
                    f"the cells of {name} are {cells.shape}: give one row per level, ({count}, count)"
                )
            least = 0 if name == "mouse" else ABSENT
            if cells.size and (cells.min() < least or cells.max() >= rows * rows):
                raise ValueError(f"a {name} lies outside its maze of {rows}×{rows} cells")
            buried = flat[level[:, None], cells] & (cells != ABSENT)
            if buried.any():
                raise ValueError(f"the {name} of level {int(np.argmax(buried.any(1)))} lies in a wall")

    @property
    def size(self) -> int:
        """Cells along one side, n."""
        return self.walls.shape[-1]

    @property
    def cheese(self) -> np.ndarray:
        """Where the cheese lies, (L,) int64; `ABSENT` where a level has none."""
        return self.places["cheese"][:, 0]

    def __len__(self) -> int:
        return len(self.walls)

    def __getitem__(self, index: int) -> Level:
        def cell(number: int) -> Cell:
            return number // self.size, number % self.size

        things = {
            name: tuple(cell(number) for number in cells[index].tolist() if number != ABSENT)
            for name, cells in self.places.items()
        }
        return Level(self.walls[index], cell(int(self.mouse[index])), things)

    def __iter__(self) -> Iterator[Level]:
        return (self[index] for index in range(len(self)))

    def take(self, indices: np.ndarray | slice) -> "Levels":
        """The levels at `indices`, as a batch."""
        places = {name: cells[indices] for name, cells in self.places.items()}
        return Levels(self.world, self.walls[indices], self.mouse[indices], places)

    @staticmethod
    def of(levels: list[Level], world: World) -> "Levels":
        """A batch from single levels, all of one size."""
        if not levels or len({level.walls.shape for level in levels}) != 1:
            raise ValueError("levels want at least one level, and all of one size")
        size = levels[0].walls.shape[0]
        known = {thing.name: thing for thing in world.things}
        for name in {name for level in levels for name in level.things}:
            if name not in known:
                raise ValueError(f"a level has a {name}, which the world {world.name!r} does not have")
        places = {
            name: np.stack([_cells_of(level, thing, size) for level in levels])
            for name, thing in known.items()
        }
        mouse = np.array([level.mouse[0] * size + level.mouse[1] for level in levels], dtype=np.int64)
        return Levels(world, np.stack([level.walls for level in levels]), mouse, places)

    @staticmethod
    def concatenate(parts: list["Levels"]) -> "Levels":
        """One batch after the other."""
        world = parts[0].world
        return Levels(
            world,
            np.concatenate([part.walls for part in parts]),
            np.concatenate([part.mouse for part in parts]),
            {
                thing.name: np.concatenate([part.places[thing.name] for part in parts])
                for thing in world.things
            },
        )


def corner_region(size: int, corner_size: int) -> np.ndarray:
    """Which cells of an n×n maze belong to its corner region: the k×k cells at the top right, (n, n) bool."""
    region = np.zeros((size, size), dtype=bool)
    region[:corner_size, max(0, size - corner_size) :] = True
    return region


def _cells_of(level: Level, thing: Thing, size: int) -> np.ndarray:
    cells = [row * size + column for row, column in level.things.get(thing.name, ())]
    if len(cells) > thing.count:
        raise ValueError(f"a level has {len(cells)} of {thing.name}, its world at most {thing.count}")
    return np.array(cells + [ABSENT] * (thing.count - len(cells)), dtype=np.int64)
