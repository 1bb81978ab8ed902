"""What holds in every world: its card, its levels, its graph of states, its measures, its training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.behaviour import ExactBehaviour, best_rewards, uniform_policy
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import (
    WORLDS,
    CheeseMaze,
    Levels,
    StateGraph,
    World,
    ascii,
    default_time_limit,
    make_levels,
    observations,
    plane_names,
    solution,
)
from goalcut.envs.first_pay import solvable
from goalcut.envs.layouts import LAYOUTS
from goalcut.envs.levels import ABSENT
from goalcut.envs.world import Event, Measure

CARDS = pytest.mark.parametrize("card", WORLDS.values(), ids=WORLDS)
SPLITS = ("train", "tune", "test")


def small(card: type[World], **settings) -> World:
    return card(**({"size": 7, "corner_size": 3, "start": "random"} | settings))


def small_or_skip(card: type[World], layout: str, **settings) -> World:
    """The same; skips the layout of perfect mazes where the card refuses it, for want of a second way."""
    if layout == "tree":
        try:
            small(card, layout=layout).check_measurable()
        except ValueError as error:
            if "layout is 'tree'" not in str(error):
                raise
            pytest.skip(str(error))
    return small(card, layout=layout, **settings)


def training_and_shifted(card: type[World], count: int, **settings) -> Levels:
    world = small(card, **settings)
    names = ("training", "shifted")
    return Levels.concatenate([make_levels(world, count, seed=0, distribution=name) for name in names])


def contents(levels: Levels) -> list[bytes]:
    """All that a level is, one entry each."""
    cells = [levels.mouse[:, None], *levels.places.values()]
    placed = np.concatenate(cells, axis=1).astype(np.int64)
    return [
        walls.tobytes() + row.tobytes()
        for walls, row in zip(np.packbits(levels.walls, axis=-1), placed, strict=True)
    ]


@CARDS
def test_a_card_hangs_together(card: type[World]) -> None:
    world = small(card)
    assert WORLDS[world.name] is card
    assert {"training", "shifted"} <= set(world.distributions)
    names = [thing.name for thing in world.things]
    assert len(set(names)) == len(names)
    assert world.needed <= set(names)
    assert world.shown(world.initial) <= set(names)
    measures = world.measures_by_name()
    assert len(measures) == len(world.measures)
    assert {measure.levels for measure in world.measures} <= set(world.distributions)
    assert {goal.measure for goal in world.goals} <= set(measures)
    assert [goal.name for goal in world.goals] == list(dict.fromkeys(goal.name for goal in world.goals))
    ends = [phase.until for phase in world.phases]
    assert ends == sorted(set(ends))
    assert ends[-1] == 1.0
    assert {phase.distribution for phase in world.phases} <= set(world.distributions)
    for measure in world.measures:
        for event in (measure.target, measure.avoid):
            at = event.at if event is not None and event.at is not None else ()
            assert {at} if isinstance(at, str) else set(at) <= {*names, "corner"}


@CARDS
def test_a_world_comes_back_from_its_json(card: type[World]) -> None:
    world = small(card, ood_share=0.25, layout="blocks", wall_density=0.4)
    assert World.of_json(world.to_json()) == world


@CARDS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("start", ["random", "bottom_left"])
def test_every_layout_start_and_size_has_levels_of_every_distribution(
    card: type[World], layout: str, start: str
) -> None:
    for size, count in ((5, 40), (9, 20), (31, 3)):
        world = small_or_skip(card, layout, size=size, corner_size=2, start=start, ood_share=0.5)
        for name in world.distributions:
            levels = make_levels(world, count, seed=1, distribution=name)  # refuses what lies in a wall
            if start == "bottom_left":
                assert (levels.mouse == size * (size - 1)).all()
            assert observations(levels).shape == (count, len(plane_names(world)), size, size)


@CARDS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("start", ["random", "bottom_left"])
def test_every_level_is_solvable_but_where_only_the_proxy_lies(
    card: type[World], layout: str, start: str
) -> None:
    world = small_or_skip(card, layout, start=start)
    for name in world.distributions:
        pays = solvable(make_levels(world, 12, seed=2, distribution=name))
        assert not pays.any() if name in ("dish_only", "colour_only") else pays.all(), name


@CARDS
@pytest.mark.parametrize("layout", ["tree", "open"])
def test_a_level_is_the_same_in_whatever_batch_it_is_made(card: type[World], layout: str) -> None:
    world = small_or_skip(card, layout, ood_share=0.4)
    for name in world.distributions:
        pool = contents(make_levels(world, 60, seed=5, distribution=name))
        for chosen in ([7], [59, 0, 7], [3, 3, 20, 41, 2]):
            made = make_levels(world, np.array(chosen), seed=5, distribution=name)
            assert contents(made) == [pool[number] for number in chosen]


@CARDS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [5, 9])
def test_no_level_is_in_two_splits_whatever_its_distribution(
    card: type[World], layout: str, size: int
) -> None:
    world = small_or_skip(card, layout, size=size, corner_size=2, ood_share=0.5)
    found: dict[str, set[bytes]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for name in world.distributions:
            levels = make_levels(world, 150, seed=0, split=split, distribution=name)  # type: ignore[arg-type]
            found[split] |= set(contents(levels))
            # Where there are enough layouts, splits do not even share a layout.
            if layout == "tree" or (layout != "open" and size > 5):
                found[split] |= {walls.tobytes() for walls in levels.walls}
    assert not found["train"] & found["tune"]
    assert not found["train"] & found["test"]
    assert not found["tune"] & found["test"]


@CARDS
def test_first_observations_show_walls_mouse_and_things_on_their_planes(card: type[World]) -> None:
    levels = training_and_shifted(card, 20)
    world, names = levels.world, plane_names(levels.world)
    shown = observations(levels)
    env = CheeseMaze(levels, len(levels), seed=0)
    assert np.array_equal(env.reset(torch.arange(len(levels))), shown)
    for number, level in enumerate(levels):
        expected = np.zeros((len(names), 7, 7), dtype=np.uint8)
        expected[0] = level.walls
        expected[1][level.mouse] = 1
        seen = world.shown(world.begins(frozenset(level.things)))
        for thing in world.things:
            for plane in thing.planes:
                cells = level.things.get(thing.name, ())
                for cell in cells[:1] if thing.walks else cells:
                    expected[names.index(plane)][cell] |= thing.name in seen
        looks = len(names) - len(world.status_planes)
        assert np.array_equal(shown[number][:looks], expected[:looks])


@CARDS
def test_a_level_drawn_as_text_is_read_back(card: type[World]) -> None:
    levels = training_and_shifted(card, 15, size=9)
    for level in levels:
        read = ascii.parse(ascii.render(level, levels.world), levels.world)
        assert np.array_equal(read.walls, level.walls)
        assert read.mouse == level.mouse
        symbols = {thing.name: thing.symbol for thing in levels.world.things}

        def drawn(things, symbols=symbols) -> list[tuple[str, tuple[int, int]]]:
            return sorted((symbols[name], cell) for name, cells in things.items() for cell in cells)

        assert drawn(read.things) == drawn(level.things)


@CARDS
def test_random_play_walks_the_graph_of_states(card: type[World]) -> None:
    levels = training_and_shifted(card, 20)
    graph, everyone = StateGraph(levels), torch.arange(len(levels))
    env = CheeseMaze(levels, len(levels), seed=0, time_limit=10**6)
    env.reset(everyone)
    state, going = graph.start.argmax(1), torch.ones(len(levels), dtype=torch.bool)
    assert (graph.start.sum(1) == 1).all()
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        actions = torch.randint(4, (len(levels),), generator=generator)
        step = env.step(actions)
        rewards = graph.rewards[everyone, state, actions]
        state = graph.next[everyone, state, actions]
        assert torch.equal(step.rewards[going], rewards[going])
        assert torch.equal(step.terminated[going], graph.over[everyone, state][going])
        assert torch.equal(step.mouse[going], graph.cell[everyone, state][going])
        going &= ~step.terminated
        assert torch.equal(env.progress[going], graph.progress[everyone, state][going])
    assert not going.all()


@CARDS
@pytest.mark.parametrize("layout", ["tree", "rooms"])
def test_walking_the_solution_earns_the_largest_return_and_nothing_shorter_does(
    card: type[World], layout: str
) -> None:
    small_or_skip(card, layout)
    levels = training_and_shifted(card, 8, layout=layout)
    horizon = default_time_limit(levels.size)
    earned = 0.0
    for number, level in enumerate(levels):
        alone = levels.take(np.array([number]))
        moves = solution(level, levels.world)
        env = CheeseMaze(alone, 1, seed=0)
        paid, over = 0.0, False
        for move in moves:
            assert not over, "the episode ended before its solution did"
            step = env.step(torch.tensor([move]))
            paid, over = paid + float(step.rewards), bool(step.terminated)
        graph = StateGraph(alone)

        def most(steps: int, graph: StateGraph = graph) -> float:
            return float((best_rewards(graph, graph.over, steps) * graph.start).sum())

        assert paid == pytest.approx(max(0.0, most(horizon)), abs=1e-5)
        if moves:
            assert paid > most(len(moves) - 1) + 1e-6
        earned += paid
    assert earned > 0


def smooth_policy(world: World, weights: tuple[torch.Tensor, torch.Tensor]):
    """A small network in float64, differentiable everywhere."""
    first, second = weights
    return lambda planes: (torch.tanh(planes.flatten(1).double() @ first) @ second).softmax(-1)


def random_weights(world: World, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = len(plane_names(world)) * world.size**2
    return (
        torch.randn(inputs, 16, generator=generator, dtype=torch.float64) * 0.5,
        torch.randn(16, 4, generator=generator, dtype=torch.float64) * 0.5,
    )


@CARDS
@pytest.mark.parametrize("size", [5, 7])
def test_measures_are_shares_below_the_best_and_slope_as_differences_do(card: type[World], size: int) -> None:
    """Also at size 5, where the default corner region is the whole maze, in worlds that do not care for it."""
    settings = {"corner_size": 2} if card.corner_is_goal else {"corner_size": min(size, 5)}
    world = small(card, size=size, **settings)
    behaviour = ExactBehaviour.of_world(world, 12, seed=0, split="test", time_limit=30)
    best, names = behaviour.best(), [measure.name for measure in world.measures]
    weights, step = random_weights(world, 0), random_weights(world, 1)
    for policy in (uniform_policy, smooth_policy(world, weights)):
        measured = behaviour.measure(policy)
        assert list(measured) == list(best) == names
        for measure in world.measures:
            values = measured[measure.name]
            assert values.shape == (12,)
            assert (values <= best[measure.name] + 1e-5).all(), measure.name
            assert (best[measure.name] <= 1 + 1e-5).all(), measure.name
            assert measure.kind == "reward" or (values >= 0).all(), measure.name

    def at(distance: float, weights=weights) -> dict[str, torch.Tensor]:
        moved = tuple(weight + distance * along for weight, along in zip(weights, step, strict=True))
        measured = behaviour.measure(smooth_policy(world, moved))  # type: ignore[arg-type]
        return {name: values.mean() for name, values in measured.items()}

    for weight in weights:
        weight.requires_grad_()
    values = at(0.0)
    with torch.no_grad():
        ahead, behind = at(1e-5), at(-1e-5)
    for name in names:
        slopes = torch.autograd.grad(values[name], weights, retain_graph=True)
        slope = float(sum((one * along).sum() for one, along in zip(slopes, step, strict=True)))
        assert slope == pytest.approx(float(ahead[name] - behind[name]) / 2e-5, rel=1e-4, abs=1e-8), name
        assert slope != 0, name


@CARDS
def test_a_policy_is_asked_only_where_walks_can_be_and_no_figure_changes_by_that(
    card: type[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = small(card, **({"corner_size": 2} if card.corner_is_goal else {}))
    policy, asked = smooth_policy(world, random_weights(world, 0)), []

    def counted(planes: torch.Tensor) -> torch.Tensor:
        asked.append(len(planes))
        return policy(planes)

    def behaviour() -> ExactBehaviour:
        return ExactBehaviour.of_world(world, 12, seed=0, split="test")

    sparing = behaviour()
    with monkeypatch.context() as patch:
        patch.setattr(StateGraph, "visited", lambda graph, starts, going_on: graph.real)
        everywhere, every = behaviour(), {}
        for only in (None, *([measure.name] for measure in world.measures)):
            every[str(only)] = everywhere.measure(policy, only)
        states = everywhere.states_asked
    for only in (None, *([measure.name] for measure in world.measures)):
        asked.clear()
        for name, values in sparing.measure(counted, only).items():
            assert torch.equal(values, every[str(only)][name]), (only, name)
        assert 0 < sum(asked) <= sparing.states_asked < states
        assert only is not None or sum(asked) == sparing.states_asked


VARIANTS = [
    *((card, {}) for card in WORLDS.values()),
    *(
        (WORLDS["stars"], {"schedule": name})
        for name in ("cheese_first", "alternating", "correlated", "mixed")
    ),
]


@pytest.mark.parametrize(
    ("card", "settings"), VARIANTS, ids=["-".join([card.name, *given.values()]) for card, given in VARIANTS]
)
def test_a_tiny_training_runs_to_its_end(tmp_path: Path, card: type[World], settings: dict) -> None:
    world = small(card, size=5, corner_size=2, layout="braid", ood_share=0.1, **settings)
    tiny = TrainSettings(
        world=world,
        ppo=PPOSettings(rollouts=10, num_envs=16, num_steps=16, epochs=2, minibatches=2),
        network="mlp",
        num_levels=64,
        measure_every=5,
        measure_levels=6,
        threads=1,
    )
    run = Run.create(tmp_path, tiny)
    train(run)
    assert run.trained
    assert Run(tmp_path).settings.world == world
    measured = [record["measures"] for record in run.progress() if "measures" in record]
    assert len(measured) == 3
    assert all(list(values) == list(world.measures_by_name()) for values in measured)
    assert all(np.isfinite(list(values.values())).all() for values in measured)
    assert measured[0] != measured[-1], "nothing was learned"
    assert sum(record.get("episodes", 0) for record in run.progress()) > 0


@CARDS
def test_levels_without_something_are_levels_too(card: type[World]) -> None:
    """A level may lack any thing that its world does not need."""
    world = small(card)
    levels = training_and_shifted(card, 3)
    bare = {
        name: cells if name in world.needed else np.full_like(cells, ABSENT)
        for name, cells in levels.places.items()
    }
    empty = Levels(world, levels.walls, levels.mouse, bare)
    env = CheeseMaze(empty, 8, seed=0)
    for _ in range(20):
        env.step(torch.randint(4, (8,), generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("reach", None, "kind 'reach' has target None: give what counts as reached"),
        ("reward", Event("cheese"), r"kind 'reward' has target .*: give none"),
        ("navigation", Event("cheese"), r"kind 'navigation' has target .*: give none"),
    ],
)
def test_a_measure_whose_kind_does_not_fit_its_target_is_named(kind, target: Event | None, said: str) -> None:
    with pytest.raises(ValueError, match=f"measure 'eaten' of {said}"):
        Measure("eaten", "whether it is eaten", "training", target, kind=kind)
