"""The profile-only recipes: what they choose among the directions of applied changes, none of which is made whole."""

import torch

from goalcut.ablate.selection import by_contrast
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.run import Run
from goalcut.analysis.rows import UnitRows
from goalcut.analysis.temporal_svd import directions, temporal_svd
from goalcut.studies.recipes import Recipe


def test_a_recipe_chooses_what_a_contrast_of_all_directions_does(small_run: Run) -> None:
    changes = small_run.applied_changes()
    times, layout = changes.shape[0], parameter_layout(small_run.network())
    for unit in (False, True):
        recipe = Recipe("here", "paid", window=(0, 0.5), against=(0.5, 1), count=2, ridge=0.1, unit=unit)
        chosen = recipe.choose(small_run)
        rows = UnitRows(changes) if unit else changes
        svd = temporal_svd(rows)
        found = directions(svd, rows, layout=layout)
        half = round(times * 0.5)
        wanted = by_contrast(found, 2, (0, half), (half, times), ridge=0.1)
        # Up to a rotation among the two.
        overlaps = torch.linalg.svdvals(chosen.vectors @ wanted.vectors.T)
        torch.testing.assert_close(overlaps, torch.ones(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(chosen.vectors @ chosen.vectors.T, torch.eye(2), atol=1e-4, rtol=0)
        assert abs(chosen.centre - wanted.centre) < 1e-4
        assert chosen.recipe == wanted.recipe | {"of": "applied changes", "unit": unit}
