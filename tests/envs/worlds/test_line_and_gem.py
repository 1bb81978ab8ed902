"""Line and gem: colour and shape planes, what pays, and what its measures say."""

import numpy as np
import pytest

from goalcut.envs import (
    CheeseMazeEnv,
    Levels,
    LineAndGem,
    ascii,
    make_levels,
    observations,
    plane_names,
    solution,
)
from goalcut.envs.levels import ABSENT

WORLD = LineAndGem(size=7, start="random")
ALL = ("yellow_line", "red_line", "yellow_gem", "red_gem")


class LineRules:
    """Lines pay and end; gems do nothing."""

    def arrive(self, mouse) -> float:
        return float(mouse.on("yellow_line") or mouse.on("red_line"))

    def over(self, mouse) -> bool:
        return mouse.on("yellow_line") or mouse.on("red_line")

    def looks(self, mouse) -> list[tuple[str, str]]:
        return [(plane, name) for name in ALL for plane in name.split("_")]


@pytest.mark.parametrize("layout", ["tree", "braid", "blocks", "rooms", "open"])
@pytest.mark.parametrize("start", ["random", "bottom_left"])
@pytest.mark.parametrize("red_gem", [True, False])
def test_each_distribution_has_just_its_things(layout: str, start: str, red_gem: bool) -> None:
    world = LineAndGem(size=7, layout=layout, start=start, red_gem=red_gem)  # type: ignore[arg-type]
    for distribution, names in (
        ("training", {"yellow_line", "red_gem"} if red_gem else {"yellow_line"}),
        ("shifted", {"red_line", "yellow_gem"}),
        ("colour_only", {"yellow_gem"}),
        ("shape_only", {"red_line"}),
    ):
        levels = make_levels(world, 60, seed=0, distribution=distribution)
        cells = [levels.mouse] + [levels.places[name][:, 0] for name in sorted(names)]
        assert all(len(set(level)) == len(cells) for level in np.stack(cells, axis=1).tolist())
        for name in ALL:
            assert ((levels.places[name] == ABSENT) == (name not in names)).all()


def test_a_thing_shows_on_the_plane_of_its_colour_and_on_that_of_its_shape() -> None:
    assert plane_names(WORLD) == ("walls", "mouse", "yellow", "line", "red", "gem")
    level = ascii.parse("LMG\n.#.\nl.g", WORLD)
    shown = observations(Levels.of([level], WORLD))[0]
    corners = {
        name: shown[index][[0, 0, 2, 2], [0, 2, 0, 2]] for index, name in enumerate(plane_names(WORLD))
    }
    assert corners["yellow"].tolist() == [1, 1, 0, 0]
    assert corners["red"].tolist() == [0, 0, 1, 1]
    assert corners["line"].tolist() == [1, 0, 1, 0]
    assert corners["gem"].tolist() == [0, 1, 0, 1]
    assert ascii.render(level, WORLD) == "LMG\n.#.\nl.g"


@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("red_gem", [True, False])
def test_ood_share_mixes_in_levels_with_a_red_line_and_a_yellow_gem(share: float, red_gem: bool) -> None:
    world = LineAndGem(size=7, start="random", ood_share=share, red_gem=red_gem)
    levels = make_levels(world, 1500, seed=0)
    there = {name: levels.places[name][:, 0] != ABSENT for name in ALL}
    assert np.array_equal(there["red_line"], there["yellow_gem"])
    assert np.array_equal(there["red_line"], ~there["yellow_line"])
    assert np.array_equal(there["red_gem"], there["yellow_line"] & red_gem)
    assert abs(there["red_line"].mean() - share) <= 3 * np.sqrt(share * (1 - share) / 1500)


@pytest.mark.parametrize("distribution", ["training", "shifted", "colour_only", "shape_only"])
def test_random_play_agrees_with_a_plain_mouse(play_beside, distribution: str) -> None:
    seen = play_beside(LineRules(), LineAndGem(size=5, start="random", red_gem=True), distribution)
    assert (seen["over"] > 0) == (distribution != "colour_only")
    assert seen["paid"] == seen["over"]
    assert seen["cut off"] > 0


@pytest.mark.parametrize("red_gem", [True, False])
def test_exact_measures_are_those_of_sampled_episodes(
    assert_measures_are_those_of_sampled_episodes, red_gem: bool
) -> None:
    world = LineAndGem(size=7, start="random", layout="braid", red_gem=red_gem)
    assert_measures_are_those_of_sampled_episodes(world)


def test_told_names_the_red_gem_where_there_is_one() -> None:
    assert LineAndGem().told == "the line always yellow"
    assert LineAndGem(red_gem=True).told == "the line always yellow, and a red gem that pays nothing"


def test_in_training_the_yellow_line_pays_the_colour_and_the_shape_alike() -> None:
    env = CheeseMazeEnv(world=WORLD, num_levels=20)
    for number, level in enumerate(make_levels(WORLD, 20, seed=0)):
        env.reset(options={"level": number})
        steps = [env.step(move) for move in solution(level, WORLD)]
        assert [step[4]["proxy_reward"] for step in steps] == [step[1] for step in steps]
        assert steps[-1][1] == 1
