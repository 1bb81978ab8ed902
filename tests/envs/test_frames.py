"""Pictures of levels: sizes, colours where they belong, batches as single frames."""

import numpy as np
import pytest

from goalcut.envs import CheeseInCorner, Levels, ascii, corner_region, frame, make_levels, observations
from goalcut.envs.frames import CHEESE, FLOOR, FLOOR_IN_CORNER, MOUSE, WALL, WALL_IN_CORNER

LEVEL = ascii.parse("M.C\n##.\n...")


@pytest.fixture(scope="module")
def levels() -> Levels:
    return make_levels(CheeseInCorner(start="random"), 6, seed=0)


@pytest.mark.parametrize("cell", [1, 2, 7])
def test_tiny_cells_are_filled_with_the_colour_of_what_lies_there(cell: int) -> None:
    floor, wall = list(FLOOR), list(WALL)
    expected = [[list(MOUSE), floor, list(CHEESE)], [wall, wall, floor], [floor, floor, floor]]
    image = frame(LEVEL, cell)
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.repeat(np.repeat(np.array(expected), cell, axis=0), cell, axis=1))


@pytest.mark.parametrize("cell", [8, 11, 16, 32])
def test_larger_cells_show_the_objects_on_the_floor(cell: int) -> None:
    image = frame(LEVEL, cell)
    assert image.shape == (3 * cell, 3 * cell, 3)
    cells = image.reshape(3, cell, 3, cell, 3).swapaxes(1, 2)
    assert (cells[1, :2] == WALL).all()
    assert (cells[2] == FLOOR).all()
    for place, colour in ((cells[0, 0], MOUSE), (cells[0, 2], CHEESE)):
        assert (place == colour).all(axis=-1).mean() > 0.1, "the object is hardly there"
        assert (place == FLOOR).all(axis=-1).mean() > 0.1, "the object hides its floor"


def test_mouse_and_cheese_on_one_cell_both_show() -> None:
    image = frame(ascii.parse("*"), 16)
    for colour in (MOUSE, CHEESE):
        assert (image == colour).all(axis=-1).sum() >= 5


def test_the_corner_region_is_tinted_and_nothing_else() -> None:
    tinted, plain = frame(LEVEL, 1, corner_size=2), frame(LEVEL, 1)
    assert tinted[0, 1].tolist() == list(FLOOR_IN_CORNER)
    assert tinted[1, 1].tolist() == list(WALL_IN_CORNER)
    outside = ~corner_region(3, 2)
    assert np.array_equal(tinted[outside], plain[outside])


@pytest.mark.parametrize("corner_size", [None, 5])
def test_a_batch_gives_the_frames_of_its_levels(levels: Levels, corner_size: int | None) -> None:
    batch = frame(levels, 8, corner_size=corner_size)
    assert batch.shape == (6, 72, 72, 3)
    assert np.array_equal(batch, frame(observations(levels), 8, corner_size=corner_size))
    for level, image in zip(levels, batch, strict=True):
        assert np.array_equal(frame(level, 8, corner_size=corner_size), image)


def test_frames_of_planes_leave_the_planes_alone(levels: Levels) -> None:
    planes = observations(levels)
    before = planes.copy()
    frame(planes, 5)[:] = 0
    assert np.array_equal(planes, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"picture": np.zeros((2, 9, 9))}, r"planes are \(2, 9, 9\)"),
        ({"picture": np.zeros((3, 9, 8))}, r"planes are \(3, 9, 8\)"),
        ({"picture": np.zeros((9, 9))}, r"planes are \(9, 9\)"),
        ({"picture": LEVEL, "cell": 0}, "cell is 0: give at least 1 pixel"),
        (
            {"picture": LEVEL, "corner_size": 4},
            "corner_size is 4: give 1 to the size of the maze, which is 3",
        ),
        ({"picture": LEVEL, "corner_size": 0}, "corner_size is 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name_and_value(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frame(**arguments)
