"""Levels as text: drawn and read back, and what cannot be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goalcut.envs import CheeseInCorner, Level, ascii, make_levels


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
