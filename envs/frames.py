"""Levels as pictures: RGB frames at any cell size, a whole batch at a time."""

from functools import lru_cache

import numpy as np

from .levels import Level, Levels, corner_region
from .planes import observations, plane_names
from .worlds.cheese_in_corner import CheeseInCorner

PLANES = plane_names(CheeseInCorner())

FLOOR, WALL = (244, 239, 230), (62, 68, 82)
FLOOR_IN_CORNER, WALL_IN_CORNER = (255, 224, 200), (98, 76, 80)
MOUSE, CHEESE = (92, 128, 172), (240, 180, 41)
# Samples per pixel side when the outlines are drawn: soft edges.
_SAMPLES = 4
# Below this many pixels a shape cannot be told from a blot: fill the cell.
_SMALLEST_SHAPE = 8


def frame(
    picture: Level | Levels | np.ndarray, cell: int = 16, *, corner_size: int | None = None
) -> np.ndarray:
    """Draw levels or observations.

    Args:
        picture: a level, a batch of levels, or observation planes (3, n, n) or (N, 3, n, n): walls, mouse, cheese.
        cell: pixels along the side of one cell.
        corner_size: tint the corner region of this size; None tints nothing.

    Returns:
        (n * cell, n * cell, 3) uint8, or (N, n * cell, n * cell, 3) for a batch.

    Raises:
        ValueError: planes of another shape, a cell or corner size that cannot be drawn.
    """
    planes = _planes(picture)
    size = planes.shape[-1]
    if cell < 1:
        raise ValueError(f"cell is {cell}: give at least 1 pixel")
    if corner_size is not None and not 1 <= corner_size <= size:
        raise ValueError(f"corner_size is {corner_size}: give 1 to the size of the maze, which is {size}")

    batch = planes.reshape(-1, len(PLANES), size, size).astype(bool)
    tinted = np.zeros((size, size), dtype=bool) if corner_size is None else corner_region(size, corner_size)
    palette = np.array([FLOOR, WALL, FLOOR_IN_CORNER, WALL_IN_CORNER], dtype=np.uint8)
    colours = palette[batch[:, 0] + 2 * tinted]
    image = np.broadcast_to(colours[:, :, None, :, None], (len(batch), size, cell, size, cell, 3)).copy()
    mouse_cover, cheese_cover = _covers(cell)
    # The mouse last: where both share a cell it sits on the cheese, whose corners still show.
    for plane, colour, cover in ((2, CHEESE, cheese_cover), (1, MOUSE, mouse_cover)):
        number, row, column = np.nonzero(batch[:, plane])
        below = image[number, row, :, column].astype(np.float64)
        image[number, row, :, column] = np.rint(below + (np.array(colour) - below) * cover[:, :, None])
    return image.reshape(*planes.shape[:-3], size * cell, size * cell, 3)


def _planes(picture: Level | Levels | np.ndarray) -> np.ndarray:
    if isinstance(picture, Level):
        return observations(Levels.of([picture], CheeseInCorner()))[0]
    if isinstance(picture, Levels):
        return observations(picture)
    planes = np.asarray(picture)
    if planes.ndim not in (3, 4) or planes.shape[-3] != len(PLANES) or planes.shape[-1] != planes.shape[-2]:
        raise ValueError(f"planes are {planes.shape}: give (3, n, n) or (N, 3, n, n)")
    return planes


@lru_cache(maxsize=16)
def _covers(cell: int) -> tuple[np.ndarray, np.ndarray]:
    """What share of each pixel of a cell the mouse covers, and the cheese, both (cell, cell) in 0…1."""
    if cell < _SMALLEST_SHAPE:
        whole = np.ones((cell, cell))
        return whole, whole
    middles = (np.arange(cell * _SAMPLES) + 0.5) / (cell * _SAMPLES)
    y, x = np.meshgrid(middles, middles, indexing="ij")

    def disc(row: float, column: float, radius: float) -> np.ndarray:
        return (y - row) ** 2 + (x - column) ** 2 <= radius**2

    mouse = disc(0.58, 0.5, 0.27) | disc(0.28, 0.27, 0.15) | disc(0.28, 0.73, 0.15)
    wedge = (y <= 0.86) & (y >= 0.86 - 0.72 * (x - 0.06) / 0.88) & (x >= 0.06) & (x <= 0.94)
    cheese = wedge & ~disc(0.66, 0.62, 0.08) & ~disc(0.5, 0.82, 0.06)
    mouse_cover, cheese_cover = (
        shape.reshape(cell, _SAMPLES, cell, _SAMPLES).mean(axis=(1, 3)) for shape in (mouse, cheese)
    )
    return mouse_cover, cheese_cover
