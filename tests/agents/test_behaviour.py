import numpy as np
import pytest
import torch
from torch.func import functional_call

from goalcut.agents.behaviour import (
    ExactBehaviour,
    action_probabilities,
    best_hitting,
    hitting_probabilities,
    navigation,
    network_policy,
    uniform_policy,
)
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from goalcut.envs import STEPS, WORLDS, CheeseInCorner, CheeseMaze, StateGraph, make_levels
from goalcut.envs.planes import plane_names
from goalcut.envs.world import Event

WORLD = CheeseInCorner(size=7, corner_size=3, start="random")
HORIZON = 56
MEASURES = [measure.name for measure in WORLD.measures]


def corner_and_cheese(graph: StateGraph) -> tuple[torch.Tensor, torch.Tensor]:
    return graph.event(Event("corner")), graph.event(Event("cheese"))


def opinionated_network(seed: int = 0) -> torch.nn.Module:
    """An untrained network made to have strong preferences, so that behaviour is far from uniform."""
    network = build_network("conv", (3, 7, 7), 4, seed=seed)
    with torch.no_grad():
        network.actor.weight *= 300
    return network


def dense_hitting(policy, graph, level, target, avoid, horizon) -> np.ndarray:
    """The same probability by a dense float64 transition matrix with absorbing states."""
    width = policy.shape[1]
    P = np.zeros((width, width))
    for cell in range(width):
        if target[cell] or avoid[cell]:
            P[cell, cell] = 1
            continue
        for action in range(4):
            P[cell, int(graph.next[level, cell, action])] += float(policy[level, cell, action])
    return np.linalg.matrix_power(P, horizon) @ target.astype(float)


def test_hitting_probabilities_agree_with_a_dense_transition_matrix() -> None:
    graph = StateGraph(make_levels(WORLD, 6, seed=0, split="test"))
    corner, cheese = corner_and_cheese(graph)
    policy = action_probabilities(network_policy(opinionated_network()), graph).detach()
    questions = (
        torch.stack([cheese, corner]),
        torch.stack([corner & ~cheese, cheese]),
    )
    fast = hitting_probabilities(policy, graph.next, *questions, HORIZON)
    for question in range(2):
        for level in range(6):
            target, avoid = (part[question, level].numpy() for part in questions)
            slow = dense_hitting(policy, graph, level, target, avoid & ~target, HORIZON)
            np.testing.assert_allclose(fast[question, level], slow, atol=1e-5)


def test_every_move_leads_where_the_environment_goes() -> None:
    levels = make_levels(WORLD, 20, seed=1)
    graph = StateGraph(levels)
    cells = np.argsort(levels.walls.reshape(20, -1), axis=1, kind="stable")[:, : graph.real.shape[1]]
    for level in range(20):
        for number, cell in enumerate(cells[level]):
            for action, (down, right) in enumerate(STEPS):
                row, column = cell // 7 + down, cell % 7 + right
                inside = 0 <= row < 7 and 0 <= column < 7 and not levels.walls[level, row, column]
                expected = row * 7 + column if inside else cell
                assert cells[level][graph.next[level, number, action]] == expected
                assert bool(graph.bumps[level, number, action]) is not bool(inside)


def monte_carlo(
    env: CheeseMaze, levels, policy, episodes: int, seed: int, corner: torch.Tensor
) -> dict[str, np.ndarray]:
    """Outcomes of real episodes, one per environment: what was entered first, and whether at all."""
    generator = torch.Generator().manual_seed(seed)
    outcome = {name: [] for name in ("corner_reach", "corner_first", "cheese_first", "cheese_return")}
    while len(outcome["corner_reach"]) < episodes:
        env.reset()
        size = env.num_envs
        cheese_at, corner_at = torch.full((size,), 10**6), torch.full((size,), 10**6)
        cheese = torch.from_numpy(levels.cheese)[env.level]
        for t in range(env.time_limit):
            with torch.no_grad():
                probabilities = policy(env.observations)
            step = env.step(torch.multinomial(probabilities, 1, generator=generator)[:, 0])
            cheese_at = torch.where(step.mouse == cheese, cheese_at.clamp_max(t), cheese_at)
            corner_at = torch.where(corner[step.mouse], corner_at.clamp_max(t), corner_at)
        outcome["corner_reach"] += (corner_at < 10**6).tolist()
        outcome["corner_first"] += (corner_at < cheese_at).tolist()
        outcome["cheese_first"] += (cheese_at < corner_at).tolist()
        outcome["cheese_return"] += (cheese_at < 10**6).tolist()
    return {name: np.array(values[:episodes], dtype=float) for name, values in outcome.items()}


def test_exact_measures_agree_with_20_000_real_episodes_within_three_standard_errors() -> None:
    """Episodes of the real environment that the cheese does not end, so that one walk answers every question."""
    behaviour = ExactBehaviour.of_world(WORLD, 50, seed=0, split="test", time_limit=HORIZON)
    policy = network_policy(opinionated_network())
    with torch.no_grad():
        exact = {name: float(value.mean()) for name, value in behaviour.measure(policy).items()}
    corner = torch.zeros(7, 7, dtype=torch.bool)
    corner[:3, 4:] = True
    for graph, names in (
        (behaviour.graphs["conflict"], ("corner_reach", "corner_first", "cheese_first")),
        (behaviour.graphs["training"], ("cheese_return",)),
    ):
        env = CheeseMaze(graph.levels, 5000, seed=3, time_limit=HORIZON, endless=True)
        seen = monte_carlo(env, graph.levels, policy, 20_000, 4, corner.flatten())
        for name in names:
            error = seen[name].std() / np.sqrt(20_000)
            assert error > 0
            assert abs(seen[name].mean() - exact[name]) < 3 * error, name


def test_cheese_return_is_the_return_of_the_real_environment() -> None:
    behaviour = ExactBehaviour.of_world(WORLD, 50, seed=0, split="test", time_limit=HORIZON)
    policy = network_policy(opinionated_network())
    env = CheeseMaze(behaviour.graphs["training"].levels, 4000, seed=5, time_limit=HORIZON)
    generator = torch.Generator().manual_seed(6)
    returns: list[float] = []
    open_episodes = torch.ones(4000, dtype=torch.bool)  # the first episode of each only: long ones count too
    for _ in range(HORIZON):
        with torch.no_grad():
            step = env.step(torch.multinomial(policy(env.observations), 1, generator=generator)[:, 0])
        first = step.ended[open_episodes[step.ended]]
        returns += step.rewards[first].tolist()
        open_episodes[step.ended] = False
    assert len(returns) == 4000
    with torch.no_grad():
        exact = float(behaviour.measure(policy)["cheese_return"].mean())
    assert abs(np.mean(returns) - exact) < 3 * np.std(returns) / np.sqrt(4000)


def test_cheese_from_corner_agrees_with_walks_from_every_cell_of_the_region() -> None:
    world = CheeseInCorner(size=7, corner_size=3)
    behaviour = ExactBehaviour.of_world(world, 20, seed=0, split="test", time_limit=12)
    graph = behaviour.graphs["cornered"]
    corner, cheese = corner_and_cheese(graph)
    policy = action_probabilities(network_policy(opinionated_network()), graph).detach()
    measured = behaviour.measure(network_policy(opinionated_network()))["cheese_from_corner"].detach()
    for level in range(20):
        target, none = cheese[level].numpy(), np.zeros(graph.real.shape[1], dtype=bool)
        hits = dense_hitting(policy, graph, level, target, none, 12)
        assert float(measured[level]) == pytest.approx(hits[corner[level].numpy()].mean(), abs=1e-5)


def slow_navigation(policy, graph, level: int, walks: int, rng) -> tuple[float, float]:
    """Moves that find a way on, and all moves, of simulated walks."""
    corner, cheese = corner_and_cheese(graph)
    starts = np.flatnonzero((graph.real & ~cheese & ~corner)[level].numpy())
    goals = (cheese | corner)[level].numpy()
    cumulative = np.cumsum(policy[level].numpy(), axis=-1)
    cells, last = rng.choice(starts, walks), np.full(walks, -1)
    going, found, moves = np.ones(walks, dtype=bool), 0, 0
    opposite = {-1: -1, 0: 1, 1: 0, 2: 3, 3: 2}
    back = np.array([opposite[move] for move in (-1, 0, 1, 2, 3)])
    for _ in range(graph.levels.size):
        actions = np.minimum((rng.random(walks)[:, None] > cumulative[cells]).sum(1), 3)
        bump = graph.bumps[level].numpy()[cells, actions]
        turned = actions == back[last + 1]
        moves += going.sum()
        found += (going & ~bump & ~turned).sum()
        cells = np.where(going, graph.next[level].numpy()[cells, actions], cells)
        last = np.where(going & ~bump, actions, last)
        going = going & ~goals[cells]
    return found, moves


def test_navigation_agrees_with_simulated_walks() -> None:
    graph = StateGraph(
        make_levels(CheeseInCorner(7, 3, "random"), 5, seed=0, split="test", distribution="conflict")
    )
    policy = action_probabilities(network_policy(opinionated_network()), graph).detach()
    exact = navigation(policy, graph)
    rng = np.random.default_rng(0)
    for level in range(5):
        found, moves = slow_navigation(policy, graph, level, 40_000, rng)
        assert float(exact[level]) == pytest.approx(found / moves, abs=0.01)


def test_navigation_is_one_for_shortest_paths_and_low_for_a_random_walk() -> None:
    graph = StateGraph(
        make_levels(CheeseInCorner(9, 3, "random"), 30, seed=0, split="test", distribution="conflict")
    )
    goals = torch.stack(corner_and_cheese(graph)).any(0)[None]
    none = torch.zeros_like(goals)
    # Towards the nearer goal: the action after which the goal is reached in the fewest steps.
    policy = torch.zeros(*graph.real.shape, 4)
    for horizon in range(81, -1, -1):
        reached = best_hitting(graph.next, goals, none, horizon)[0]
        after = torch.gather(reached, 1, graph.next.flatten(1)).view_as(policy)
        policy = torch.where((after.sum(-1) > 0)[:, :, None], after, policy)
    policy = policy / policy.sum(-1, keepdim=True)
    assert torch.allclose(navigation(policy, graph), torch.ones(30))
    uniform = action_probabilities(uniform_policy, graph)
    assert float(navigation(uniform, graph).mean()) < 0.4


@pytest.mark.parametrize("name", ["corner", "stars", "lava"])
def test_several_policies_are_measured_as_each_is_alone(name: str) -> None:
    world = WORLDS[name](size=7)
    behaviour = ExactBehaviour.of_world(world, 6, seed=0, split="test", time_limit=20)
    names = [measure.name for measure in world.measures]
    shape = (len(plane_names(world)), 7, 7)
    networks = [build_network("mlp", shape, 4, seed=seed) for seed in range(2)]
    asked = [
        (network_policy(networks[0]), names[:2]),
        (network_policy(networks[1]), None),
        (uniform_policy, []),
    ]
    found = behaviour.measure_all(asked)
    assert [list(of) for of in found] == [names[:2], names, []]
    for of, (policy, only) in zip(found, asked, strict=True):
        for name, value in behaviour.measure(policy, only).items():
            torch.testing.assert_close(of[name], value, atol=1e-6, rtol=0)
    alone = behaviour.measure(network_policy(networks[1]))
    slopes = [
        torch.autograd.grad(sum(value.mean() for value in of.values()), networks[1].actor.weight)[0]
        for of in (found[1], alone)
    ]
    assert slopes[1].any()
    torch.testing.assert_close(*slopes, atol=1e-7, rtol=1e-5)


def test_no_policy_beats_the_best_walker_and_the_best_is_reached_by_none_worse() -> None:
    behaviour = ExactBehaviour.of_world(WORLD, 40, seed=0, split="test", time_limit=HORIZON)
    best = behaviour.best()
    for policy in (uniform_policy, network_policy(opinionated_network())):
        with torch.no_grad():
            measured = behaviour.measure(policy)
        assert list(measured) == list(best) == list(MEASURES)
        for name in MEASURES:
            assert (measured[name] <= best[name] + 1e-5).all(), name
    # One goal may bar the only way to the other: then nobody can reach it first.
    assert 0 < float(best["corner_first"].mean()) < 1
    assert float(best["corner_reach"].min()) == 1


def test_measures_are_differentiable_in_the_parameters() -> None:
    """Against central differences in float64, along a random direction."""
    behaviour = ExactBehaviour.of_world(
        CheeseInCorner(5, 2, "random"), 8, seed=0, split="test", time_limit=10
    )
    network = build_network("mlp", (3, 5, 5), 4, seed=0).double()
    theta, layout = flat_parameters(network), parameter_layout(network)
    theta = theta + 0.05 * torch.randn(
        theta.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )

    def measured(at: torch.Tensor) -> dict[str, torch.Tensor]:
        values = named_parameters_of(at, layout)

        def policy(planes: torch.Tensor) -> torch.Tensor:
            features = functional_call(network, values, (planes,))
            return features[0].double().softmax(-1)

        return {name: value.mean() for name, value in behaviour.measure(policy).items()}

    step = torch.randn(theta.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    step /= step.norm()
    for name in MEASURES:
        at = theta.clone().requires_grad_()
        slope = torch.autograd.grad(measured(at)[name], at)[0] @ step
        with torch.no_grad():
            rise = measured(theta + 0.01 * step)[name] - measured(theta - 0.01 * step)[name]
        assert float(slope) == pytest.approx(float(rise) / 0.02, rel=0.02, abs=1e-6), name
        assert abs(float(slope)) > 1e-7, name


def test_a_world_without_conflict_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="corner_size is 7, the whole maze"):
        ExactBehaviour.of_world(CheeseInCorner(size=7, corner_size=7), 4, seed=0, split="test")
