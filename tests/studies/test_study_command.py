"""`goalcut study` for real, in miniature."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from goalcut.agents.files import read_json
from goalcut.agents.run import Run
from goalcut.cli import main
from goalcut.studies import STUDIES


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a miniature of the study `cut` is done for two seeds."""
    root = tmp_path_factory.mktemp("studies")
    assert goalcut("study", "cut", "--tiny", "--seeds", "0-1", "--jobs", "2", "--root", root) == 0
    return root


def test_a_study_leaves_runs_that_every_other_command_takes(root: Path) -> None:
    run = root / "cut-tiny" / "default" / "seed-0"
    assert Run(run).trained
    assert goalcut("report", run) == 0


def test_results_hold_every_cut_and_control_of_every_seed(root: Path) -> None:
    results = read_json(root / "cut-tiny" / "results.json")
    headline = read_json(root / "cut-tiny" / "default" / "seed-0" / "ablation" / "table.json")["headline"]
    assert results["done"] == {"default": [0, 1]}
    trained_by = {
        Run(root / "cut-tiny" / "default" / f"seed-{seed}").config["commit"] for seed in results["seeds"]
    }
    assert results["trained_by"] == sorted(trained_by - {None})
    variant = results["summary"]["variants"]["default"]
    names = {cut["name"] for cut in variant["cuts"]}
    assert {
        "tuned: remove corner",
        "tuned: remove cheese",
        "recipe up to a quarter against later changes: remove cheese",
    } <= names
    for cut in variant["cuts"]:
        assert cut["seeds"] == [0, 1]
        assert len(cut["selectivity"]["values"]) == 2
        controls = {control["name"] for control in cut["controls"]}
        wanted = {"random directions", "random inside span(G)", "another seed", "shrink θ − θ₀"}
        assert wanted <= controls if cut["name"] in headline else not controls
        low, high = (cut["selectivity"]["over_seeds"]["median"][i] for i in (1, 2))
        assert low <= cut["selectivity"]["over_seeds"]["median"][0] <= high
        assert set(cut["retention"]) == {"corner_reach", "cheese_from_corner", "navigation"}


def test_figures_over_seeds_are_those_of_the_runs_tables(root: Path) -> None:
    variant = read_json(root / "cut-tiny" / "results.json")["summary"]["variants"]["default"]
    tables = [
        read_json(root / "cut-tiny" / "default" / f"seed-{s}" / "ablation" / "table.json") for s in (0, 1)
    ]
    cut = variant["cuts"][0]
    rows = [next(row for row in table["rows"] if row["name"] == cut["name"]) for table in tables]
    assert cut["selectivity"]["values"] == [row["selectivity"] for row in rows]
    for name, figure in cut["measures"].items():
        assert figure["values"] == [row["measures"][name] for row in rows]
    assert list(cut["measures"]) == list(variant["untrained"]) == list(variant["measures"])
    untrained = np.median([table["untrained"]["cheese_return"] for table in tables])
    assert variant["untrained"]["cheese_return"]["median"][0] == pytest.approx(untrained)
    # Draws of one random control count once in a seed.
    tuned = next(cut for cut in variant["cuts"] if cut["name"] == "tuned: remove corner")
    (random,) = (control for control in tuned["controls"] if control["name"] == "random directions")
    assert len(random["selectivity"]["values"]) == 2


def test_the_report_is_one_file_with_a_point_for_every_seed(root: Path) -> None:
    page = (root / "cut-tiny" / "report.html").read_text()
    assert "in miniature" in page
    assert "report seeds 0–1" in page
    assert 'id="plot-template"' in page
    assert '"customdata": [0, 1]' in page.replace("[0,1]", "[0, 1]").replace(
        '"customdata":[', '"customdata": ['
    )
    assert 'src="http' not in page
    assert "Every exact measure, medians over seeds." in page
    assert "Cliff&#39;s δ" in page or "Cliff's δ" in page
    assert 'id="mazes-default-typical"' in page
    assert 'id="mazes-default-worst"' in page


def test_what_is_done_is_not_made_again_and_a_subset_is_told_of_by_itself(root: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(root, tmp_path / "studies"))
    made = [p for p in copied.rglob("*") if p.is_file() and "seed-" in str(p) and p.name != "lock"]
    times = {path: path.stat().st_mtime_ns for path in made}
    assert goalcut("study", "cut", "--tiny", "--seeds", "1", "--only-done", "--root", copied) == 0
    results = read_json(copied / "cut-tiny" / "results.json")
    assert results["done"] == {"default": [1]}
    assert results["summary"]["variants"]["default"]["seeds"] == [1]
    assert all(path.stat().st_mtime_ns == when for path, when in times.items())


def test_a_seed_that_fails_is_reported_and_loses_nothing_else(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = Path(shutil.copytree(root, tmp_path / "studies"))
    (copied / "cut-tiny" / "default" / "seed-2").write_text("in the way")
    assert goalcut("study", "cut", "--tiny", "--seeds", "0-2", "--root", copied) == 1
    said = capsys.readouterr().err
    assert "seed 2 failed: train:" in said
    assert "seed-2 is a file" in " ".join(said.split())
    assert "1 of 3 runs failed, 2 are told of" in " ".join(said.split())
    results = read_json(copied / "cut-tiny" / "results.json")
    assert results["done"] == {"default": [0, 1]}
    (failure,) = results["failures"]
    assert (failure["variant"], failure["seed"]) == ("default", 2)
    assert "Traceback" in Path(failure["log"]).read_text()


def test_an_agent_of_another_study_is_taken_over_and_its_gradient_log_dropped_here_alone(
    root: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(root, tmp_path / "studies"))
    words = ("--tiny", "--seeds", "0", "--variants", "default", "--root", copied, "--drop-gradients")
    assert goalcut("study", "timing", *words) == 0
    ours, theirs = (copied / name / "default" / "seed-0" for name in ("timing-tiny", "cut-tiny"))
    assert (Run(ours).parameters_after() == Run(theirs).parameters_after()).all()
    costs = [json.loads(line) for line in (copied / "timing-tiny" / "costs.jsonl").read_text().splitlines()]
    assert {cost["stage"] for cost in costs} == {"evaluate", "analyze", "judge"}
    assert not (ours / "gradients" / "rows.bin").exists()
    assert (theirs / "gradients" / "rows.bin").exists()
    assert goalcut("report", ours) == 0
    # With its log gone nothing is missing: all that reads it is done.
    assert goalcut("study", "timing", *words) == 0
    assert read_json(copied / "timing-tiny" / "results.json")["done"] == {"default": [0]}
    # Without cuts seeds are ranked by what they learned.
    page = (copied / "timing-tiny" / "report.html").read_text()
    assert 'id="mazes-default-typical"' in page
    assert "Mean corner_reach and cheese_from_corner" in page


def test_ctrl_c_ends_all_processes_and_keeps_what_is_done(tmp_path: Path) -> None:
    words = ["study", "timing", "--tiny", "--seeds", "0-1", "--variants", "n7-k4", "--root", str(tmp_path)]
    study = subprocess.Popen(
        [sys.executable, "-m", "goalcut.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        # A shell has what it starts in the background ignore it, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    logs = tmp_path / "timing-tiny" / "logs"
    _wait_for(lambda: len(list(logs.glob("*.log"))) == 2)
    study.send_signal(signal.SIGINT)
    _, said = study.communicate(timeout=60)
    assert study.returncode == 1
    assert "interrupted" in said
    for lock in (tmp_path / "timing-tiny" / "n7-k4").glob("*/lock"):
        assert not _held(lock)


def test_a_study_killed_in_the_middle_goes_on_and_leaves_no_process_behind(tmp_path: Path) -> None:
    words = ["study", "timing", "--tiny", "--seeds", "0", "--variants", "n7-k4", "--root", str(tmp_path)]
    directory = tmp_path / "timing-tiny" / "n7-k4"
    first = subprocess.Popen([sys.executable, "-m", "goalcut.cli", *words, "--jobs", "1"])
    _wait_for(lambda: (directory / "seed-0" / "progress.jsonl").exists())
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    # The run's lock goes with its process: the same command can go on at once, or a moment later.
    _wait_for(lambda: not _held(directory / "seed-0" / "lock"))
    assert goalcut(*words) == 0
    results = read_json(tmp_path / "timing-tiny" / "results.json")
    assert results["done"] == {"n7-k4": [0]}
    rollouts = [record["rollout"] for record in Run(directory / "seed-0").progress()]
    assert rollouts == list(range(len(rollouts)))


def test_the_plan_is_told_and_nothing_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("study", "stars", "--dry-run", "--root", tmp_path / "none") == 0
    said = capsys.readouterr().err
    for variant in STUDIES["stars"].variants:
        assert variant in said
    assert "GB of disk" in " ".join(said.split())
    assert "will take about" in said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bananas"], "study is 'bananas': give one of timing, cut"),
        (["cut", "--seeds", "3-1"], "seeds is '3-1'"),
        (["cut", "--seeds", "a"], "seeds is 'a'"),
        (["cut", "--jobs", "0"], "jobs is 0: give at least 1"),
        (["cut", "--threads", "0"], "threads is 0: give at least 1"),
        (["timing", "--variants", "n9"], "variant is 'n9': study timing has default"),
        (["cut", "--variants", "default", "default"], "names one twice"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert goalcut("study", *words) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert len(said.splitlines()) == 1


def test_nothing_done_is_nothing_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("study", "cut", "--only-done", "--root", tmp_path) == 1
    assert "no run of study cut is done" in " ".join(capsys.readouterr().err.split())


def _wait_for(condition, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)


def _held(lock: Path) -> bool:
    import fcntl

    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
