"""The study of robustness, in miniature: on which side of the border a variant lies is what its runs' files say."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from goalcut.agents.files import read_json
from goalcut.agents.run import Run
from goalcut.cli import main
from goalcut.studies.results import RunResult
from goalcut.studies.robustness_summary import persistence, summarise_robustness

VARIANTS = ("default", "corner-1", "then-anywhere", "sb3")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("robustness")
    words = ["--tiny", "--seeds", "0-1", "--variants", *VARIANTS, "--jobs", "2", "--root", str(root)]
    with pytest.raises(SystemExit) as end:
        main(["study", "robustness", *words])
    assert not end.value.code
    return root / "robustness-tiny"


def test_the_gap_is_how_much_more_often_the_proxy_comes_first_in_each_evaluation(directory: Path) -> None:
    variants = read_json(directory / "results.json")["summary"]["variants"]
    assert tuple(variants) == VARIANTS
    for name, variant in variants.items():
        for place, seed in enumerate(variant["seeds"]):
            agents = read_json(directory / name / f"seed-{seed}" / "evaluation.json")["agents"]
            for figure, agent in (("gap", "trained"), ("untrained_gap", "untrained")):
                first, second = (agents[agent][of]["mean"] for of in ("corner_first", "cheese_first"))
                assert variant["border"][figure]["values"][place] == pytest.approx(first - second)


def test_what_is_kept_is_the_end_of_the_course_over_its_highest(directory: Path) -> None:
    border = read_json(directory / "results.json")["summary"]["variants"]["default"]["border"]
    for place, seed in enumerate((0, 1)):
        records = [one for one in Run(directory / "default" / f"seed-{seed}").progress() if "measures" in one]
        curve = [record["measures"]["corner_first"] for record in records]
        kept, rise = border["kept"]["values"][place], max(curve) - curve[0]
        if rise < 0.05:  # so little may a miniature learn
            assert kept is None
        else:
            assert kept == pytest.approx((curve[-1] - curve[0]) / rise)


def test_persistence_is_the_share_of_the_highest_rise_that_is_left() -> None:
    assert persistence([0.1, 0.5, 0.3]) == pytest.approx(0.5)
    assert persistence([0.1, 0.5, 0.05]) == pytest.approx(-0.125)
    assert persistence([0.1, 0.2, 0.6]) == 1
    assert persistence([0.3, 0.32, 0.1]) is None  # it never rose


def test_the_report_tells_on_which_side_of_the_border_each_variant_lies(directory: Path) -> None:
    page = (directory / "report.html").read_text()
    assert "Is there anything to cut?" in page
    assert "Which comes first where the goals part" in page


def test_a_goal_that_training_did_not_change_leaves_nothing_to_cut(directory: Path) -> None:
    variants = read_json(directory / "results.json")["summary"]["variants"]
    # From anywhere in a corner of one cell the cheese is always reached.
    assert variants["corner-1"]["not_learned"]["cheese"] == [0, 1]
    assert variants["corner-1"]["cuts"] == []
    assert "corner-1: training hardly changed the measure of" in (directory / "report.html").read_text()


def test_a_seed_that_did_not_learn_both_goals_has_its_cuts_left_out(directory: Path, tmp_path: Path) -> None:
    results = []
    for seed, cheese in enumerate((0.5, 0.01, 0.5)):
        copied = Path(shutil.copytree(directory / "default" / f"seed-{seed % 2}", tmp_path / f"seed-{seed}"))
        evaluation = read_json(copied / "evaluation.json")
        trained, untrained = (evaluation["agents"][agent] for agent in ("trained", "untrained"))
        for name, rise in (("corner_reach", 0.5), ("cheese_from_corner", cheese)):
            trained[name]["mean"] = untrained[name]["mean"] + rise
        (copied / "evaluation.json").write_text(json.dumps(evaluation))
        results.append(RunResult("default", seed, copied))
    variant = summarise_robustness(results)["variants"]["default"]
    assert variant["not_learned"] == {"cheese": [1]}
    assert variant["seeds"] == [0, 1, 2]
    assert variant["cuts"]
    assert all(cut["seeds"] == [0, 2] for cut in variant["cuts"])
    # Where no more than half of the seeds learned both, nothing is told.
    assert summarise_robustness([results[0], results[1]])["variants"]["default"]["cuts"] == []


def test_the_tables_have_a_row_for_every_variant_and_its_gap(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "results"))
    tables = importlib.import_module("study_tables")
    variants = read_json(directory / "results.json")["summary"]["variants"]
    lines = tables.robustness(variants).splitlines()
    for name, variant in variants.items():
        row = next(line for line in lines if line.startswith(f"| {name} |"))
        value, low, high = variant["border"]["gap"]["over_seeds"]["iqm"]
        assert f"{tables.number(value)} ({tables.number(low)}–{tables.number(high)})" in row
