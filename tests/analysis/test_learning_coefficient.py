"""The local learning coefficient where it is known: a quadratic bowl, and minima that are degenerate."""

import math

import numpy as np
import pytest
import torch

from goalcut.analysis.learning_coefficient import SGLDSettings, learning_coefficient, of_quadratic

N = 1000
N_BETA = N / math.log(N)


def of_parameters(loss):
    """Losses that are the same for every sample."""
    return lambda theta, some: loss(theta).expand(len(some))


def estimate(loss, theta: torch.Tensor, **settings):
    made = SGLDSettings(chains=4, burn_in=200, draws=1000, batch_size=4, **settings)
    return learning_coefficient(of_parameters(loss), theta, N, made)


def test_a_quadratic_bowl_has_half_of_its_directions_whatever_their_steepness():
    h = torch.tensor([1.0, 1.0, 2.0, 4.0]).double()
    found = estimate(
        lambda w: 0.5 * (h * w**2).sum(), torch.zeros(4).double(), localization=1.0, step_size=2e-4
    )
    expected = of_quadratic(h.numpy(), N_BETA, found.settings).sum()
    assert expected == pytest.approx(2, rel=0.03)
    assert abs(found.value - expected) < 4 * found.standard_error
    assert found.standard_error < 0.15
    assert found.inverse_temperature == pytest.approx(1 / math.log(N))


def test_localisation_counts_only_the_steep_directions():
    h = torch.tensor([5.0] * 6 + [0.0] * 20).double()
    found = estimate(
        lambda w: 0.5 * (h * w**2).sum(), torch.zeros(26).double(), localization=300.0, step_size=5e-4
    )
    expected = of_quadratic(h.numpy(), N_BETA, found.settings).sum()
    assert 1.5 < expected < 3
    assert found.value == pytest.approx(expected, abs=0.3)


def tempered(loss, gamma: float) -> float:
    """nβ E[L] by quadrature over the plane."""
    x = np.linspace(-3, 3, 2401)
    a, b = np.meshgrid(x, x)
    L = loss(a, b)
    weight = np.exp(-N_BETA * L - 0.5 * gamma * (a**2 + b**2))
    return float(N_BETA * (L * weight).sum() / weight.sum())


def test_a_degenerate_minimum_has_less_than_half_of_its_directions():
    # L = w1² w2²: λ = 1/2, of multiplicity 2; the bowl of two directions has 1.
    found = estimate(
        lambda w: w[0] ** 2 * w[1] ** 2, torch.zeros(2).double(), localization=2.0, step_size=2e-3
    )
    expected = tempered(lambda a, b: a**2 * b**2, 2.0)
    assert expected < 0.5
    assert found.value == pytest.approx(expected, abs=0.12)


def test_a_valley_counts_as_one_direction():
    # Of rank one: (w1 + w2)² is flat along its valley.
    found = estimate(lambda w: (w[0] + w[1]) ** 2, torch.zeros(2).double(), localization=1.0, step_size=1e-3)
    expected = of_quadratic(np.array([4.0, 0.0]), N_BETA, found.settings).sum()
    assert 0.5 < expected < 0.6
    assert found.value == pytest.approx(expected, abs=0.1)


def test_the_loss_of_the_centre_is_taken_on_the_same_samples():
    # Each sample's loss differs by a constant: without its own taken off, minibatches of 4 would drown all.
    offsets = 100 * torch.randn(N, generator=torch.Generator().manual_seed(0)).double()
    settings = SGLDSettings(chains=2, burn_in=200, draws=1000, batch_size=4, localization=1.0, step_size=2e-3)
    found = learning_coefficient(
        lambda theta, some: 0.5 * (theta**2).sum() + offsets[some], torch.zeros(2).double(), N, settings
    )
    assert found.value == pytest.approx(1, abs=0.35)
    assert found.loss == pytest.approx(float(offsets.mean()))


def test_the_same_seed_gives_the_same_chains():
    settings = SGLDSettings(chains=2, burn_in=5, draws=10, seed=3)
    first, second = (
        learning_coefficient(of_parameters(lambda w: (w**2).sum()), torch.zeros(2), N, settings)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.chains, second.chains)


def test_a_step_that_is_too_large_is_told():
    with pytest.raises(ValueError, match=r"step_size is 1.0: the chain ran away"):
        estimate(lambda w: (w**2).sum(), torch.ones(2).double(), step_size=1.0)


def test_a_direction_too_steep_for_the_step_adds_infinity():
    assert of_quadratic(np.array([1e9]), N_BETA, SGLDSettings())[0] == np.inf


@pytest.mark.parametrize(
    ("name", "value"), [("chains", 1), ("draws", 2), ("step_size", 0.0), ("localization", -1.0)]
)
def test_a_setting_out_of_range_is_named(name: str, value: float):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        SGLDSettings(**{name: value})
