import io
import shutil

import pytest
from rich.console import Console

from goalcut.agents.files import read_json, write_json
from goalcut.report import print_summary, write_report


def summary(directory) -> str:
    text = io.StringIO()
    print_summary(directory, Console(file=text, width=80))
    return text.getvalue()


def test_summary_shows_measures_and_cuts_beside_controls(full_directory):
    write_report(full_directory)
    text = summary(full_directory)
    for expected in (
        "cheese_from_corner",
        "0.83 (0.81 to 0.85)",
        "tuned: remove corner",
        "control: random",
        "report:",
    ):
        assert expected in text
    assert max(map(len, text.splitlines()[:-2])) <= 80


@pytest.mark.parametrize(
    ("exact", "kind"), [(True, "exact probabilities"), (False, "estimates from sampled episodes")]
)
def test_summary_says_whether_measures_are_exact_or_sampled(full_directory, tmp_path, exact, kind):
    directory = tmp_path / "run"
    shutil.copytree(full_directory, directory)
    evaluation = read_json(directory / "evaluation.json")
    write_json(directory / "evaluation.json", evaluation | {"exact": exact})
    assert f"run: {kind}" in summary(directory)


def test_summary_of_a_run_that_was_only_trained_is_short(trained_directory):
    text = summary(trained_directory)
    assert "corner_reach" in text
    assert "retention after cuts" not in text


def test_summary_of_digits_shows_counts_beside_nulls_and_the_post(digits_full):
    write_report(digits_full)
    text = " ".join(summary(digits_full).split())
    for expected in (
        "share of test images recognised",
        "all digits",
        "Of 60 sampled updates",
        "of white noise of the same row norms",
        "sampled updates leaves",
        "of permuted profiles",
        "control: ",
        "nine others",
        "report:",
    ):
        assert expected in text


def test_summary_of_digits_that_were_only_trained_is_short(digits_trained):
    text = summary(digits_trained)
    assert "digit_9" in text
    assert "retention after cuts" not in text
    assert "sampled updates" not in text
