import numpy as np
import pytest

from goalcut.analysis import cross_half_spectrum, gram, principal_angles
from goalcut.analysis.cross_half import _null_extremes


def planted(rng, times, parameters, strengths, noise=1.0):
    """Halves (T, P) that share Σ s_k v_k u_k^T; returns A, B and the profiles (T, k)."""
    V = np.linalg.qr(rng.standard_normal((times, len(strengths))))[0]
    U = np.linalg.qr(rng.standard_normal((parameters, len(strengths))))[0]
    signal = (V * strengths) @ U.T
    A, B = (signal + noise * rng.standard_normal((times, parameters)) for _ in range(2))
    return A, B, V


def test_the_eigenvalues_are_those_of_the_symmetrised_cross_product():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 15, 60))
    spectrum = cross_half_spectrum(A, B, rng=rng, panel_bytes=999)
    C = (A @ B.T + B @ A.T) / 2
    np.testing.assert_allclose(spectrum.eigenvalues, np.linalg.eigvalsh(C)[::-1], atol=1e-12)
    np.testing.assert_allclose(C @ spectrum.profiles, spectrum.profiles * spectrum.eigenvalues, atol=1e-11)
    assert spectrum.noise_floor == spectrum.eigenvalues[-1] < 0


def test_equal_halves_without_noise_give_the_squared_singular_values():
    rows = np.random.default_rng(0).standard_normal((10, 40))
    values = cross_half_spectrum(rows, rows, rng=np.random.default_rng(0)).eigenvalues
    np.testing.assert_allclose(values, np.linalg.eigvalsh(gram(rows))[::-1], rtol=1e-10)


def test_the_noise_energy_that_biases_the_gram_matrix_is_gone():
    A, B, _ = planted(np.random.default_rng(0), 30, 4000, np.array([120.0]))
    spectrum = cross_half_spectrum(A, B, rng=np.random.default_rng(0))
    biased = np.linalg.eigvalsh(gram(A))[-1]
    assert spectrum.eigenvalues[0] == pytest.approx(120.0**2, rel=0.05)
    assert biased > 1.2 * 120.0**2


def test_pure_noise_yields_no_finding_but_for_one_in_twenty():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        A, B = rng.standard_normal((2, 40, 300)) * rng.uniform(0.2, 3.0, size=(40, 1))
        found.append(cross_half_spectrum(A, B, rng=rng).signal_directions > 0)
    assert sum(found) <= 6  # 60/21 expected; more than 6 has a probability of 3 %, and the seeds are fixed


@pytest.mark.parametrize("strengths", [(60.0,), (200.0, 60.0, 50.0), (2000.0, 500.0, 120.0, 60.0, 50.0)])
def test_a_planted_subspace_is_found_whole_however_strong_its_first_direction(strengths):
    hits = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        A, B, V = planted(rng, 50, 3000, np.array(strengths))
        spectrum = cross_half_spectrum(A, B, rng=rng)
        k = spectrum.signal_directions
        hits += k == len(strengths)
        assert k >= len(strengths)
        assert principal_angles(spectrum.profiles[:, : len(strengths)].T, V.T).max() < 0.9
    assert hits >= 6


def test_halves_that_push_against_each_other_are_reported():
    A, B, _ = planted(np.random.default_rng(0), 40, 2000, np.array([90.0]))
    spectrum = cross_half_spectrum(A, -B, rng=np.random.default_rng(0))
    assert spectrum.signal_directions == 0
    assert spectrum.negative_directions == 1


def test_rows_that_share_their_noise_need_a_common_sign():
    def findings(block):
        count = 0
        for seed in range(15):
            rng = np.random.default_rng(seed)
            A, B = (np.repeat(rng.standard_normal((12, 100)), 4, axis=0) for _ in range(2))
            count += cross_half_spectrum(A, B, rng=rng, block=block).signal_directions > 0
        return count

    assert findings(4) <= 3
    assert findings(1) > 7  # the wrong null: every block of four equal rows looks like a direction


def test_nulls_are_the_extreme_eigenvalues_of_the_flipped_matrix():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((150, 150))
    lowest, highest = _null_extremes(M, 3, 4, np.random.default_rng(5))
    signs = np.random.default_rng(5).choice([-1.0, 1.0], size=(3, 38)).repeat(4, axis=1)[:, :150]
    for s, low, high in zip(signs, lowest, highest, strict=True):
        values = np.linalg.eigvalsh((M * s + (M * s).T) / 2)
        np.testing.assert_allclose([low, high], values[[0, -1]], rtol=1e-6)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_few_rows_and_zero_rows_have_a_spectrum_without_findings(times):
    spectrum = cross_half_spectrum(np.zeros((times, 9)), np.zeros((times, 9)), rng=np.random.default_rng(0))
    assert spectrum.signal_directions == spectrum.negative_directions == 0
    np.testing.assert_array_equal(spectrum.null_top, 0)


def test_a_low_rank_cross_product_exhausts_the_krylov_space_without_harm():
    rng = np.random.default_rng(0)
    v, w = rng.standard_normal((2, 60))
    M = np.outer(v, w)
    lowest, highest = _null_extremes(M, 4, 1, np.random.default_rng(1))
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(4, 60))
    exact = np.array([np.linalg.eigvalsh((M * s + (M * s).T) / 2)[[0, -1]] for s in signs])
    np.testing.assert_allclose(np.stack([lowest, highest], axis=1), exact, rtol=1e-10)


def test_the_same_generator_gives_the_same_findings():
    A, B, _ = planted(np.random.default_rng(0), 20, 200, np.array([20.0]))
    first, second = (cross_half_spectrum(A, B, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.null_top, second.null_top)


@pytest.mark.parametrize("bad", [{"nulls": 0}, {"quantile": 0.0}, {"block": 0}])
def test_cross_half_settings_out_of_range_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        cross_half_spectrum(np.ones((2, 3)), np.ones((2, 3)), rng=np.random.default_rng(0), **bad)


def test_halves_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 3\)"):
        cross_half_spectrum(np.ones((2, 3)), np.ones((3, 3)), rng=np.random.default_rng(0))
