"""Mazes walked by hand in a terminal."""

import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..envs.ansi import ansi
from ..envs.episodes import Episodes
from ..envs.generator import make_levels
from ..envs.levels import MOVES
from .world_settings import PlayCommand

_QUIT, _NEXT, _AGAIN = "quit", "next", "again"
_KEYS = {
    **dict(zip("wsad", MOVES, strict=True)),
    **dict(zip("kjhl", MOVES, strict=True)),
    # Arrows, of terminals in normal and in application mode.
    **dict(zip(("\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"), MOVES, strict=True)),
    **dict(zip(("\x1bOA", "\x1bOB", "\x1bOD", "\x1bOC"), MOVES, strict=True)),
    "n": _NEXT,
    "r": _AGAIN,
    "q": _QUIT,
    "\x03": _QUIT,
    "\x04": _QUIT,
}
_HELP = "arrows, WASD or hjkl move   n next level   r again   q quit"
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


class Game:
    """The level on screen, and how far each goal was reached in it.

    Args:
        command: the world and which levels.
        corner_size: tint the corner region of this size.
    """

    def __init__(self, command: PlayCommand, corner_size: int | None):
        self.command, self.corner_size, self.number = command, corner_size, command.first
        self._start()

    def press(self, key: str) -> bool:
        """Act on a key; False to quit."""
        action = _KEYS.get(key.lower() if len(key) == 1 else key)
        if action == _QUIT:
            return False
        if action == _NEXT:
            self.number += 1
        if action in (_NEXT, _AGAIN):
            self._start()
        elif action is not None and not self.episodes.over[0]:
            self._last = float(self.episodes.step(np.array([MOVES.index(action)]))[0])
            self._look()
        return True

    def screen(self) -> str:
        """What the terminal shows: level, figures, goals, keys."""
        command, episodes, world = self.command, self.episodes, self.command.world
        lines = [f"{world.title}, {command.distribution}, level {self.number} of seed {command.seed}", ""]
        lines += [ansi(episodes.level(), world, corner_size=self.corner_size), ""]
        numbers = "".join(f"   {name} {number}" for name, number in episodes.status().items())
        lines.append(
            f"step {int(episodes.steps[0])} of {episodes.time_limit}   reward {self._last:g}   "
            f"in all {float(episodes.returns[0]):g}{numbers}"
        )
        for role, goal in zip(("proxy", "paid"), world.goals, strict=True):
            step = self._reached.get(goal.name)
            lines.append(
                f"{role + ':':<7}{goal.name}, {'not yet' if step is None else f'reached at step {step}'}"
            )
        if episodes.terminated[0]:
            lines.append("the episode is over: n next level, r again, q quit")
        elif episodes.truncated[0]:
            lines.append("the time is up: n next level, r again, q quit")
        else:
            lines.append(_HELP)
        return "\n".join(lines)

    def _start(self) -> None:
        command = self.command
        levels = make_levels(
            command.world,
            np.array([self.number]),
            seed=command.seed,
            split=command.split,
            distribution=command.distribution,
        )
        self.episodes = Episodes(levels, command.time_limit)
        self._last, self._reached = 0.0, dict[str, int]()
        self._look()

    def _look(self) -> None:
        measures = self.command.world.measures_by_name()
        for goal in self.command.world.goals:
            target = measures[goal.measure].target
            # A goal without a target is to be paid.
            there = self.episodes.returns[0] > 0 if target is None else self.episodes.holds(target)
            if there:
                self._reached.setdefault(goal.name, int(self.episodes.steps[0]))


def play(command: PlayCommand, *, corner_size: int | None = None) -> None:
    """Play until q, Ctrl-C or the end of the input.

    Raises:
        ValueError: there is no terminal, or no such level.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError(
            f"play needs a terminal, and this is none: run it in one, or look at the levels with `goalcut levels "
            f"{command.world.name}`"
        )
    game = Game(command, corner_size)
    with _keys_one_by_one() as keys:
        _show(game)
        for key in keys:
            if not game.press(key):
                break
            _show(game)


def _show(game: Game) -> None:
    # Over the last picture, without clearing it first: no flicker.
    text = game.screen().replace("\n", f"{_TO_LINE_END}\r\n")
    sys.stdout.write(_HOME + text + _TO_LINE_END + _BELOW)
    sys.stdout.flush()


@contextmanager
def _keys_one_by_one() -> Iterator[Iterator[str]]:
    """The terminal in raw mode on a screen of its own; yields the keys pressed, and puts everything back."""
    try:
        import termios
        import tty
    except ImportError:
        raise ValueError("play needs a terminal of Linux or macOS: there is none here") from None
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        tty.setraw(file)
        sys.stdout.write(_ENTER)
        yield _pressed(file)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _pressed(file: int) -> Iterator[str]:
    """Single keys, an arrow as its whole escape sequence, until the input ends."""
    waiting = ""
    while True:
        try:
            given = os.read(file, 1024).decode("latin-1")
        except OSError:  # the terminal was closed
            return
        if not given:
            return
        waiting += given
        # A sequence may come in two parts: wait a moment for the second.
        while re.search(r"\x1b[\[O]?$", waiting) and select.select([file], [], [], 0.05)[0]:
            waiting += os.read(file, 1024).decode("latin-1")
        yield from re.findall(r"\x1b[\[O][0-9;]*[A-Za-z~]|[\s\S]", waiting)
        waiting = ""
