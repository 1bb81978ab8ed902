import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from goalcut.agents.digit_run import DigitRun
from goalcut.agents.files import RunFileError, read_json, write_json
from goalcut.report import write_report
from goalcut.report.digit_inputs import DigitInputs
from goalcut.report.digit_page import sections
from goalcut.report.html import report_html
from goalcut.report.repeat import whole_command

PLOTS = 32


class Tags(HTMLParser):
    """The opening tags of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def without_scripts(text: str) -> str:
    return re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)


def inner(text: str, tag: str) -> list[str]:
    return [
        re.sub(r"<[^>]*>", "", found).strip()
        for found in re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
    ]


@pytest.fixture(scope="module")
def full_text(digits_full: Path) -> str:
    return write_report(digits_full).read_text()


@pytest.fixture(scope="module")
def bare_text(digits_trained: Path) -> str:
    return write_report(digits_trained).read_text()


def edited(directory: Path, to: Path, file: str, edit) -> DigitInputs:
    to.mkdir()
    for part in ("config.json", "progress.jsonl", "evaluation.json"):
        shutil.copy(directory / part, to)
    for part in ("analysis", "ablation", "checkpoints"):
        shutil.copytree(directory / part, to / part)
    content = read_json(to / file)
    edit(content)
    write_json(to / file, content)
    return DigitInputs.of(to)


def test_a_whole_run_leaves_no_section_out(full_text):
    text = without_scripts(full_text)
    assert "Left out" not in text
    assert inner(text, "h2") == [
        "When each digit was learned",
        "How many directions a sample of updates has",
        "How many directions the gradients have",
        "What some updates leave of the others",
        "When each direction was pushed",
        "Where in the network they live",
        "What a cut removes",
        "How to repeat this",
    ]


def test_missing_parts_are_named_with_the_command_that_makes_them(bare_text, digits_trained):
    assert bare_text.count("Left out") == 7
    assert bare_text.count(f"Made by <code>goalcut mnist {digits_trained} --hidden 16") == 7
    assert "When each digit was learned" in bare_text


def test_every_figure_has_one_caption_that_is_a_sentence(full_text):
    captions = inner(without_scripts(full_text), "figcaption")
    assert len(captions) == full_text.count("<figure")
    for number, caption in enumerate(captions, start=1):
        assert caption.startswith(f"Figure {number}")
        assert caption.endswith(".")
        assert "None" not in caption
        assert "nan" not in caption


def test_nothing_is_loaded_from_elsewhere(full_text):
    text = without_scripts(full_text)
    for tag, attributes in Tags(text).found:
        assert tag not in ("link", "iframe", "object", "embed")
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
        assert (attributes.get("href") or "#").startswith("#")
    assert "http:" not in text
    assert "https:" not in text


def test_the_report_is_lean_and_its_plots_are_json(full_text):
    assert full_text.count("* plotly.js v") == 1
    assert len(without_scripts(full_text)) < 700_000
    specs = re.findall(r'<script type="application/json">(.*?)</script>', full_text, flags=re.DOTALL)
    assert len(specs) == PLOTS
    assert all(json.loads(spec)["data"] for spec in specs)


def test_every_cut_and_control_stands_in_the_table(full_text, digits_full):
    table = full_text[full_text.index('id="cuts-table"') :]
    rows = read_json(digits_full / "ablation" / "table.json")["rows"]
    assert table.count('<tr class="cut">') == 3 + 2 + 10
    assert table.count('<tr class="control">') == len(rows) - 15
    assert 'data-value="tuned: remove digit_9"' in table


@pytest.mark.parametrize("file", ["analysis/analysis.json", "ablation/table.json", "evaluation.json"])
def test_null_fields_leave_a_report(digits_full, tmp_path, file):
    def forget(content):
        for name in content:
            content[name] = None

    assert "How to repeat this" in report_html(edited(digits_full, tmp_path / "run", file, forget))


@pytest.mark.parametrize("part", ["directions", "cross_half", "counts", "residual", "turning"])
@pytest.mark.parametrize("wholly", [True, False])
def test_parts_of_an_analysis_without_values_leave_its_sections(digits_full, tmp_path, part, wholly):
    def forget(content):
        content[part] = None if wholly else dict.fromkeys(content[part])

    sections(edited(digits_full, tmp_path / "run", "analysis/analysis.json", forget))


def test_rows_with_names_alone_leave_the_cuts(digits_full, tmp_path):
    def forget(content):
        content["rows"] = [{"name": row["name"], "selection": row["selection"]} for row in content["rows"]]
        content["dose_response"] = [{"name": curve["name"]} for curve in content["dose_response"]]

    inputs = edited(digits_full, tmp_path / "run", "ablation/table.json", forget)
    assert "tuned: remove digit_9" in report_html(inputs)


def test_an_unfinished_run_says_so(digits_trained, tmp_path):
    shutil.copytree(digits_trained, tmp_path / "run")
    DigitRun(tmp_path / "run")._checkpoint_path(160).unlink()
    assert "not trained to its end" in write_report(tmp_path / "run").read_text()


def test_damaged_directions_are_named(digits_full, tmp_path):
    edited(digits_full, tmp_path / "run", "evaluation.json", lambda content: None)
    path = tmp_path / "run" / "analysis" / "directions.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunFileError, match=r"directions\.safetensors is cut off or damaged"):
        write_report(tmp_path / "run")


def test_the_command_repeats_every_setting_that_is_not_the_default(digits_trained, few_digits):
    command = whole_command(DigitInputs.of(digits_trained))
    assert command.startswith(f"goalcut mnist {digits_trained} --hidden 16 --learning-rate 0.02")
    assert f"--data-dir {few_digits}" in command
    assert "--momentum" not in command
