"""Eigenpairs, densities, traces and norms from products alone, of matrices whose spectrum is known."""

import numpy as np
import pytest

from goalcut.analysis.hutchinson import traces_and_norms
from goalcut.analysis.lanczos_eigenpairs import eigenpairs
from goalcut.analysis.spectral_density import lanczos, spectral_density


def matrix(values: np.ndarray, seed: int = 0) -> np.ndarray:
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return (Q * values) @ Q.T


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


VALUES = np.concatenate([[-3.0, -1.0], np.linspace(0, 1e-3, 193), [1.0, 2.0, 4.0, 4.5, 10.0]])


@pytest.mark.parametrize(("end", "expected"), [("top", [10, 4.5, 4, 2]), ("bottom", [-3, -1])])
def test_eigenpairs_of_either_end_are_found_with_small_residuals(end, expected):
    A = matrix(VALUES)
    found = eigenpairs(lambda v: A @ v, 200, len(expected), end=end, tolerance=1e-8, rng=rng())
    np.testing.assert_allclose(found.values, expected, atol=1e-7)
    assert found.converged.all()
    assert found.residuals.max() < 1e-8
    assert found.orthogonality < 1e-8
    np.testing.assert_allclose(A @ found.vectors.T, found.vectors.T * found.values, atol=1e-6)


def test_a_double_eigenvalue_of_a_small_matrix_comes_twice():
    A = matrix(np.array([5.0, 5.0, 1.0, 0.0]))
    np.testing.assert_allclose(eigenpairs(lambda v: A @ v, 4, 3, rng=rng()).values, [5, 5, 1], atol=1e-12)


def test_the_bottom_of_a_singular_matrix_is_zero_and_converges():
    A = matrix(np.maximum(VALUES, 0) * (VALUES > 0.5))
    found = eigenpairs(lambda v: A @ v, 200, 3, end="bottom", tolerance=1e-4, rng=rng())
    np.testing.assert_allclose(found.values, 0, atol=1e-3)
    assert found.converged.all()


def test_what_did_not_converge_is_flagged():
    A = matrix(np.linspace(0, 1, 300))
    found = eigenpairs(lambda v: A @ v, 300, 5, tolerance=1e-12, most_restarts=1, rng=rng())
    assert not found.figures()["all_converged"]


def test_a_product_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="a product with the matrix is not finite"):
        eigenpairs(lambda v: v * np.nan, 200, 2, rng=rng())


def test_more_eigenpairs_than_parameters_are_refused():
    with pytest.raises(ValueError, match="k is 5: give 1 to 4"):
        eigenpairs(lambda v: v, 4, 5, rng=rng())


def test_a_diagonal_matrix_has_its_sums_exactly():
    # Of random signs every probe weighs a diagonal matrix's eigenvalues alike.
    values = np.repeat([0.0, 0.5, 2.0, 8.0], [50, 30, 15, 5])
    found = spectral_density(lambda v: values * v, 100, probes=2, steps=10, rng=rng())
    assert found.trace() == (pytest.approx(values.sum()), pytest.approx(0, abs=1e-9))
    assert found.count_above(1.0)[0] == pytest.approx(20)
    assert found.effective_dimension(0.5)[0] == pytest.approx((values / (values + 0.5)).sum())
    assert found.log_volume(0.1)[0] == pytest.approx(-0.5 * np.log(values[values > 0]).sum())
    assert found.log_volume_share(0.5)[0] == pytest.approx(-0.5 * np.log1p(values / 0.5).sum())
    grid = np.linspace(-2, 10, 2001)
    assert found.density(grid, 0.05).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-6)


def test_sums_of_a_rotated_matrix_lie_within_their_errors():
    A = matrix(np.repeat([0.0, 0.5, 2.0, 8.0], [50, 30, 15, 5]))
    found = spectral_density(lambda v: A @ v, 100, probes=20, steps=12, rng=rng())
    for (value, error), exact in ((found.trace(), 85), (found.count_above(1.0), 20)):
        assert error > 0
        assert abs(value - exact) < 4 * error


def test_lanczos_stops_where_the_space_is_invariant():
    alpha, beta = lanczos(lambda v: 3 * v, np.ones(5), 4)
    np.testing.assert_allclose(alpha, [3])
    assert len(beta) == 0


def test_traces_and_norms_of_diagonal_matrices_are_exact():
    a, b = np.arange(10.0), np.ones(10)
    traces, norms = traces_and_norms(
        {"a": lambda v: a * v, "b": lambda v: b * v},
        10,
        differences={"apart": ("a", "b")},
        probes=3,
        rng=rng(),
    )
    assert traces["a"].value == pytest.approx(45)
    assert traces["a"].standard_error == pytest.approx(0)
    assert norms["apart"].value == pytest.approx(np.linalg.norm(a - b))


def test_norms_of_dense_matrices_lie_within_their_errors():
    A = matrix(VALUES)
    traces, norms = traces_and_norms({"A": lambda v: A @ v}, 200, differences={}, probes=200, rng=rng())
    assert abs(traces["A"].value - VALUES.sum()) < 4 * traces["A"].standard_error
    assert abs(norms["A"].value - np.linalg.norm(VALUES)) < 4 * norms["A"].standard_error


def test_one_probe_has_no_error_and_is_refused():
    with pytest.raises(ValueError, match="probes is 1"):
        spectral_density(lambda v: v, 5, probes=1, rng=rng())
    with pytest.raises(ValueError, match="probes is 1"):
        traces_and_norms({"a": lambda v: v}, 5, differences={}, probes=1, rng=rng())
