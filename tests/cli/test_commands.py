import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import pytest
import torch

from goalcut.ablate.maze_cuts import AblateSettings, MazeAblation
from goalcut.agents.files import load_tensors, read_json
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.sampled_behaviour import behaviour_of_world
from goalcut.agents.settings_json import settings_from_json
from goalcut.analysis.directions import Directions
from goalcut.cli import COMMANDS, main
from goalcut.studies.stages import ABLATION, saved_analysis, up_to_date

TINY = (
    "--world.size 5 --world.corner-size 3 --network mlp --ppo.rollouts 12 --ppo.num-envs 32 --ppo.num-steps 8 "
    "--num-levels 64 --measure-levels 8 --measure-every 2 --threads 1"
).split()
ABLATE = "--levels 20 --tuning-levels 8 --curve-levels 8 --tune.steps 4 --draws 2 --doses 0.0 1.0".split()
WHOLE = [*TINY, "--evaluate.levels", "20", *(word.replace("--", "--ablate.", 1) for word in ABLATE)]


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "tiny"
    assert goalcut("run", directory, *WHOLE) == 0
    return directory


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_run_leaves_every_file_that_the_design_names(finished: Path) -> None:
    names = (
        "config.json progress.jsonl gradients/layout.json gradients/rows.bin gradients/rows.index report.html"
    )
    names += " analysis/directions.safetensors ablation/table.json summary.json evaluation.json"
    for name in names.split():
        assert (finished / name).stat().st_size > 0, name


def test_summary_holds_the_headline_figures(finished: Path) -> None:
    summary = read_json(finished / "summary.json")
    assert set(summary["training"]) == {"env_steps", "seconds", "env_steps_per_second", "recording_share"}
    assert summary["training"]["env_steps"] == 12 * 32 * 8
    assert 0 < summary["training"]["recording_share"] < 1
    assert set(summary["measures"]) == {"untrained", "trained", "uniform"}
    assert summary["measures"]["uniform"]["corner_reach"] > 0
    spectrum = {"rows", "parameters", "above_tenth", "null_above_tenth", "signal_directions"}
    assert set(summary["spectrum"]) == spectrum
    for cut in summary["cuts"]:
        assert cut["selection"] in ("profile", "tuned", "control")
        assert cut["removes"] in ("corner", "cheese")
        assert {"name", "directions", "dose", "relative_norm", "measures", "retention", "selectivity"} <= set(
            cut
        )
    assert {cut["selection"] for cut in summary["cuts"]} == {"profile", "tuned", "control"}


def test_every_cut_stands_beside_all_its_controls(finished: Path) -> None:
    rows = read_json(finished / "ablation" / "table.json")["rows"]
    cuts = [row for row in rows if row["selection"] != "control"]
    assert len(cuts) >= 10
    for cut in cuts:
        controls = [row for row in rows if row["control_of"] == cut["name"]]
        kinds = {row["recipe"]["control"] for row in controls}
        assert {"random", "span", "neighbouring time", "rewind", "shrink"} <= kinds, cut["name"]
        for row in controls:
            if row["recipe"]["control"] in ("random", "span", "neighbouring time", "shrink"):
                assert row["relative_norm"] == pytest.approx(cut["relative_norm"], rel=1e-3)


def test_a_second_run_does_nothing_again(finished: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert goalcut("run", finished, *WHOLE) == 0
    again = {path.name for path, when in times.items() if path.stat().st_mtime_ns != when}
    assert again <= {"summary.json", "report.html"}


def test_cuts_are_made_anew_when_their_directions_change(copied: Path) -> None:
    table = copied / "ablation" / "table.json"
    before = table.read_text()
    assert goalcut("run", copied, *WHOLE, "--analyze.unit") == 0
    assert table.read_text() != before


def test_another_seeds_directions_are_a_control(copied: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert goalcut("train", other, *TINY, "--seed", "1") == 0
    assert goalcut("analyze", other) == 0
    assert goalcut("ablate", copied, *ABLATE, "--other-run", other) == 0
    rows = read_json(copied / "ablation" / "table.json")["rows"]
    cuts = [row["name"] for row in rows if row["selection"] != "control"]
    controls = [row for row in rows if row["recipe"].get("control") == "another seed"]
    assert [row["control_of"] for row in controls] == cuts


def test_what_is_too_large_for_a_chain_is_sampled_and_said_to_be(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(behaviour_of_world.__kwdefaults__, "most_states", 10)
    run = tmp_path / "run"
    few = "--ppo.rollouts 3 --ppo.num-envs 8 --measure-levels 4 --measure-every 1".split()
    assert goalcut("train", run, *TINY, *few) == 0
    assert goalcut("evaluate", run, "--levels", "4") == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "sampled measures on 4 held-out levels" in said
    assert "sample episodes" not in said
    assert read_json(run / "evaluation.json")["exact"] is False
    assert goalcut("report", run) == 0
    assert "The measures are estimates from sampled episodes" in (run / "report.html").read_text()


def test_a_corner_of_one_cell_has_nothing_to_seek_from_and_is_still_ablated(tmp_path: Path) -> None:
    words = [*WHOLE, "--world.corner-size", "1"]
    assert goalcut("run", tmp_path / "run", *words) == 0


def test_a_cut_kept_as_a_file_is_the_row_of_the_table(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_json(finished / "ablation" / "table.json")
    row = next(row for row in table["rows"] if row["parameters_file"])
    run, (tensors, _) = Run(finished), load_tensors(finished / row["parameters_file"])
    theta = torch.cat(
        [tensor.reshape(-1) for tensor in (tensors[name] for name in run.gradient_log().layout)]
    )
    moved = run.parameters_after() - run.parameters_after(0)
    assert float((theta - run.parameters_after()).norm() / moved.norm()) == pytest.approx(
        row["relative_norm"], rel=1e-4
    )
    assert (
        goalcut("evaluate", finished, "--levels", "20", "--parameters", finished / row["parameters_file"])
        == 0
    )
    assert f"{row['measures']['corner_reach']:.3f}" in capsys.readouterr().out


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("--help") == 0
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert command in overview
        assert goalcut(command, "--help") == 0
        assert f"Example: `goalcut {command}" in capsys.readouterr().out or command == "lens"


def test_the_module_runs_as_the_command_does() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "goalcut.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "goalcut COMMAND RUN_DIRECTORY" in answer.stdout


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train", "X", "--world.size", "8"], ["--world.size is 8:", "odd"]),
        (["train", "X", "--world.corner-size", "0"], ["--world.corner-size is 0:", "1 to size"]),
        (["train", "X", "--world.corner-size", "12"], ["--world.corner-size is 12:", "9"]),
        (["run", "X", "--world.size", "5", "--world.corner-size", "7"], ["--world.corner-size is 7:", "5"]),
        (["train", "X", "--world", "dish", "--world.size", "8"], ["--world.size is 8:"]),
        (["train", "X", "--world.start", "top"], ["--world.start is 'top':", "bottom_left"]),
        (["train", "X", "--network", "lstm"], ["--network is 'lstm':", "conv"]),
        (["train", "X", "--ppo.num-envs", "3"], ["--ppo.num-envs is 3:", "even"]),
        (["train", "X", "--ppo.gamma", "1.5"], ["--ppo.gamma is 1.5:", "0 to 1"]),
        (["train", "X", "--ppo.gama", "0.9"], ["--ppo.gama", "did you mean --ppo.gamma?", "--help"]),
        (["train", "X", "Y"], ["'Y'", "leave it out"]),
        (["train", "X", "--ppo.gamma"], ["--ppo.gamma", "no value"]),
        (["train", "X", "--ppo.learning-rate", "inf"], ["--ppo.learning-rate is inf:", "finite"]),
        (["train", "X", "--ppo.clip-coef", "inf"], ["--ppo.clip-coef is inf:", "finite"]),
        (["train", "X", "--ppo.max-grad-norm=inf"], ["--ppo.max-grad-norm is inf:", "finite"]),
        (["train", "X", "--ppo.entropy-coef", "nan"], ["--ppo.entropy-coef is nan:", "finite"]),
        (["run", "X", "--ablate.tune.learning-rate", "inf"], ["--ablate.tune.learning-rate is inf:"]),
        (["ablate", "X", "--doses", "-1"], ["--doses is -1.0:", "0 or more"]),
        (["ablate", "X", "--doses", "0", "inf"], ["--doses is inf:", "finite"]),
        (["run", "X", "--evaluate.levels", "20", "--ablate.levels", "0"], ["--ablate.levels is 0:"]),
        (["lens", "features", "X", "--inputs", "0"], ["--inputs is 0:"]),
        (["lens", "features", "X", "--features.nosuch", "1"], ["--features.nosuch", "lens features --help"]),
        (["train", "X", "--preset", "hard"], ["--preset is 'hard':", "random-start"]),
        (["train", "X", "--seed", "-1"], ["--seed is -1:"]),
        (["train", "X", "--ppo.rollouts", "many"], ["--ppo.rollouts is 'many':", "whole number"]),
        (["train", "X", "--time-limit", "many"], ["--time-limit is 'many':", "whole number"]),
        (["evaluate"], ["directory is missing"]),
        (["train", "X", "--device", "cuda:7"], ["device", "cuda:7", "cpu"]),
        (["fly", "X"], ["fly", "train"]),
        (["train", "X", "--device", "abacus"], ["device", "abacus", "cpu"]),
        (["ablate", "X", "--levels", "0"], ["levels", "0"]),
        (["analyze", "X", "--dask", "foo"], ["dask", "foo", "tcp://host:port"]),
        (["mnist", "X", "--analyze.dask", "foo"], ["dask", "foo", "tcp://host:port"]),
        (["train", "X", "--log", "csv", "paper"], ["paper", "tensorboard"]),
        (["mnist", "X", "--table", "--log", "csv"], ["log", "csv", "table"]),
        (["logs", "X", "--to"], ["to", "csv", "wandb"]),
        (["ablate", "X", "--tuning-levels", "3"], ["--tuning-levels is 3:", "8"]),
        (["train"], ["PATH is missing", "the run directory"]),
    ],
)
def test_a_wrong_setting_exits_with_2_and_one_line_that_names_it_as_typed(
    words: list[str], parts: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert goalcut(*[str(tmp_path / "x") if word == "X" else word for word in words]) == 2
    printed, said = capfd.readouterr()
    assert not printed
    assert said.count("\n") == 1, said
    assert said.startswith("goalcut: ")
    for part in parts:
        assert part in said
    assert not (tmp_path / "x").exists()


def test_no_command_at_all_shows_the_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert goalcut() == 2
    assert "usage: goalcut COMMAND" in capfd.readouterr().out


def test_infinite_settings_make_no_run_from_python_either(tmp_path: Path) -> None:
    settings = TrainSettings(ppo=PPOSettings(entropy_coef=float("nan")))
    with pytest.raises(ValueError, match=r"ppo\.entropy_coef is nan: give a finite number"):
        Run.create(tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()


def failure(capfd: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    capfd.readouterr()
    code = goalcut(*words)
    said = capfd.readouterr().err.strip().splitlines()
    assert "Traceback" not in "".join(said)
    return code, said[-1]


def test_another_run_in_the_directory_exits_with_2(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, said = failure(capfd, "run", copied, *WHOLE, "--seed", "5")
    assert code == 2
    assert "holds another run: seed is 0 there, 5 here" in said


def test_a_run_at_work_in_another_process_exits_with_2_and_says_what_is_done(
    copied: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for doing, words in (
        ("ablated", ["ablate", copied, *ABLATE]),
        ("analyzed", ["analyze", copied]),
        ("logged", ["logs", copied]),
    ):
        with Run(copied).locked(doing):
            code, said = failure(capfd, *words)
        assert code == 2
        assert said == f"goalcut: {copied} is being {doing} by another process: wait for it"
        assert goalcut(*words) == 0


def test_logs_of_a_finished_run_are_what_training_would_have_logged(
    copied: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert goalcut("logs", copied, "--to", "csv", "tensorboard") == 0
    assert goalcut("train", tmp_path / "logged", *TINY, "--log", "csv", "tensorboard") == 0
    headers = [
        (directory / "progress.csv").read_text().partition("\n")[0]
        for directory in (copied, tmp_path / "logged")
    ]
    assert headers[0] == headers[1]
    for directory in (copied, tmp_path / "logged"):
        lines = (directory / "progress.csv").read_text().splitlines()
        assert len(lines) == 1 + len(Run(directory).progress())
        assert list((directory / "tensorboard").glob("events.out.tfevents.*"))
    assert goalcut("train", copied, *TINY, "--log", "csv") == 0
    assert f"already trained; for its logs: goalcut logs {copied} --to csv" in capfd.readouterr().err


def test_a_log_that_is_not_installed_exits_with_2_before_anything_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, said = failure(capfd, "train", tmp_path / "run", *TINY, "--log", "wandb")
    assert (code, said) == (
        2,
        "goalcut: --log is 'wandb', which is not installed: pip install 'goalcut[wandb]'",
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyze", "RUN", "--rows", "foo"], "--rows is 'foo': give one of total"),
        (
            ["evaluate", "RUN", "--rollout", "77"],
            "--rollout is 77, but the run is of 12 rollouts: give one of 0",
        ),
        (["evaluate", "RUN", "--parameters", "/nofile"], "--parameters is /nofile, which is missing: give a"),
        (
            ["ablate", "RUN", "--other-run", "/nosuch"],
            "--other-run is /nosuch: /nosuch/config.json is missing",
        ),
        (
            ["train", "/proc/x9"],
            "/proc/x9 cannot be made (No such file or directory): give another directory",
        ),
    ],
)
def test_a_setting_that_does_not_fit_the_run_exits_with_2_and_is_named(
    finished: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, line = failure(capfd, *(finished if word == "RUN" else word for word in words))
    assert code == 2
    assert line.startswith(f"goalcut: {said}")


def test_an_output_that_takes_nothing_is_one_line(finished: Path) -> None:
    with open("/dev/full", "w") as full:
        words = command_line("evaluate", finished, "--levels", "20")
        answer = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 1
    assert answer.stderr == (
        "goalcut: No space left on device while writing to standard output or to the disk: free space, or send the "
        "output elsewhere, and give the same command again\n"
    )


def test_a_missing_run_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("evaluate", "analyze", "ablate", "report", "logs"):
        code, said = failure(capfd, command, tmp_path / "nothing")
        assert code == 1
        assert "config.json is missing" in said


def test_a_step_before_its_ground_says_what_to_run_first(
    copied: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copied / "analysis")
    assert failure(capfd, "ablate", copied) == (1, f"goalcut: {copied}/analysis/analysis.json is missing: run goalcut "
        f"analyze {copied} first")  # fmt: skip
    (copied / "checkpoints" / "rollout-00012.safetensors").unlink()
    code, said = failure(capfd, "analyze", copied)
    assert code == 1
    assert "not trained to its end" in said
    assert "goalcut train" in said


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("gradients/rows.bin", "flip", "is damaged"),
        ("gradients/rows.index", "flip", "is damaged"),
        ("gradients/rows.bin", "remove", "rows.bin is missing"),
        ("gradients/rows.bin", "cut", "is cut off"),
        ("gradients/rows.index", "cut", "is cut off"),
        ("gradients/layout.json", "cut", "layout.json is damaged"),
        ("checkpoints/rollout-00012.safetensors", "flip", "rollout-00012.safetensors is cut off or damaged"),
        ("checkpoints/rollout-00000.safetensors", "remove", "rollout-00000.safetensors is missing"),
        ("config.json", "cut", "config.json is damaged"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    copied: Path, capfd: pytest.CaptureFixture[str], file: str, damage: str, said: str
) -> None:
    path = copied / file
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 16
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    command = "evaluate" if file.startswith("checkpoints") else "analyze"
    code, line = failure(capfd, command, copied)
    assert code == 1
    assert said in line
    assert str(copied) in line


def test_directions_that_are_cut_off_are_named(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = copied / "analysis" / "directions.safetensors"
    Directions.load(path)
    path.write_bytes(path.read_bytes()[:-100])
    code, said = failure(capfd, "ablate", copied, *ABLATE)
    assert code == 1
    assert "directions.safetensors" in said


def test_nan_gradients_end_training_with_one_line_and_whole_rows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["train", tmp_path / "run", *TINY, "--ppo.learning-rate", "1e30", "--ppo.precision", "float32"]
    code, said = failure(capfd, *words)
    assert code == 1
    assert "not finite at update" in said
    assert "lower the learning rate" in said
    log = Run(tmp_path / "run").gradient_log()  # verified: whatever rows there are, are whole
    assert len(log) > 0


def test_diverged_training_without_a_log_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["train", tmp_path / "run", *TINY, "--ppo.learning-rate", "1e30", "--record", "none"]
    code, said = failure(capfd, *words)
    assert code == 1
    assert "training diverged; lower the learning rate" in said


def command_line(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "goalcut.cli", *(str(word) for word in words)]


def full_disk(words: list[str], room: int) -> subprocess.CompletedProcess[str]:
    """The command where no file may grow beyond `room` bytes."""

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.run(words, capture_output=True, text=True, preexec_fn=small_disk)


def test_a_full_disk_is_one_line_and_training_goes_on_once_there_is_room(tmp_path: Path) -> None:
    words = command_line("train", tmp_path / "run", *TINY)

    full = full_disk(words, 400_000)
    assert full.returncode == 1
    line = full.stderr.strip().splitlines()[-1]
    assert line.startswith("goalcut:")
    assert "while writing" in line
    assert "Traceback" not in full.stderr
    assert subprocess.run(words, capture_output=True).returncode == 0
    assert Run(tmp_path / "run").trained


@pytest.mark.parametrize(
    ("command", "file"), [("analyze", "directions.safetensors"), ("report", "report.html")]
)
def test_a_full_disk_after_training_is_one_line_with_a_remedy_and_keeps_what_was_there(
    copied: Path, command: str, file: str
) -> None:
    (path,) = copied.rglob(file)
    before = path.read_bytes()
    full = full_disk(command_line(command, copied), len(before) // 2)
    assert full.returncode == 1
    (line,) = (line for line in full.stderr.splitlines() if line.startswith("goalcut:"))
    assert f"while writing {path}" in line
    assert "free space" in line
    assert "damaged" not in line
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.part"))
    assert subprocess.run(command_line(command, copied), capture_output=True).returncode == 0


def test_an_analysis_made_again_changes_no_byte_and_no_cut_is_made_anew(copied: Path) -> None:
    path, table = copied / "analysis" / "directions.safetensors", copied / "ablation" / "table.json"
    before, made = path.read_bytes(), table.stat().st_mtime_ns
    assert goalcut("analyze", copied) == 0
    assert path.read_bytes() == before
    assert goalcut("run", copied, *WHOLE) == 0
    assert table.stat().st_mtime_ns == made


def test_a_table_of_an_older_run_is_still_up_to_date_where_tuning_is_the_same(copied: Path) -> None:
    path = copied / "ablation" / "table.json"
    table = read_json(path) | {
        "of": zlib.crc32((copied / "analysis" / "directions.safetensors").read_bytes())
    }
    path.write_text(json.dumps(table))
    assert up_to_date(Run(copied), ABLATION, table_settings(copied))
    path.write_text(json.dumps(table | {"of": 1}))
    assert not up_to_date(Run(copied), ABLATION, table_settings(copied))
    del table["tuning"]  # cut before tuning was another
    path.write_text(json.dumps(table))
    assert not up_to_date(Run(copied), ABLATION, table_settings(copied))


def table_settings(run: Path) -> AblateSettings:
    return settings_from_json(AblateSettings, read_json(run / "ablation" / "table.json")["settings"])


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = command_line("train", tmp_path / "run", *TINY, "--ppo.rollouts", "3000", "--measure-every", "0")
    # A shell that starts the tests in the background has them ignore Ctrl-C; the child shall not.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    progress = tmp_path / "run" / "progress.jsonl"
    while child.poll() is None and not (progress.exists() and progress.read_text().count("\n") > 20):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    said = child.communicate()[1]
    assert child.returncode == 1
    assert "Traceback" not in said
    assert "interrupted; what was recorded is kept" in said.strip().splitlines()[-1]
    kept = len(Run(tmp_path / "run").gradient_log().rows().records)
    assert kept >= 20


def test_an_ablation_killed_twice_goes_on_to_the_same_table(copied: Path) -> None:
    words = command_line("ablate", copied, *ABLATE)
    table, kept = copied / "ablation" / "table.json", copied / "ablation" / "rows.jsonl"
    assert subprocess.run(words, capture_output=True).returncode == 0
    whole = table.read_bytes()
    for rows in (3, 20):
        child = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while child.poll() is None and not (kept.exists() and kept.read_text().count("\n") > rows):
            time.sleep(0.005)
        child.kill()
        child.wait()
        assert child.returncode == -signal.SIGKILL
        assert not table.exists()
    assert subprocess.run(words, capture_output=True).returncode == 0
    assert table.read_bytes() == whole


def test_the_progress_of_an_ablation_knows_how_much_there_is(finished: Path) -> None:
    run, told = Run(finished), []
    analysis, found = saved_analysis(run)
    settings = table_settings(finished)
    ablation = MazeAblation(run, found, analysis["directions"]["split_row"], settings)
    ablation.rows(on_row=told.append)
    # Rewinds of a cut may meet at one checkpoint.
    assert 0.9 * ablation.planned_entries() <= len(told) <= ablation.planned_entries()


def test_reports_of_a_run_as_far_as_it_has_come(copied: Path) -> None:
    shutil.rmtree(copied / "ablation")
    shutil.rmtree(copied / "analysis")
    assert goalcut("report", copied) == 0
    assert "cuts" not in json.loads((copied / "summary.json").read_text())
    assert os.path.getsize(copied / "report.html") > 0
