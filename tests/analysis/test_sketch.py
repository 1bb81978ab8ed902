import numpy as np
import pytest
import torch

from goalcut.analysis import gram
from goalcut.analysis.sketch import Sketch, inner_product_error, spectral_error


def decaying(times: int, parameters: int) -> np.ndarray:
    """Rows like gradients: a decaying spectrum and noise."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((30, parameters)) * (1.0 / np.arange(1, 31))[:, None]
    return (rng.standard_normal((times, 30)) @ U + 0.3 * rng.standard_normal((times, parameters))).astype(
        np.float32
    )


def peaky(times: int, parameters: int) -> np.ndarray:
    """Rows that a few of their entries carry."""
    return (np.random.default_rng(0).standard_normal((times, parameters)) ** 5).astype(np.float32)


def sketched(rows: np.ndarray, sketch: Sketch) -> np.ndarray:
    return np.stack([sketch(row) for row in rows])


@pytest.mark.parametrize("entries", [1, 4])
def test_each_parameter_goes_to_one_bucket_of_every_block(entries: int) -> None:
    sketch = Sketch(50, 40, seed=3, entries=entries)
    for column in sketched(np.eye(50, dtype=np.float32), sketch):
        blocks = column.reshape(entries, -1)
        assert np.count_nonzero(blocks, axis=1).tolist() == [1] * entries
        np.testing.assert_allclose(np.abs(blocks).max(axis=1), entries**-0.5)


def test_the_sketch_is_linear() -> None:
    x, y = decaying(2, 3000)
    sketch = Sketch(3000, 256, seed=0)
    np.testing.assert_allclose(sketch(x + 2 * y), sketch(x) + 2 * sketch(y), atol=1e-4)


def test_a_seed_gives_the_same_bits_on_any_number_of_threads_and_another_seed_others() -> None:
    [x] = decaying(1, 200_000)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(Sketch(200_000, 1024, seed=5)(x))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
    assert not np.allclose(Sketch(200_000, 1024, seed=6)(x), found[0])


@pytest.mark.parametrize("entries", [1, 4])
@pytest.mark.parametrize("rows", [decaying, peaky])
def test_inner_products_are_right_on_average_and_vary_as_stated(rows, entries: int) -> None:
    x, y = rows(2, 400).astype(np.float64)
    width, draws = 64, 1500
    products = np.array(
        [
            np.dot(*sketched(np.float32([x, y]), Sketch(400, width, seed=seed, entries=entries)))
            for seed in range(draws)
        ]
    )
    exact = np.sqrt(((x @ x) * (y @ y) + (x @ y) ** 2 - 2 * (x**2) @ (y**2)) / width)
    assert abs(products.mean() - x @ y) < 4 * exact / draws**0.5
    assert products.std() == pytest.approx(exact, rel=0.15)
    stated = inner_product_error(np.array([[x @ x, x @ y], [x @ y, y @ y]]), width)[0, 1]
    assert exact <= stated
    if rows is decaying:  # without entries that stand out, the bound is the deviation itself
        assert exact == pytest.approx(stated, rel=0.02)


@pytest.mark.parametrize("rows", [decaying, peaky])
@pytest.mark.parametrize("width", [256, 1024])
def test_the_gram_matrix_is_off_by_what_is_stated(rows, width: int) -> None:
    G = rows(60, 20_000)
    K = gram(G)
    stated = spectral_error(np.trace(K), np.linalg.norm(K, 2), width)
    errors = [np.linalg.norm(gram(sketched(G, Sketch(20_000, width, seed=seed))) - K, 2) for seed in range(6)]
    assert 0.2 * stated < np.mean(errors) < stated
    assert max(errors) < 2 * stated


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"width": 31}, "width is 31 in 2 blocks"),
        ({"width": 100}, "rows have only 100 entries"),
        ({"entries": 0}, "in 0 blocks"),
    ],
)
def test_a_bad_sketch_setting_is_named(bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sketch(100, **({"width": 40, "seed": 0} | bad))


def test_a_row_of_another_network_is_refused_by_the_sketch() -> None:
    with pytest.raises(ValueError, match=r"the row is \(7,\), this sketch takes rows \(100,\)"):
        Sketch(100, 40, seed=0)(np.ones(7, dtype=np.float32))
