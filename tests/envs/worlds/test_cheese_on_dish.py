"""Cheese on a dish: where the two lie, what is seen and paid, and what its measures say."""

import numpy as np
import pytest

from goalcut.envs import CheeseOnDish, Levels, ascii, distances, make_levels, observations
from goalcut.envs.levels import ABSENT

WORLD = CheeseOnDish(size=7, start="random")


class DishRules:
    """Cheese pays and ends; a dish that vanishes is seen until the mouse was there."""

    def arrive(self, mouse) -> float:
        if mouse.world.dish_vanishes and mouse.on("dish"):
            mouse.taken.add("dish")
        return float(mouse.on("cheese"))

    def over(self, mouse) -> bool:
        return mouse.on("cheese")

    def looks(self, mouse) -> list[tuple[str, str]]:
        return [(name, name) for name in ("cheese", "dish") if name not in mouse.taken]


def apart(levels: Levels) -> np.ndarray:
    """Steps from cheese to dish."""
    steps = distances(levels.walls, levels.cheese)
    return steps[np.arange(len(levels)), levels.places["dish"][:, 0]]


@pytest.mark.parametrize("layout", ["tree", "braid", "blocks", "rooms", "open"])
@pytest.mark.parametrize("start", ["random", "bottom_left"])
@pytest.mark.parametrize("max_apart", [0, 1, 3])
def test_cheese_and_dish_lie_as_near_in_training_and_as_far_in_the_shift_as_settings_say(
    layout: str, start: str, max_apart: int
) -> None:
    world = CheeseOnDish(size=9, layout=layout, start=start, max_apart=max_apart)  # type: ignore[arg-type]
    training = make_levels(world, 300, seed=0)
    assert set(apart(training)) == set(range(max_apart + 1))
    shifted = make_levels(world, 300, seed=0, distribution="shifted")
    assert apart(shifted).min() == max_apart + 1
    for levels in (training, shifted):
        assert not (levels.mouse == levels.cheese).any()
        assert not (levels.mouse == levels.places["dish"][:, 0]).any()
        if start == "bottom_left":
            assert set(levels.mouse) == {72}
    # Anywhere in the maze: each of the free cells that all trees share holds a dish somewhere.
    many = make_levels(CheeseOnDish(size=5, start="random"), 2000, seed=0)
    rooms = {row * 5 + column for row in (0, 2, 4) for column in (0, 2, 4)}
    assert rooms <= set(many.places["dish"][:, 0])


def test_levels_of_one_thing_alone_have_just_that() -> None:
    for here, gone in (("cheese", "dish"), ("dish", "cheese")):
        levels = make_levels(WORLD, 50, seed=0, distribution=f"{here}_only")
        assert (levels.places[gone] == ABSENT).all()
        assert (levels.places[here] >= 0).all()
        assert observations(levels)[:, {"cheese": 3, "dish": 2}[here]].sum() == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_ood_share_is_the_share_of_levels_with_the_two_apart(share: float) -> None:
    world = CheeseOnDish(size=7, start="random", ood_share=share)
    lie_apart = apart(make_levels(world, 2000, seed=0)) > 0
    assert abs(lie_apart.mean() - share) <= 3 * np.sqrt(share * (1 - share) / 2000)
    assert (apart(make_levels(world, 200, seed=0, distribution="shifted")) > 0).all()


@pytest.mark.parametrize("distribution", ["training", "shifted", "cheese_only", "dish_only"])
@pytest.mark.parametrize("dish_vanishes", [True, False])
def test_random_play_agrees_with_a_plain_mouse(play_beside, distribution: str, dish_vanishes: bool) -> None:
    world = CheeseOnDish(size=5, start="random", max_apart=1, dish_vanishes=dish_vanishes)
    seen = play_beside(DishRules(), world, distribution)
    assert (seen["over"] > 0) == (distribution != "dish_only")
    assert seen["cut off"] > 0
    assert (seen["taken"] > 0) == (dish_vanishes and distribution != "cheese_only")


def test_cheese_on_its_dish_shows_on_both_planes_and_the_drawing_says_so() -> None:
    level = ascii.parse("..1\n.##\n..M\n1 = C D", CheeseOnDish(size=5))
    shown = observations(Levels.of([level], CheeseOnDish(size=5)))[0]
    expected = np.zeros((3, 3), dtype=np.uint8)
    expected[0, 2] = 1
    assert np.array_equal(shown[2], expected)
    assert np.array_equal(shown[3], expected)
    assert ascii.render(level, CheeseOnDish(size=5)) == "..1\n.##\n..M\n1 = C D"


@pytest.mark.parametrize(
    "world",
    [WORLD, CheeseOnDish(size=7, start="random", layout="rooms", max_apart=2, dish_vanishes=False)],
    ids=["on", "near"],
)
def test_exact_measures_are_those_of_sampled_episodes(
    assert_measures_are_those_of_sampled_episodes, world: CheeseOnDish
) -> None:
    assert_measures_are_those_of_sampled_episodes(world)


@pytest.mark.parametrize("max_apart", [-1, 9])
def test_a_distance_that_no_maze_has_is_refused(max_apart: int) -> None:
    with pytest.raises(ValueError, match=f"max_apart is {max_apart}: give 0 to 8 steps"):
        CheeseOnDish(size=9, max_apart=max_apart)


def test_told_says_how_cheese_lies_to_dish() -> None:
    assert CheeseOnDish().told == "the cheese always on the dish, anywhere in the maze"
    assert "at most 2 steps from the dish" in CheeseOnDish(max_apart=2).told
