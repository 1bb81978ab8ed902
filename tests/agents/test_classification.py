from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from goalcut.agents.classification import Classification, DigitSettings
from goalcut.agents.classifiers import build_classifier
from goalcut.agents.gradient_log import GradientLog
from goalcut.agents.recorder import GradientError, GradientRecorder
from goalcut.envs.digits import load_digits

SMALL = DigitSettings(hidden=(16,), batch_size=32, epochs=2)


def learner(few_digits: Path, settings: DigitSettings = SMALL) -> Classification:
    return Classification(settings, load_digits("train", few_digits))


@pytest.mark.parametrize(
    ("name", "hidden", "parameters"),
    [
        ("mlp", (128,), 101_770),
        ("mlp", (256, 128), 235_146),
        ("mlp", (512, 512), 669_706),
        ("cnn", (), 5_994),
    ],
)
def test_classifiers_are_as_large_as_they_say(name: str, hidden: tuple[int, ...], parameters: int) -> None:
    network = build_classifier(name, hidden, seed=0)  # pyright: ignore
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network(torch.rand(3, 1, 28, 28)).shape == (3, 10)


def test_the_seed_alone_decides_the_initial_parameters() -> None:
    first, again, other = (build_classifier("mlp", (8,), seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_every_epoch_shows_every_image_once_and_a_half_keeps_its_images(few_digits: Path) -> None:
    learning = learner(few_digits, replace(SMALL, batch_size=36))  # 640 images leave a smaller last batch
    assert learning.updates_per_epoch == 18
    orders = []
    for epoch in range(2):
        seen = {"A": [], "B": []}
        for batch in range(18):
            learning.updates_done = epoch * 18 + batch
            for half, images in learning._next_batch().items():
                seen[half] += images.tolist()
        assert sorted(seen["A"]) == list(range(0, 640, 2))
        assert sorted(seen["B"]) == list(range(1, 640, 2))
        orders.append(seen["A"])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_an_update_is_the_optimizers_step_on_the_mean_loss_of_its_batch(
    few_digits: Path, optimizer: str
) -> None:
    settings = replace(
        SMALL, optimizer="adam" if optimizer == "adam" else "sgd", momentum=0.9 * (optimizer == "momentum")
    )
    learning, plain = learner(few_digits, settings), settings.new_network()
    stepping = settings.new_optimizer(plain)
    digits = load_digits("train", few_digits)
    for _ in range(3):
        images = torch.cat(list(learning._next_batch().values()))
        stepping.zero_grad()
        loss = functional.cross_entropy(plain(digits.inputs()[images]), digits.labels[images])
        loss.backward()
        stepping.step()
        assert learning.update() == pytest.approx(float(loss.detach()), rel=1e-5)
    for ours, theirs in zip(learning.network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_recorder_keeps_both_halves_of_a_classifiers_gradient(few_digits: Path, tmp_path: Path) -> None:
    learning = learner(few_digits)
    digits, network = load_digits("train", few_digits), learning.network
    recorder = GradientRecorder(network, learning.optimizer, tmp_path, per_update=True)
    images = learning._next_batch()
    alone = {}
    for half, of in images.items():
        loss = functional.cross_entropy(network(digits.inputs()[of]), digits.labels[of]) / 2
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        alone[half] = torch.cat([gradient.reshape(-1) for gradient in gradients]).numpy()
    learning.update(recorder)
    learning.update(recorder)
    recorder.close()
    log = GradientLog(tmp_path)
    for half in "AB":
        rows = log.rows(half=half)
        np.testing.assert_allclose(rows.panel(0, log.parameters)[0], alone[half], rtol=2e-3, atol=1e-6)
    assert log.rows().records["env_steps"].tolist() == [32, 64]


def test_a_state_taken_up_goes_on_bit_for_bit(few_digits: Path) -> None:
    settings = replace(SMALL, momentum=0.9)
    whole = learner(few_digits, settings)
    for _ in range(30):
        whole.update()
        if whole.updates_done == 13:
            state = {name: tensor.clone() for name, tensor in whole.state().items()}
    again = learner(few_digits, settings)
    again.load_state(state)
    while again.updates_done < 30:
        again.update()
    for ours, theirs in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_divergence_is_said_with_its_update(few_digits: Path) -> None:
    learning = learner(few_digits, replace(SMALL, learning_rate=1e30))

    def diverge() -> None:
        while learning.updates_done < 10:
            learning.update()

    with pytest.raises(GradientError, match=r"the loss is .* at update \d+.*lower the learning rate"):
        diverge()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 33}, "batch_size is 33: give an even number"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is 0.9, and adam has none of that kind"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"network": "resnet"}, "network is 'resnet': give one of mlp, cnn"),
        ({"hidden": (0,)}, r"hidden is \(0,\)"),
        ({"epochs": 0}, "epochs is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"seed": 10**20}, "seed is 1"),
        ({"device": "meta"}, "goalcut runs on 'cpu' and 'cuda'"),
        ({"device": "cuda:99"}, "device is 'cuda:99'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitSettings(**{"momentum": 0.0} | change)
