"""The profile-only recipes: what they choose among the directions of applied changes, none of which is made for it."""

from pathlib import Path

import pytest
import torch

from goalcut.ablate.selection import by_contrast
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.analysis.rows import UnitRows
from goalcut.analysis.temporal_svd import directions, temporal_svd
from goalcut.envs import CheeseInCorner
from goalcut.studies.recipes import Recipe


@pytest.mark.parametrize("unit", [False, True])
def test_a_recipe_chooses_what_a_contrast_of_all_directions_does(tmp_path: Path, unit: bool) -> None:
    settings = TrainSettings(
        world=CheeseInCorner(size=5, corner_size=3),
        ppo=PPOSettings(rollouts=12, num_envs=16, num_steps=8, minibatches=4, precision="float32"),
        network="mlp",
        num_levels=64,
        record="none",
        measure_every=0,
        threads=torch.get_num_threads(),
    )
    run = Run.create(tmp_path / "run", settings)
    train(run)
    changes = run.applied_changes()
    assert changes.shape[0] == 12

    rows = UnitRows(changes) if unit else changes
    svd = temporal_svd(rows)
    found = directions(svd, rows, layout=parameter_layout(run.network()))
    wanted = by_contrast(found, 2, (0, 6), (6, 12), ridge=0.1)

    recipe = Recipe("here", "paid", window=(0, 0.5), against=(0.5, 1), count=2, ridge=0.1, unit=unit)
    chosen = recipe.choose(run)
    assert chosen.centre == pytest.approx(wanted.centre, abs=1e-4)
    assert chosen.recipe == wanted.recipe | {"of": "applied changes", "unit": unit}
    torch.testing.assert_close(chosen.vectors @ chosen.vectors.T, torch.eye(2), atol=1e-4, rtol=0)
    # The same ones, up to their signs.
    torch.testing.assert_close((chosen.vectors @ wanted.vectors.T).abs(), torch.eye(2), atol=1e-3, rtol=0)
