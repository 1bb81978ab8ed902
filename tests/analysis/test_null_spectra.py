import numpy as np
import pytest

from goalcut.analysis import count_above, matched_noise_spectrum, random_walk_shares


def direct_noise(norms: np.ndarray, parameters: int, rng: np.random.Generator, momentum: float) -> np.ndarray:
    rows = rng.standard_normal((len(norms), parameters))
    for t in range(1, len(rows)):
        rows[t] += momentum * rows[t - 1]
    rows *= (norms / np.linalg.norm(rows, axis=1))[:, None]
    return np.linalg.svd(rows, compute_uv=False)


@pytest.mark.parametrize("parameters", [9, 12, 200])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_drawn_spectra_are_distributed_as_those_of_the_rows_themselves(parameters, momentum):
    norms = np.linspace(0.5, 2.0, 12)
    rng, draws = np.random.default_rng(0), 600
    drawn = np.array(
        [matched_noise_spectrum(norms, parameters, rng, momentum=momentum) for _ in range(draws)]
    )
    direct = np.array([direct_noise(norms, parameters, rng, momentum) for _ in range(draws)])
    error = np.sqrt((drawn.var(axis=0) + direct.var(axis=0)) / draws)
    assert np.all(np.abs(drawn.mean(axis=0) - direct.mean(axis=0)) < 4 * error + 1e-12)
    np.testing.assert_allclose(drawn.std(axis=0), direct.std(axis=0), rtol=0.2, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
def test_the_energy_of_the_null_is_that_of_the_norms(momentum):
    norms = np.array([3.0, 0.0, 1.0, 2.0])
    values = matched_noise_spectrum(norms, 1000, np.random.default_rng(0), momentum=momentum)
    assert np.sum(values**2) == pytest.approx(14)
    assert np.all(np.diff(values) <= 0)


def test_white_noise_passes_for_full_rank_and_a_random_walk_for_a_handful():
    rng = np.random.default_rng(0)
    norms = np.ones(200)
    assert count_above(matched_noise_spectrum(norms, 100_000, rng)) == 200
    walk = norms.cumsum() ** 0.5
    assert count_above(matched_noise_spectrum(walk, 100_000, rng, momentum=1.0)) < 12


def test_principal_components_of_a_random_walk_have_the_analytic_shares():
    rng = np.random.default_rng(0)
    walk = rng.standard_normal((400, 4000)).cumsum(axis=0)
    values = np.linalg.svd(walk - walk.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(values[:4] / values.sum(), random_walk_shares(4), rtol=0.05)
    assert random_walk_shares(10**5).sum() == pytest.approx(1, abs=1e-4)


def test_count_above_counts_those_beyond_the_share_of_the_largest():
    assert count_above(np.array([10.0, 5.0, 1.0, 0.5])) == 2
    assert count_above(np.array([10.0, 5.0, 1.0, 0.5]), share=0.04) == 4
    assert count_above(np.array([])) == 0
    with pytest.raises(ValueError, match="share"):
        count_above(np.ones(2), share=1.0)


@pytest.mark.parametrize(
    ("norms", "parameters", "momentum"),
    [([[1.0]], 5, 0), ([], 5, 0), ([-1.0], 5, 0), ([np.nan], 5, 0), ([1.0], 0, 0), ([1.0], 5, 1.1)],
)
def test_settings_that_name_no_noise_are_refused(norms, parameters, momentum):
    with pytest.raises(ValueError, match=r"row_norms|parameters"):
        matched_noise_spectrum(np.array(norms), parameters, np.random.default_rng(0), momentum=momentum)
