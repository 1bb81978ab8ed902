"""Pairs of mazes that differ in one thing, and what a layer says of it."""

import numpy as np
import pytest
import torch

from goalcut.ablate.activations import activations_at
from goalcut.ablate.contrast_pairs import corner_pairs, thing_pairs
from goalcut.ablate.contrast_vectors import contrast_directions, contrast_vector
from goalcut.agents.networks import build_network
from goalcut.envs import CheeseInCorner, make_levels
from goalcut.envs.levels import corner_region
from goalcut.envs.solver import distances

WORLD = CheeseInCorner(size=7, corner_size=3)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_pairs_of_a_thing_are_the_same_but_for_its_plane() -> None:
    given, without = thing_pairs(
        make_levels(WORLD, 40, seed=0, distribution="shifted"), "cheese", generator()
    )
    assert torch.equal(given[:, :2], without[:, :2])
    assert (given[:, 1].sum((1, 2)) == 1).all()
    assert (given[:, 2].sum((1, 2)) == 1).all()
    assert (without[:, 2] == 0).all()
    # The mouse stands on free cells off the cheese, and not always on the same.
    mouse = given[:, 1].flatten(1).argmax(1)
    assert (given[:, 0].flatten(1).gather(1, mouse[:, None]) == 0).all()
    assert (given[:, 2].flatten(1).gather(1, mouse[:, None]) == 0).all()
    assert len(mouse.unique()) > 10


def test_pairs_of_the_corner_have_it_within_reach_and_out_of_it() -> None:
    levels = make_levels(WORLD, 60, seed=0, distribution="conflict")
    opened, closed = corner_pairs(levels, generator())
    assert len(opened) > 50
    assert torch.equal(opened[:, 1:], closed[:, 1:])
    region = np.flatnonzero(corner_region(7, 3).ravel())
    for planes, reached in ((opened, True), (closed, False)):
        walls = planes[:, 0].numpy().astype(bool)
        mouse = planes[:, 1].flatten(1).argmax(1).numpy()
        there = distances(walls, mouse)[:, region] >= 0
        assert (there.any(1) == reached).all()
    # Only cells of the region were walled up.
    changed = (opened != closed)[:, 0].flatten(1).numpy()
    assert changed.any(1).all()
    assert np.isin(np.nonzero(changed)[1], region).all()


def test_levels_with_the_cheese_in_an_entrance_are_left_out() -> None:
    levels = make_levels(WORLD, 200, seed=0, distribution="cornered")
    opened, closed = corner_pairs(levels, generator())
    assert 0 < len(opened) < 200
    cheese = closed[:, 2].flatten(1).argmax(1)
    assert (closed[:, 0].flatten(1).gather(1, cheese[:, None]) == 0).all()


def test_pairs_that_cannot_be_made_are_refused() -> None:
    levels = make_levels(WORLD, 3, seed=0)
    with pytest.raises(ValueError, match="name is 'star': the world 'corner' has cheese"):
        thing_pairs(levels, "star", generator())
    whole = make_levels(CheeseInCorner(size=7, corner_size=7), 3, seed=0)
    with pytest.raises(ValueError, match="corner_size is 7, the whole maze"):
        corner_pairs(whole, generator())


def test_the_contrast_vector_is_the_mean_difference_over_pairs_and_positions() -> None:
    network = build_network("conv", (3, 7, 7), 4, seed=0)
    pairs = thing_pairs(make_levels(WORLD, 50, seed=0, distribution="shifted"), "cheese", generator())
    given, without = (activations_at(network, ["trunk.2"], inputs)["trunk.2"] for inputs in pairs)
    difference = given - without
    whole = contrast_vector(network, "trunk.2", pairs)
    torch.testing.assert_close(whole, difference.mean(0).flatten())
    each = contrast_vector(network, "trunk.2", pairs, per_channel=True)
    torch.testing.assert_close(each, difference.mean((0, 2, 3)))


def test_contrast_directions_span_the_differences_strongest_first() -> None:
    network = build_network("conv", (3, 7, 7), 4, seed=0)
    pairs = thing_pairs(make_levels(WORLD, 20, seed=0, distribution="shifted"), "cheese", generator())
    found = contrast_directions(network, "trunk", pairs)
    given, without = (activations_at(network, ["trunk"], inputs)["trunk"] for inputs in pairs)
    difference = (given - without).double()
    vectors = torch.from_numpy(found.vectors).double()
    assert found.space == "trunk"
    torch.testing.assert_close(difference @ vectors.T @ vectors, difference, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        (difference @ vectors.T).norm(dim=0),
        torch.from_numpy(found.singular_values),
        rtol=1e-4,
        atol=1e-5,
    )
    assert contrast_directions(network, "trunk.2", pairs, per_channel=True).vectors.shape[1] == 16
