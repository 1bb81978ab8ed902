"""Channels of a transformer's residual stream, on a small GPT-2 built from a configuration."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from goalcut.analysis.control_networks import permuted_weights
from goalcut.analysis.residual_stream import (
    ResidualSettings,
    load_causal,
    residual_channels,
    residual_spectra,
)

pytest.importorskip("transformers", reason="of the extra goalcut[transformers]")


@pytest.fixture(scope="module", autouse=True)
def without_torchvision() -> Iterator[None]:
    """No model here needs it, and one that came with another tool may be of another build of torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchvision", None)
        from transformers.utils.import_utils import is_torchvision_available

        is_torchvision_available.cache_clear()
        yield


@pytest.fixture(scope="module")
def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    settings = {"n_layer": 3, "n_head": 2, "n_embd": 8, "vocab_size": 20, "n_positions": 1024}
    config = GPT2Config(**settings, bos_token_id=0, eos_token_id=0)  # pyright: ignore[reportArgumentType]
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():  # large enough that tokens act on one another
        parameter.mul_(8)
    return model


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(20, (6, 12), generator=torch.Generator().manual_seed(0))


def test_jacobians_are_those_of_running_the_blocks_between(gpt2: nn.Module, tokens: torch.Tensor) -> None:
    found = residual_spectra(gpt2, tokens[:1], ResidualSettings(apart=(0, 11), late_tokens=1))
    blocks = gpt2.transformer.h  # pyright: ignore[reportAttributeAccessIssue]
    kept = {}
    hook = blocks[0].register_forward_hook(lambda _, __, given: kept.update(r=given))  # pyright: ignore[reportIndexIssue, reportCallIssue]
    gpt2(tokens[:1])
    hook.remove()
    first = kept["r"][0] if isinstance(kept["r"], tuple) else kept["r"]

    def between(r: torch.Tensor) -> torch.Tensor:
        for block in list(blocks)[1:]:  # pyright: ignore[reportArgumentType]
            r = block(r)
            r = r[0] if isinstance(r, tuple) else r
        return r[0, 11]

    J = torch.autograd.functional.jacobian(between, first)[:, 0].double()  # (8, tokens, 8)
    for apart in (0, 11):
        wanted = J[:, 11 - apart].T @ J[:, 11 - apart]
        assert torch.allclose(torch.from_numpy(found[apart].right), wanted, rtol=1e-3, atol=1e-4)


def test_figures_and_directions_are_of_the_same_token_and_tokens_apart(
    gpt2: nn.Module, tokens: torch.Tensor
) -> None:
    found = residual_channels(gpt2, tokens, controls={"again": gpt2})
    assert list(found.figures["models"]) == ["trained", "permuted", "again"]
    of = found.figures["models"]["trained"]
    assert list(of) == ["0", "1", "2", "4", "8"]
    assert of["0"]["energy"] > of["8"]["energy"] > 0
    assert of == found.figures["models"]["again"]
    assert found.directions["transformer.h.0"].vectors.shape == (8, 8)


def test_a_context_of_1024_runs_along_few_rows(gpt2: nn.Module) -> None:
    settings = ResidualSettings(apart=(0, 512), late_tokens=1, rows=2, precision="float32")
    found = residual_spectra(gpt2, torch.arange(1024)[None] % 20, settings)
    assert found[0].ranks()["stacked"]["numerical"] == 2
    assert found[512].right.trace() > 0


def test_a_model_is_loaded_from_a_folder_and_computes_the_same(
    gpt2: nn.Module, tokens: torch.Tensor, tmp_path: Path
) -> None:
    gpt2.save_pretrained(tmp_path)  # pyright: ignore[reportCallIssue]
    loaded = load_causal(tmp_path)
    assert torch.equal(loaded(tokens).logits, gpt2(tokens).logits)
    assert not torch.equal(permuted_weights(loaded)(tokens).logits, gpt2(tokens).logits)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no causal model at") as error:
        load_causal(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(2, 1025).long(), "tokens are whole numbers"),
        (torch.zeros(2, 8), "tokens are whole numbers"),
        (torch.full((2, 8), 20), "tokens need a vocab_size of 21: the model has 20"),
        (torch.full((2, 8), -1), "tokens go down to -1"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(gpt2: nn.Module, wrong: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        residual_channels(gpt2, wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"last": 0}, "last is 0: give a block after first"),
        ({"apart": (1, 1)}, "apart is"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"rows": 0}, "rows is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResidualSettings(**settings)


def test_a_block_that_is_not_there_and_a_model_without_blocks_are_refused(
    gpt2: nn.Module, tokens: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match="block is 7: the model has 3, from 0 to 2"):
        residual_channels(gpt2, tokens, ResidualSettings(first=7))
    with pytest.raises(ValueError, match="first is 2, the last block"):
        residual_spectra(gpt2, tokens, ResidualSettings(first=2))
    with pytest.raises(ValueError, match="no list of blocks in Linear"):
        residual_channels(nn.Linear(3, 3), tokens)
