from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_

from goalcut.agents.gradient_log import GradientLog, GradientLogWriter, Row
from goalcut.agents.recorder import GradientError, GradientRecorder


def model() -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor, torch.Tensor]:
    """A plain regression: nothing here knows of reinforcement learning."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))
    inputs, targets = (torch.randn(32, width, generator=generator) for width in (5, 2))
    return network, torch.optim.SGD(network.parameters(), lr=0.1), inputs, targets


def loss_of(
    network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, share: float = 1.0
) -> torch.Tensor:
    return share * (network(inputs) - targets).square().mean()


def flat_gradient(network: nn.Module) -> np.ndarray:
    return torch.cat([p.grad.reshape(-1) for p in network.parameters()]).numpy().copy()


def test_the_recorded_row_is_the_gradient_before_clipping(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path, per_update=True)
    seen, clipped = [], []
    for _ in range(4):
        optimizer.zero_grad()
        loss_of(network, inputs, targets).backward()
        seen.append(flat_gradient(network))
        before = float(clip_grad_norm_(network.parameters(), 0.05))
        clipped.append(0.05 / before)
        optimizer.step()
    recorder.close()
    log = GradientLog(tmp_path)
    np.testing.assert_allclose(log.rows().panel(0, log.parameters), seen, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(log.index["clip"], clipped, rtol=1e-3)
    np.testing.assert_allclose(log.index["lr"], 0.1)
    assert log.index["update"].tolist() == [0, 1, 2, 3]


def test_halves_are_the_gradients_of_their_own_samples(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path, per_update=True)
    alone = {}
    for half, samples in (("A", slice(0, 16)), ("B", slice(16, 32))):
        network.zero_grad()
        loss_of(network, inputs[samples], targets[samples], 0.5).backward()
        alone[half] = flat_gradient(network)
    optimizer.zero_grad()
    recorder.gradient.zero_()  # what was looked at above is no part of the update
    for half, samples in (("B", slice(16, 32)), ("A", slice(0, 16))):
        with recorder.half(half):
            loss_of(network, inputs[samples], targets[samples], 0.5).backward()
    optimizer.step()
    recorder.close()
    log = GradientLog(tmp_path)
    for half, gradient in alone.items():
        np.testing.assert_allclose(
            log.rows(half=half).panel(0, log.parameters)[0], gradient, rtol=2e-3, atol=1e-5
        )


def test_one_backward_pass_is_told_apart_by_views_of_the_parameters(tmp_path: Path) -> None:
    """The second update's half A leaves the last bias out: nothing of the first may be left there."""
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path, per_update=True)
    alone: dict[str, list[np.ndarray]] = {"A": [], "B": []}
    names = [name for name, _ in network.named_parameters()]
    for update in range(2):
        views = recorder.half_a_views()
        chosen = names[:-1] if update else names
        of_a = {name: views[parameter] for name, parameter in network.named_parameters() if name in chosen}
        loss_a = 0.5 * (functional_call(network, of_a, inputs[:16]) - targets[:16]).square().mean()
        loss_b = loss_of(network, inputs[16:], targets[16:], 0.5)
        for half, loss in (("A", loss_a), ("B", loss_b)):
            given = list(of_a.values()) if half == "A" else list(network.parameters())
            parts = torch.autograd.grad(loss, given, retain_graph=True)
            alone[half].append(torch.cat([part.reshape(-1) for part in parts]).numpy().copy())
        recorder.half_a.zero_()  # what was looked at above is no part of the update
        optimizer.zero_grad()
        (loss_a + loss_b).backward()
        optimizer.step()
    recorder.close()
    log = GradientLog(tmp_path)
    half_a, whole = (rows.panel(0, log.parameters) for rows in (log.rows(half="A"), log.rows()))
    near = {"rtol": 2e-3, "atol": 1e-5}
    np.testing.assert_allclose(half_a[0], alone["A"][0], **near)
    np.testing.assert_allclose(half_a[1, :-2], alone["A"][1], **near)
    assert half_a[1, -2:].tolist() == [0, 0]
    np.testing.assert_allclose(whole[0], alone["A"][0] + alone["B"][0], **near)


def test_an_averaged_row_is_the_mean_over_its_updates(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path)
    seen = []
    for update in range(6):
        optimizer.zero_grad()
        loss_of(network, inputs, targets).backward()
        seen.append(flat_gradient(network))
        optimizer.step()
        if update == 3:
            recorder.row_so_far(40, "early")
        if update == 4:
            recorder.end_row(50)
    recorder.end_row(60)
    recorder.end_row(70)  # no update since: no row
    recorder.close()
    log = GradientLog(tmp_path)
    whole, early = log.rows().panel(0, log.parameters), log.rows("early").panel(0, log.parameters)
    np.testing.assert_allclose(whole, [np.mean(seen[:5], axis=0), seen[5]], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(early, [np.mean(seen[:4], axis=0)], rtol=2e-3, atol=1e-6)
    assert log.rows().records["env_steps"].tolist() == [50, 60]
    assert log.rows().records["averaged"].tolist() == [5, 1]


@pytest.mark.parametrize("per_update", [False, True])
def test_a_loop_that_writes_gradients_by_hand_records_what_hooks_would(
    tmp_path: Path, per_update: bool
) -> None:
    logs = []
    for by_hand in (False, True):
        network, optimizer, inputs, targets = model()
        directory = tmp_path / str(by_hand)
        recorder = GradientRecorder(network, optimizer, directory, per_update=per_update)
        if by_hand:
            recorder.by_hand()
        for _ in range(3):
            optimizer.zero_grad()
            parts = {}
            for half, samples in (("A", slice(0, 16)), ("B", slice(16, 32))):
                loss = loss_of(network, inputs[samples], targets[samples], 0.5)
                if by_hand:
                    loss.backward()
                    parts[half] = torch.from_numpy(flat_gradient(network))
                else:
                    with recorder.half(half):
                        loss.backward()
            if by_hand:
                recorder.half_a.copy_(parts["A"])
                recorder.gradient.copy_(parts["B"])
                recorder.check(float(recorder.gradient.norm()))
            norm = float(clip_grad_norm_(network.parameters(), 0.05))
            optimizer.step()
            if by_hand:
                recorder.update(min(1.0, 0.05 / norm))
        recorder.end_row(9)
        recorder.close()
        logs.append(GradientLog(directory))
    for half in (None, "A", "B"):
        hooked, written = (log.rows(half=half).panel(0, log.parameters) for log in logs)
        np.testing.assert_allclose(written, hooked, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(logs[1].index["clip"], logs[0].index["clip"], rtol=1e-4)
    assert logs[1].index["update"].tolist() == logs[0].index["update"].tolist()


def test_a_gradient_by_hand_that_is_not_finite_is_named_before_the_step(tmp_path: Path) -> None:
    network, optimizer, _, _ = model()
    recorder = GradientRecorder(network, optimizer, tmp_path)
    recorder.by_hand()
    recorder.gradient[-1] = float("nan")
    with pytest.raises(GradientError, match=r"the gradient of 2\.bias is not finite at update 0"):
        recorder.check(float(recorder.gradient.norm()))


def test_rows_of_loss_terms_sum_to_the_gradient_and_leave_it_alone(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path, per_update=True)
    outputs = network(inputs)
    terms = {"fit": (outputs - targets).square().mean(), "size": 0.1 * outputs.square().mean()}
    recorder.record_terms(terms, 0)
    sum(terms.values()).backward()
    gradient = flat_gradient(network)
    optimizer.step()
    recorder.close()
    log = GradientLog(tmp_path)
    assert log.terms == ["total", "fit", "size"]
    parts = sum(log.rows(term).panel(0, log.parameters)[0] for term in terms)
    np.testing.assert_allclose(parts, gradient, rtol=5e-3, atol=1e-5)
    np.testing.assert_allclose(log.rows().panel(0, log.parameters)[0], gradient, rtol=2e-3, atol=1e-6)


def test_recording_changes_no_bit_of_training(tmp_path: Path) -> None:
    ends = []
    for recorded in (True, False):
        network, optimizer, inputs, targets = model()
        recorder = GradientRecorder(network, optimizer, tmp_path / "log") if recorded else None
        for _ in range(5):
            optimizer.zero_grad()
            loss_of(network, inputs, targets).backward()
            clip_grad_norm_(network.parameters(), 0.1)
            optimizer.step()
        if recorder:
            recorder.close()
        ends.append(torch.cat([p.detach().reshape(-1) for p in network.parameters()]))
    assert torch.equal(*ends)


def test_a_gradient_that_is_not_finite_is_named_and_earlier_rows_stay(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    recorder = GradientRecorder(network, optimizer, tmp_path, per_update=True)
    loss_of(network, inputs, targets).backward()
    optimizer.step()
    optimizer.zero_grad()
    (loss_of(network, inputs, targets) * float("nan")).backward()
    with pytest.raises(GradientError, match=r"gradient of 0.weight is not finite at update 1.*1 rows"):
        optimizer.step()
    recorder.close()
    assert len(GradientLog(tmp_path)) == 1


def test_a_closed_recorder_leaves_no_hook_behind(tmp_path: Path) -> None:
    network, optimizer, inputs, targets = model()
    GradientRecorder(network, optimizer, tmp_path, per_update=True).close()
    loss_of(network, inputs, targets).backward()
    optimizer.step()
    assert len(GradientLog(tmp_path)) == 0


class NormsOfRows:
    """A sink that keeps of each row only what tells it from others."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int, float]] = []
        self.closed = False

    @property
    def rows(self) -> int:
        return len(self.seen)

    def append(self, row: Row) -> None:
        norm = float(np.linalg.norm(row.gradient.astype(np.float64)))
        self.seen.append((row.term, row.half, row.update, norm))

    def sync(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("per_update", [False, True])
def test_a_sink_takes_the_rows_that_a_log_would(tmp_path: Path, per_update: bool) -> None:
    sink = NormsOfRows()
    for target in (tmp_path, sink):
        network, optimizer, inputs, targets = model()
        recorder = GradientRecorder(network, optimizer, target, per_update=per_update)
        for update in range(4):
            optimizer.zero_grad()
            for half, samples in (("A", slice(0, 16)), ("B", slice(16, 32))):
                loss = loss_of(network, inputs[samples], targets[samples], 0.5)
                if update == 0:
                    recorder.record_terms({"fit": loss}, update, half=half)
                with recorder.half(half):
                    loss.backward()
            optimizer.step()
            if not per_update and update % 2:
                recorder.end_row(update)
        recorder.close()
    index = GradientLog(tmp_path).index
    assert recorder.log is sink
    assert sink.closed
    assert sink.rows == len(index) == (2 + 8 if per_update else 2 + 4)
    for (term, half, update, norm), record in zip(sink.seen, index, strict=True):
        assert (term.encode(), half.encode(), update) == (record["term"], record["half"], record["update"])
        assert norm == pytest.approx(record["norm"], rel=1e-12)


def test_a_log_given_as_a_sink_holds_the_same_bytes(tmp_path: Path) -> None:
    layout = {name: tuple(p.shape) for name, p in model()[0].named_parameters()}
    for target in (tmp_path / "path", GradientLogWriter(tmp_path / "sink", layout)):
        network, optimizer, inputs, targets = model()
        recorder = GradientRecorder(network, optimizer, target, per_update=True)
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(network, inputs, targets).backward()
            optimizer.step()
        recorder.close()
    for file in ("rows.bin", "rows.index"):
        assert (tmp_path / "path" / file).read_bytes() == (tmp_path / "sink" / file).read_bytes()


def test_a_sink_cannot_be_resumed() -> None:
    network, optimizer, *_ = model()
    with pytest.raises(ValueError, match="keep is 3, but only a log in a directory is resumed"):
        GradientRecorder(network, optimizer, NormsOfRows(), keep=3)


def test_an_unknown_half_is_refused(tmp_path: Path) -> None:
    network, optimizer, *_ = model()
    recorder = GradientRecorder(network, optimizer, tmp_path)
    with pytest.raises(ValueError, match="half is 'C'"), recorder.half("C"):
        pass
    recorder.close()
