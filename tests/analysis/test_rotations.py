import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from goalcut.analysis import directions, principal_angles, rotated, temporal_svd, varimax

rng = np.random.default_rng(0)


def criterion(loadings: np.ndarray) -> float:
    return float(np.sum(np.var(loadings**2, axis=0)))


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_varimax_is_an_orthogonal_rotation_that_never_lowers_the_criterion(n, k, seed):
    loadings = np.random.default_rng(seed).standard_normal((n, k))
    found = varimax(loadings)
    np.testing.assert_allclose(found.rotation.T @ found.rotation, np.eye(k), atol=1e-12)
    np.testing.assert_allclose(found.rotated, loadings @ found.rotation, atol=1e-12)
    assert criterion(found.rotated) >= criterion(loadings) * (1 - 1e-12)


@pytest.mark.parametrize("mixing", ["random", "half and half"])
def test_varimax_recovers_a_planted_simple_structure(mixing):
    simple = np.kron(np.eye(4), np.ones((15, 1))) / np.sqrt(15)
    mix = (
        scipy.linalg.hadamard(4) / 2
        if mixing == "half and half"
        else np.linalg.qr(rng.standard_normal((4, 4)))[0]
    )
    found = varimax(simple @ mix)
    assert found.converged
    overlaps = np.abs(simple.T @ found.rotated)
    np.testing.assert_allclose(np.sort(overlaps.max(axis=0)), 1, atol=1e-6)
    assert set(overlaps.argmax(axis=0)) == {0, 1, 2, 3}


def test_varimax_says_when_it_did_not_converge():
    assert not varimax(rng.standard_normal((30, 6)), sweeps=1).converged


@pytest.mark.parametrize("loadings", [np.zeros((5, 3)), np.ones((4, 1)), np.ones((1, 3))])
def test_varimax_of_nothing_to_concentrate_converges(loadings):
    assert varimax(loadings).converged


def test_varimax_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        varimax(np.ones(3))


@pytest.mark.parametrize("of", ["profiles", "vectors"])
def test_rotated_directions_keep_the_sum_of_their_outer_products(of):
    rows = rng.standard_normal((12, 80))
    found = directions(temporal_svd(rows), rows, range(5))
    turned = rotated(found, varimax(found.profiles).rotation, of=of)
    before, after = ((d.vectors.T * d.singular_values) @ d.profiles.T for d in (found, turned))
    np.testing.assert_allclose(after, before, atol=1e-12)
    orthonormal = turned.profiles.T if of == "profiles" else turned.vectors
    np.testing.assert_allclose(orthonormal @ orthonormal.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(principal_angles(found, turned), 0, atol=1e-10)
    assert np.all(np.diff(turned.singular_values) <= 0)


def test_rotated_refuses_a_matrix_that_is_no_rotation():
    rows = rng.standard_normal((4, 20))
    found = directions(temporal_svd(rows), rows, range(2))
    for matrix in (np.eye(3), np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"orthogonal \(2, 2\)"):
            rotated(found, matrix)


@pytest.mark.parametrize(("k", "others"), [(3, 3), (2, 5), (5, 2), (1, 1)])
def test_principal_angles_equal_those_of_scipy_in_reverse(k, others):
    A, B = rng.standard_normal((k, 40)), rng.standard_normal((others, 40))
    np.testing.assert_allclose(
        principal_angles(A, B), scipy.linalg.subspace_angles(A.T, B.T)[::-1], atol=1e-12
    )


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-3, 1.0, np.pi / 2])
def test_known_angles_come_back_even_where_the_cosine_is_one_to_rounding(angle):
    A = np.eye(2, 6)
    B = np.array([[0, 0, 1, 0, 0, 0], [0, np.cos(angle), 0, np.sin(angle), 0, 0]])
    np.testing.assert_allclose(principal_angles(A, B), [angle, np.pi / 2], rtol=1e-4, atol=1e-15)


def test_angles_do_not_depend_on_the_basis_and_dependent_rows_do_not_count():
    A, B = rng.standard_normal((3, 30)), rng.standard_normal((4, 30))
    mixed = rng.standard_normal((5, 3)) @ A
    np.testing.assert_allclose(principal_angles(mixed, B), principal_angles(A, B), atol=1e-12)
    float32 = principal_angles(mixed.astype(np.float32), B)
    assert float32.shape == (3,)
    np.testing.assert_allclose(float32, principal_angles(A, B), atol=1e-4)


def test_angles_between_different_spaces_or_with_nothing_are_refused():
    with pytest.raises(ValueError, match="4 and 5 dimensions"):
        principal_angles(np.ones((1, 4)), np.ones((1, 5)))
    with pytest.raises(ValueError, match="span something"):
        principal_angles(np.zeros((2, 4)), np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"\(4,\)"):
        principal_angles(np.ones(4), np.ones((1, 4)))
