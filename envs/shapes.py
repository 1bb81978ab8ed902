"""Shapes in a unit square, as functions of points: what the looks of things are cut from."""

from collections.abc import Callable

import numpy as np

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Which points (y, x) of the unit square, y down, belong to it."""


def disc(row: float, column: float, radius: float) -> Shape:
    """A disc."""
    return lambda y, x: (y - row) ** 2 + (x - column) ** 2 <= radius**2


def box(top: float, bottom: float, left: float, right: float) -> Shape:
    """A rectangle."""
    return lambda y, x: (y >= top) & (y <= bottom) & (x >= left) & (x <= right)


def polygon(*points: tuple[float, float]) -> Shape:
    """A polygon of corners (y, x), by the parity of the edges that a ray to the right crosses."""

    def inside(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        within = np.zeros(np.broadcast(y, x).shape, dtype=bool)
        for (y_1, x_1), (y_2, x_2) in zip(points, points[1:] + points[:1], strict=True):
            if y_1 != y_2:
                crossing = x_1 + (y - y_1) * (x_2 - x_1) / (y_2 - y_1)
                within ^= ((y_1 > y) != (y_2 > y)) & (x < crossing)
        return within

    return inside


def union(*shapes: Shape) -> Shape:
    """All of several shapes."""
    return lambda y, x: np.logical_or.reduce([shape(y, x) for shape in shapes])


def less(shape: Shape, *holes: Shape) -> Shape:
    """A shape with others cut out."""
    return lambda y, x: shape(y, x) & ~union(*holes)(y, x)
