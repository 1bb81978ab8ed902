import gc
import sys
import threading

import numpy as np
import pytest
import torch
from procgen_installed import needs_procgen

from goalcut.envs import ascii, corner_region
from goalcut.envs.levels import Level, Levels
from goalcut.envs.procgen_game import ACTION_MOVES, ProcgenGame, ProcgenMissingError, stock_environments
from goalcut.envs.procgen_levels import layout_hashes, level_of, share_seen
from goalcut.envs.procgen_maze import ProcgenMaze
from goalcut.envs.procgen_state import CHEESE, SPACE, WALL, WORLD_SIZES, MazeState, ProcgenStateError

pytestmark = needs_procgen
MODES = list(WORLD_SIZES)


def random_actions(steps: int, num_envs: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(15, (steps, num_envs), generator=torch.Generator().manual_seed(seed))


def maze(num_envs: int = 8, **settings) -> ProcgenMaze:
    return ProcgenMaze(num_envs, **({"seed": 0, "mode": "easy", "threads": 0} | settings))


def at(walls: np.ndarray, mouse: tuple[int, int], cheese: tuple[int, int]) -> Level:
    return Level(walls, mouse, {"cheese": (cheese,)})


def line_level(size: int = 15) -> Level:
    """A corridor in the middle row, the mouse at its left end, the cheese four cells on."""
    walls = np.ones((size, size), dtype=bool)
    walls[7, 2:9] = False
    return at(walls, (7, 2), (7, 6))


@pytest.mark.parametrize("mode", MODES)
def test_a_stock_maze_is_the_stock_game_frame_by_frame(mode) -> None:
    env = ProcgenMaze(5, seed=3, mode=mode, threads=0)
    stock = stock_environments(num=5, env_name="maze", distribution_mode=mode, rand_seed=3, num_threads=2)
    for actions in random_actions(150, 5):
        stock.act(actions.numpy())
        rewards, frames, first = stock.observe()
        step = env.step(actions)
        assert np.array_equal(step.observations.permute(0, 2, 3, 1), frames["rgb"])
        assert np.array_equal(step.rewards, rewards)
        assert np.array_equal(step.terminated | step.truncated, first)


def test_a_game_that_the_collector_closes_waits_for_no_lock() -> None:
    game = ProcgenGame(1, "easy", seed=0, threads=0)
    environments = game._env
    ffi, environments.itself = environments._ffi, environments  # only the collector finds it
    del game, environments

    def collected() -> None:
        with ffi._lock:  # as while a function of another game is looked up for the first time
            gc.collect()

    thread = threading.Thread(target=collected, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("cheese", ["stock", "corner", "region"])
def test_mouse_and_gaze_are_where_the_game_has_them(cheese) -> None:
    env = maze(6, cheese=cheese)
    ends = 0
    for actions in random_actions(400, 6):
        before = [env.read(i).mouse for i in range(6)]
        step = env.step(actions)
        ends += len(step.ended)
        going_on = set(range(6)) - set(step.ended.tolist())
        for i in going_on:
            state = env.read(i)
            assert divmod(int(step.mouse[i]), env.size) == state.mouse
            assert env._mice.looks_right(i, env._states[i]) == state.facing_right
            moved = np.subtract(state.mouse, before[i])
            assert np.abs(moved).sum() <= 1
    assert ends > 0


def test_every_action_moves_as_the_table_says() -> None:
    walls = np.ones((15, 15), dtype=bool)
    walls[6:9, 6:9] = False
    env = maze(15)
    for index in range(15):
        env.place(index, at(walls, (7, 7), (6, 6)))
    env.step(torch.arange(15))
    moved = [tuple(np.subtract(env.read(i).mouse, (7, 7)).tolist()) for i in range(15)]
    steps = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1), 4: (0, 0)}
    assert moved == [steps[move] for move in ACTION_MOVES.tolist()]


@pytest.mark.parametrize("wins", [True, False])
def test_a_mouse_that_is_elsewhere_than_followed_is_told(wins) -> None:
    env = maze(2)
    level = line_level()
    env.place(1, at(level.walls, (7, 5), (7, 6)))
    unseen = env._game.read(1)
    unseen.mouse = (7, 2 if wins else 7)
    env._game.write(1, unseen)
    with pytest.raises(RuntimeError, match="ended other episodes than its mazes say"):
        env.step(torch.tensor([4, 7 if wins else 1]))


def test_what_a_step_gave_is_left_alone_by_the_next() -> None:
    env = maze(5)
    kept, copies = [], []
    for actions in random_actions(400, 5):
        step = env.step(actions)
        kept.append((step.rewards, step.terminated, step.truncated, step.mouse, step.final_observations))
        copies.append(tuple(tensor.clone() for tensor in kept[-1]))
        step.truncated[:] = True  # as a caller might write into what is its own
        copies[-1][2][:] = True
    for one, copy in zip(kept, copies, strict=True):
        assert all(torch.equal(mine, other) for mine, other in zip(one, copy, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_the_moved_cheese_pays_and_ends_on_arrival_and_its_old_place_does_not(mode) -> None:
    env, stock = (
        ProcgenMaze(1, seed=5, mode=mode, cheese=cheese, threads=0) for cheese in ("corner", "stock")
    )
    for _ in range(20):
        old, moved = level_of(stock.read(0)), level_of(env.read(0))
        assert np.array_equal(old.walls, moved.walls)
        region = env.read(0).corner(1)
        assert moved.cheese == (region[0].start, region[1].start)
        # Walk the mouse over the old place, then from beside the new one onto it.
        for target, other in ((old.cheese, moved.cheese), (moved.cheese, None)):
            if target == other:
                continue
            for action, (row, column) in ((7, (0, -1)), (1, (0, 1)), (5, (1, 0)), (3, (-1, 0))):
                beside = (target[0] + row, target[1] + column)
                if not (min(beside) >= 0 and max(beside) < env.size) or moved.walls[beside]:
                    continue
                if beside == moved.cheese:
                    continue
                state = env.read(0)
                state.mouse = beside
                env.write(0, state)
                step = env.step(torch.tensor([action]))
                assert bool(step.terminated[0]) == (target == moved.cheese)
                assert float(step.rewards[0]) == (10.0 if target == moved.cheese else 0.0)
                break
        assert len(step.ended) == 1
        stock.reset()
        assert int(stock.level[0]) == int(env.level[0])  # the order of levels is the stock game's


def test_cheese_of_a_region_lies_in_it_and_depends_on_the_level_alone() -> None:
    env, again = (maze(60, cheese="region", corner_size=4, seed=seed) for seed in (0, 1))
    seeds = torch.arange(60)
    env.reset(seeds)
    again.reset(seeds)
    levels = env.levels
    assert np.array_equal(levels.levels.cheese, again.levels.levels.cheese)
    regions = levels.corner(4).reshape(60, -1)
    assert regions[np.arange(60), levels.levels.cheese].all()
    assert (levels.levels.cheese != levels.levels.mouse).all()
    full = levels.maze_sizes == 15
    assert full.any()
    assert np.array_equal(regions[full][0].reshape(15, 15), corner_region(15, 4))
    # Measured from the corner, many cells of the region come up.
    offsets = levels.levels.cheese[full] // 15, levels.levels.cheese[full] % 15
    assert len(set(zip(*offsets, strict=True))) > 3


def test_the_last_frame_of_an_episode_cut_off_is_what_the_game_would_have_shown() -> None:
    env, twin = maze(9, cheese="region"), maze(9, cheese="region")
    for actions in random_actions(3, 9):
        for one in (env, twin):
            one.step(actions)
    for index in range(9):
        state = env.read(index)
        state.elapsed = 499
        env.write(index, state)
    actions = random_actions(1, 9, seed=4)[0]
    step, going_on = env.step(actions), twin.step(actions)
    assert step.truncated.sum() >= 8
    assert torch.equal(step.ended, torch.arange(9))
    cut_off = step.truncated & ~going_on.terminated
    assert torch.equal(step.final_observations[cut_off], going_on.observations[cut_off])
    assert not torch.equal(step.observations, going_on.observations)
    assert (step.rewards[step.truncated] == 0).all()


def test_the_last_frame_of_an_episode_won_shows_the_cheese_eaten() -> None:
    env, twin = maze(1), maze(1)
    level = line_level()
    env.place(0, at(level.walls, (7, 5), (7, 6)))
    twin.place(0, at(level.walls, (7, 5), (7, 8)))
    state = twin.read(0)
    state.cheese = None  # nothing to find: the walk goes on
    twin.write(0, state)
    step, going_on = (one.step(torch.tensor([7])) for one in (env, twin))
    assert step.terminated.all()
    assert torch.equal(step.final_observations, going_on.observations)


def test_the_time_limit_is_a_truncation_and_cheese_on_the_last_step_is_not() -> None:
    env = maze(2)
    for index, start in enumerate([(7, 2), (7, 5)]):
        env.place(index, at(line_level().walls, start, (7, 6)))
        state = env.read(index)
        state.elapsed = 499
        env.write(index, state)
    step = env.step(torch.tensor([7, 7]))
    assert step.truncated.tolist() == [True, False]
    assert step.terminated.tolist() == [False, True]
    assert step.rewards.tolist() == [0.0, 10.0]


def test_a_state_taken_up_goes_on_exactly() -> None:
    env = maze(6, cheese="region", corner_size=3)
    for actions in random_actions(50, 6):
        env.step(actions)
    saved, other = env.state(), maze(6, cheese="region", corner_size=3, seed=9)
    other.load_state(saved)
    assert torch.equal(env.observations, other.observations)
    for actions in random_actions(300, 6, seed=2):
        one, two = env.step(actions), other.step(actions)
        for name in one.__dataclass_fields__:
            assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_levels_come_by_seed_and_then_from_the_range_again() -> None:
    env = maze(4, num_levels=3, start_level=100)
    assert set(env.level.tolist()) <= {100, 101, 102}
    env.reset(torch.tensor([7, 7, 8, 2**31 - 2]))
    assert env.level.tolist() == [7, 7, 8, 2**31 - 2]
    levels = env.levels
    assert levels.seeds.tolist() == [7, 7, 8, 2**31 - 2]
    assert np.array_equal(levels.levels.walls[0], levels.levels.walls[1])
    assert not np.array_equal(levels.levels.walls[0], levels.levels.walls[2])
    alone = maze(1, num_levels=1, start_level=8)
    assert level_of(alone.read(0)) == levels.levels[2]
    for _ in range(10):
        env.reset()
        assert set(env.level.tolist()) <= {100, 101, 102}


@pytest.mark.parametrize("mode", MODES)
def test_some_start_anew_as_a_reset_of_all_does_it(mode) -> None:
    env, twin = (maze(5, mode=mode, cheese="region", corner_size=3) for _ in range(2))
    for actions in random_actions(30, 5):
        for one in (env, twin):
            one.step(actions)
    before = [bytes(env.read(index).content) for index in range(5)]
    some = torch.tensor([3, 0])
    env.start(some)
    twin.reset()
    after, whole = ([bytes(one.read(index).content) for index in range(5)] for one in (env, twin))
    assert [after[index] == before[index] for index in range(5)] == [False, True, True, False, True]
    assert [after[index] == whole[index] for index in (0, 3)] == [True, True]
    assert torch.equal(env.observations[some], twin.observations[some])
    assert torch.equal(env.level[some], twin.level[some])
    env.start(torch.arange(5), torch.tensor([5, 6, 7, 8, 9]))
    twin.reset(torch.tensor([5, 6, 7, 8, 9]))
    assert torch.equal(env.observations, twin.observations)
    assert env.level.tolist() == [5, 6, 7, 8, 9]
    assert env.read(0).level_range == twin.read(0).level_range == (0, 2**31 - 1)
    for actions in random_actions(300, 5, seed=1):
        one, two = env.step(actions), twin.step(actions)
        assert torch.equal(one.mouse, two.mouse)
        assert torch.equal(one.ended, two.ended)
    with pytest.raises(ValueError, match=r"give \(2,\) seeds from 0 to"):
        env.start(some, torch.tensor([1, -1]))


def test_reseeding_starts_the_stream_of_levels_that_its_seed_has() -> None:
    state = maze(1, num_levels=1000).read(0)
    state.reseed(12345)
    env = maze(1, num_levels=1000)
    env.write(0, state)
    env.reset()
    # The game draws with std::mt19937, which numpy has too.
    first = np.random.RandomState(12345).randint(2**32, dtype=np.uint32)
    assert int(env.level[0]) == int(first) % 1000
    one, two = maze(3, seed=0), maze(3, seed=1)
    one.reseed(4)
    two.reseed(4)
    for _ in range(5):
        one.reset()
        two.reset()
        assert torch.equal(one.level, two.level)
    assert len(set(one.level.tolist())) == 3


@pytest.mark.parametrize("mode", MODES)
def test_a_state_written_without_its_generators_leaves_the_copy_its_own(mode) -> None:
    edited, twin, other = (ProcgenGame(1, mode, seed=seed, threads=0) for seed in (0, 0, 1))
    state = other.read(0)
    edited.write(0, state, generators=False)
    assert np.array_equal(edited.frames, other.frames)
    assert len(edited.read(0).content) > len(state.without_generators()) + 10_000
    assert edited.read(0).without_generators() == state.without_generators()
    assert edited.read(0).content != state.content
    state = edited.read(0)
    edited.write(0, state, generators=False)
    assert edited.read(0).content == state.content
    # The levels to come are those of the copy's own stream.
    for _ in range(3):
        for game in (edited, twin):
            game.act(np.full(1, -1, dtype=np.int32))
            game.wait()
        assert edited.read(0).level_seed == twin.read(0).level_seed
        assert np.array_equal(edited.frames, twin.frames)


def test_a_level_placed_is_the_level_read_and_walked() -> None:
    env = maze(2)
    level = line_level()
    env.place(1, level)
    assert level_of(env.read(1)) == level
    before = env.observations[1].clone()
    rewards = [float(env.step(torch.tensor([4, 7])).rewards[1]) for _ in range(4)]
    assert rewards == [0.0, 0.0, 0.0, 10.0]
    env.place(1, level)
    assert env.observations[1].shape == before.shape
    text = "M..#C\n.#.#.\n.#...\n.####\n....."
    walls = np.ones((15, 15), dtype=bool)
    drawn = ascii.parse(text)
    walls[5:10, 5:10] = drawn.walls
    env.place(0, at(walls, (5, 5), (5, 9)))
    walk = [7, 7, 3, 3, 7, 7, 5, 5]
    assert [bool(env.step(torch.tensor([a, 4])).terminated[0]) for a in walk] == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (at(np.zeros((9, 9), dtype=bool), (0, 0), (1, 1)), "9×9 cells: the mode 'easy' has 15×15"),
        (at(line_level().walls, (0, 0), (7, 6)), "the mouse of level 0 lies in a wall"),
        (at(line_level().walls, (7, 2), (0, 0)), "the cheese of level 0 lies in a wall"),
        (at(line_level().walls, (7, 2), (7, 2)), r"mouse and cheese are both in \(7, 2\)"),
    ],
)
def test_a_level_that_does_not_fit_changes_nothing(level, message) -> None:
    env = maze(1)
    before = bytes(env.read(0).content)
    with pytest.raises(ValueError, match=message):
        env.place(0, level)
    assert bytes(env.read(0).content) == before


def test_states_cut_off_damaged_or_of_others_are_refused_and_nothing_is_lost() -> None:
    env = maze(1)
    whole = bytes(env.read(0).content)
    hard = bytes(maze(1, mode="hard").read(0).content)
    other = stock_environments(num=1, env_name="coinrun", num_threads=0, rand_seed=0)
    two_mice = bytearray(whole)
    at = whole.index((225).to_bytes(4, "little") + (1).to_bytes(4, "little"))
    two_mice[at + 4] = 2
    wrong = [
        (other.get_state()[0], "of the game 'coinrun'"),
        (hard, "of the mode 'hard', this game is of the mode 'easy'"),
        (b"", "cut off or damaged: 0 bytes"),
        (bytes(500), "no state of a Procgen game"),
        (whole + b"\0\0\0\0", "does not end where"),
        (whole[:-1] + b"\0", "does not end where"),
        (bytes(two_mice), "damaged|entities"),
    ]
    wrong += [(whole[:stop], "cut off|does not end") for stop in (3, 40, 90, 7000, 15000, len(whole) - 4)]
    for content, message in wrong:
        with pytest.raises(ProcgenStateError, match=message):
            env.write(0, content)
    assert bytes(env.read(0).content) == whole
    env.step(torch.tensor([7]))


def test_a_changed_byte_is_refused_in_one_line_or_read_as_a_state() -> None:
    whole = maze(1).read(0).content
    generator = np.random.default_rng(0)
    messages = []
    for place in [*range(80), *generator.integers(len(whole) - 225 * 4 - 400, len(whole), 300).tolist()]:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(generator.integers(8))
        try:
            state = MazeState(changed, "easy")
        except ProcgenStateError as error:
            messages.append(str(error))
        else:
            assert state.content == changed
    assert len(messages) > 10
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "extreme"}, "mode is 'extreme': Procgen's maze has 'easy', 'hard', 'memory'"),
        ({"mode": "exploration"}, "mode is 'exploration'"),
        ({"mode": ["easy"]}, r"mode is \['easy'\]: Procgen's maze has 'easy', 'hard', 'memory'"),
        ({"cheese": "middle"}, "cheese is 'middle': give one of 'stock', 'corner', 'region'"),
        ({"corner_size": 0}, "corner_size is 0: give at least 1"),
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_levels": -1}, "num_levels is -1"),
        ({"start_level": 2**31}, "Procgen has levels below"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        maze(**({"num_envs": 1} | settings))


def test_wrong_actions_and_batches_are_refused_and_nothing_moves() -> None:
    env = maze(3)
    before = env.observations.clone()
    for actions in ([0, 1], [0, 1, 15], [0, -1, 3]):
        with pytest.raises(ValueError, match=r"give \(3,\) of 0 to 14"):
            env.step(torch.tensor(actions))
    for seeds in ([1, 2], [1, 2, -3], [0, 1, 2**31]):
        with pytest.raises(ValueError, match=r"give \(3,\) seeds from 0 to"):
            env.reset(torch.tensor(seeds))
    with pytest.raises(ValueError, match="state is of 2 environments, this is of 3"):
        env.load_state(maze(2).state())
    with pytest.raises(ProcgenStateError, match="of the mode 'hard'"):
        env.load_state(maze(3, mode="hard").state())
    assert torch.equal(env.observations, before)


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda env: env.read(7), 7),
        (lambda env: env.read(-1), -1),
        (lambda env: env.write(7, env.read(0)), 7),
        (lambda env: env.place(7, line_level()), 7),
        (lambda env: env.place(-1, line_level()), -1),
        (lambda env: env.start(torch.tensor([5])), 5),
        (lambda env: env.start(torch.tensor([0, 5])), 5),
    ],
)
def test_an_environment_that_is_not_there_is_named_and_nothing_changes(call, index) -> None:
    env = maze(2)
    before = [bytes(env.read(number).content) for number in range(2)]
    with pytest.raises(ValueError, match=f"index is {index}: give 0 to 1"):
        call(env)
    assert [bytes(env.read(number).content) for number in range(2)] == before


@pytest.mark.parametrize(
    ("what", "place", "message"),
    [
        ("cheese", (15, 0), r"the cheese is put at \(15, 0\): give a cell of 15×15"),
        ("cheese", (0, -1), r"the cheese is put at \(0, -1\): give a cell of 15×15"),
        ("cheese", (0, 0), r"the cheese is put at \(0, 0\), which is wall: give a free cell"),
        ("cheese", (7, 2), r"the cheese is put at \(7, 2\), where the mouse is: give another cell"),
        ("mouse", (15, 0), r"the mouse is put at \(15, 0\): give a cell of 15×15"),
        ("mouse", (0, 0), r"the mouse is put at \(0, 0\), which is wall: give a free cell"),
    ],
)
def test_a_place_that_is_refused_leaves_every_byte_of_the_state(what, place, message) -> None:
    env = maze(1)
    env.place(0, line_level())
    state = env.read(0)
    before = bytes(state.content)
    with pytest.raises(ValueError, match=message):
        setattr(state, what, place)
    assert bytes(state.content) == before
    assert state.cheese == (7, 6)


@pytest.mark.parametrize(
    ("cell", "code", "message"),
    [
        ((7, 2), WALL, r"the mouse of the state is at \(7, 2\), which is wall: give a free cell"),
        ((7, 3), 7, "the grid of the state has the code 7: give 100 space, 51 wall or 2 cheese"),
        ((7, 3), CHEESE, "the grid of the state has 2 cheeses: give at most one"),
    ],
)
def test_a_maze_that_the_game_does_not_have_is_not_written(cell, code, message) -> None:
    env = maze(1)
    env.place(0, line_level())
    state = env.read(0)
    before = bytes(state.content)
    state.grid[cell] = code
    with pytest.raises(ProcgenStateError, match=message) as caught:
        env.write(0, state)
    assert "\n" not in str(caught.value)
    assert bytes(env.read(0).content) == before
    state.grid[cell] = SPACE
    env.write(0, state)


def test_without_procgen_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(ProcgenMissingError, match=r"pip install 'goalcut\[procgen\]'") as caught:
        ProcgenGame(1, "easy", seed=0)
    assert "\n" not in str(caught.value)


def test_levels_that_repeat_are_counted_by_their_walls() -> None:
    env = maze(200)
    env.reset(torch.arange(200))
    levels = env.levels.levels
    half = levels.take(slice(0, 100))
    assert share_seen(half, levels) == 1.0
    hashes = layout_hashes(levels)
    assert len(set(hashes)) == len({walls.tobytes() for walls in levels.walls}) < 200
    moved = Levels(levels.world, levels.walls, levels.cheese, {"cheese": levels.mouse})
    assert layout_hashes(moved) == hashes
    repeated = share_seen(levels.take(slice(100, 200)), half)
    assert 0.05 < repeated < 0.5


def test_the_grid_of_a_state_is_the_picture() -> None:
    env = maze(1)
    env.place(0, line_level())
    state = env.read(0)
    assert (state.grid == CHEESE).nonzero() == (7, 6)
    frame = env.observations[0].float().mean(0)
    cell = 64 / 15
    # The walls of one corridor are alike, its cells are not: row 0 is at the top in both.
    corridor = frame[:, int(3 * cell) : int(5 * cell)]
    rows = np.array([float(corridor[int(r * cell) + 1 : int((r + 1) * cell)].mean()) for r in range(15)])
    assert int(np.argmax(np.abs(rows - np.median(rows)))) == 7
