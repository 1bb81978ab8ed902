from collections import deque
from dataclasses import replace

import pytest

from goalcut.envs import Level, make_levels, observations, plane_names
from goalcut.envs.ascii import parse, render
from goalcut.envs.worlds import Lava

WORLD = Lava(size=9, start="random")
LAYOUTS = ("braid", "blocks", "rooms", "open")


class PlainLava:
    """Cheese pays, lava does not, both end the episode."""

    def __init__(self, lava_reward: float):
        self.lava_reward = lava_reward

    def arrive(self, mouse) -> float:
        burnt = mouse.on("lava") or mouse.on("lava_across")
        return 1.0 * mouse.on("cheese") + self.lava_reward * burnt

    def over(self, mouse) -> bool:
        return any(mouse.on(name) for name in ("cheese", "lava", "lava_across"))

    def looks(self, mouse) -> list[tuple[str, str]]:
        return [("cheese", "cheese"), ("lava", "lava"), ("lava", "lava_across")]


def lava_of(level: Level) -> set[tuple[int, int]]:
    return {*level.things.get("lava", ()), *level.things.get("lava_across", ())}


def moves_to_cheese(level: Level, forbidden: set[tuple[int, int]]) -> int | None:
    """By search, plainly: moves of a shortest path that enters no forbidden cell; None where there is none."""
    size, far = len(level.walls), {level.mouse: 0}
    queue = deque(far)
    while queue:
        row, column = queue.popleft()
        for there in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= there[0] < size and 0 <= there[1] < size
            if inside and not level.walls[there] and there not in forbidden and there not in far:
                far[there] = far[row, column] + 1
                queue.append(there)
    return far.get(level.cheese)


@pytest.mark.parametrize("start", ["bottom_left", "random"])
@pytest.mark.parametrize("layout", ["tree", *LAYOUTS])
def test_no_lava_lies_on_any_shortest_path_in_training(layout, start) -> None:
    world = replace(WORLD, layout=layout, start=start)
    for level in make_levels(world, 40, seed=0):
        assert len(lava_of(level)) == len(level.things["lava"]) == 4
        shortest = moves_to_cheese(level, set())
        assert moves_to_cheese(level, lava_of(level)) == shortest
        for cell in lava_of(level):  # nor would a path through it be as short
            to_lava = moves_to_cheese(Level(level.walls, level.mouse, {"cheese": (cell,)}), set())
            on = moves_to_cheese(Level(level.walls, cell, {"cheese": (level.cheese,)}), set())
            assert to_lava is not None
            assert on is not None
            assert shortest is not None
            assert to_lava + on > shortest


@pytest.mark.parametrize("start", ["bottom_left", "random"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lava", [1, 4, 8])
def test_lava_cuts_every_shortest_path_in_shifted_levels_and_leaves_a_detour(layout, start, lava) -> None:
    world = replace(WORLD, layout=layout, start=start, lava=lava)
    for level in make_levels(world, 40, seed=0, distribution="shifted"):
        assert len(lava_of(level)) == lava
        across = set(level.things["lava_across"])
        shortest, detour = moves_to_cheese(level, set()), moves_to_cheese(level, lava_of(level))
        assert shortest is not None
        assert detour is not None
        assert detour > shortest
        cut = moves_to_cheese(level, across)
        assert cut is not None
        assert cut == detour  # the other lava lies beside the detour


def test_both_kinds_of_lava_look_alike() -> None:
    levels = make_levels(WORLD, 20, seed=0, distribution="shifted")
    assert plane_names(WORLD) == ("walls", "mouse", "cheese", "lava")
    for level, planes in zip(levels, observations(levels), strict=True):
        assert {tuple(cell) for cell in zip(*planes[3].nonzero(), strict=True)} == lava_of(level)


@pytest.mark.parametrize("distribution", ["training", "shifted"])
def test_the_maze_plays_as_a_plain_mouse_does(play_beside, distribution) -> None:
    world = Lava(size=7, start="random", lava_reward=-0.5, ood_share=0.25)
    seen = play_beside(PlainLava(-0.5), world, distribution)
    assert seen["over"] > 50
    assert seen["cut off"] > 0
    assert seen["paid"] < 0


def test_a_level_reads_back_as_it_is_drawn() -> None:
    for distribution in ("training", "shifted"):
        for level in make_levels(WORLD, 10, seed=3, distribution=distribution):
            assert parse(render(level, WORLD), WORLD) == level


@pytest.mark.parametrize("settings", [{"layout": "tree"}, {"layout": "braid", "dead_ends_opened": 0.0}])
def test_layouts_without_detours_have_no_shifted_levels_and_say_so(settings) -> None:
    world = replace(WORLD, **settings)
    for act in (world.check_measurable, lambda: make_levels(world, 2, seed=0, distribution="shifted")):
        with pytest.raises(ValueError, match=r"where no detour leads round lava.*give 'braid'"):
            act()
    with pytest.raises(ValueError, match="no detour"):
        replace(world, ood_share=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"lava": 0}, "lava is 0"), ({"lava_reward": 0.5}, "lava_reward is 0.5: give 0 or less")],
)
def test_settings_without_sense_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Lava(**settings)
