"""Every world drawn, walked, hashed and changed, whatever lies in it."""

import numpy as np
import pytest

from goalcut.envs import (
    WORLDS,
    Episodes,
    Levels,
    ansi,
    connected,
    duplicates,
    every_place,
    frame,
    level_hashes,
    make_levels,
    move_thing,
    mutated,
    solvable,
    world_named,
)
from goalcut.envs.world import SHIFTED


def some(name: str, count: int = 12) -> Levels:
    return make_levels(world_named(name)(), count, seed=0, distribution=SHIFTED)


@pytest.mark.parametrize("name", WORLDS)
def test_pictures_of_a_walk_are_those_of_what_is_seen(name: str) -> None:
    levels = some(name)
    generator = np.random.default_rng(0)
    episodes = Episodes(levels)
    pictures = []
    for _ in range(40):
        seen = frame(episodes.observations().numpy(), 8, world=levels.world)
        shown = episodes.frames(8)
        alike = (seen == shown).all((1, 2, 3))
        # A star may be drawn with another look than its own, and things on one cell be hidden by one another.
        assert alike.mean() > 0.8 or name == "stars"
        pictures.append(shown)
        for number in range(len(levels)):
            assert "\x1b[" in ansi(episodes.level(number), levels.world, colour=True)
        episodes.step(generator.integers(0, 4, len(levels)))
    assert (pictures[0] != pictures[-1]).any()


@pytest.mark.parametrize("name", WORLDS)
def test_changed_levels_stay_sound_and_differ(name: str) -> None:
    levels = some(name, 20)
    levels = levels.take(solvable(levels))
    assert len(levels) > 15
    after = mutated(levels, 0, times=3)
    assert connected(after.walls).all()
    assert solvable(after).all()
    assert (level_hashes(levels) != level_hashes(after)).mean() > 0.8
    assert duplicates(after) == 0


def test_a_guide_stays_on_its_way_whose_order_counts() -> None:
    levels = some("follow-me", 4)
    world, way = levels.world, levels.places["guide"]
    assert np.array_equal(mutated(levels, 0, times=4).places["guide"], way)
    back = Levels(world, levels.walls, levels.mouse, levels.places | {"guide": way[:, ::-1]})
    assert not np.isin(level_hashes(back), level_hashes(levels)).any()
    with pytest.raises(ValueError, match="name is 'guide'"):
        move_thing(levels, 0, "guide")
    with pytest.raises(ValueError, match="name is 'guide'"):
        every_place(levels[0], world, "guide")
    assert ansi(levels[0], world, colour=True).count("mG ") <= 1
