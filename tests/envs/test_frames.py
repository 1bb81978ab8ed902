"""Pictures of levels: sizes, colours where they belong, batches as single frames."""

import zlib

import numpy as np
import pytest

from goalcut.envs import (
    CheeseInCorner,
    Level,
    Levels,
    World,
    ascii,
    corner_region,
    frame,
    make_levels,
    observations,
    tiled,
)
from goalcut.envs.automaton import automaton_of
from goalcut.envs.frames import CHEESE, FLOOR, FLOOR_IN_CORNER, MOUSE, WALL, WALL_IN_CORNER
from goalcut.envs.looks import covers, kind_of, look_of

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


def test_cheese_worlds_look_as_they_always_did() -> None:
    picture = frame(make_levels(CheeseInCorner(size=7, start="random"), 4, seed=1), 16, corner_size=3)
    # Of the frames as they were when cheese was the only thing.
    assert zlib.crc32(picture.tobytes()) == 31298470


def test_frames_of_planes_are_those_of_levels_where_planes_tell_things_apart(crowded: World) -> None:
    levels = make_levels(crowded, 30, seed=0)
    apart = [
        number
        for number, level in enumerate(levels)
        if len({cell for cells in level.things.values() for cell in cells}) == len(level.things)
    ]
    levels = levels.take(np.array(apart))
    assert len(levels) > 10
    assert np.array_equal(frame(levels, 12), frame(observations(levels), 12, world=crowded))
    assert np.array_equal(frame(levels, 12)[0], frame(levels[0], 12, world=crowded))


def test_planes_of_two_things_on_one_cell_show_no_third(crowded: World) -> None:
    """Red gem and yellow line also light the planes of a red line."""
    things = {"chest_1": ((0, 0),), "red_gem": ((1, 1),), "yellow_line": ((1, 1),)}
    levels = Levels.of([Level(np.zeros((9, 9), dtype=bool), (8, 0), things)], crowded)
    assert np.array_equal(frame(observations(levels), 16, world=crowded), frame(levels, 16))


def test_taken_things_vanish_and_numbers_are_bars(crowded: World) -> None:
    things = {"chest_1": ((8, 8),), "key_1": ((4, 4),), "key_2": ((4, 6),)}
    level = Level(np.zeros((9, 9), dtype=bool), (8, 0), things)
    automaton = automaton_of(crowded)
    taken = automaton.progress.index((frozenset(["key_1"]), False))
    before, after = frame(level, 16, world=crowded), frame(level, 16, world=crowded, progress=taken)
    cells = (before != after).any(-1).reshape(9, 16, 9, 16).any((1, 3))
    assert {tuple(cell) for cell in np.argwhere(cells).tolist()} == {(0, 0), (4, 4)}
    assert (after[64:80, 64:80] == FLOOR).all()
    assert (after[:16, :16] == look_of("key").colour).all(-1).any()
    planes = observations(Levels.of([level], crowded))[0]
    planes[2, 4, 4], planes[-1, 0, 0] = 0, 1
    assert np.array_equal(frame(planes, 16, world=crowded), after)


def test_every_kind_of_thing_looks_like_no_other() -> None:
    names = "mouse cheese star dish key chest open_chest guide lava yellow_line red_line yellow_gem red_gem".split()
    names += ["beacon_1", "beacon_2", "beacon_3", "teapot", "torch"]
    size = 9
    for cell in (12, 32):
        pictures = set()
        for name in names:
            covered = np.full((cell, cell, 3), 255.0)
            for colour, cover in covers(name, cell):
                covered += (np.array(colour) - covered) * cover[:, :, None]
            assert (np.abs(covered - 255).sum(-1) > 30).mean() > 0.1, f"{name} is hardly there"
            pictures.add(np.rint(covered / 16).tobytes())
        assert len(pictures) == len(names), size


@pytest.mark.parametrize(
    ("name", "kind"),
    [("key_12", ("key", 12)), ("cheese", ("cheese", 0)), ("red_gem", ("red_gem", 0)), ("_3", ("_3", 0))],
)
def test_a_kind_is_a_name_less_its_number(name: str, kind: tuple[str, int]) -> None:
    assert kind_of(name) == kind
    assert look_of(name) == look_of(name)


def test_a_sheet_holds_every_frame(levels: Levels) -> None:
    frames = frame(levels, 4)
    sheet = tiled(frames, columns=4, gap=2)
    assert sheet.shape == (2 * 38 + 2, 4 * 38 + 2, 3)
    assert np.array_equal(sheet[2:38, 2:38], frames[0])
    assert np.array_equal(sheet[40:76, 40:76], frames[5])
    assert (sheet[40:, 78:] == 255).all()


def test_progress_and_world_that_do_not_belong_are_refused(levels: Levels, crowded: World) -> None:
    with pytest.raises(ValueError, match="progress is given beside planes"):
        frame(observations(levels), progress=0)
    with pytest.raises(ValueError, match="progress is 1: give numbers from 0 to 0"):
        frame(levels, progress=1)
    with pytest.raises(ValueError, match="the levels are of the world 'corner'"):
        frame(levels, world=crowded)
