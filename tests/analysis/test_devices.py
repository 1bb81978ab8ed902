"""Panels on a GPU where there is one, and on an emulated one elsewhere: no product mixes devices."""

import numpy as np
import pytest
import torch

from goalcut.analysis import cross_half_spectrum, directions, directions_along, gram, temporal_svd
from goalcut.analysis.gram import gram_along
from goalcut.analysis.over_panels import over_panels
from goalcut.analysis.rows import as_rows

PANEL_BYTES = 60_000


def rows(dtype, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((300, 700)) * np.logspace(0, -2, 300)[:, None]).astype(dtype)


def test_a_gpu_gives_the_numbers_of_the_cpu_in_float64(gpu):
    values = rows(np.float64)
    here = temporal_svd(values, panel_bytes=PANEL_BYTES)
    there = temporal_svd(values, panel_bytes=PANEL_BYTES, device=gpu)
    np.testing.assert_allclose(there.singular_values, here.singular_values, rtol=1e-10)
    np.testing.assert_allclose(there.profiles[:, :5], here.profiles[:, :5], atol=1e-10)
    np.testing.assert_allclose(
        directions(there, values, range(5), panel_bytes=PANEL_BYTES, device=gpu).vectors,
        directions(here, values, range(5), panel_bytes=PANEL_BYTES).vectors,
        atol=1e-10,
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_gpu_multiplies_low_precision_rows_in_true_float32(dtype, gpu):
    values = rows(dtype)
    exact = values.astype(np.float64) @ values.astype(np.float64).T
    K = gram(values, panel_bytes=PANEL_BYTES, device=gpu)
    np.testing.assert_allclose(K, exact, atol=2e-6 * exact.max())  # TF32 would miss by 1e-4 and more


def test_halves_cross_on_a_gpu_as_they_do_on_the_cpu(gpu):
    A, B = rows(np.float64), rows(np.float64, 1)
    here = cross_half_spectrum(A, B, rng=np.random.default_rng(0), nulls=3)
    there = cross_half_spectrum(A, B, rng=np.random.default_rng(0), nulls=3, device=gpu)
    np.testing.assert_allclose(there.eigenvalues, here.eigenvalues, atol=1e-10 * here.eigenvalues[0])


def test_a_product_of_two_devices_is_noticed(gpu):
    def mixed(X):
        yield X @ torch.ones(X.shape[1], 2, dtype=X.dtype)

    [(_, _, parts)] = over_panels(mixed, [as_rows(rows(np.float32))], [(0, 700)], device=gpu)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        next(parts)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize(
    "streamed",
    [
        lambda values, device: gram(values, panel_bytes=PANEL_BYTES, device=device),
        lambda values, device: gram(values, values.copy(), panel_bytes=PANEL_BYTES, device=device),
        lambda values, device: gram_along(values, np.eye(300), panel_bytes=PANEL_BYTES, device=device),
        lambda values, device: directions_along(values, np.eye(300)[:, :4], device=device).vectors,
    ],
    ids=["gram", "cross", "along", "directions"],
)
def test_every_streamed_product_is_that_of_the_cpu(streamed, dtype, gpu):
    values = rows(dtype)
    here, there = streamed(values, "cpu"), streamed(values, gpu)
    np.testing.assert_allclose(there, here, atol=2e-6 * np.abs(here).max())
