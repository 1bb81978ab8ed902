import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from goalcut.agents.files import RunFileError, read_json, write_json
from goalcut.agents.run import Run
from goalcut.report import write_report
from goalcut.report.html import report_html
from goalcut.report.maze_inputs import MazeInputs
from goalcut.report.maze_page import sections
from goalcut.report.repeat import whole_command
from goalcut.report.style import rounded


class Page(HTMLParser):
    """Elements of a page with their text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "wbr"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in set(self._open):
            self.texts[tag][-1] += data


def without_scripts(text: str) -> str:
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def full_text(full_directory: Path) -> str:
    return write_report(full_directory).read_text()


@pytest.fixture(scope="module")
def bare_text(trained_directory: Path) -> str:
    return write_report(trained_directory).read_text()


def edited(directory: Path, to: Path, file: str, edit) -> MazeInputs:
    shutil.copytree(directory, to)
    content = read_json(to / file)
    edit(content)
    write_json(to / file, content)
    return MazeInputs.of(to)


def test_a_run_of_all_commands_leaves_no_section_out(full_text):
    assert "Left out" not in full_text
    assert Page(without_scripts(full_text)).texts["h2"] == [
        "When each goal was learned",
        "How many directions the gradients have",
        "When each direction was pushed",
        "Where in the network they live",
        "What a cut removes",
        "In the mazes",
        "How to repeat this",
    ]


def test_missing_parts_are_named_with_the_command_that_makes_them(bare_text, trained_directory):
    for command in ("evaluate", "analyze", "ablate"):
        assert f"goalcut {command} {trained_directory}" in bare_text
    assert bare_text.count("Left out") == 6
    assert "corner_reach" in bare_text


def test_an_unfinished_run_says_so(trained_directory, tmp_path):
    directory = tmp_path / "cut off"
    shutil.copytree(trained_directory, directory)
    Run(directory)._checkpoint_path(3).unlink()
    text = write_report(directory).read_text()
    assert "not trained to its end" in text


def test_a_run_without_record_names_the_setting(trained_directory, tmp_path):
    def forget(config):
        config["settings"]["record"] = "none"

    inputs = edited(trained_directory, tmp_path / "run", "config.json", forget)
    assert all("record 'none'" in s.missing[0] for s in sections(inputs) if s.missing)


def test_every_figure_has_one_caption_that_is_a_sentence(full_text):
    page = Page(without_scripts(full_text))
    captions = page.texts["figcaption"]
    assert len(captions) == len(page.texts["figure"]) == 10
    for number, caption in enumerate(captions, start=1):
        assert caption.startswith(f"Figure {number}")
        assert caption.strip().endswith(".")


def test_nothing_is_loaded_from_elsewhere(full_text):
    text = without_scripts(full_text)
    for tag, attributes in Page(text).elements:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert "src" not in attributes
        for name in ("href", "xlink:href", "action", "poster"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_plotly_is_embedded_once_and_the_rest_is_lean(full_text):
    assert full_text.count("* plotly.js v") == 1
    assert len(without_scripts(full_text)) < 700_000


def test_names_from_files_are_escaped(full_text):
    text = without_scripts(full_text)
    assert "cut <b>" not in text
    assert "&lt;b&gt;&amp;" in text


def test_plot_data_are_json_of_few_digits(full_text):
    specs = re.findall(r'<script type="application/json">(.*?)</script>', full_text, flags=re.DOTALL)
    assert len(specs) == 19
    for spec in specs:
        content = json.loads(spec)
        assert content["data"]
        assert "template" not in content["layout"]
        assert content == rounded(content)


@pytest.mark.parametrize("file", ["analysis/analysis.json", "ablation/table.json", "evaluation.json"])
def test_null_fields_leave_a_report(full_directory, tmp_path, file):
    def forget(content):
        for name in content:
            content[name] = None

    assert "How to repeat this" in report_html(edited(full_directory, tmp_path / "run", file, forget))


@pytest.mark.parametrize("part", ["directions", "cross_half", "unit", "behaviour"])
def test_parts_of_an_analysis_without_values_leave_its_sections(full_directory, tmp_path, part):
    def forget(content):
        content[part] = dict.fromkeys(content[part])

    sections(edited(full_directory, tmp_path / "run", "analysis/analysis.json", forget))


def test_rows_with_names_alone_leave_the_cuts(full_directory, tmp_path):
    def forget(content):
        content["rows"] = [{"name": row["name"], "selection": row["selection"]} for row in content["rows"]]
        content["dose_response"] = [{"name": curve["name"]} for curve in content["dose_response"]]

    inputs = edited(full_directory, tmp_path / "run", "ablation/table.json", forget)
    assert "tuned: remove corner" in report_html(inputs)


def test_a_damaged_file_is_named(full_directory, tmp_path):
    shutil.copytree(full_directory, tmp_path / "run")
    (tmp_path / "run" / "evaluation.json").write_text("{")
    with pytest.raises(RunFileError, match=r"evaluation\.json is damaged"):
        write_report(tmp_path / "run")


def test_the_command_repeats_every_setting_that_is_not_the_default(trained_directory):
    command = whole_command(MazeInputs.of(trained_directory))
    assert command.startswith(f"goalcut run {trained_directory} ")
    assert "--world.corner-size 2" in command
    assert "--ppo.num-envs 8" in command
    assert "--seed" not in command
