"""The card of the cheese in the corner: where the cheese lies, and from when on."""

import numpy as np
import pytest

from goalcut.envs import make_levels
from goalcut.envs.levels import corner_region
from goalcut.envs.world import Phase, World
from goalcut.envs.worlds import CheeseInCorner


def test_the_cheese_lies_in_the_corner_until_it_lies_anywhere() -> None:
    world = CheeseInCorner(size=9, corner_size=3, anywhere_from=0.25)
    assert world.phases == (Phase(0.25, "training"), Phase(1.0, "shifted"))
    corner = corner_region(world.size, world.corner_size).ravel()
    made = [make_levels(world, 500, seed=0, distribution=phase.distribution) for phase in world.phases]
    inside = [corner[levels.places["cheese"][:, 0]] for levels in made]
    assert inside[0].all()
    assert 0.02 < np.mean(inside[1]) < 0.3  # 9 of 81 cells, of those that are free
    assert "from 25 % of training on anywhere" in world.told
    assert World.of_json(world.to_json()) == world


def test_by_default_it_stays_there() -> None:
    assert CheeseInCorner().phases == (Phase(1.0, "training"),)
    assert CheeseInCorner().told.startswith("the cheese always in the 5×5")


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_of_training_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"anywhere_from is .*: give a share of training above 0"):
        CheeseInCorner(anywhere_from=share)
