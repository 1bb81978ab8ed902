"""`goalcut lens residual-stream`: a small GPT-2 and its tokenizer from a folder, text or token numbers from a file."""

import json
import sys
from pathlib import Path

import pytest
import torch

from goalcut.analysis.directions import Directions
from goalcut.cli import main

pytestmark = pytest.mark.usefixtures("without_torchvision")
WORDS = [f"w{number}" for number in range(19)]
TINY = "--context 12 --sequences 3 --residual.late-tokens 1 --residual.apart 0 1 4".split()


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["lens", "residual-stream", *(str(word) for word in words)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def model(without_torchvision: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: configuration, safetensors, tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "small"
    torch.manual_seed(0)
    shape = {"n_layer": 3, "n_head": 2, "n_embd": 8, "vocab_size": 20, "n_positions": 64}
    made = GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=0, eos_token_id=0))  # pyright: ignore[reportArgumentType]
    for parameter in made.parameters():  # large enough that tokens act on one another
        parameter.data.mul_(8)
    made.save_pretrained(folder)
    numbers = {word: number for number, word in enumerate([*WORDS, "?"])}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(" ".join(WORDS[(7 * i + i // 5) % 19] for i in range(60)))
    return path


@pytest.fixture(scope="module")
def looked(model: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("looked")
    assert goalcut(model, "--text", text, "--out", out, *TINY) == 0
    return out


def test_every_distance_stands_beside_untrained_and_permuted_weights(looked: Path) -> None:
    saved = json.loads((looked / "residual-stream.json").read_text())
    models = saved["figures"]["models"]
    assert set(models) == {"trained", "untrained", "permuted"}
    assert all(list(of) == ["0", "1", "4"] for of in models.values())
    assert saved["settings"]["sequences"] == 3
    energies = [models[name]["0"]["energy"] for name in models]
    assert len(set(energies)) == 3
    (space,) = saved["directions"]
    found = Directions.load(looked / f"residual-stream-{space}.safetensors")
    assert (space, found.vectors.shape) == ("transformer.h.0", (8, 8))


def test_the_page_tells_the_figures_of_the_file(looked: Path) -> None:
    page = (looked / "residual-stream.html").read_text()
    assert page.count('class="plot"') == 5
    models = json.loads((looked / "residual-stream.json").read_text())["figures"]["models"]
    for apart, said in (("0", "same"), ("1", "1"), ("4", "4")):
        row = page.split(f'<th scope="row">{said}</th>')[1].split("</tr>")[0]
        for name in ("trained", "untrained", "permuted"):
            assert f">{models[name][apart]['ranks']['stacked']['participation']:.3g}<" in row


def test_numbers_of_tokens_stand_for_the_text_and_nothing_is_done_twice(
    looked: Path, model: Path, text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    numbers = tmp_path / "tokens.txt"
    numbers.write_text("\n".join(str(WORDS.index(word)) for word in text.read_text().split()))
    assert goalcut(model, "--tokens", numbers, "--out", tmp_path, *TINY) == 0
    said = capfd.readouterr().out
    assert all(word in said for word in ("same", "untrained", "permuted", "residual-stream.html"))
    path = tmp_path / "residual-stream.json"
    assert json.loads(path.read_text()) == json.loads((looked / path.name).read_text())
    before = path.stat().st_mtime_ns
    assert goalcut(model, "--tokens", numbers, "--out", tmp_path, *TINY) == 0
    assert "already there" in capfd.readouterr().err.replace("\n", " ")
    assert path.stat().st_mtime_ns == before


def test_it_teaches_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("--help") == 0
    said = capsys.readouterr().out
    for option in ("--text", "--tokens", "--context", "--sequences", "--residual.rows", "--residual.apart"):
        assert option in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["MODEL"], 2, "give one of --text FILE and --tokens FILE"),
        (["MODEL", "--text", "TEXT", "--context", "1025"], 2, "context is 1025: give 2 to 1024"),
        (["MODEL", "--text", "TEXT", "--sequences", "0"], 2, "sequences is 0"),
        (["MODEL", "--text", "TEXT", "--residual.rows", "0"], 2, "rows is 0"),
        (["MODEL", "--text", "TEXT", "--context", "61"], 1, "context is 61 and there are 60 tokens"),
        (
            ["MODEL", "--tokens", "LONG", "--context", "65"],
            1,
            "max_position_embeddings of 65: the model has 64",
        ),
        (["MODEL", "--tokens", "TEXT", "--context", "12"], 1, "holds 'w0': give whole numbers"),
        (["MODEL", "--text", "EMPTY"], 1, "is empty: give a text"),
        (["MODEL", "--text", "NOWHERE"], 1, "is missing: give a file of text"),
        (["NOWHERE", "--text", "TEXT"], 1, "is no folder"),
        (["BARE", "--text", "TEXT"], 1, "no causal model at"),
        (["SEQ2SEQ", "--text", "TEXT"], 1, "no causal model at"),
    ],
)
def test_bad_input_is_one_clear_line(
    model: Path,
    text: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    places = {"MODEL": model, "TEXT": text, "NOWHERE": tmp_path / "nowhere", "BARE": tmp_path}
    places |= {name: tmp_path / name for name in ("EMPTY", "LONG", "SEQ2SEQ")}
    places["EMPTY"].write_text(" \n")
    places["LONG"].write_text("3 " * 100)
    places["SEQ2SEQ"].mkdir()
    (places["SEQ2SEQ"] / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert goalcut(*(places.get(word, word) for word in words), "--out", tmp_path / "out") == code
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("goalcut: ")
    assert said in line
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_tokenizer_says_to_give_numbers(
    model: Path, text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    assert goalcut(tmp_path, "--text", text, "--out", tmp_path / "out") == 1
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "makes no token of the text" in line


def test_without_the_extra_it_says_what_to_install(
    model: Path, text: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert goalcut(model, "--text", text) == 1
    assert "pip install 'goalcut[transformers]'" in capfd.readouterr().err
