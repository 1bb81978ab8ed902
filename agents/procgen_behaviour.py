"""Exact behaviour in Procgen's maze: the Markov chain of an agent that sees the game's own pictures.

The picture depends on the cell and on where the mouse looks, left or right, which its last sideways move decided: the
chain is on both together. Every state is rendered by the game itself, with the mouse put there; one batch of forward
passes gives its action probabilities, which `behaviour.hitting_probabilities` takes as those of any other maze.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..envs.levels import MOVES, OPPOSITE
from ..envs.procgen_frames import GAZES, Renderer, level_states
from ..envs.procgen_game import ACTION_MOVES, FRAME, NUM_PROCGEN_ACTIONS, TIME_LIMIT
from ..envs.procgen_levels import ProcgenLevels, levels_of
from ..envs.procgen_maze import Cheese
from ..envs.procgen_state import WORLD_SIZES, MazeState, Mode
from ..envs.state_graph import StateGraph
from ..envs.world import CONFLICT, TRAINING, Measure
from ..envs.worlds import CheeseInCorner
from ..envs.worlds.cheese_in_corner import CORNERED
from .behaviour import ExactBehaviour, Policy, uniform_policy

NUM_MOVES = len(MOVES) + 1
_SEARCHED_AT_ONCE = 64
_MOST_SEARCHED = 100_000
_RENDERED_BYTES = 2**29
_LEFT, _RIGHT = MOVES.index("left"), MOVES.index("right")


def uniform_actions(frames: Tensor) -> Tensor:
    """Every of Procgen's actions with probability 1/15."""
    return uniform_policy(frames, NUM_PROCGEN_ACTIONS)


class ProcgenGraph(StateGraph):
    """Levels as graphs of their 2F states: F free cells with the mouse looking left, then F looking right.

    Moves are up, down, left, right and stay. Attributes are those of `StateGraph`, of 2F states and 5 moves; the
    corner region is that of each maze inside its margin. Frames that were rendered once are kept, up to half a GiB.

    Args:
        states: the start of each level, all of one mode, for instance of `level_states`.
        corner_size: k of the corner region.
        device: where graphs and frames go.

    Raises:
        ProcgenMissingError: Procgen is not installed.
    """

    def __init__(self, states: list[MazeState], corner_size: int, device: torch.device | str = "cpu"):
        levels = levels_of(states)
        super().__init__(levels.levels, device)
        self.states, self._region = states, _region_of(levels, corner_size).to(device)
        self._renderer = Renderer(states[0].mode)
        self._rendered: dict[int, Tensor] = {}
        self._free_cells = self.real.sum(1).tolist()
        count, width = self.real.shape
        here = torch.arange(width, device=device).expand(count, width)[:, :, None]
        moves = torch.cat([self.next, here], dim=-1)
        gazes = torch.arange(len(GAZES), device=device)[:, None].repeat(1, NUM_MOVES)
        gazes[:, _LEFT], gazes[:, _RIGHT] = 0, 1
        self.next = torch.cat([moves + width * gaze for gaze in gazes], dim=1)
        stays = torch.ones_like(self.bumps[:, :, :1])
        self.bumps = torch.cat([self.bumps, stays], dim=-1)
        self.rewards = torch.cat([self.rewards, 0.0 * stays], dim=-1)
        self.start = torch.cat([self.start, torch.zeros_like(self.start)], dim=1)
        for name in ("bumps", "rewards", "real", "over", "initial", "cell", "progress", "_sets"):
            setattr(self, name, torch.cat([getattr(self, name)] * len(GAZES), dim=1))

    def _at(self, name: str) -> Tensor:
        if name == "corner":
            return self._region.gather(1, self.cell) & self.real
        return super()._at(name)

    def frames(self, level: int) -> Tensor:
        """What the mouse sees in each free cell of one level, (2, free cells, 3, 64, 64) uint8."""
        if level in self._rendered:
            return self._rendered[level]
        size = self.levels.size
        places = [divmod(cell, size) for cell in self.cell[level, : self._free_cells[level]].tolist()]
        frames = self._renderer.frames(self.states[level], places)
        seen = torch.from_numpy(frames).permute(0, 1, 4, 2, 3).to(self.device)
        if sum(kept.nbytes for kept in self._rendered.values()) + seen.nbytes <= _RENDERED_BYTES:
            self._rendered[level] = seen
        return seen

    def frames_of(self, states: Tensor) -> Tensor:
        """What the mouse sees in some states (S,), numbered through all levels as `real` is; (S, 3, 64, 64) uint8.

        Only their cells are rendered, and nothing is kept.
        """
        width, size = self.real.shape[1], self.levels.size
        level, own = states.cpu() // width, states.cpu() % width
        gaze, cell = own // (width // 2), self.cell.view(-1)[states].cpu()
        seen = torch.empty((len(states), 3, FRAME, FRAME), dtype=torch.uint8)
        for number in level.unique().tolist():
            here = torch.nonzero(level == number)[:, 0]
            cells, place = cell[here].unique(return_inverse=True)
            places = [divmod(one, size) for one in cells.tolist()]
            frames = torch.from_numpy(self._renderer.frames(self.states[number], places))
            seen[here] = frames[gaze[here], place].permute(0, 3, 1, 2)
        return seen.to(self.device)

    def action_probabilities(self, policy: Policy) -> Tensor:
        """π(move | cell, gaze) on every level, (L, 2F, 5); `policy` gives the probabilities of 15 actions.

        Where gradients are wanted, forward passes are done again backwards: those of one level at a time are in memory.
        """
        to_move = torch.eye(NUM_MOVES, device=self.device)[torch.from_numpy(ACTION_MOVES).to(self.device)]
        half = self.real.shape[1] // 2
        levels = []
        for level, free in enumerate(self._free_cells):
            seen = self.frames(level).flatten(0, 1)
            chosen = (
                checkpoint(policy, seen, use_reentrant=False) if torch.is_grad_enabled() else policy(seen)
            )
            moves = cast(Tensor, chosen) @ to_move
            padding = moves.new_zeros(half - free, NUM_MOVES)
            levels.append(torch.cat([moves[:free], padding, moves[free:], padding]))
        return torch.stack(levels)

    def navigation(self, policy: Tensor) -> Tensor:
        """`behaviour.navigation` of these chains, (L,): staying counts as bumping, and a bump may turn the gaze."""
        count, width, _ = policy.shape
        offsets = width * torch.arange(count, device=policy.device)[:, None, None]
        following = (self.next + offsets).view(-1)
        walking = (~(self._at("cheese") | self.corner) & self.real).to(policy.dtype)
        bumping = policy * self.bumps
        finds = (policy - bumping)[:, :, : len(MOVES)]
        # The last real move, and last, none yet: what would undo it finds no way on.
        undone = torch.cat(
            [finds[:, :, torch.as_tensor(OPPOSITE)], torch.zeros_like(finds[:, :, :1])], dim=-1
        )
        clean = finds.sum(-1, keepdim=True) - undone
        moves, found = torch.zeros_like(walking), torch.zeros_like(clean)
        for _ in range(self.levels.size):
            moves_after = moves.view(-1)[following].view_as(policy)
            found_after = found.view(-1, found.shape[-1])[following].view(*policy.shape, -1)
            by_move = found_after.diagonal(dim1=-2, dim2=-1)[:, :, : len(MOVES)]
            moves = walking * (1 + (policy * moves_after).sum(-1))
            onward = (finds * by_move).sum(-1, keepdim=True)
            turned = (bumping[..., None] * found_after).sum(-2)
            found = walking[:, :, None] * (clean + onward + turned)
        return (walking * found[:, :, -1]).sum(1) / (walking * moves).sum(1)


class ProcgenBehaviour(ExactBehaviour):
    """The measures of a world on `ProcgenGraph`s; policies take frames (B, 3, 64, 64) and give 15 probabilities."""

    num_actions: ClassVar[int] = NUM_PROCGEN_ACTIONS
    paired: ClassVar[bool] = False

    def _actions(self, policy: Policy, by_graph: Sequence[tuple[StateGraph, list[Measure]]]) -> list[Tensor]:
        # In every state: a level's frames go through the network at once, and few can be spared.
        return [cast(ProcgenGraph, graph).action_probabilities(policy) for graph, _ in by_graph]

    def _navigation(self, actions: Tensor, graph: StateGraph) -> Tensor:
        return cast(ProcgenGraph, graph).navigation(actions)


def conflict_states(count: int, *, mode: Mode, corner_size: int, first_seed: int) -> list[MazeState]:
    """The first `count` stock levels from `first_seed` on whose cheese and start lie outside the corner region.

    Raises:
        ValueError: corner_size leaves no such level, or hardly any.
    """
    if corner_size >= WORLD_SIZES[mode]:
        raise ValueError(
            f"corner_size is {corner_size}: in mode {mode!r} that is every cell; give at most {WORLD_SIZES[mode] - 1}"
        )
    found: list[MazeState] = []
    seed = first_seed
    while len(found) < count:
        if seed >= first_seed + _MOST_SEARCHED:
            raise ValueError(
                f"corner_size is {corner_size}: of {_MOST_SEARCHED:,} levels of the mode {mode!r} only {len(found)} "
                f"have mouse and cheese outside that region, not {count}; give a smaller one, or fewer levels"
            )
        states = level_states(np.arange(seed, seed + _SEARCHED_AT_ONCE), mode=mode)
        levels = levels_of(states)
        region = levels.corner(corner_size).reshape(len(states), -1)
        every = np.arange(len(states))
        inside = region[every, levels.levels.cheese] | region[every, levels.levels.mouse]
        found += [states[index] for index in np.flatnonzero(~inside)]
        seed += _SEARCHED_AT_ONCE
    return found[:count]


def procgen_behaviour(
    count: int,
    *,
    mode: Mode = "hard",
    cheese: Cheese = "region",
    corner_size: int = 5,
    first_seed: int = 0,
    device: torch.device | str = "cpu",
) -> ProcgenBehaviour:
    """The measures of the world `CheeseInCorner` on `count` conflict, training and cornered levels of Procgen's maze.

    Conflict levels are stock levels; in training levels the cheese lies as in training, in cornered ones in the
    corner region. Policies take frames (B, 3, 64, 64) uint8 and give probabilities (B, 15).

    Args:
        count: levels of each kind.
        mode: distribution mode.
        cheese: where training put it.
        corner_size: k of the corner region.
        first_seed: levels are taken from this one on; give one beyond those of training.
        device: where chains and frames go.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a setting is out of range, naming it.
    """
    if count < 1:
        raise ValueError(f"count is {count}: give at least 1")
    seeds = np.arange(first_seed, first_seed + count)

    def graph(where: Cheese) -> ProcgenGraph:
        states = level_states(seeds, mode=mode, cheese=where, corner_size=corner_size)
        return ProcgenGraph(states, corner_size, device)

    conflict = conflict_states(count, mode=mode, corner_size=corner_size, first_seed=first_seed)
    training = graph(cheese)
    graphs: Mapping[str, StateGraph] = {
        CONFLICT: ProcgenGraph(conflict, corner_size, device),
        TRAINING: training,
        CORNERED: training if cheese == "region" else graph("region"),
    }
    world = CheeseInCorner(size=WORLD_SIZES[mode], corner_size=corner_size)
    return ProcgenBehaviour(world, graphs, TIME_LIMIT)


def _region_of(levels: ProcgenLevels, corner_size: int) -> Tensor:
    """The corner region of each maze, (L, W²) bool."""
    return torch.from_numpy(levels.corner(corner_size).reshape(len(levels), -1))
