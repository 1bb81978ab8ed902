"""Every level as a graph of states, a free cell with a value of progress, and the moves between them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .automaton import automaton_of
from .levels import NUM_ACTIONS, Levels, corner_region
from .moves import beginnings, next_cells, touched_sets
from .planes import MOUSE, Painter
from .world import Event

MOST_STATES = 4_000_000
"""States of all levels together; beyond them a graph would take gigabytes and forward passes minutes."""
# What the arrays of a state take: `next`, `rewards` and `bumps` per move, the others once.
_BYTES_PER_STATE = NUM_ACTIONS * (8 + 4 + 1) + 3 * 8 + 4 + 3
# The most that is taken at once while a graph is made, as tracemalloc finds it; marks of what was reached come first.
_PEAK_BYTES_PER_STATE = 160
_SEEN_BYTES = 2**26

# Observations of so few bytes are painted once and kept.
_KEPT_BYTES = 2**27


class StateGraphTooLarge(ValueError):
    """The states of a batch of levels are too many to hold; the message says how many.

    Args:
        why: how many, without what to do about it.
    """

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"{self.why}: give fewer levels or a smaller world, or sample episodes instead"


class StateGraph:
    """L levels as graphs of the states that can be reached from any free cell with the level's first progress.

    States are numbered per level, in order of progress (mostly the first comes first) and, of one progress, in
    reading order of their cells; levels are padded to the S states of the largest, with states that lead nowhere.

    Args:
        levels: the levels; their world says what follows.
        device: where the arrays live.
        most_states: of all levels together, padding included.

    Attributes:
        next: (L, S, 4) int64, the state that a move leads to.
        rewards: (L, S, 4) float32, what it pays.
        bumps: (L, S, 4) bool, it hits a wall.
        real: (L, S) bool, False in padding.
        over: (L, S) bool, an episode that comes here is over.
        start: (L, S) float32, one at the mouse's start.
        cell: (L, S) int64, the mouse's cell.
        progress: (L, S) int64, a number of the world's automaton.
        initial: (L, S) bool, with the progress that an episode begins with.

    Raises:
        StateGraphTooLarge: more than `most_states`.
    """

    def __init__(self, levels: Levels, device: torch.device | str = "cpu", *, most_states: int = MOST_STATES):
        automaton = automaton_of(levels.world)
        count, cells, values = len(levels), levels.size**2, len(automaton.progress)
        sets, moves = touched_sets(levels, automaton), next_cells(levels.walls)
        # A state by its key in a level: progress * n² + cell.
        begins = beginnings(levels, automaton)
        found = _reachable(levels, automaton.following, sets, moves, begins, most_states)
        level, key = np.divmod(found, values * cells)
        states = np.bincount(level, minlength=count)
        width = int(states.max())
        if count * width > most_states:
            raise _too_large(levels, most_states, f"{width:,} states each")
        first = np.cumsum(states) - states
        number = np.arange(len(key)) - first[level]
        cell_of, progress_of = np.zeros((2, count, width), dtype=np.int64)
        real = np.zeros((count, width), dtype=bool)
        cell_of[level, number], progress_of[level, number] = key % cells, key // cells
        real[level, number] = True
        del level, key, number
        rows = np.arange(count)[:, None]
        cell_after = moves[rows, cell_of].astype(np.int64)
        arrival = sets[rows[:, :, None], cell_after].astype(np.int64)
        before = progress_of[:, :, None]
        # Keys stand in order, so a state's number is where its key stands; what padding finds is not looked at.
        to = np.searchsorted(
            found,
            (rows * values * cells)[:, :, None] + automaton.following[before, arrival] * cells + cell_after,
        )
        to -= first[:, None, None]
        np.copyto(to, np.arange(width)[:, None], where=~real[:, :, None])

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self.levels, self.device = levels, torch.device(device)
        self.next = put(to)
        self.rewards = put(np.where(real[:, :, None], automaton.rewards[before, arrival], np.float32(0)))
        self.bumps = put((cell_after == cell_of[:, :, None]) | ~real[:, :, None])
        self.real = put(real)
        here = sets[rows, cell_of].astype(np.int64)
        self.over = put(automaton.over[progress_of, here] & real)
        initial = (progress_of == begins[:, None]) & real
        starts = (cell_of == levels.mouse[:, None]) & initial
        self.start, self.initial = put(starts.astype(np.float32)), put(initial)
        self.cell, self.progress, self._sets = put(cell_of), put(progress_of), put(here)
        self._values = automaton.progress
        self._painter = Painter(levels, device)
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def peak_bytes(self) -> int:
        """About the most memory that was taken at once to make it."""
        return self.real.numel() * _PEAK_BYTES_PER_STATE

    @property
    def bytes(self) -> int:
        """Memory that its arrays take, and its observations where they are kept."""
        arrays = (self.next, self.rewards, self.bumps, self.real, self.over, self.initial, self.start)
        places = (self.cell, self.progress, self._sets, *(() if self._kept is None else (self._kept,)))
        return sum(array.nelement() * array.element_size() for array in arrays + places)

    def event(self, event: Event) -> Tensor:
        """Which states an event is about, (L, S) bool."""
        chosen = self.real.clone()
        if event.at is not None:
            names = (event.at,) if isinstance(event.at, str) else event.at
            chosen &= torch.stack([self._at(name) for name in names]).any(0)
        if event.when is not None:
            wanted = torch.tensor([event.when(value) for value in self._values], device=self.device)
            chosen &= wanted[self.progress]
        return chosen

    @property
    def corner(self) -> Tensor:
        """Which states are in the corner region with the initial progress, (L, S) bool."""
        return self._at("corner") & self.initial

    @property
    def acting(self) -> Tensor:
        """Which states are on a cell of something that acts, (L, S) bool."""
        return self._sets != 0

    def visited(self, starts: Tensor, going_on: Tensor) -> Tensor:
        """Which states of `going_on` walks from `starts` can come to, if they end wherever it is False; (L, S) bool.

        Args:
            starts: (L, S) bool.
            going_on: (L, S) bool.
        """
        following, width = self.next.flatten(0, 1), self.next.shape[1]
        found = starts & going_on
        frontier = found.view(-1).nonzero().squeeze(1)
        while len(frontier):
            reached = torch.zeros_like(found)
            first = (frontier // width * width)[:, None]  # state of the same level
            reached.view(-1)[(following[frontier] + first).view(-1)] = True
            reached &= going_on & ~found
            found |= reached
            frontier = reached.view(-1).nonzero().squeeze(1)
        return found

    def observations(self, batch: int, of: Tensor | None = None) -> Iterator[Tensor]:
        """What an agent sees in each of the L · S states, padding included, (≤ batch, C, n, n) uint8 at a time.

        Of some states alone where a mask (L, S) bool is given, in the same order.
        """
        size, states = self.levels.size, self.cell.numel()
        if self._kept is None and states * self._painter.planes * size**2 <= _KEPT_BYTES:
            self._kept = torch.cat(list(self._painted(torch.arange(states, device=self.device), states)))
        if self._kept is not None:
            yield from (self._kept if of is None else self._kept[of.view(-1)]).split(batch)
        else:
            chosen = torch.ones_like(self.real) if of is None else of
            yield from self._painted(chosen.view(-1).nonzero().squeeze(1), batch)

    def _painted(self, states: Tensor, batch: int) -> Iterator[Tensor]:
        size = self.levels.size
        for part in states.split(batch):
            level = part // self.cell.shape[1]
            painted = self._painter.paint(level, self.progress.view(-1)[part])
            painted.scatter_(1, (self.cell.view(-1)[part] + MOUSE * size**2)[:, None], 1)
            yield painted.view(len(part), -1, size, size)

    def _at(self, name: str) -> Tensor:
        levels = self.levels
        if name == "corner":
            region = torch.from_numpy(corner_region(levels.size, levels.world.corner_size).ravel()).to(
                self.device
            )
            return region[self.cell] & self.real
        cells = torch.from_numpy(levels.places[name]).to(self.device)
        return (self.cell[:, :, None] == cells[:, None, :]).any(-1) & self.real


def memory(size: int) -> str:
    """A number of bytes for a person."""
    return f"{size / 2**20:,.0f} MiB" if size >= 2**20 else "under 1 MiB"


def _too_large(levels: Levels, most_states: int, states: str) -> StateGraphTooLarge:
    return StateGraphTooLarge(
        f"{len(levels)} levels of the world {levels.world.name!r} have {states}, more than {most_states:,} in all, "
        f"which is {memory(most_states * _BYTES_PER_STATE)}, and {memory(most_states * _PEAK_BYTES_PER_STATE)} "
        f"while it is made"
    )


def _reachable(
    levels: Levels,
    following: np.ndarray,
    sets: np.ndarray,
    moves: np.ndarray,
    begins: np.ndarray,
    most_states: int,
) -> np.ndarray:
    """Every reachable state as level * keys + key, (N,), which orders them by level, progress and cell."""
    count, cells = sets.shape
    keys = following.shape[0] * cells
    together, states = max(1, _SEEN_BYTES // keys), 0
    parts = []
    for begin in range(0, count, together):
        free = ~levels.walls[begin : begin + together].reshape(-1, cells)
        seen = np.zeros(len(free) * keys, dtype=bool)
        level, cell = np.nonzero(free)
        frontier = level * keys + begins[begin + level] * cells + cell
        seen[frontier] = True
        states += len(frontier)
        while following.shape[0] > 1 and len(frontier):
            if states > most_states:  # before the rest of them is found
                raise _too_large(levels, most_states, f"over {states:,} states")
            level, key = np.divmod(frontier, keys)
            progress, cell = np.divmod(key, cells)
            cell_after = moves[begin + level, cell].astype(np.int64)
            after = following[progress[:, None], sets[begin + level[:, None], cell_after]]
            found = np.unique(level[:, None] * keys + after * cells + cell_after)
            frontier = found[~seen[found]]
            seen[frontier] = True
            states += len(frontier)
        parts.append(begin * keys + np.flatnonzero(seen))
    return np.concatenate(parts)
