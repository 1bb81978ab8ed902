"""The batched environment against a plain-Python mouse, one cell at a time."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from goalcut.envs import (
    CheeseInCorner,
    CheeseMaze,
    Level,
    Levels,
    ascii,
    default_time_limit,
    make_levels,
    next_cells,
    observations,
)

# Written out again on purpose: the test does not trust the module's own table.
MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}


@dataclass
class PlainMouse:
    """One mouse in one level, the slow and obvious way."""

    level: Level
    time_limit: int
    cheese_ends: bool

    def __post_init__(self) -> None:
        self.cell, self.elapsed = self.level.mouse, 0

    def step(self, action: int) -> tuple[float, bool, bool]:
        row, column = self.cell[0] + MOVES[action][0], self.cell[1] + MOVES[action][1]
        size = len(self.level.walls)
        if 0 <= row < size and 0 <= column < size and not self.level.walls[row, column]:
            self.cell = (row, column)
        self.elapsed += 1
        terminated = self.cheese_ends and self.cell == self.level.cheese
        return float(terminated), terminated, not terminated and self.elapsed == self.time_limit

    def planes(self) -> np.ndarray:
        planes = np.zeros((3, *self.level.walls.shape), dtype=np.uint8)
        planes[0] = self.level.walls
        planes[1][self.cell] = 1
        planes[2][self.level.cheese] = 1
        return planes


@pytest.mark.parametrize("cheese_ends", [True, False])
@pytest.mark.parametrize(
    ("size", "start", "time_limit"),
    [(5, "random", 12), (5, "bottom_left", None), (9, "random", 30), (13, "random", 7)],
)
def test_random_play_agrees_with_a_plain_mouse(
    size: int, start: str, time_limit: int | None, cheese_ends: bool
) -> None:
    settings = CheeseInCorner(size=size, corner_size=size // 2, start=start)  # type: ignore[arg-type]
    levels = make_levels(settings, 40, seed=size, distribution="shifted")
    env = CheeseMaze(levels, 25, seed=4, time_limit=time_limit, endless=not cheese_ends)
    limit = 8 * size if time_limit is None else time_limit
    assert env.time_limit == limit
    mice = [PlainMouse(levels[number], limit, cheese_ends) for number in env.level.tolist()]
    assert np.array_equal(env.observations, np.stack([mouse.planes() for mouse in mice]))
    generator = np.random.default_rng(0)
    terminations = truncations = 0
    for _ in range(150):
        actions = generator.integers(4, size=25)
        step = env.step(torch.from_numpy(actions))
        expected = [mouse.step(action) for mouse, action in zip(mice, actions.tolist(), strict=True)]
        rewards, terminated, truncated = (list(column) for column in zip(*expected, strict=True))
        assert step.rewards.tolist() == rewards
        assert step.terminated.tolist() == terminated
        assert step.truncated.tolist() == truncated
        assert step.mouse.tolist() == [mouse.cell[0] * size + mouse.cell[1] for mouse in mice]
        ended = [number for number in range(25) if terminated[number] or truncated[number]]
        assert step.ended.tolist() == ended
        assert step.final_observations.shape == (len(ended), 3, size, size)
        for number, final in zip(ended, step.final_observations.numpy(), strict=True):
            assert np.array_equal(final, mice[number].planes())
            mice[number] = PlainMouse(levels[int(env.level[number])], limit, cheese_ends)
        assert np.array_equal(step.observations, np.stack([mouse.planes() for mouse in mice]))
        assert step.rewards.dtype == torch.float32
        assert step.observations.dtype == torch.uint8
        terminations, truncations = terminations + sum(terminated), truncations + sum(truncated)
    assert truncations > 0
    assert (terminations > 0) == cheese_ends


CORRIDOR = ascii.parse(
    """
    M...C
    #####
    #####
    #####
    #####
    """
)


def corridor(num_envs: int = 1, **settings: object) -> CheeseMaze:
    return CheeseMaze(Levels.of([CORRIDOR], CheeseInCorner()), num_envs, seed=0, **settings)  # type: ignore[arg-type]


RIGHT = torch.tensor([3])


def test_truncation_comes_at_exactly_the_time_limit() -> None:
    env = corridor(time_limit=6)
    up = torch.tensor([0])
    for _ in range(2):  # twice: the clock starts anew with the next episode
        for elapsed in range(1, 7):
            step = env.step(up)
            assert step.truncated.item() == (elapsed == 6)
            assert not step.terminated.item()


def test_cheese_on_the_last_step_is_termination_and_not_truncation() -> None:
    env = corridor(time_limit=4)
    for _ in range(3):
        step = env.step(RIGHT)
        assert not step.terminated.item()
        assert not step.truncated.item()
    step = env.step(RIGHT)
    assert step.terminated.item()
    assert not step.truncated.item()
    assert step.rewards.item() == 1.0


def test_the_step_keeps_where_the_mouse_went_through_the_next_steps() -> None:
    env = corridor()
    steps = [env.step(RIGHT) for _ in range(5)]
    assert [step.mouse.item() for step in steps] == [1, 2, 3, 4, 1]
    assert steps[3].final_observations[0, 1].nonzero().tolist() == [[0, 4]]


def test_cheese_that_does_not_end_the_episode_neither_pays_nor_ends_it() -> None:
    env = corridor(time_limit=9, endless=True)
    steps = [env.step(RIGHT) for _ in range(9)]
    assert [step.rewards.item() for step in steps] == [0.0] * 9
    assert [step.terminated.item() for step in steps] == [False] * 9
    assert [step.truncated.item() for step in steps] == [False] * 8 + [True]
    assert steps[-1].mouse.item() == 4


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_twins_agree_exactly_over_200_steps(seed: int) -> None:
    levels = make_levels(CheeseInCorner(start="random"), 200, seed=0)
    first, second = (CheeseMaze(levels, 32, seed=seed, time_limit=20) for _ in range(2))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(200):
        actions = torch.randint(4, (32,), generator=generator)
        one, two = first.step(actions), second.step(actions)
        for name in vars(one):
            assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_seeds_and_reseeding_decide_which_levels_come_up() -> None:
    levels = make_levels(CheeseInCorner(), 500, seed=0)
    first, second = (CheeseMaze(levels, 64, seed=seed) for seed in (1, 2))
    assert not torch.equal(first.level, second.level)
    second.reseed(1)
    second.reset()
    assert torch.equal(first.level, second.level)


def test_levels_are_drawn_uniformly_from_the_pool() -> None:
    env = CheeseMaze(make_levels(CheeseInCorner(size=5, corner_size=2), 10, seed=0), 20_000, seed=0)
    counts = torch.bincount(env.level, minlength=10)
    # Chi-square with 9 degrees of freedom passes 27.88 once in a thousand; the stream is fixed.
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.88


def play(env: CheeseMaze, steps: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    trace = []
    for _ in range(steps):
        step = env.step(torch.randint(4, (env.num_envs,), generator=generator))
        trace += [
            step.observations.clone(),
            step.rewards,
            step.truncated,
            step.mouse,
            step.final_observations,
        ]
    return trace


def test_a_state_taken_up_again_goes_on_bit_for_bit_as_often_as_wanted() -> None:
    levels = make_levels(CheeseInCorner(start="random"), 50, seed=0)
    env = CheeseMaze(levels, 16, seed=3, time_limit=15)
    play(env, 37, seed=0)
    state, seen = env.state(), env.observations.clone()
    expected = play(env, 60, seed=1)
    other = CheeseMaze(levels, 16, seed=99, time_limit=15)
    for _ in range(2):  # a second time: the first may not have written into the state
        other.load_state(state)
        assert torch.equal(other.observations, seen)
        again = play(other, 60, seed=1)
        assert all(torch.equal(one, two) for one, two in zip(expected, again, strict=True))


def test_a_state_of_another_number_of_environments_is_refused() -> None:
    with pytest.raises(ValueError, match="the state is of 3 environments, this is of 2"):
        corridor(2).load_state(corridor(3).state())


def test_a_pickled_environment_goes_on_bit_for_bit() -> None:
    env = CheeseMaze(make_levels(CheeseInCorner(), 50, seed=0), 8, seed=3, time_limit=15)
    play(env, 20, seed=0)
    copy = pickle.loads(pickle.dumps(env))
    pairs = zip(play(env, 40, seed=1), play(copy, 40, seed=1), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_reset_starts_the_levels_it_is_given() -> None:
    levels = make_levels(CheeseInCorner(start="random"), 6, seed=0)
    env = CheeseMaze(levels, 4, seed=0)
    given = torch.tensor([5, 0, 0, 3])
    assert np.array_equal(env.reset(given), observations(levels.take(given.numpy())))
    assert torch.equal(env.level, given)


def test_moves_lead_where_a_plain_look_at_the_walls_says() -> None:
    walls = np.random.default_rng(0).random((5, 6, 6)) < 0.4
    table = next_cells(walls)
    padded = np.pad(walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    for level in range(5):
        for cell in range(36):
            row, column = divmod(cell, 6)
            for action, (down, right) in MOVES.items():
                blocked = padded[level, 1 + row + down, 1 + column + right]
                assert table[level, cell, action] == (cell if blocked else cell + 6 * down + right)


def test_the_default_time_limit_is_eight_times_the_size() -> None:
    assert [default_time_limit(size) for size in (5, 9, 31)] == [40, 72, 248]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0: give at least 1"),
        ({"num_envs": 2, "time_limit": 0}, "time_limit is 0: give at least 1 step"),
        (
            {"num_envs": 2, "levels": Levels.of([CORRIDOR], CheeseInCorner()).take(slice(0, 0))},
            "levels is empty",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name_and_value(wrong: dict, message: str) -> None:
    arguments = {"levels": Levels.of([CORRIDOR], CheeseInCorner()), "seed": 0} | wrong
    with pytest.raises(ValueError, match=message):
        CheeseMaze(**arguments)
