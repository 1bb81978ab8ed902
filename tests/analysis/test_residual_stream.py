"""Channels of a transformer's residual stream, on a small GPT-2 built from a configuration."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from goalcut.analysis.causal_models import load_causal, untrained_causal, windows
from goalcut.analysis.control_networks import permuted_weights
from goalcut.analysis.jacobian_spectrum import spectra_agree
from goalcut.analysis.residual_stream import (
    ResidualSettings,
    residual_channels,
    residual_spectra,
)

pytestmark = pytest.mark.usefixtures("without_torchvision")


@pytest.fixture(scope="module")
def gpt2(without_torchvision: None) -> nn.Module:
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


def test_the_late_covariance_is_that_of_the_stream_along_the_rows(
    gpt2: nn.Module, tokens: torch.Tensor
) -> None:
    found = residual_channels(gpt2, tokens, ResidualSettings(apart=(0, 3), sequences=4))
    kept = {}
    blocks = list(gpt2.transformer.h)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    hook = blocks[-1].register_forward_hook(lambda _, __, given: kept.update(r=given))
    gpt2(tokens)
    hook.remove()
    last = kept["r"][0] if isinstance(kept["r"], tuple) else kept["r"]
    covariance = np.cov(last[:, 3:].flatten(0, 1).double().numpy().T, bias=True)
    of = found.figures["models"]["trained"]["0"]
    values = np.linalg.eigvalsh(covariance)
    expected = values.sum() ** 2 / (values**2).sum()
    assert of["covariance"]["ranks"]["participation"] == pytest.approx(expected, rel=1e-4)
    spectrum = residual_spectra(gpt2, tokens, ResidualSettings(apart=(0, 3), sequences=4))[0]
    agreed = spectra_agree(spectrum.left, covariance)
    assert of["covariance"]["agreement"]["cosine"] == pytest.approx(agreed["cosine"], rel=1e-4)
    # Along few rows it is of as many dimensions.
    few = residual_channels(gpt2, tokens, ResidualSettings(apart=(0,), rows=2)).figures["models"]["trained"][
        "0"
    ]
    assert few["covariance"]["ranks"]["numerical"] <= 2


def test_a_llama_is_taken_as_a_gpt2_is(tokens: torch.Tensor) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": 8}
    config = LlamaConfig(**shape, intermediate_size=8, vocab_size=20)  # pyright: ignore[reportArgumentType]
    llama = LlamaForCausalLM(config).eval().requires_grad_(False)
    for parameter in llama.parameters():
        parameter.mul_(8)
    found = residual_channels(llama, tokens, ResidualSettings(apart=(0, 1), late_tokens=1))
    assert found.directions["model.layers.0"].vectors.shape == (8, 8)
    of = found.figures["models"]["trained"]
    assert of["0"]["energy"] > of["1"]["energy"] > 0


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
    with pytest.raises(ValueError, match="is no folder"):
        load_causal(tmp_path / "nothing")


def test_weights_that_are_pickled_or_lack_a_part_are_refused(gpt2: nn.Module, tmp_path: Path) -> None:
    gpt2.save_pretrained(tmp_path)  # pyright: ignore[reportCallIssue]
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    save_file({name: of for name, of in weights.items() if "h.1.mlp" not in name}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 4 that a causal model has, such as transformer\.h\.1\.mlp"):
        load_causal(tmp_path)
    file.unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="no causal model at"):
        load_causal(tmp_path)


def test_an_untrained_control_is_of_the_same_shape_and_repeats_by_its_seed(
    gpt2: nn.Module, tokens: torch.Tensor
) -> None:
    state = torch.get_rng_state()
    one, again, other = (untrained_causal(gpt2, seed=seed)(tokens).logits for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, gpt2(tokens).logits)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_reads_backwards_as_well_is_refused(tokens: torch.Tensor) -> None:
    from transformers import BertConfig, BertLMHeadModel

    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8}
    bert = BertLMHeadModel(BertConfig(**shape, vocab_size=20))  # pyright: ignore[reportArgumentType]
    for parameter in bert.parameters():
        parameter.data.mul_(8)
    with pytest.raises(ValueError, match="BertLMHeadModel is not causal"):
        residual_channels(bert.eval(), tokens)


def test_windows_are_spread_over_all_tokens_and_do_not_overlap() -> None:
    cut = windows(torch.arange(103), 10, 4)
    assert cut.shape == (4, 10)
    assert (cut[0, 0], cut[-1, -1]) == (0, 102)
    assert (cut[1:, 0] - cut[:-1, -1] > 0).all()
    assert windows(torch.arange(25), 10, 4).tolist() == [list(range(10)), list(range(15, 25))]
    with pytest.raises(ValueError, match="context is 10 and there are 9 tokens"):
        windows(torch.arange(9), 10, 1)


def test_progress_is_told_of_every_backward_pass(gpt2: nn.Module, tokens: torch.Tensor) -> None:
    said: list[tuple[str, int, int]] = []
    settings = ResidualSettings(apart=(0,), late_tokens=2, sequences=3)
    residual_channels(gpt2, tokens, settings, on_step=lambda *step: said.append(step))
    of = 8 * 2 * 2
    names = ("residual stream, trained", "residual stream, permuted")
    assert said == [(name, done, of) for name in names for done in range(1, of + 1)]


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
    with pytest.raises(ValueError, match=r"apart is \(64,\): the context has 12 tokens"):
        residual_spectra(gpt2, tokens, ResidualSettings(apart=(64,)))
    with pytest.raises(ValueError, match="first is 2, the last block"):
        residual_spectra(gpt2, tokens, ResidualSettings(first=2))
    with pytest.raises(ValueError, match="no list of blocks in Linear"):
        residual_channels(nn.Linear(3, 3), tokens)
