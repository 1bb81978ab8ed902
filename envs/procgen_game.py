"""Procgen's maze game as it is installed: N copies stepped together, their states read and written.

The game is C++; it comes with the extra `goalcut[procgen]` for Python 3.11 and 3.12 on 64-bit Linux.
"""

import io
import warnings
from contextlib import redirect_stderr
from typing import Any

import numpy as np

from .procgen_state import MazeState, Mode, check_mode

TIME_LIMIT = 500
CHEESE_REWARD = 10.0
NUM_PROCGEN_ACTIONS = 15
# What an action does: 0 up, 1 down, 2 left, 3 right as in `levels.MOVES`, 4 stays.
STAY = 4
ACTION_MOVES = np.array([2, 2, 2, 1, 4, 0, 3, 3, 3, 4, 4, 4, 4, 4, 4])
# Not an action of the game: ends the episode.
FORCE_RESET = -1
FRAME = 64
_LARGEST_STATE = 1 << 20
LARGEST_SEED = 2**31 - 1


class ProcgenMissingError(ImportError, ValueError):
    """Procgen is not installed; the message says how to install it."""


def import_procgen() -> Any:
    """The module `procgen`.

    Raises:
        ProcgenMissingError: it is not installed, or does not load.
    """
    try:
        # It leaves a file open and brings a gym that prints its own obituary: neither is the caller's concern.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            import procgen
    except ImportError as error:
        raise ProcgenMissingError(
            f"Procgen is not installed ({error}): pip install 'goalcut[procgen]', with Python 3.11 or 3.12 on 64-bit "
            f"Linux; there is no wheel for others"
        ) from None
    return procgen


def stock_environments(**settings: Any) -> Any:
    """Procgen's own `ProcgenGym3Env` with these settings of its own.

    Raises:
        ProcgenMissingError: it is not installed.
    """
    environments = import_procgen().ProcgenGym3Env(**settings)
    # cffi looks a function up when it is first named, under a lock that all environments share. Were the garbage
    # collector to close this one while another's look-up holds it, the process would wait for itself for ever.
    _ = environments._c_lib.libenv_close
    return environments


class ProcgenGame:
    """N copies of the stock game.

    Args:
        num_envs: how many.
        mode: distribution mode: `easy` 15×15, `hard` 25×25, `memory` 31×31 with a view of 8 cells around.
        seed: seed of the level draws.
        num_levels: levels are drawn from so many; 0 is no limit.
        start_level: the first of them.
        threads: CPU threads that step the copies; 0 is the caller's own.
        large_frames: also render 512×512 pictures.

    Attributes:
        frames: (N, 64, 64, 3) uint8, what the mice see; the game's own buffer, which every step overwrites.
        rewards: (N,) float32, of the last step; its buffer too.
        first: (N,) bool, whether the last step ended an episode; its buffer too.
        actions: (N,) int32, the buffer that it takes actions from.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        ValueError: a setting is out of range, naming it.
    """

    def __init__(
        self,
        num_envs: int,
        mode: Mode,
        *,
        seed: int,
        num_levels: int = 0,
        start_level: int = 0,
        threads: int = 4,
        large_frames: bool = False,
    ):
        check_mode(mode)
        for name, value, least in (
            ("num_envs", num_envs, 1),
            ("seed", seed, 0),
            ("num_levels", num_levels, 0),
            ("start_level", start_level, 0),
            ("threads", threads, 0),
        ):
            if value < least:
                raise ValueError(f"{name} is {value}: give at least {least}")
        if start_level + num_levels > LARGEST_SEED:
            raise ValueError(
                f"start_level + num_levels is {start_level + num_levels}: Procgen has levels below {LARGEST_SEED}"
            )
        self.num_envs = num_envs
        self.mode: Mode = mode
        self._env = stock_environments(
            num=num_envs,
            env_name="maze",
            distribution_mode=mode,
            rand_seed=seed % LARGEST_SEED,
            num_levels=num_levels,
            start_level=start_level,
            num_threads=threads,
            render_mode="rgb_array" if large_frames else None,
        )
        self._env._reuse_arrays = True  # else every step copies all frames
        self.actions: np.ndarray = self._env._ac["action"]
        self._buffer = self._env._ffi.new(f"char[{_LARGEST_STATE}]")
        self._bytes = memoryview(self._env._ffi.buffer(self._buffer))
        self.rewards, observed, self.first = self._env.observe()
        self.frames: np.ndarray = observed["rgb"]

    def act(self, actions: np.ndarray) -> None:
        """Begin to advance every copy by its action, (N,) int32; call `wait` before anything else."""
        if actions is not self.actions:
            self.actions[:] = actions
        self._env._c_lib.libenv_act(self._env._c_env)  # `act` itself copies and looks at them for longer

    def wait(self) -> None:
        """End what `act` began: `frames`, `rewards` and `first` then hold its results."""
        self._env._c_lib.libenv_observe(self._env._c_env)

    def check(self, index: int) -> None:
        """Refuse a number that no copy has: given to the game, it would end the process.

        Raises:
            ValueError: naming the index.
        """
        if not 0 <= index < self.num_envs:
            raise ValueError(f"index is {index}: give 0 to {self.num_envs - 1}")

    def read(self, index: int) -> MazeState:
        """The state of one copy.

        Raises:
            ValueError: there is no such copy.
        """
        self.check(index)
        length = self._env.call_c_func("get_state", index, self._buffer, _LARGEST_STATE)
        return MazeState(self._bytes[:length], self.mode)

    def write(self, index: int, state: MazeState, *, generators: bool = True) -> None:
        """Put a state into one copy; `frames` shows it at once.

        Args:
            index: which copy.
            state: what it is to be in.
            generators: its random generators too; without them, which is quicker, the copy keeps those that it has:
                for states just read from it, or to draw a state.

        Raises:
            ValueError: there is no such copy.
        """
        self.check(index)
        content = state.content if generators else state.without_generators()
        length = len(content)
        self._bytes[:length] = content
        self._env.call_c_func("set_state", index, self._buffer, length)

    def large_frames(self) -> np.ndarray:
        """(N, 512, 512, 3) uint8, what a person looks at, a copy; the game must have been made with `large_frames`."""
        return np.stack([info["rgb"] for info in self._env.get_info()])

    def close(self) -> None:
        """Free the game."""
        self._env.close()
