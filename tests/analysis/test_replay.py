from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from goalcut.agents.classification import Classification, DigitSettings
from goalcut.agents.gradient_log import GradientLogWriter, GradientSink, Row, Training
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.recorder import GradientRecorder
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import replay_training, train
from goalcut.analysis import (
    Layout,
    cross_half_spectrum,
    directions,
    directions_along,
    principal_angles,
    temporal_svd,
)
from goalcut.analysis.cross_half import cross_half_of_product
from goalcut.analysis.first_pass import FirstPass
from goalcut.analysis.replay import replay_directions
from goalcut.analysis.second_pass import ReplayError, SecondPass
from goalcut.envs import CheeseInCorner
from goalcut.envs.digits import load_digits

MAZE = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=20, num_envs=16, num_steps=8, epochs=2, minibatches=2, precision="float32"),
    network="mlp",
    num_levels=64,
    record_terms_every=3,
    measure_every=0,
    threads=1,
)


class Kept:
    """A sink that keeps every row."""

    def __init__(self) -> None:
        self.kept: list[Row] = []

    @property
    def rows(self) -> int:
        return len(self.kept)

    def append(self, row: Row) -> None:
        self.kept.append(replace(row, gradient=row.gradient.copy()))

    def sync(self) -> None: ...

    def close(self) -> None: ...

    def half(self, half: str) -> np.ndarray:
        """Rows of one half of the whole gradients (T, P) float64."""
        return np.stack(
            [row.gradient for row in self.kept if (row.term, row.half) == ("total", half)]
        ).astype(np.float64)


def again(rows: list[Row]) -> Training:
    """A training that gives these rows."""

    def training(sink: GradientSink) -> None:
        for row in rows:
            sink.append(row)
        sink.close()

    return training


@dataclass
class Known:
    """A training, and all that its replay is to find."""

    training: Training
    layout: Layout
    kept: Kept

    @property
    def gradients(self) -> np.ndarray:
        return self.kept.half("A") + self.kept.half("B")


@pytest.fixture(autouse=True, scope="module")
def threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["rollout", "update"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run.create(tmp_path_factory.mktemp("stored") / "run", replace(MAZE, record=request.param))
    train(run)
    return run


def digits_training(settings: DigitSettings) -> Training:
    def training(sink: GradientSink) -> None:
        learner = Classification(settings, load_digits("train", settings.data_dir))
        recorder = GradientRecorder(learner.network, learner.optimizer, sink, per_update=True)
        while learner.updates_done < learner.updates:
            learner.update(recorder)
        recorder.close()

    return training


@pytest.fixture(scope="module", params=["maze", "digits"])
def known(request: pytest.FixtureRequest, few_digits: Path) -> Known:
    if request.param == "maze":
        settings = replace(MAZE, record="update")
        training, layout = replay_training(settings), parameter_layout(settings.new_network())
    else:
        digits = DigitSettings(data_dir=few_digits, hidden=(32,), epochs=6)
        training, layout = digits_training(digits), parameter_layout(digits.new_network())
    kept = Kept()
    training(kept)
    return Known(training, layout, kept)


def test_a_replay_gives_the_log_of_the_run_byte_for_byte(stored: Run, tmp_path: Path) -> None:
    shapes = {name: shape for name, (_, _, shape) in stored.gradient_log().layout.items()}
    replay_training(stored.settings)(GradientLogWriter(tmp_path / "again", shapes))
    for file in ("rows.bin", "rows.index"):
        assert (tmp_path / "again" / file).read_bytes() == (stored.gradients / file).read_bytes()


def test_directions_of_a_replay_are_those_of_the_stored_log(stored: Run) -> None:
    log = stored.gradient_log()
    svd = temporal_svd(log.rows())
    expected = directions(svd, log.rows(), range(5), layout=log.layout)
    found = replay_directions(replay_training(stored.settings), layout=log.layout, count=5).directions
    # What is between them is the log's float16: 2^-12 of each row's largest entries.
    assert principal_angles(found.vectors[:1], expected.vectors[:1]).max() < 3e-4
    assert principal_angles(found, expected).max() < 2e-3
    np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=2e-4)
    np.testing.assert_allclose(found.profiles, expected.profiles, atol=3e-3)
    assert found.layout == expected.layout
    assert found.source["sketch_width"] is None


def test_the_replays_directions_are_those_of_a_dense_svd(known: Known) -> None:
    V, values, U = np.linalg.svd(known.gradients, full_matrices=False)
    found = replay_directions(known.training, layout=known.layout, count=10).directions
    np.testing.assert_allclose(found.singular_values, values[:10], rtol=1e-6)
    for k in range(1, 11):
        if values[k] < 0.99 * values[k - 1]:  # equal ones mix
            assert principal_angles(found.vectors[:k], U[:k]).max() < 2e-5
            assert principal_angles(found.profiles[:, :k].T, V[:, :k].T).max() < 2e-4
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(10), atol=1e-6)
    assert (found.profiles.sum(axis=0) > 0).all()


def test_products_held_in_the_window_are_those_of_the_rows(known: Known) -> None:
    products = replay_directions(again(known.kept.kept), layout=known.layout, count=1).products
    A, B, G = known.kept.half("A"), known.kept.half("B"), known.gradients
    energies = np.einsum("tp,tp->t", G, G)
    scale = np.sqrt(energies[:, None] * energies)
    assert products.shape == G.shape
    assert np.abs(products.gram - G @ G.T).max() < 1e-6 * scale.max()
    np.testing.assert_allclose(products.row_energies, energies, rtol=1e-6)
    assert products.cross is not None
    assert np.abs(products.cross - A @ B.T).max() < 1e-6 * scale.max()
    assert products.spectral_error() == 0.0
    records = [row for row in known.kept.kept if row.term == "total" and row.half == "B"]
    for field in ("update", "env_steps", "lr", "whole_norm"):
        np.testing.assert_array_equal(products.time_records[field], [getattr(row, field) for row in records])
    norms = [np.linalg.norm(row.gradient.astype(np.float64)) for row in records]
    np.testing.assert_allclose(products.time_records["norm"], norms, rtol=1e-6)


def test_the_cross_half_spectrum_needs_no_rows(known: Known) -> None:
    products = replay_directions(again(known.kept.kept), layout=known.layout, count=1).products
    assert products.cross is not None
    found = cross_half_of_product(products.cross, rng=np.random.default_rng(1), nulls=5)
    expected = cross_half_spectrum(
        known.kept.half("A"), known.kept.half("B"), rng=np.random.default_rng(1), nulls=5
    )
    tolerance = 1e-6 * expected.eigenvalues[0]
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, atol=tolerance)
    np.testing.assert_allclose(found.null_top, expected.null_top, atol=tolerance)
    assert found.signal_directions == expected.signal_directions


def test_a_product_of_halves_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"finite matrix \(T, T\), got shape \(2, 3\)"):
        cross_half_of_product(np.ones((2, 3)), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="nulls"):
        cross_half_of_product(np.ones((2, 2)), rng=np.random.default_rng(0), nulls=0)


def test_rows_that_outgrow_the_window_are_sketched_from_the_first_on(known: Known) -> None:
    parameters = known.gradients.shape[1]
    half_of_them = len(known.gradients) * parameters * 4
    sinks = {
        "never held": FirstPass(parameters, window_bytes=0, width=512),
        "seen ahead": FirstPass(parameters, times=len(known.gradients), window_bytes=half_of_them, width=512),
        "outgrown": FirstPass(parameters, window_bytes=half_of_them, width=512),
        "fitting": FirstPass(parameters, window_bytes=2 * half_of_them, width=512),
    }
    for sink in sinks.values():
        again(known.kept.kept)(sink)
    products = {name: sink.products() for name, sink in sinks.items()}
    for name in ("seen ahead", "outgrown"):
        np.testing.assert_array_equal(products[name].gram, products["never held"].gram)
        np.testing.assert_array_equal(products[name].cross, products["never held"].cross)
        np.testing.assert_array_equal(products[name].row_energies, products["fitting"].row_energies)
    assert [products[name].sketch_width for name in sinks] == [512, 512, 512, None]
    assert sinks["seen ahead"].held_bytes < sinks["outgrown"].held_bytes <= half_of_them
    assert half_of_them < sinks["fitting"].held_bytes <= 2 * half_of_them


def test_directions_from_a_sketch_are_mended_by_pass_two(known: Known) -> None:
    exact = replay_directions(again(known.kept.kept), layout=known.layout, count=3)
    # A window that holds nothing; the default sketch is wider than the digits' network.
    found = replay_directions(
        again(known.kept.kept), layout=known.layout, count=3, window_bytes=0, width=4096
    )
    error = np.linalg.norm(found.products.gram - exact.products.gram, 2)
    assert 0 < error < found.products.spectral_error()
    of_profiles = principal_angles(found.svd.profiles[:, :3].T, exact.svd.profiles[:, :3].T).max()
    of_directions = principal_angles(found.directions, exact.directions).max()
    assert of_profiles > np.radians(0.5)
    assert of_directions < min(np.radians(1), of_profiles / 5)
    ratio = found.directions.singular_values / exact.directions.singular_values
    assert (ratio < 1 + 1e-6).all()
    assert (ratio > 1 - 1e-3).all()
    assert found.directions.source["sketch_width"] == 4096


def test_further_profiles_bring_directions_closer(known: Known) -> None:
    exact = replay_directions(again(known.kept.kept), layout=known.layout, count=3).directions
    angles = [
        principal_angles(
            replay_directions(
                again(known.kept.kept), layout=known.layout, count=3, window_bytes=0, width=1024, extra=extra
            ).directions,
            exact,
        ).max()
        for extra in (0, 20)
    ]
    assert angles[1] < 0.7 * angles[0]


def test_another_training_is_refused_at_its_first_other_row() -> None:
    layout = parameter_layout(MAZE.new_network())
    trainings = iter([replay_training(MAZE), replay_training(replace(MAZE, seed=1))])
    with pytest.raises(ReplayError, match=r"row 0 of the replay \(update 3, half A\).*threads=1"):
        replay_directions(lambda sink: next(trainings)(sink), layout=layout, count=2)


def changed_by_a_bit(row: Row) -> Row:
    gradient = row.gradient.copy()
    gradient.view(np.uint32)[5] ^= 1
    return replace(row, gradient=gradient)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [*rows[:7], changed_by_a_bit(rows[7]), *rows[8:]],
            r"row 7 of the replay \(update 3, half B\)",
        ),
        (lambda rows: rows[:-1], "ended after 39 rows, pass one had 40"),
        (lambda rows: [*rows, rows[-1]], "goes on after the 40 rows of pass one"),
        (lambda rows: [*rows[:2], *rows[4:6], *rows[2:4], *rows[6:]], "row 2 of the replay"),
    ],
    ids=["a flipped bit", "a row too few", "a row too many", "another order"],
)
def test_a_replay_that_differs_in_one_row_is_refused(known: Known, change: Any, message: str) -> None:
    rows = [row for row in known.kept.kept if row.term == "total"][:40]
    trainings = iter([again(rows), again(change(rows))])
    with pytest.raises(ReplayError, match=message):
        replay_directions(lambda sink: next(trainings)(sink), layout=known.layout, count=2)


def large_bytes(sink: object, parameters: int) -> int:
    """Memory of all arrays and tensors of a sink that are as long as a row."""
    if isinstance(sink, np.ndarray | torch.Tensor):
        return sink.nbytes if sink.nbytes >= 4 * parameters else 0
    if isinstance(sink, list | dict):
        return sum(
            large_bytes(part, parameters) for part in (sink.values() if isinstance(sink, dict) else sink)
        )
    return large_bytes(vars(sink), parameters) if hasattr(sink, "__dict__") else 0


def test_memory_of_pass_two_does_not_grow_with_training_time(known: Known) -> None:
    rows, parameters = [row for row in known.kept.kept if row.term == "total"], known.gradients.shape[1]
    held = []
    for times in (20, len(rows) // 2):
        first = FirstPass(parameters)
        again(rows[: 2 * times])(first)
        assert large_bytes(first, parameters) >= first.held_bytes == 2 * times * parameters * 4
        products = first.products()
        second = SecondPass(products, products.temporal_svd().profiles[:, :3])
        again(rows[: 2 * times])(second)
        held.append(large_bytes(second, parameters))
        assert second.held_bytes == held[-1]
    assert held[0] == held[1] == (3 + 16) * parameters * 4


def test_the_cost_of_both_passes_is_told(known: Known) -> None:
    cost = replay_directions(
        again(known.kept.kept), layout=known.layout, count=4, window_bytes=0, width=512
    ).cost
    parameters = known.gradients.shape[1]
    assert 0 < cost.first_sink_seconds < cost.first_seconds
    assert 0 < cost.second_sink_seconds < cost.second_seconds
    assert cost.first_bytes == 2 * len(known.gradients) * 512 * 4 + 2 * 4 * parameters
    assert cost.second_bytes == (4 + 10 + 16) * parameters * 4


def test_any_profiles_can_be_replayed(known: Known) -> None:
    rows = [row for row in known.kept.kept if row.term == "total"]
    first = FirstPass(known.gradients.shape[1])
    again(rows)(first)
    early = np.zeros((len(known.gradients), 1))
    early[:10] = 5.0
    second = SecondPass(first.products(), early)
    again(rows)(second)
    expected = directions_along(known.gradients, early)
    found = second.directions()
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=1e-6)
    with pytest.raises(ValueError, match="given already"):
        second.directions()


def test_the_rows_of_a_loss_term_can_be_replayed() -> None:
    layout = parameter_layout(MAZE.new_network())
    kept = Kept()
    replay_training(MAZE)(kept)
    halves = {
        half: np.stack([row.gradient for row in kept.kept if (row.term, row.half) == ("policy", half)])
        for half in "AB"
    }
    expected = temporal_svd((halves["A"] + halves["B"]).astype(np.float64))
    found = replay_directions(replay_training(MAZE), layout=layout, count=2, term="policy")
    assert found.products.shape[0] == 7  # every third of 20 rollouts
    np.testing.assert_allclose(found.directions.singular_values, expected.singular_values[:2], rtol=1e-5)
    assert found.directions.source["term"] == "policy"


def regression(steps: int) -> tuple[Training, Layout, list[np.ndarray]]:
    """A plain training loop without halves, and the gradients it saw."""
    seen: list[np.ndarray] = []

    def training(sink: GradientSink) -> None:
        generator = torch.Generator().manual_seed(0)
        network = nn.Linear(30, 4)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        recorder = GradientRecorder(network, optimizer, sink, per_update=True)
        seen.clear()
        for _ in range(steps):
            inputs, targets = (torch.randn(16, width, generator=generator) for width in (30, 4))
            optimizer.zero_grad()
            (network(inputs) - targets).square().mean().backward()
            seen.append(np.concatenate([p.grad.numpy().reshape(-1) for p in network.parameters()]))
            optimizer.step()
        recorder.close()

    return training, parameter_layout(nn.Linear(30, 4)), seen


@pytest.mark.parametrize("steps", [1, 25, 200], ids=["one row", "wide", "tall"])
def test_rows_without_halves_are_replayed_whatever_their_number(steps: int) -> None:
    training, layout, seen = regression(steps)
    found = replay_directions(training, layout=layout, count=3)
    _, values, U = np.linalg.svd(np.array(seen, dtype=np.float64), full_matrices=False)
    assert found.products.cross is None
    assert len(found.directions) == min(3, steps)
    np.testing.assert_allclose(found.directions.singular_values, values[:3], rtol=1e-5)
    assert principal_angles(found.directions, U[:3]).max() < 2e-4


def test_the_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        replay_training(replace(MAZE, ppo=replace(MAZE.ppo, rollouts=1)))(Kept())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_training_that_records_nothing_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match="record is 'none'"):
        replay_training(replace(MAZE, record="none"))


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, "no rows of the term 'total'"),
        (["A"], {}, "row 0 is half A, and the training ended without its half B"),
        (["A", "A"], {}, "row 1 is of half 'A' after half 'A'"),
        (["B"], {}, "row 0 is of half 'B'"),
        ([""], {"layout": {"weight": (0, 9, (9,))}}, r"row 0 is float32 \(8,\), wanted float32 \(9,\)"),
        ([""], {"count": 0}, "count is at least 1.*got 0"),
        ([""], {"extra": -1}, "extra at least 0; got 1 and -1"),
        ([""], {"window_bytes": -1}, "window_bytes at least 0; got 8, None and -1"),
        ([""], {"window_bytes": 0, "width": 8}, "rows have only 8 entries"),
        (["zero"], {}, "all rows of the term 'total' are zero"),
    ],
)
def test_what_cannot_be_replayed_is_named(rows: list[str], settings: dict[str, Any], message: str) -> None:
    made = [
        Row(np.full(8, half != "zero", dtype=np.float32), number, 0, half=half if half in "AB" else "")
        for number, half in enumerate(rows)
    ]
    with pytest.raises(ValueError, match=message):
        replay_directions(again(made), **({"layout": {"weight": (0, 8, (8,))}, "count": 1} | settings))


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        (np.ones((3, 1)), r"profiles are \(T, k\) with T = 2"),
        (np.ones((2, 2)), "the 2 profiles are not independent"),
    ],
)
def test_profiles_that_span_nothing_of_these_rows_are_refused(profiles: np.ndarray, message: str) -> None:
    first = FirstPass(8)
    again([Row(np.ones(8, dtype=np.float32), number, 0) for number in range(2)])(first)
    with pytest.raises(ValueError, match=message):
        SecondPass(first.products(), profiles)
