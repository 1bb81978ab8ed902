from functools import cache

import numpy as np
import pytest
import torch
from procgen_installed import needs_procgen
from torch import Tensor

from goalcut.agents.behaviour import hitting_probabilities, navigation, network_policy
from goalcut.agents.networks import build_network
from goalcut.agents.procgen_behaviour import (
    NUM_MOVES,
    ProcgenBehaviour,
    ProcgenGraph,
    conflict_states,
    procgen_behaviour,
    uniform_actions,
)
from goalcut.envs.levels import STEPS
from goalcut.envs.procgen_frames import level_states
from goalcut.envs.procgen_game import ACTION_MOVES
from goalcut.envs.procgen_levels import levels_of
from goalcut.envs.procgen_maze import ProcgenMaze
from goalcut.envs.state_graph import StateGraph
from goalcut.envs.world import CONFLICT, TRAINING, Event
from goalcut.envs.worlds.cheese_in_corner import CORNERED, CheeseInCorner

pytestmark = needs_procgen


@cache
def pixel_weights() -> Tensor:
    return torch.randn(3 * 32 * 32, 15, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def pixel_policy(frames: Tensor) -> Tensor:
    """A fixed stochastic policy that hangs on single pixels: each picture has its own preferences."""
    preferences = torch.sin(frames[:, :, ::2, ::2].flatten(1).double() @ pixel_weights())
    preferences[:, [5, 7]] += 0.7
    return preferences.softmax(-1).float()


def test_pictures_of_some_states_are_those_of_all() -> None:
    graph = ProcgenGraph(level_states(seeds_of_size(3, 5, 3), mode="easy"), 2)
    real = torch.nonzero(graph.real.view(-1))[:, 0]
    chosen = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:20]]
    width = graph.real.shape[1]
    for state, picture in zip(chosen.tolist(), graph.frames_of(chosen), strict=True):
        level, own = divmod(state, width)
        assert torch.equal(picture, graph.frames(level)[own // (width // 2), own % (width // 2)])


def seeds_of_size(low: int, high: int, count: int, mode="easy") -> np.ndarray:
    seeds = np.arange(200)
    sizes = levels_of(level_states(seeds, mode=mode)).maze_sizes
    return seeds[(sizes >= low) & (sizes <= high)][:count]


@pytest.mark.parametrize("mode", ["easy", "hard", "memory"])
def test_what_is_rendered_is_what_the_mouse_sees_in_the_game_and_its_moves_are_the_games(mode) -> None:
    seeds = np.arange(4)
    states = level_states(seeds, mode=mode, cheese="region")
    graph = ProcgenGraph(states, 5)
    half = graph.real.shape[1] // 2
    frames = [graph.frames(level) for level in range(4)]
    number = [{int(cell): i for i, cell in enumerate(cells)} for cells in graph.cell[:, :half]]
    env = ProcgenMaze(4, seed=0, mode=mode, cheese="region", threads=0)
    env.reset(torch.from_numpy(seeds))
    at = np.array([int(graph.start[level].argmax()) for level in range(4)])
    running, looked_right = np.ones(4, dtype=bool), 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        for level in np.flatnonzero(running):
            gaze, cell = divmod(at[level], half)
            looked_right += gaze
            assert torch.equal(frames[level][gaze, cell], env.observations[level])
        actions = torch.randint(15, (4,), generator=generator)
        step = env.step(actions)
        running[step.ended.numpy()] = False
        at = graph.next[range(4), at, ACTION_MOVES[actions]].numpy()
        for level in np.flatnonzero(running):
            assert at[level] % half == number[level][int(step.mouse[level])]
    assert looked_right > 50
    assert running.any()


def test_a_mouse_looking_right_is_another_picture() -> None:
    graph = ProcgenGraph(level_states(np.array([3]), mode="hard"), 5)
    left, right = graph.frames(0)
    assert (left != right).flatten(1).any(1).all()


def test_exact_probabilities_agree_with_real_episodes_within_three_standard_errors() -> None:
    horizon, repeats = 100, 3
    seeds = seeds_of_size(3, 7, 10)
    policy = pixel_policy
    graph = ProcgenGraph(level_states(seeds, mode="easy"), 2)
    with torch.no_grad():
        actions = graph.action_probabilities(policy)
    none = torch.zeros_like(graph.event(Event("cheese")))
    exact = hitting_probabilities(
        actions,
        graph.next,
        torch.stack([graph.event(Event("cheese")), graph.corner, graph.event(Event("cheese"))]),
        torch.stack([none, graph.event(Event("cheese")), graph.corner]),
        horizon,
    )
    exact = (exact * graph.start).sum(-1)  # (3, L): cheese, corner first, cheese first

    each = 26
    env = ProcgenMaze(each * len(seeds), seed=0, mode="easy")
    level = torch.arange(env.num_envs) % len(seeds)
    region = torch.from_numpy(levels_of(graph.states).corner(2).reshape(len(seeds), -1))
    generator = torch.Generator().manual_seed(5)
    counted = torch.zeros(3, len(seeds))
    for _ in range(repeats):
        env.reset(torch.from_numpy(seeds)[level])
        running = torch.ones(env.num_envs, dtype=torch.bool)
        entered = region[level, graph.levels.mouse[level]]  # the corner may hold the start
        happened = torch.stack([torch.zeros_like(entered), entered, torch.zeros_like(entered)])
        for _ in range(horizon):
            chosen = torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0]
            step = env.step(chosen)
            found = running & step.terminated
            happened[0] |= found
            happened[2] |= found & ~entered & ~region[level, step.mouse]
            now = running & region[level, step.mouse] & ~entered
            happened[1] |= now & ~found
            entered |= now
            running &= ~step.terminated
            if not running.any():
                break
        counted.index_add_(1, level, happened.float())
    episodes = each * repeats
    assert episodes * len(seeds) == 780
    # A cheese inside the corner region is both at once: of the chain neither comes first.
    apart = ~(graph.event(Event("cheese")) & graph.corner).any(1)
    for question, levels in ((0, slice(None)), (1, apart), (2, apart)):
        p, played = exact[question, levels], counted[question, levels] / episodes
        error = (p * (1 - p) / episodes).sum().sqrt() / len(p)
        assert 0.05 < float(p.mean()) < 0.95
        assert abs(float(played.mean() - p.mean())) < 3 * float(error), (question, p, played)
        # And level by level, not only on average.
        chi_square = ((played - p).square() / (p * (1 - p) / episodes + 1e-4)).sum()
        assert float(chi_square) < len(p) + 3 * (2 * len(p)) ** 0.5


def test_exact_return_agrees_with_real_episodes_where_the_cheese_is_moved() -> None:
    horizon, each, size = 80, 60, 3
    seeds = seeds_of_size(3, 7, 8)
    states = level_states(seeds, mode="easy", cheese="region", corner_size=size)
    graphs = dict.fromkeys((CONFLICT, TRAINING, CORNERED), ProcgenGraph(states, size))
    behaviour = ProcgenBehaviour(CheeseInCorner(size=15, corner_size=size), graphs, horizon)
    with torch.no_grad():
        exact = behaviour.measure(pixel_policy)["cheese_return"]
    env = ProcgenMaze(each * len(seeds), seed=0, mode="easy", cheese="region", corner_size=size)
    level = torch.arange(env.num_envs) % len(seeds)
    env.reset(torch.from_numpy(seeds)[level])
    generator = torch.Generator().manual_seed(3)
    found, running = torch.zeros(2, env.num_envs, dtype=torch.bool)
    running |= True
    for _ in range(horizon):
        chosen = torch.multinomial(pixel_policy(env.observations), 1, generator=generator)[:, 0]
        ended = env.step(chosen).terminated
        found |= running & ended
        running &= ~ended
    error = (exact * (1 - exact) / each).sum().sqrt() / len(exact)
    assert 0.05 < float(exact.mean()) < 0.95
    assert abs(float(found.float().mean() - exact.mean())) < 3 * float(error)


def test_navigation_is_that_of_the_maze_for_a_policy_that_does_not_look() -> None:
    states = level_states(seeds_of_size(7, 15, 5), mode="easy")
    graph = ProcgenGraph(states, 3)
    plain = StateGraph(graph.levels)
    half = plain.real.shape[1]
    plain._at = lambda name: graph._at(name)[:, :half]  # a corner region inside the margin
    moves = torch.rand(5, half, 4, generator=torch.Generator().manual_seed(0))
    moves /= moves.sum(-1, keepdim=True)
    by_state = torch.cat([moves, torch.zeros(5, half, 1)], dim=-1).repeat(1, 2, 1)
    torch.testing.assert_close(graph.navigation(by_state), navigation(moves, plain))


def test_navigation_counts_the_moves_of_simulated_walks() -> None:
    states = level_states(seeds_of_size(9, 9, 1), mode="easy")
    graph = ProcgenGraph(states, 2)
    policy = torch.rand(*graph.real.shape, NUM_MOVES, generator=torch.Generator().manual_seed(2)).square()
    policy /= policy.sum(-1, keepdim=True)
    exact = float(graph.navigation(policy)[0])
    generator = np.random.default_rng(0)
    starts = np.flatnonzero((graph.real & ~graph.event(Event("cheese")) & ~graph.corner)[0])
    at = generator.choice(starts, 20_000)
    last, moved, found = np.full(len(at), -1), 0, 0
    following, bumps = graph.next[0].numpy(), graph.bumps[0].numpy()
    ends = (graph.event(Event("cheese")) | graph.corner)[0].numpy()
    opposite = np.array([1, 0, 3, 2])
    cumulated = policy[0].numpy().cumsum(-1)
    for _ in range(graph.levels.size):
        chosen = (generator.random(len(at))[:, None] > cumulated[at, :-1]).sum(1)
        real = ~bumps[at, chosen]
        back = real & (last >= 0) & (chosen == opposite[np.maximum(last, 0)])
        moved += len(at)
        found += int((real & ~back).sum())
        last, at = np.where(real, chosen, last), following[at, chosen]
        last, at = last[~ends[at]], at[~ends[at]]
    assert found / moved == pytest.approx(exact, abs=0.006)


def test_all_measures_of_a_network_are_probabilities_and_the_best_walker_is_above_it() -> None:
    behaviour = procgen_behaviour(3, mode="easy", corner_size=3, first_seed=1000)
    network = build_network("impala", (3, 64, 64), 15, seed=0, pixels=True)
    with torch.no_grad():
        measured = behaviour.measure(network_policy(network))
        uniform = behaviour.measure(uniform_actions)
    best = behaviour.best()
    assert list(measured) == list(best) == list(behaviour.world.measures_by_name())
    for name, values in measured.items():
        assert values.shape == (3,)
        assert ((values >= 0) & (values <= best[name] + 1e-5)).all(), name
        # A fresh network is nearly uniform: its actor starts small.
        torch.testing.assert_close(values, uniform[name], atol=0.2, rtol=0)
    assert (best["cheese_return"] == 1).all()


def test_conflict_levels_have_start_and_cheese_outside_the_corner_region() -> None:
    levels = levels_of(conflict_states(20, mode="easy", corner_size=4, first_seed=7))
    region = levels.corner(4).reshape(20, -1)
    assert not region[np.arange(20), levels.levels.cheese].any()
    assert not region[np.arange(20), levels.levels.mouse].any()
    assert (np.diff(levels.seeds) > 0).all()
    with pytest.raises(
        ValueError, match="corner_size is 15: in mode 'easy' that is every cell; give at most 14"
    ):
        conflict_states(1, mode="easy", corner_size=15, first_seed=0)
    with pytest.raises(ValueError, match="count is 0"):
        procgen_behaviour(0)


def test_the_moves_of_the_chain_are_those_of_the_maze() -> None:
    assert STEPS.tolist() == [[-1, 0], [1, 0], [0, -1], [0, 1]]
    graph = ProcgenGraph(level_states(np.array([1]), mode="easy"), 2)
    free = graph.real[0].nonzero()[:, 0]
    half = graph.real.shape[1] // 2
    size = graph.levels.size
    for state in free.tolist():
        for move, delta in enumerate([*(STEPS @ [size, 1]).tolist(), 0]):
            after = int(graph.next[0, state, move])
            stayed = after % half == state % half
            assert stayed or graph.cell[0, after % half] == graph.cell[0, state % half] + delta
            assert stayed == bool(graph.bumps[0, state, move])
            gaze = {2: 0, 3: 1}.get(move, state // half)
            assert after // half == gaze


def test_gradients_are_those_of_all_forward_passes_at_once() -> None:
    states = level_states(seeds_of_size(3, 5, 2), mode="easy")
    network = build_network("impala", (3, 64, 64), 15, seed=0, pixels=True)
    by_level = ProcgenGraph(states, 2).action_probabilities(network_policy(network))
    graph = ProcgenGraph(states[:1], 2)
    to_move = torch.eye(NUM_MOVES)[torch.from_numpy(ACTION_MOVES)]
    at_once = network_policy(network)(graph.frames(0).flatten(0, 1)) @ to_move
    weight = network.actor.weight
    ours, plain = (
        torch.autograd.grad(moves[:, 0].log().sum(), weight)[0]
        for moves in (by_level[0][ProcgenGraph(states, 2).real[0]], at_once)
    )
    assert plain.abs().max() > 1
    torch.testing.assert_close(ours, plain)


def test_frames_are_rendered_once() -> None:
    graph = ProcgenGraph(level_states(np.array([3]), mode="easy"), 2)
    assert graph.frames(0) is graph.frames(0)


def test_a_region_that_leaves_hardly_a_level_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goalcut.agents.procgen_behaviour._MOST_SEARCHED", 64)
    with pytest.raises(ValueError, match="corner_size is 14: of 64 levels of the mode 'easy' only"):
        conflict_states(30, mode="easy", corner_size=14, first_seed=0)
