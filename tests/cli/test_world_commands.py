"""`goalcut play` in a real terminal, and `goalcut levels`."""

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from goalcut.cli import main
from goalcut.cli.play import Game
from goalcut.cli.world_settings import PlayCommand
from goalcut.envs import WORLDS, solution

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


class Terminal:
    """A child process in a terminal of its own."""

    def __init__(self, *words: str, **environment: str):
        code = "from goalcut.cli import main; main()"
        # A fresh process, not a fork of this one, which has threads.
        self.mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.said = ""

    def until(self, words: str, seconds: float = 120) -> str:
        """Read until `words` are on the screen; returns the last picture of it."""
        limit = time.monotonic() + seconds
        while words not in self.screen:
            assert time.monotonic() < limit, f"{words!r} did not come: {self.said[-800:]!r}"
            if select.select([self.mine], [], [], 0.2)[0]:
                self.said += os.read(self.mine, 65536).decode()
        return self.screen

    @property
    def screen(self) -> str:
        """The last picture that is complete."""
        pictures = self.said.split("\x1b[H")
        whole = [picture for picture in pictures if picture.endswith("\x1b[J")] or [""]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", whole[-1]).replace("\r", "")

    def press(self, keys: str) -> None:
        os.write(self.mine, keys.encode())

    def end(self) -> int:
        code = self.process.wait(60)
        if select.select([self.mine], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # Linux tells so that the other end is closed
                self.said += os.read(self.mine, 65536).decode()
        os.close(self.mine)
        return code


PLAY = "play corner --size 5 --corner-size 3 --seed 3".split()


def test_a_maze_is_walked_with_the_keys_to_its_cheese() -> None:
    terminal = Terminal(*PLAY, NO_COLOR="1")
    screen = terminal.until("step 0 of 40")
    assert "....C\n.###.\n.#...\n.#.#.\nM#.#.\n" in screen
    assert "proxy: corner, not yet\npaid:  cheese, not yet" in screen
    terminal.press("\x1b[A")  # arrow
    assert "M#.#.\n.#.#.\n" in terminal.until("step 1 of")
    terminal.press("wkK")
    assert "M...C" in terminal.until("step 4 of")
    terminal.press("dl")
    assert "corner, reached at step 6" in terminal.until("step 6 of")
    terminal.press("\x1bOCdd")  # the last is one too many
    screen = terminal.until("the episode is over")
    assert "....*" in screen
    assert "step 8 of 40   reward 1   in all 1" in screen
    assert "paid:  cheese, reached at step 8" in screen
    terminal.press("r")
    assert "....C" in terminal.until("step 0 of 40")
    terminal.press("n")
    assert "level 1 of seed 3" in terminal.until("level 1 of")
    terminal.press("q")
    assert terminal.end() == 0
    assert terminal.said.endswith("\x1b[?25h\x1b[?1049l"), "the terminal is put back"


def test_colours_come_in_a_terminal_and_ctrl_c_quits() -> None:
    terminal = Terminal(*PLAY, NO_COLOR="")
    terminal.until("step 0 of 40")
    assert "\x1b[48;2;" in terminal.said
    terminal.press("\x03")
    assert terminal.end() == 0


def test_play_without_a_terminal_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("play", "corner") == 1
    error = capsys.readouterr().err
    assert error.startswith("goalcut: play needs a terminal")
    assert error.count("\n") == 1


def test_levels_are_drawn_and_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = "levels corner --size 5 --corner-size 3 --distribution conflict --count 40 --show 3 --split test".split()
    assert goalcut(*words, "--png", tmp_path / "a.png", "--gif", tmp_path / "a.gif", "--cell", "8") == 0
    said = capsys.readouterr().out
    assert [len(row.split()) for row in said.split("\n")[:5]] == [3] * 5
    assert "cheese in the corner, conflict: mouse and cheese both outside the corner region" in said
    rows = {
        line.split()[0]: line.split()[1:]
        for line in said.split("\n")
        if line[:5].strip() in ("train", "tune", "test")
    }
    assert {row[2] for name, row in rows.items() if len(row) == 5} == {"100.0%"}
    assert "test levels that are in train too: 0; with walls that are: 0" in said
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (2 * 48 + 8, 2 * 48 + 8)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames > 2  # pyright: ignore


@pytest.mark.parametrize("name", WORLDS)
def test_levels_of_every_world_are_drawn_and_walked(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = "--size 7 --layout braid --count 6 --show 2 --cell 6".split()
    assert goalcut("levels", name, *words, "--png", tmp_path / "a.png", "--gif", tmp_path / "a.gif") == 0
    assert f"{WORLDS[name].title}, training: " in capsys.readouterr().out
    with Image.open(tmp_path / "a.png") as picture, Image.open(tmp_path / "a.gif") as walks:
        assert picture.size == walks.size
        assert walks.n_frames > 2  # pyright: ignore


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_is_played_from_level_to_level(name: str) -> None:
    world = WORLDS[name](size=7, layout="braid")
    game = Game(PlayCommand(world_name=name, world=world), corner_size=None)
    assert "level 0 of seed 0" in game.screen()
    assert "step 0 of 56   reward 0   in all 0" in game.screen()
    for goal in world.goals:
        assert f"{goal.name}, not yet" in game.screen()
    for move in solution(game.episodes.level(), world):
        assert game.press("wsad"[move])
    assert f"{world.goals[1].name}, reached at step" in game.screen()
    assert float(game.episodes.returns[0]) > 0
    assert game.press("n")
    assert "level 1 of seed 0" in game.screen()
    assert not game.press("q")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["levels", "moon"], "world is 'moon': give one of corner"),
        (["play", "moon"], "world is 'moon': give one of corner"),
        (["levels", "--distribution", "nowhere"], "distribution is 'nowhere': give one of training"),
        (["levels", "corner", "--size", "4"], "size is 4: give an odd number"),
        (["levels", "--count", "0"], "count is 0: give at least 1"),
        (["levels", "--show", "0", "--png", "x.png"], "show is 0, so there is nothing to write"),
        (
            ["levels", "--png", "/nonexistent/x.png"],
            "png is /nonexistent/x.png: there is no folder /nonexistent; make",
        ),
        (["levels", "--gif", "/"], "gif is /, which is a folder: give the name of a file in it"),
        (["play", "--first", "-1"], "first is -1: give 0 or more"),
        (["levels", "--layout", "hall"], "--layout is 'hall': give one of tree"),
        (["levels", "keys", "--few", "0"], "few is 0: keys without chests"),
        (["levels", "--siz", "7"], "--siz is no setting of goalcut levels: did you mean --size?"),
        (["levels", "--count", "many"], "--count is 'many': give a whole number"),
        (["levels", "--world", "keys", "dish"], "world is 'dish' beside --world 'keys': give one"),
        (["levels", "--world", "moon"], "world is 'moon': give one of corner"),
        (["train"], "missing"),
        (["train", "NEW", "--world.layout", "hall"], "--world.layout is 'hall': give one of"),
        (["train", "NEW", "--world", "keys", "--world.few", "0"], "--world.few is 0: keys without chests"),
        (["train", "NEW", "--world.size", "33"], "--world.size is 33: give an odd number"),
        (["procgen", "NEW", "--mode", "extreme"], "--mode is 'extreme': give one of"),
        (["lens", "features", "NEW", "--inputs", "many"], "--inputs is 'many': give"),
    ],
)
def test_wrong_settings_are_told_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert goalcut(*(tmp_path / "new" if word == "NEW" else word for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_play_and_levels_take_the_words_of_train(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    few = "--count 20 --show 2 --seed 1".split()
    for words in (
        ["keys", "--size", "7", "--few", "1"],
        ["--world", "keys", "--world.size", "7", "--world.few", "1"],
        ["--world=keys", "--world.size=7", "--few", "1"],
    ):
        assert goalcut("levels", *words, *few) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2]
    assert "7×7" in said[0]


def test_the_world_is_found_behind_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("levels", "--seed", "1", "--count", "2", "--show", "1", "--size", "5", "corner") == 0
    assert "2 levels of each split, 5×5, layout tree, seed 1" in capsys.readouterr().out
