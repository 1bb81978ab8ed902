from pathlib import Path

import pytest
import torch
from torch import nn

from goalcut.agents.files import RunFileError
from goalcut.agents.networks import build_network
from goalcut.agents.published import PUBLISHED_NAMES, from_published, load_published, to_published

# The published module, written down independently: same names, shapes and order of operations.


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv2(nn.functional.relu(self.conv1(nn.functional.relu(x)))) + x


class Block(nn.Module):
    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.res1, self.res2 = Residual(channels), Residual(channels)

    def forward(self, x):
        return self.res2(self.res1(nn.functional.max_pool2d(self.conv(x), 3, stride=2, padding=1)))


class Embedder(nn.Module):
    def __init__(self, scale: int):
        super().__init__()
        self.block1, self.block2, self.block3 = (
            Block(a, b * scale) for a, b in ((3, 16), (16 * scale, 32), (32 * scale, 32))
        )
        self.fc = nn.Linear(32 * scale * 8 * 8, 256)

    def forward(self, x):
        x = nn.functional.relu(self.block3(self.block2(self.block1(x))))
        return nn.functional.relu(self.fc(torch.flatten(x, start_dim=1)))


class Published(nn.Module):
    def __init__(self, scale: int, actions: int = 15):
        super().__init__()
        self.embedder = Embedder(scale)
        self.fc_policy, self.fc_value = nn.Linear(256, actions), nn.Linear(256, 1)

    def forward(self, x):
        hidden = self.embedder(x)
        return self.fc_policy(hidden), self.fc_value(hidden).reshape(-1)


def published(scale: int = 1, actions: int = 15, seed: int = 0) -> Published:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Published(scale, actions)


FRAMES = torch.randint(256, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("scale", "parameters"), [(1, 626_256), (4, 3_653_136)])
def test_a_published_checkpoint_gives_the_published_outputs(tmp_path: Path, scale, parameters) -> None:
    theirs = published(scale)
    path = tmp_path / "model_200015872.pth"
    optimizer = torch.optim.Adam(theirs.parameters())
    torch.save(
        {"model_state_dict": theirs.state_dict(), "optimizer_state_dict": optimizer.state_dict()}, path
    )
    ours = load_published(path)
    assert sum(parameter.numel() for parameter in ours.parameters()) == parameters
    with torch.no_grad():
        logits, values = theirs(FRAMES.float() / 255)
        for one, two in zip(ours(FRAMES), (logits, values), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        assert logits.std() > 1e-3
        # The order of the features matters: the same numbers without it give other outputs.
        wrong = build_network("impala", (3, 64, 64), 15, seed=0, scale=scale, pixels=True)
        wrong.load_state_dict({a: theirs.state_dict()[b] for a, b in PUBLISHED_NAMES.items()})
        assert not torch.allclose(wrong(FRAMES)[0], logits, atol=1e-4)


def test_our_network_loads_in_the_published_code_and_comes_back_the_same() -> None:
    ours = build_network("impala", (3, 64, 64), 15, seed=3, scale=2, pixels=True)
    theirs = published(scale=2)
    theirs.load_state_dict(to_published(ours))
    with torch.no_grad():
        torch.testing.assert_close(theirs(FRAMES.float() / 255)[0], ours(FRAMES)[0], rtol=1e-5, atol=1e-6)
    again = from_published(to_published(ours))
    for one, two in zip(ours.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_plain_state_dict_with_other_actions_is_taken_too(tmp_path: Path) -> None:
    torch.save(published(actions=9).state_dict(), tmp_path / "weights.pth")
    assert load_published(tmp_path / "weights.pth")(FRAMES)[0].shape == (6, 9)


class Runs:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_is_no_such_checkpoint_is_refused_in_one_line_and_never_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = published().state_dict()
    wide = state | {"embedder.block2.conv.weight": torch.zeros(64, 16, 3, 3)}
    wrong = {
        "evil.pth": ({"model_state_dict": state, "more": Runs()}, "no file of weights alone"),
        "list.pth": ([1, 2], "holds list"),
        "lacks.pth": ({k: v for k, v in state.items() if k != "fc_value.bias"}, "lacks fc_value.bias"),
        "gru.pth": (state | {"gru.weight": torch.zeros(2)}, "has, unknown here, gru.weight"),
        "wide.pth": (
            wide,
            r"embedder.block2.conv.weight is \(64, 16, 3, 3\), at scale 1 it is \(32, 16, 3, 3\)",
        ),
        "odd.pth": (state | {"embedder.block1.conv.weight": torch.zeros(20, 3, 3, 3)}, "has 20 channels"),
        "word.pth": (state | {"fc_policy.weight": "none"}, "fc_policy.weight is no array"),
        "nan.pth": (state | {"fc_policy.bias": torch.full((15,), torch.nan)}, "fc_policy.bias is not finite"),
    }
    for name, (content, _) in wrong.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "text.pth").write_text("no checkpoint")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "nan.pth").read_bytes()[:5000])
    messages = {name: message for name, (_, message) in wrong.items()}
    messages |= {"text.pth": "or damaged", "cut.pth": "or damaged", "none.pth": "none.pth is missing"}
    for name, message in messages.items():
        with pytest.raises(RunFileError, match=message) as caught:
            load_published(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert "executed" not in capsys.readouterr().out


def test_networks_without_a_published_counterpart_are_refused() -> None:
    with pytest.raises(ValueError, match="only the network 'impala'"):
        to_published(build_network("conv", (3, 64, 64), 15, seed=0))
    with pytest.raises(ValueError, match="scale is 4: give 1, or with network 'impala'"):
        build_network("conv", (3, 64, 64), 15, seed=0, scale=4)
