"""ProcgenMaze: Procgen's own maze as a batched torch environment, with the cheese moved."""

import hashlib
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from .cheese_maze import Step
from .levels import Level
from .procgen_game import (
    CHEESE_REWARD,
    FORCE_RESET,
    FRAME,
    LARGEST_SEED,
    NUM_PROCGEN_ACTIONS,
    TIME_LIMIT,
    ProcgenGame,
)
from .procgen_levels import ProcgenLevels, levels_of, put_level
from .procgen_mice import FollowedMice
from .procgen_state import WALL, WORLD_SIZES, MazeState, Mode

Cheese = Literal["stock", "corner", "region"]


class ProcgenMaze:
    """The mouse of Procgen (Cobbe et al. 2020, arXiv 1912.01588), looking for cheese that was moved; N copies.

    With `cheese` `corner` or `region` this is the environment of Langosco et al. 2022 (arXiv 2105.14111) and Turner
    et al. 2023 (arXiv 2310.08043): the stock game, whose state is rewritten after each reset, on the environments
    that ended alone. Levels, textures and their order stay those of the stock game.

    Actions: Procgen's 15: 0 to 2 left, 3 down, 5 up, 6 to 8 right; 4 and 9 to 14 stay.
    Observation: uint8 RGB (3, 64, 64), laid out pixel by pixel (channels_last). Where the mouse looks is seen too: to
    the right after a move to the right, until one to the left.
    Reward: `reward` on reaching the cheese, else 0.
    Termination: the cheese is reached. Truncation: 500 steps. Both reset automatically, to the next level of the
    environment's own stream.

    The game resets by itself and throws the last frame away: `final_observations` are rendered anew, in a game put
    aside for that.

    Args:
        num_envs: how many copies.
        seed: seed of the streams of levels.
        mode: `easy` 15×15 cells, `hard` 25×25, `memory` 31×31 of which the mouse sees 8×8 around itself.
        num_levels: levels are drawn from so many; 0 is no limit.
        start_level: the first of them.
        cheese: `stock` where the game put it, `corner` the top right cell of the maze, `region` a free cell of the
            k×k at its top right, chosen by the level's seed.
        corner_size: k of `region`; a smaller maze is region altogether.
        reward: what the cheese pays; the game's own is 10.
        threads: CPU threads that step the copies; 0 is the caller's own.
        device: where observations and the rest go; the game runs on the CPU.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a setting is out of range, naming it.
    """

    num_actions = NUM_PROCGEN_ACTIONS
    time_limit = TIME_LIMIT
    observation_shape = (3, FRAME, FRAME)

    def __init__(
        self,
        num_envs: int,
        *,
        seed: int,
        mode: Mode = "hard",
        num_levels: int = 0,
        start_level: int = 0,
        cheese: Cheese = "stock",
        corner_size: int = 5,
        reward: float = CHEESE_REWARD,
        threads: int = 4,
        device: torch.device | str = "cpu",
    ):
        if cheese not in get_args(Cheese):
            raise ValueError(f"cheese is {cheese!r}: give one of {', '.join(map(repr, get_args(Cheese)))}")
        if corner_size < 1:
            raise ValueError(f"corner_size is {corner_size}: give at least 1")
        self._game = ProcgenGame(
            num_envs, mode, seed=seed, num_levels=num_levels, start_level=start_level, threads=threads
        )
        self._spare = ProcgenGame(1, mode, seed=0, num_levels=1, threads=0)
        # The games are not Python's to copy: a copy begins with the same settings and takes up the state.
        self._settings = {
            "num_envs": num_envs,
            "seed": seed,
            "mode": mode,
            "num_levels": num_levels,
            "start_level": start_level,
            "cheese": cheese,
            "corner_size": corner_size,
            "reward": reward,
            "threads": threads,
            "device": device,
        }
        self.num_envs, self.device = num_envs, torch.device(device)
        self.mode: Mode = mode
        self.size = WORLD_SIZES[mode]
        self.cheese, self.reward = cheese, reward
        self.corner_size = 1 if cheese == "corner" else corner_size
        self._frames = torch.from_numpy(self._game.frames).permute(0, 3, 1, 2)
        self._mice = FollowedMice(num_envs, self.size)
        self._pays = np.float32(reward)
        # Beside the mouse's place, nothing happens.
        self._no_progress, self._none_ended = torch.zeros(num_envs, dtype=torch.int64), torch.zeros(0).long()
        self._nobody, self._one_each, self._on_cpu = bytes(num_envs), (num_envs,), self.device.type == "cpu"
        self._actions, self._unsigned = self._game.actions, self._game.actions.view(np.uint32)
        self._no_frames = torch.empty((0, *self.observation_shape), dtype=torch.uint8)
        self._states: list[MazeState] = [self._enter(index) for index in range(num_envs)]

    @property
    def observations(self) -> Tensor:
        """The current observations, (N, 3, 64, 64) uint8; a view that the next step overwrites."""
        return self._frames.to(self.device)

    @property
    def level(self) -> Tensor:
        """Seed of the level that each environment is in, (N,) int64."""
        return torch.from_numpy(self._mice.level.copy()).to(self.device)

    @property
    def levels(self) -> ProcgenLevels:
        """The levels of the episodes under way, each mouse where it is now."""
        return levels_of([self.read(index) for index in range(self.num_envs)])

    def reseed(self, seed: int) -> None:
        """Start the streams of level draws anew from `seed`; episodes under way go on."""
        words = np.random.SeedSequence(seed).generate_state(self.num_envs)
        for index, word in enumerate(words.tolist()):
            state = self._game.read(index)
            state.reseed(word)
            self._game.write(index, state)

    def reset(self, levels: Tensor | None = None) -> Tensor:
        """Start every environment anew, in the levels of the seeds (N,) or in the next ones; returns observations.

        Raises:
            ValueError: the seeds are not one per environment, or none of Procgen's; nothing has changed then.
        """
        self._check_seeds(levels, self.num_envs)
        ranges = []
        for index, seed in enumerate([] if levels is None else levels.tolist()):
            state = self._game.read(index)
            ranges.append(state.level_range)
            state.level_range = (seed, seed + 1)
            self._game.write(index, state)
        self._game.act(np.full(self.num_envs, FORCE_RESET, dtype=np.int32))
        self._game.wait()
        for index in range(self.num_envs):
            self._states[index] = self._enter(index, ranges[index] if ranges else None)
        return self.observations

    def start(self, environments: Tensor, levels: Tensor | None = None) -> None:
        """Start these environments (E,) int64 anew, as `reset` does all, and leave the others as they are.

        Raises:
            ValueError: there is no such environment, or the seeds are not one per environment, or none of Procgen's;
                nothing has changed then.
        """
        for index in environments.tolist():
            self._game.check(index)
        self._check_seeds(levels, len(environments))
        for number, index in enumerate(environments.tolist()):
            state = self._game.read(index)
            level_range = state.level_range
            if levels is not None:
                seed = int(levels[number])
                state.level_range = (seed, seed + 1)
            # The game steps all of its copies or none, so this one takes its reset elsewhere.
            self._spare.write(0, state)
            self._spare.act(np.array([FORCE_RESET]))
            self._spare.wait()
            self._game.write(index, self._spare.read(0))
            self._states[index] = self._enter(index, level_range)

    def step(self, actions: Tensor) -> Step:
        """Advance every environment by its action, (N,) int64 in 0…14.

        Raises:
            ValueError: an action is none of these; nothing has moved then.
        """
        try:
            self._actions[:] = (actions if actions.is_cpu else actions.cpu()).numpy()
            moves = self._mice.moves(self._unsigned)
            if actions.shape != self._one_each:
                raise ValueError
        except (IndexError, ValueError):
            raise ValueError(
                f"actions are {tuple(actions.shape)}, from {actions.min()} to {actions.max()}: give "
                f"({self.num_envs},) of 0 to {NUM_PROCGEN_ACTIONS - 1}"
            ) from None
        self._game.act(self._actions)
        # The game's threads are at work meanwhile.
        ending, given = self._mice.follow(moves)
        step = Step(
            observations=self._frames,
            rewards=given.no_rewards,
            terminated=given.won,
            truncated=given.none,
            mouse=given.cells,
            progress=self._no_progress,
            ended=self._none_ended,
            final_observations=self._no_frames,
        )
        over = self._nobody
        if ending:
            step, over = self._ending(step)
        self._game.wait()
        # What the game says must be what follows from its walls: a mouse that is elsewhere would go unseen.
        if self._game.first.tobytes() != over:
            raise RuntimeError("Procgen ended other episodes than its mazes say: is this an altered Procgen?")
        if ending:
            self._enter_next(step)
        if self._on_cpu:
            return step
        return Step(**{name: tensor.to(self.device) for name, tensor in vars(step).items()})

    def _ending(self, step: Step) -> tuple[Step, bytes]:
        """The step as it is when episodes end in it, and whose do, as the game tells it."""
        won = step.terminated.numpy()
        over = won | self._mice.timed_out()
        ended = np.flatnonzero(over)
        frames = np.empty((len(ended), FRAME, FRAME, 3), dtype=np.uint8)
        for number, index in enumerate(ended.tolist()):
            frames[number] = self._last_frame(index, cheese=not won[index])
        changed = Step(
            observations=step.observations,
            rewards=torch.from_numpy(won * self._pays),
            terminated=step.terminated,
            truncated=torch.from_numpy(over & ~won),
            mouse=step.mouse,
            progress=step.progress,
            ended=torch.from_numpy(ended),
            final_observations=torch.from_numpy(frames).permute(0, 3, 1, 2),
        )
        return changed, over.tobytes()

    def _enter_next(self, step: Step) -> None:
        """Take up the episodes that follow those which ended."""
        ended = step.ended.numpy()
        if (step.terminated.numpy()[ended] != (self._game.rewards[ended] > 0)).any():
            raise RuntimeError(
                "Procgen pays for other episodes than its mazes say: is this an altered Procgen?"
            )
        for index in ended.tolist():
            self._states[index] = self._enter(index)

    def read(self, index: int) -> MazeState:
        """The state of one environment, to look into or to edit.

        Raises:
            ValueError: there is no such environment.
        """
        return self._game.read(index)

    def write(self, index: int, state: MazeState | bytes) -> None:
        """Put a state into one environment; its observation shows it at once.

        Raises:
            ProcgenStateError: it is damaged, of another game or mode, its mouse is in a wall, its cells are other than
                wall, space and cheese, or it has several cheeses; the environment stays as it was.
            ValueError: there is no such environment.
        """
        self._game.check(index)
        content = state.content if isinstance(state, MazeState) else state
        whole = MazeState(content, self.mode)
        whole.check_maze()
        self._game.write(index, whole)
        self._take_up(index, whole)

    def place(self, index: int, level: Level) -> None:
        """Start an episode of one environment in any level: walls, cheese and mouse; the textures stay.

        Raises:
            ValueError: there is no such environment, or the level does not fit, see `put_level`; the environment stays
                as it was.
        """
        self._game.check(index)
        state = self._game.read(index)
        put_level(state, level)
        self._game.write(index, state)
        self._take_up(index, state)

    def state(self) -> dict[str, Tensor]:
        """All that changes, to resume from: the games' own states (N, bytes), cut to their lengths (N,)."""
        contents = [
            torch.frombuffer(self._game.read(i).content, dtype=torch.uint8) for i in range(self.num_envs)
        ]
        lengths = torch.tensor([len(content) for content in contents])
        return {"games": torch.nn.utils.rnn.pad_sequence(contents, batch_first=True), "lengths": lengths}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave, of an environment with the same mode and num_envs.

        Raises:
            ValueError: it is of another mode or number of environments; nothing has changed then.
        """
        if len(state["games"]) != self.num_envs:
            raise ValueError(
                f"the state is of {len(state['games'])} environments, this is of {self.num_envs}"
            )
        games = [
            MazeState(game[:length].cpu().numpy().tobytes(), self.mode)
            for game, length in zip(state["games"], state["lengths"].tolist(), strict=True)
        ]
        for index, game in enumerate(games):
            self._game.write(index, game)
            self._take_up(index, game)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: what to begin with, and the state to take up."""
        return {"settings": self._settings, "state": self.state()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Begin games of one's own, where the others were."""
        self.__init__(**kept["settings"])
        self.load_state(kept["state"])

    def close(self) -> None:
        """Free the games."""
        self._game.close()
        self._spare.close()

    def _check_seeds(self, levels: Tensor | None, count: int) -> None:
        if levels is not None and (
            levels.shape != (count,) or (count and (levels.min() < 0 or levels.max() >= LARGEST_SEED))
        ):
            raise ValueError(
                f"levels are {tuple(levels.shape)}, from {levels.min()} to {levels.max()}: give ({count},) seeds from "
                f"0 to {LARGEST_SEED - 1}"
            )

    def _enter(self, index: int, level_range: tuple[int, int] | None = None) -> MazeState:
        """Take up the new episode of one environment: move its cheese, and put its range of levels back."""
        state = self._game.read(index)
        if level_range is not None:
            state.level_range = level_range
        cheese = state.cheese if self.cheese == "stock" else move_cheese(state, self.corner_size)
        if self.cheese != "stock" or level_range is not None:
            self._game.write(index, state, generators=False)
        self._mice.take_up(index, state, cheese)
        return state

    def _take_up(self, index: int, state: MazeState) -> None:
        """Go on from a state that was written."""
        self._mice.take_up(index, state, state.cheese)
        self._states[index] = state

    def _last_frame(self, index: int, *, cheese: bool) -> np.ndarray:
        """(64, 64, 3): what the mouse of an ended episode saw last, the cheese eaten or not."""
        state = self._states[index]
        state.facing_right = self._mice.looks_right(index, state)
        state.mouse = self._mice.place(index)
        if not cheese:
            state.cheese = None
        self._spare.write(0, state, generators=False)
        return self._spare.frames[0]


def move_cheese(state: MazeState, corner_size: int) -> tuple[int, int]:
    """Move a level's cheese to a free cell of its corner region, chosen by the level's seed, not under the mouse.

    Returns:
        (row, column) of the cheese now.
    """
    rows, columns = state.corner(corner_size)
    free = np.flatnonzero(state.grid[rows, columns] != WALL).tolist()
    width, (row, column) = columns.stop - columns.start, state.mouse
    if rows.start <= row < rows.stop and columns.start <= column < columns.stop:
        free.remove((row - rows.start) * width + column - columns.start)
    digest = hashlib.blake2b(state.level_seed.to_bytes(4, "little"), digest_size=8).digest()
    row, column = divmod(free[int.from_bytes(digest, "little") % len(free)], width)
    place = rows.start + row, columns.start + column
    state.cheese = place
    return place
