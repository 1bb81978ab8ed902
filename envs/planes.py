"""What an agent sees: a stack of 0/1 planes of cells, painted from level and progress."""

import numpy as np
import torch
from torch import Tensor

from .automaton import Automaton, automaton_of
from .levels import ABSENT, Levels
from .moves import beginnings
from .world import World

WALLS, MOUSE = 0, 1
"""Which plane shows the walls, and which the mouse."""


def plane_names(world: World) -> tuple[str, ...]:
    """The planes of a world's observations, in order: walls, mouse, one per look of a thing, numbers of progress."""
    looks = dict.fromkeys(plane for thing in world.things for plane in thing.planes)
    return ("walls", "mouse", *looks, *world.status_planes)


class Painter:
    """Paints observations without the mouse.

    Args:
        levels: the pool.
        device: where they are painted.

    Attributes:
        planes: how many planes, C.
        cells: of a plane, n².
    """

    def __init__(self, levels: Levels, device: torch.device | str = "cpu"):
        world, count = levels.world, len(levels)
        automaton: Automaton = automaton_of(world)
        names = plane_names(world)
        self.planes, self.cells = len(names), levels.size**2
        self._walls = torch.from_numpy(levels.walls.reshape(count, self.cells).astype(np.uint8)).to(device)
        # One entry per thing's cell and plane: where it is painted, and whether it is there at all.
        spots, there, thing_of = [], [], []
        self._ways: list[tuple[Tensor, int, Tensor]] = []
        for number, thing in enumerate(world.things):
            for plane in thing.planes:
                cells = levels.places[thing.name]
                offset = names.index(plane) * self.cells
                if thing.walks:
                    shown = torch.from_numpy(automaton.shown[:, number]).to(device)
                    self._ways.append((torch.from_numpy(cells).to(device), offset, shown))
                    continue
                spots.append(np.where(cells == ABSENT, 0, cells) + offset)
                there.append(cells != ABSENT)
                thing_of += [number] * cells.shape[1]
        self._walked = torch.from_numpy(automaton.walked).to(device)
        self._spots = torch.from_numpy(np.concatenate(spots, axis=1)).to(device)
        self._there = torch.from_numpy(np.concatenate(there, axis=1).astype(np.uint8)).to(device)
        self._shown = torch.from_numpy(automaton.shown[:, thing_of].astype(np.uint8)).to(device)
        self._all_shown = bool(automaton.shown.all())
        bars = np.arange(self.cells) < np.minimum(automaton.status[:, :, None], levels.size)
        self._bars = torch.from_numpy(bars.reshape(len(bars), -1).astype(np.uint8)).to(device)

    def paint(self, level: Tensor, progress: Tensor) -> Tensor:
        """Observations without the mouse: level and progress (E,) int64 give (E, C · n²) uint8."""
        painted = torch.zeros(len(level), self.planes * self.cells, dtype=torch.uint8, device=level.device)
        painted[:, : self.cells] = self._walls[level]
        there = self._there[level]
        if not self._all_shown:
            there = there * self._shown[progress]
        # Two things may share a look and a cell: the larger wins, so what is there is not wiped out by what is not.
        painted.scatter_reduce_(1, self._spots[level], there, "amax")
        for cells, offset, shown in self._ways:
            cell = cells[level, self._walked[progress]]
            there = ((cell != ABSENT) & shown[progress]).to(torch.uint8)
            painted.scatter_reduce_(1, (cell.clamp_min(0) + offset)[:, None], there[:, None], "amax")
        if self._bars.shape[1]:
            painted[:, -self._bars.shape[1] :] = self._bars[progress]
        return painted


def observations(levels: Levels) -> np.ndarray:
    """Every level's first observation, (L, C, n, n) uint8."""
    count, size = len(levels), levels.size
    painter, everyone = Painter(levels), torch.arange(len(levels))
    painted = (
        painter.paint(everyone, torch.from_numpy(beginnings(levels, automaton_of(levels.world))))
        .numpy()
        .reshape(count, painter.planes, painter.cells)
    )
    painted[np.arange(count), MOUSE, levels.mouse] = 1
    return painted.reshape(count, painter.planes, size, size)
