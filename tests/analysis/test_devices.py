"""Panels on a GPU where there is one; and, everywhere, that no product mixes devices."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from goalcut.analysis import cross_half_spectrum, directions, directions_along, gram, temporal_svd
from goalcut.analysis.gram import gram_along
from goalcut.analysis.over_panels import over_panels
from goalcut.analysis.rows import as_rows

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
PANEL_BYTES = 60_000


def rows(dtype, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((300, 700)) * np.logspace(0, -2, 300)[:, None]).astype(dtype)


@on_a_gpu
def test_a_gpu_gives_the_numbers_of_the_cpu_in_float64():
    values = rows(np.float64)
    here = temporal_svd(values, panel_bytes=PANEL_BYTES)
    there = temporal_svd(values, panel_bytes=PANEL_BYTES, device="cuda")
    np.testing.assert_allclose(there.singular_values, here.singular_values, rtol=1e-10)
    np.testing.assert_allclose(there.profiles[:, :5], here.profiles[:, :5], atol=1e-10)
    np.testing.assert_allclose(
        directions(there, values, range(5), panel_bytes=PANEL_BYTES, device="cuda").vectors,
        directions(here, values, range(5), panel_bytes=PANEL_BYTES).vectors,
        atol=1e-10,
    )


@on_a_gpu
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_gpu_multiplies_low_precision_rows_in_true_float32(dtype):
    values = rows(dtype)
    exact = values.astype(np.float64) @ values.astype(np.float64).T
    K = gram(values, panel_bytes=PANEL_BYTES, device="cuda")
    np.testing.assert_allclose(K, exact, atol=2e-6 * exact.max())  # TF32 would miss by 1e-4 and more


@on_a_gpu
def test_halves_cross_on_a_gpu_as_they_do_on_the_cpu():
    A, B = rows(np.float64), rows(np.float64, 1)
    here = cross_half_spectrum(A, B, rng=np.random.default_rng(0), nulls=3)
    there = cross_half_spectrum(A, B, rng=np.random.default_rng(0), nulls=3, device="cuda")
    np.testing.assert_allclose(there.eigenvalues, here.eigenvalues, atol=1e-10 * here.eigenvalues[0])


class OneDevice(TorchDispatchMode):
    """Each operation has tensors of one device; only a copy may have two."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = {leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        assert len(found) < 2 or func is torch.ops.aten.copy_.default, f"{func} mixes {found}"
        return func(*args, **(kwargs or {}))


def test_a_product_of_two_devices_is_noticed():
    def mixed(X):
        yield X @ torch.ones(X.shape[1], 2, dtype=X.dtype)

    [(_, _, parts)] = over_panels(mixed, [as_rows(rows(np.float32))], [(0, 700)], device="meta")
    with pytest.raises(AssertionError, match=r"aten\.mm\.default mixes"), OneDevice():
        next(parts)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize(
    "streamed",
    [
        lambda values: gram(values, panel_bytes=PANEL_BYTES, device="meta"),
        lambda values: gram(values, values.copy(), panel_bytes=PANEL_BYTES, device="meta"),
        lambda values: gram_along(values, np.eye(300), panel_bytes=PANEL_BYTES, device="meta"),
        lambda values: directions_along(values, np.eye(300)[:, :4], device="meta"),
    ],
    ids=["gram", "cross", "along", "directions"],
)
def test_all_products_stay_on_the_device(streamed, dtype):
    # Meta tensors have a device and no content: all runs but the way back to numpy, which is reached last.
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"), OneDevice():
        streamed(rows(dtype))
