"""Levels as text: drawn and read back, and what cannot be read."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goalcut.envs import CheeseInCorner, Level, World, ansi, ascii, make_levels


@st.composite
def drawn_levels(draw: st.DrawFn) -> Level:
    """Any level at all: any walls, objects on any free cells, sharing one or not."""
    size = draw(st.integers(1, 8))
    walls = np.array(draw(st.lists(st.booleans(), min_size=size * size, max_size=size * size)))
    cell = st.integers(0, size * size - 1)
    mouse, cheese = draw(cell), draw(cell)
    walls[[mouse, cheese]] = False
    return Level(walls.reshape(size, size), divmod(mouse, size), {"cheese": (divmod(cheese, size),)})


@hypothesis_settings(deadline=None)
@given(drawn_levels())
def test_any_level_is_read_back_as_it_was_drawn(level: Level) -> None:
    assert ascii.parse(ascii.render(level)) == level


@pytest.mark.parametrize("size", [5, 13, 31])
def test_made_levels_are_read_back_as_they_were_drawn(size: int) -> None:
    for level in make_levels(CheeseInCorner(size=size, corner_size=2, start="random"), 10, seed=0):
        text = ascii.render(level)
        assert ascii.parse(text) == level
        assert [len(row) for row in text.split("\n")] == [size] * size


def test_a_level_is_drawn_with_row_0_first() -> None:
    walls = np.array([[False, False, True], [True, False, False], [False, True, True]])
    assert ascii.render(Level(walls, (1, 2), {"cheese": ((0, 0),)})) == "C.#\n#.M\n.##"


def test_mouse_and_cheese_on_one_cell_have_a_symbol_of_their_own() -> None:
    level = Level(np.zeros((2, 2), dtype=bool), (1, 0), {"cheese": ((1, 0),)})
    assert ascii.render(level) == "..\n*."
    assert ascii.parse("..\n*.") == level


def test_blank_lines_around_and_indentation_are_ignored() -> None:
    assert ascii.parse("\n   M#\n   .C  \n\n") == ascii.parse("M#\n.C")


def test_an_object_in_a_wall_is_not_drawn() -> None:
    with pytest.raises(ValueError, match=r"the cheese lies in the wall at \(0, 1\)"):
        ascii.render(Level(np.array([[False, True], [False, False]]), (0, 0), {"cheese": ((0, 1),)}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the level is empty"),
        (" \n \n", "the level is empty"),
        ("M.\n.C.", "row 2 of the level has 3 cells, but there are 2 rows"),
        ("M..\n.C.", "row 1 of the level has 3 cells, but there are 2 rows"),
        ("M.C\n\n...", "row 2 of the level has 0 cells, but there are 3 rows"),
        ("M.\n?C", r"row 2, column 1 of the level is '\?'"),
        ("M.\nmC", "row 2, column 1 of the level is 'm'"),
        ("..\n.C", "the level has no mouse"),
        ("M.\n..", "the level has no cheese"),
        ("MM\n.C", "the level has 2 mouse"),
        ("MC\n.C", "the level has 2 cheese"),
        ("*C\n..", "the level has 2 cheese"),
        ("*M\n..", "the level has 2 mouse"),
    ],
)
def test_what_is_no_level_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ascii.parse(text)


@hypothesis_settings(deadline=None)
@given(data=st.data())
def test_any_level_of_many_things_is_read_back_as_it_was_drawn(data: st.DataObject, crowded: World) -> None:
    size = data.draw(st.integers(2, 6))
    walls = np.array(data.draw(st.lists(st.booleans(), min_size=size**2, max_size=size**2)))
    cell = st.integers(0, size**2 - 1)
    mouse, things = data.draw(cell), {}
    for thing in crowded.things:
        least = int(thing.name in crowded.needed)
        things[thing.name] = sorted(data.draw(st.sets(cell, min_size=least, max_size=thing.count)))
    walls[[mouse, *(number for cells in things.values() for number in cells)]] = False
    level = Level(
        walls.reshape(size, size),
        divmod(mouse, size),
        {name: tuple(divmod(number, size) for number in cells) for name, cells in things.items()},
    )
    assert ascii.parse(ascii.render(level, crowded), crowded) == level


def test_a_cell_with_several_things_is_told_below_the_level(crowded: World) -> None:
    things = {"chest_1": ((0, 0),), "dish": ((0, 0), (1, 1)), "key_1": ((1, 0),)}
    level = Level(np.zeros((2, 2), dtype=bool), (0, 0), things)
    assert ascii.render(level, crowded) == "1.\nKD\n1 = M T D"


def test_things_of_one_symbol_out_of_reading_order_are_named(crowded: World) -> None:
    things = {"chest_1": ((0, 1),), "key_1": ((1, 1),), "key_2": ((1, 0),)}
    level = Level(np.zeros((2, 2), dtype=bool), (0, 0), things)
    text = ascii.render(level, crowded)
    assert text == "MT\n12\n1 = key_2\n2 = key_1"
    assert ascii.parse(text, crowded) == level


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M1\n..\n1 = T Q", "'1 = T Q' below the level has 'Q': use M mouse, K key, T chest"),
        ("MT\nC.", r"row 2, column 1 of the level is 'C'"),
        ("MT.\nKKK\n...", r"the level has 3 key \(K\): draw at most"),
        ("M1\nT2\n1 = key_1\n2 = key_1", "the level has 2 of key_1"),
        ("M2\n.T", "row 1, column 2 of the level is '2'"),
        ("M.\n..", r"the level has no chest_1 \(T\)"),
    ],
)
def test_what_is_no_level_of_many_things_is_refused(text: str, message: str, crowded: World) -> None:
    with pytest.raises(ValueError, match=message):
        ascii.parse(text, crowded)


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_coloured_level_has_two_characters_a_cell_and_ends_without_colour(crowded: World) -> None:
    level = ascii.parse("M#T\nK.1\n..D\n1 = D K", crowded)
    text = ansi(level, crowded, colour=True)
    assert uncoloured(text) == "M   T \nK   DK\n    D "
    assert all(line.endswith("\x1b[0m") for line in text.split("\n"))
    assert text.count("\x1b[48;2;62;68;82m") == 1, "the wall"


def test_no_color_gives_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    level = ascii.parse("M.\n.C")
    monkeypatch.setenv("NO_COLOR", "1")
    assert ansi(level) == "M.\n.C"
    monkeypatch.delenv("NO_COLOR")
    assert uncoloured(ansi(level)) == "M   \n  C "


def test_the_corner_region_is_tinted_in_the_terminal() -> None:
    level = ascii.parse("M.\n.C")
    assert ansi(level, corner_size=1, colour=True).count("\x1b[48;2;255;224;200m") == 1
    with pytest.raises(ValueError, match="corner_size is 3"):
        ansi(level, corner_size=3)
