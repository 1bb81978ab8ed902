"""`goalcut levels` and `goalcut play`: the levels of a world, counted, drawn and walked."""

import os
import shutil
import sys
from typing import get_args

import numpy as np

from ..envs.ansi import ansi
from ..envs.first_pay import steps_to_pay
from ..envs.frames import frame, tiled
from ..envs.generator import Split, make_levels
from ..envs.hashing import duplicates, shared
from ..envs.levels import Levels
from ..envs.picture_files import walks_gif, write_png
from ..envs.solver import UNREACHABLE, solution
from ..envs.world import World
from .play import play
from .world_settings import LevelsCommand, PlayCommand

_GAP = 3


def play_step(command: PlayCommand) -> None:
    """Walk levels in the terminal.

    Raises:
        ValueError: there is no terminal.
    """
    play(command, corner_size=tinted_corner(command.world))


def levels_step(command: LevelsCommand) -> str:
    """Draw and count levels of a world; writes `png` and `gif`; returns what to print."""
    splits = {split: _levels(command, split) for split in get_args(Split)}
    levels = splits[command.split]
    drawn = levels.take(slice(0, command.show))
    corner_size = tinted_corner(command.world)
    parts = [side_by_side(drawn, corner_size)] if len(drawn) else []
    parts.append(_counts(command, splits))
    if command.png is not None:
        write_png(command.png, tiled(frame(drawn, command.cell, corner_size=corner_size)))
        parts.append(f"drawn: {command.png}")
    if command.gif is not None:
        paid = drawn.take(np.flatnonzero(steps_to_pay(drawn) != UNREACHABLE))
        if not len(paid):
            raise ValueError("none of the levels drawn has a walk that is paid: leave gif out")
        walks = [solution(level, command.world) for level in paid]
        walks_gif(command.gif, paid, walks, cell=command.cell, corner_size=corner_size)
        parts.append(f"walked: {command.gif}")
    return "\n\n".join(parts)


def tinted_corner(world: World) -> int | None:
    """The size of the corner region, if the world marks it."""
    return world.corner_size if world.corner_is_goal else None


def side_by_side(levels: Levels, corner_size: int | None, width: int | None = None) -> str:
    """Levels as text, as many to a row as `width` columns (default the terminal's) hold; colours in a terminal."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if width is None else width
    texts = [
        ansi(level, levels.world, corner_size=corner_size, colour=colour).split("\n") for level in levels
    ]
    # Legends below a level make it wider than its cells; colours take no room.
    wide = 2 * levels.size if colour else max(len(line) for text in texts for line in text)
    columns = max(1, (width + _GAP) // (wide + _GAP))
    rows = []
    for begin in range(0, len(texts), columns):
        row = texts[begin : begin + columns]
        lines = []
        for number in range(max(len(text) for text in row)):
            cells = [text[number] if number < len(text) else "" for text in row]
            if colour:
                lines.append((" " * _GAP).join(cells))
            else:
                lines.append((" " * _GAP).join(cell.ljust(wide) for cell in cells).rstrip())
        rows.append("\n".join(lines))
    return "\n\n".join(rows)


def _levels(command: LevelsCommand, split: Split) -> Levels:
    return make_levels(
        command.world, command.count, seed=command.seed, split=split, distribution=command.distribution
    )


def _counts(command: LevelsCommand, splits: dict[Split, Levels]) -> str:
    world = command.world
    lines = [
        f"{world.title}, {command.distribution}: {world.distributions[command.distribution]}",
        f"{command.count} levels of each split, {world.size}×{world.size}, layout {world.layout}, seed {command.seed}",
        "",
        f"{'split':<8}{'free cells':>12}{'steps to pay':>14}{'solvable':>10}{'repeats':>9}{'of walls':>10}",
    ]
    for split, levels in splits.items():
        steps = steps_to_pay(levels)
        paid = steps[steps != UNREACHABLE]
        mean = f"{paid.mean():.1f}" if len(paid) else "none"
        lines.append(
            f"{split:<8}{(~levels.walls).sum((1, 2)).mean():>12.1f}{mean:>14}"
            f"{len(paid) / len(levels):>10.1%}{duplicates(levels):>9}{duplicates(levels, 'layout'):>10}"
        )
    names = list(splits)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = shared(splits[first], splits[second])
            walls = shared(splits[first], splits[second], "layout")
            lines.append(f"{second} levels that are in {first} too: {both}; with walls that are: {walls}")
    return "\n".join(lines)
