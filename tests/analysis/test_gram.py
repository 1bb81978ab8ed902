import numpy as np
import pytest
import torch

from goalcut.analysis import gram
from goalcut.analysis.gram import _SMALLEST_BLOCK, gram_along
from goalcut.analysis.rows import PANELS_HELD

rng = np.random.default_rng(0)
SHAPES = {
    "wide": (30, 700),
    "tall": (90, 20),
    "single row": (1, 50),
    "several blocks": (_SMALLEST_BLOCK * 2 + 37, 64),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float16, 2e-6), (np.float32, 2e-6), (np.float64, 1e-14)]
)
def test_gram_equals_the_dense_product_and_is_exactly_symmetric(shape, dtype, tolerance):
    rows = rng.standard_normal(shape).astype(dtype)
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    K = gram(rows, panel_bytes=40_000)
    assert K.dtype == np.float64
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_allclose(K, exact, atol=tolerance * exact.max())


@pytest.mark.parametrize("panel_bytes", [1, 997, 10**9])
def test_panels_change_nothing_beyond_rounding(panel_bytes):
    rows = rng.standard_normal((13, 101))
    np.testing.assert_allclose(gram(rows, panel_bytes=panel_bytes), rows @ rows.T, atol=1e-12)


@pytest.mark.parametrize("times", [(20, 20), (20, 31), (31, 20), (_SMALLEST_BLOCK + 5, 3)])
def test_the_cross_product_equals_the_dense_product(times):
    A, B = (rng.standard_normal((count, 150)) for count in times)
    np.testing.assert_allclose(gram(A, B, panel_bytes=3_000), A @ B.T, atol=1e-12)


def test_a_cross_product_with_float64_rows_is_in_float64():
    A = rng.standard_normal((5, 40)).astype(np.float32)
    B = rng.standard_normal((6, 40))
    np.testing.assert_allclose(gram(A, B), A.astype(np.float64) @ B.T, atol=1e-14 * 40)


def test_each_entry_is_read_once():
    class Counted:
        shape, dtype = (7, 90), np.dtype(np.float32)

        def __init__(self):
            self.values = rng.standard_normal(self.shape).astype(np.float32)
            self.read = np.zeros(90, dtype=int)

        def panel(self, start, stop):
            self.read[start:stop] += 1
            return self.values[:, start:stop]

    rows = Counted()
    gram(rows, panel_bytes=7 * 4 * 11)
    np.testing.assert_array_equal(rows.read, 1)


def test_progress_counts_up_to_all_parameters():
    seen = []
    gram(
        np.ones((2, 10)),
        panel_bytes=PANELS_HELD * 2 * 8 * 4,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_read_only_panels_are_accepted():
    rows = rng.standard_normal((4, 6))
    rows.setflags(write=False)
    np.testing.assert_allclose(gram(rows), rows @ rows.T)


def test_reduced_precision_products_are_switched_off_and_back_on():
    rows = rng.standard_normal((64, 4096)).astype(np.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        K = gram(rows)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(K, gram(rows))


def test_rows_of_different_parameters_are_refused():
    with pytest.raises(ValueError, match="of 5 and of 6"):
        gram(np.ones((2, 5)), np.ones((2, 6)))


@pytest.mark.parametrize("half", [0, 1])
def test_a_nan_in_either_half_is_named(half):
    pair = [np.ones((3, 5)), np.ones((3, 5))]
    pair[half][2, 4] = np.nan
    with pytest.raises(ValueError, match="row 2 holds nan at parameter 4"):
        gram(*pair)


def test_rows_too_large_for_float32_are_named():
    rows = np.ones((3, 5), dtype=np.float32)
    rows[1] = 1e30
    with pytest.raises(ValueError, match="row 1 is too large"):
        gram(rows)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_the_gram_matrix_along_profiles_equals_the_dense_product(dtype, tolerance):
    rows = rng.standard_normal((40, 300)).astype(dtype)
    V = rng.standard_normal((40, 7))
    dense = V.T @ rows.astype(np.float64) @ rows.T.astype(np.float64) @ V
    K = gram_along(rows, V, panel_bytes=20_000)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_allclose(K, dense, atol=tolerance * dense.max())
