from dataclasses import replace

import pytest

from goalcut.envs import Levels, make_levels, observations, plane_names
from goalcut.envs.ascii import parse, render
from goalcut.envs.automaton import automaton_of
from goalcut.envs.worlds import KeysAndChests

WORLD = KeysAndChests(size=7, start="random")


class PlainKeys:
    """A chest opens for a mouse with a key in hand."""

    def __init__(self, world: KeysAndChests):
        self.world = world

    def held(self, mouse) -> int:
        keys = sum(name.startswith("key") for name in mouse.taken)
        return keys - (len(mouse.taken) - keys)

    def arrive(self, mouse) -> float:
        here = [name for name in mouse.level.things if mouse.on(name) and name not in mouse.taken]
        for name in here:
            if name.startswith("key"):
                mouse.taken.add(name)
            elif self.held(mouse):
                mouse.taken.add(name)
                return 1.0
        return 0.0

    def over(self, mouse) -> bool:
        count = {kind: sum(name.startswith(kind) for name in mouse.level.things) for kind in ("key", "chest")}
        return sum(name.startswith("chest") for name in mouse.taken) == min(count.values())

    def looks(self, mouse) -> list[tuple[str, str]]:
        return [(name.split("_")[0], name) for name in mouse.level.things if name not in mouse.taken]

    def spots(self, mouse) -> list[tuple[str, tuple[int, int]]]:
        return [("keys held", (0, column)) for column in range(self.held(mouse))]


def counts(levels: Levels) -> set[tuple[int, int]]:
    return {
        (
            sum(name.startswith("key") for name in level.things),
            sum(name.startswith("chest") for name in level.things),
        )
        for level in levels
    }


@pytest.mark.parametrize(("scarce", "training"), [("keys", (1, 3)), ("chests", (3, 1))])
def test_training_and_shifted_levels_change_what_is_scarce(scarce, training) -> None:
    world = replace(WORLD, few=1, many=3, scarce=scarce)
    assert counts(make_levels(world, 60, seed=0)) == {training}
    assert counts(make_levels(world, 60, seed=0, distribution="shifted")) == {training[::-1]}
    mixed = make_levels(replace(world, ood_share=0.5), 60, seed=0)
    assert counts(mixed) == {training, training[::-1]}


def test_keys_look_alike_chests_look_alike_and_the_hand_is_empty_at_first() -> None:
    levels = make_levels(WORLD, 20, seed=0)
    assert plane_names(WORLD) == ("walls", "mouse", "key", "chest", "keys held")
    assert observations(levels)[:, 2:].sum(axis=(2, 3)).tolist() == [[2, 4, 0]] * 20


@pytest.mark.parametrize("distribution", ["training", "shifted"])
@pytest.mark.parametrize("scarce", ["keys", "chests"])
def test_the_maze_plays_as_a_plain_mouse_does(play_beside, scarce, distribution) -> None:
    world = KeysAndChests(size=5, start="random", scarce=scarce, layout="rooms")
    seen = play_beside(PlainKeys(world), world, distribution, steps=200)
    assert seen["paid"] > 20
    assert seen["over"] > 0
    assert seen["cut off"] > 0


def test_a_chest_without_a_key_is_walked_through_and_each_key_opens_one() -> None:
    automaton, world = automaton_of(WORLD), WORLD
    assert world.arrive(world.initial, frozenset(["chest_1"])) == (world.initial, 0.0)
    progress, rewards = world.initial, []
    for name in ("key_2", "chest_3", "chest_1", "key_1", "chest_3", "chest_4"):
        progress, reward = world.arrive(progress, frozenset([name]))
        rewards.append(reward)
    assert rewards == [0, 1, 0, 0, 0, 1]
    assert world.over(progress, frozenset())
    assert automaton.status.max() == world.many


def test_a_level_reads_back_as_it_is_drawn() -> None:
    for distribution in ("training", "shifted"):
        for level in make_levels(WORLD, 10, seed=3, distribution=distribution):
            assert parse(render(level, WORLD), WORLD) == level


def test_both_goals_can_be_had_on_shifted_levels() -> None:
    names = WORLD.measures_by_name()
    assert names["spare_key"].levels == names["chests_opened"].levels == "shifted"
    # Where keys are plentiful in training, there are spare ones there only.
    assert replace(WORLD, scarce="chests").measures_by_name()["spare_key"].levels == "training"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"few": 0}, "few is 0: keys without chests"),
        ({"few": 4}, "nothing is scarce"),
        ({"many": 6}, "many is 6: give at most 5"),
        ({"scarce": "mice"}, "give 'keys' or 'chests'"),
    ],
)
def test_settings_without_sense_are_refused_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=message) as error:
        KeysAndChests(**settings)
    assert "\n" not in str(error.value)


def test_the_smallest_and_densest_levels_have_room_for_all() -> None:
    world = KeysAndChests(size=5, layout="blocks", wall_density=0.8, few=4, many=5)
    assert counts(make_levels(world, 100, seed=0)) == {(4, 5)}
