from dataclasses import replace

import numpy as np
import pytest

from goalcut.envs import distances, make_levels, observations, plane_names
from goalcut.envs.ascii import parse, render
from goalcut.envs.automaton import automaton_of
from goalcut.envs.routes import route
from goalcut.envs.worlds import FollowMe

WORLD = FollowMe(size=7, start="random")
BEACONS = ("beacon_1", "beacon_2", "beacon_3")


class PlainGuide:
    """Beacons pay in their order; the guide walks its way, a cell a step."""

    def arrive(self, mouse) -> float:
        wanted = BEACONS[len(mouse.taken)]
        if not mouse.on(wanted):
            return 0.0
        mouse.taken.add(wanted)
        return 1.0

    def over(self, mouse) -> bool:
        return len(mouse.taken) == 3

    def looks(self, mouse) -> list[tuple[str, str]]:
        return [(name, name) for name in BEACONS if name not in mouse.taken]

    def spots(self, mouse) -> list[tuple[str, tuple[int, int]]]:
        way = mouse.level.things["guide"]
        # When all is reached the guide counts as arrived.
        return [("guide", way[-1] if self.over(mouse) else way[min(mouse.elapsed, len(way) - 1)])]


@pytest.mark.parametrize(("distribution", "order"), [("training", (0, 1, 2)), ("shifted", (2, 1, 0))])
@pytest.mark.parametrize("layout", ["tree", "rooms"])
def test_the_guide_walks_shortest_paths_to_the_beacons_in_its_order_and_stays(
    layout, distribution, order
) -> None:
    world = replace(WORLD, layout=layout)
    levels = make_levels(world, 30, seed=0, distribution=distribution)
    for level in levels:
        way = level.things["guide"]
        assert len(way) == world.way_steps + 1
        beacons = [level.things[name][0] for name in BEACONS]
        at, here = 0, way[0]
        for number in order:
            target = np.array([beacons[number][0] * 7 + beacons[number][1]])
            legs = distances(level.walls[None], target)[0]
            moves = int(legs[here[0] * 7 + here[1]])
            left = [int(legs[row * 7 + column]) for row, column in way[at : at + moves + 1]]
            assert left == list(range(moves, -1, -1))  # every step comes one nearer
            at, here = at + moves, way[at + moves]
        assert set(way[at:]) == {beacons[order[-1]]}


def test_the_mouse_too_can_reach_all_beacons_within_guide_steps() -> None:
    for layout in ("tree", "open"):
        world = FollowMe(size=9, layout=layout)
        levels = make_levels(world, 200, seed=0, distribution="shifted")
        stops = np.column_stack([levels.places[name][:, 0] for name in BEACONS])
        _, moves = route(levels.walls, levels.mouse, stops, 0)
        assert moves.min() > 0
        assert moves.max() <= world.way_steps == 36


def test_guide_steps_bound_the_way_and_the_number_of_progress_values() -> None:
    world = replace(WORLD, guide_steps=12)
    levels = make_levels(world, 50, seed=0)
    assert levels.places["guide"].shape == (50, 13)
    # Three numbers of beacons reached with any step of the guide, and the end.
    assert len(automaton_of(world).progress) <= 3 * 13 + 1


def test_beacons_have_planes_of_their_own_and_the_guide_one_cell() -> None:
    levels = make_levels(WORLD, 20, seed=0)
    assert plane_names(WORLD) == ("walls", "mouse", *BEACONS, "guide")
    planes = observations(levels)
    assert planes[:, 2:].sum(axis=(2, 3)).tolist() == [[1, 1, 1, 1]] * 20
    assert np.array_equal(planes[:, 5].reshape(20, -1).argmax(axis=1), levels.places["guide"][:, 0])


@pytest.mark.parametrize("distribution", ["training", "shifted"])
def test_the_maze_plays_as_a_plain_mouse_does(play_beside, distribution) -> None:
    world = FollowMe(size=5, start="random", layout="open")
    seen = play_beside(PlainGuide(), world, distribution, steps=250)
    assert seen["paid"] > 20
    assert seen["over"] > 0
    assert seen["cut off"] > 0


def test_a_way_is_written_as_moves_and_reads_back() -> None:
    for distribution in ("training", "shifted"):
        for level in make_levels(WORLD, 10, seed=3, distribution=distribution):
            text = render(level, WORLD)
            assert set(text.splitlines()[-1]) <= set("G: udlr.")
            assert parse(text, WORLD) == level


def test_a_drawn_way_that_cannot_be_walked_is_refused() -> None:
    drawn = "M1.\n.2.\nG.3\nG: {}"
    world = FollowMe(size=5, guide_steps=6)
    assert parse(drawn.format("rr"), world).things["guide"][2:] == ((2, 2),) * 5
    with pytest.raises(ValueError, match="has a 'x'"):
        parse(drawn.format("rx"), world)
    with pytest.raises(ValueError, match="draw at most 6"):
        parse(drawn.format("rlrlrlr"), world)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"beacons": 1}, "beacons is 1: give 2 to 5"), ({"guide_steps": 5}, "guide_steps is 5: give at least")],
)
def test_settings_without_sense_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        FollowMe(**settings)


def test_levels_without_room_for_the_way_say_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goalcut.envs.generator._MOST_REDRAWS", 20)  # a thousand take seconds
    with pytest.raises(ValueError, match="more guide_steps or fewer beacons"):
        make_levels(FollowMe(size=11, beacons=5, guide_steps=10), 1, seed=0)
