"""One real run in Procgen's maze, tiny, through all commands."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from procgen_installed import needs_procgen

from goalcut.agents.files import read_json
from goalcut.cli import main

pytestmark = needs_procgen
TINY = (
    "--preset smoke --ppo.rollouts 3 --ppo.num-envs 4 --ppo.num-steps 4 --ppo.epochs 1 --ppo.minibatches 2 "
    "--measure-every 1 --threads 1 --game-threads 0"
).split()
WHOLE = [*TINY, "--evaluate.levels", "2"]


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "procgen"
    assert goalcut("procgen", directory, *WHOLE, "--log", "csv") == 0
    return directory


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_every_part_is_done_and_the_second_time_nothing(finished: Path) -> None:
    files = "progress.csv evaluation.json analysis/analysis.json ablation/table.json summary.json report.html"
    assert all((finished / name).stat().st_size > 0 for name in files.split())
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert goalcut("procgen", finished, *WHOLE) == 0
    again = {path.name for path, when in times.items() if path.stat().st_mtime_ns != when}
    assert again <= {"summary.json", "report.html"}


def test_measures_are_told_for_every_agent_and_time(finished: Path) -> None:
    evaluation = read_json(finished / "evaluation.json")
    assert set(evaluation["agents"]) == {"untrained", "trained", "uniform", "best"}
    assert evaluation["agents"]["best"]["cheese_return"]["mean"] == 1.0
    behaviour = read_json(finished / "analysis" / "analysis.json")["behaviour"]
    assert set(behaviour["change_points"]) == set(evaluation["measures"])
    table = read_json(finished / "ablation" / "table.json")
    # The same levels, so the same figures.
    for name, measured in evaluation["agents"]["trained"].items():
        assert table["trained"][name] == pytest.approx(measured["mean"], abs=1e-5)
    kinds = {row["recipe"].get("control") for row in table["rows"] if row["control_of"]}
    assert {"random", "span", "rewind", "shrink", "tuned random"} <= kinds


def test_the_report_draws_policies_over_the_games_pictures(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    headline = read_json(finished / "ablation" / "table.json")["headline"]
    assert page.count('<image href="data:image/png;base64,') == 2 * (1 + len(headline))
    assert "in Procgen&#39;s maze, mode easy" in page
    assert len(re.findall("Not in this report", page)) == 0
    assert f"goalcut procgen {finished} --mode easy --corner-size 2 --num-levels 2630" in page


def test_each_command_does_its_part_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_json(copied / "evaluation.json")["agents"]
    for name in ("evaluation.json", "report.html", "progress.csv"):
        (copied / name).unlink()
    shutil.rmtree(copied / "analysis")
    assert goalcut("evaluate", copied, "--levels", "2") == 0
    assert "cheese_return" in capsys.readouterr().out
    assert read_json(copied / "evaluation.json")["agents"] == before
    assert goalcut("analyze", copied, "--replay", "rollout", "--directions", "2") == 0
    assert read_json(copied / "analysis" / "analysis.json")["row"] == "one rollout, replayed"
    assert goalcut("logs", copied, "--to", "csv") == 0
    assert len((copied / "progress.csv").read_text().splitlines()) == 1 + 4
    assert goalcut("report", copied) == 0
    assert (copied / "report.html").exists()


def test_what_is_asked_of_a_procgen_run_has_its_own_defaults(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, default in (("evaluate", "50"), ("ablate", "40")):
        assert goalcut(command, finished, "--help") == 0
        assert re.search(rf"--levels INT.*?default:\s*{default}", capsys.readouterr().out, re.DOTALL)


def test_a_lens_looks_at_a_run_and_its_directions_are_cut(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = (
        "--features.layers trunk.14 --features.draws 1 --features.restarts 1 --features.directions 2".split()
    )
    assert goalcut("lens", "features", copied, "--inputs", "30", *few) == 0
    figures = read_json(copied / "lenses" / "features.json")["figures"]
    assert (figures["kind"], figures["inputs"]) == ("procgen", 30)
    compared = (
        "--counts 1 --doses 1 --lengths 0.1 --draws 1 --levels 2 --choosing-levels 2 --inputs 30".split()
    )
    assert goalcut("lens", "compare", copied, *compared) == 0
    compare = read_json(copied / "lenses" / "compare.json")
    assert set(compare["goals"]) == {"corner", "cheese"}
    assert "features at trunk.14" in {row["method"] for row in compare["rows"]}
    assert goalcut("report", copied) == 0
    assert "trunk.14" in (copied / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["procgen", "NEW", "--corner-size", "25"], 2, "--corner-size is 25"),
        (["procgen", "NEW", "--preset", "tiny"], 2, "preset is 'tiny': give one of published, smoke"),
        (["procgen", "NEW", "--ablate.levels", "1"], 2, "levels is 1: give at least 2"),
        (
            ["procgen", "NEW", "--start-level", "2147400000"],
            2,
            "held-out levels come after those of training",
        ),
        (["procgen", "RUN", *TINY, "--seed", "5"], 2, "holds another run: seed is 0 there, 5 here"),
        (["train", "RUN"], 2, "holds a run of procgen, wanted one of maze"),
        (["ablate", "RUN", "--levels", "200000"], 1, "give at most 100000 levels"),
        (["ablate", "RUN", "--tuning-levels", "3"], 2, "--tuning-levels is 3"),
        (["lens", "features", "RUN", "--inputs", "2", "--features.layers", "conv"], 1, "layer is 'conv'"),
        (["lens", "compare", "RUN", "--levels", "200000"], 1, "has no lens to compare"),
        (["lens", "features", "RUN", "--inputs", "30", "--through-training", "4"], 1, "is of Procgen"),
        (["evaluate", "RUN", "--rollout", "9"], 2, "--rollout is 9, but the run is of"),
    ],
)
def test_bad_input_gets_one_clear_line(
    words: list[str], code: int, said: str, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": finished, "NEW": tmp_path / "new"}
    capfd.readouterr()
    assert goalcut(*(places.get(word, word) for word in words)) == code
    error = "".join(capfd.readouterr())
    assert said in " ".join(error.replace("│", " ").split())
    assert "Traceback" not in error
    assert not (tmp_path / "new").exists()


def test_without_procgen_a_run_is_still_reported_and_the_rest_says_what_to_install(
    copied: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    assert goalcut("report", copied) == 0
    assert "Procgen is not installed here" in (copied / "report.html").read_text()
    capfd.readouterr()
    assert goalcut("evaluate", copied, "--levels", "2") == 1
    assert "pip install 'goalcut[procgen]'" in capfd.readouterr().err
