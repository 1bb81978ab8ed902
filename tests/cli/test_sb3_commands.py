"""Every step of the command on an agent that Stable-Baselines3 trained."""

import sys
from pathlib import Path

import pytest

from goalcut.agents.files import read_json
from goalcut.agents.run import Run
from goalcut.cli import main

TINY = (
    "--learner sb3 --world.size 5 --world.corner-size 3 --network mlp --ppo.rollouts 12 --ppo.num-envs 32 "
    "--ppo.num-steps 8 --num-levels 64 --measure-levels 8 --measure-every 2 --threads 1"
).split()
ABLATE = "--levels 20 --tuning-levels 8 --curve-levels 8 --tune.steps 4 --draws 2 --doses 0.0 1.0".split()


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def test_every_step_works_on_an_agent_that_stable_baselines3_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert goalcut("train", run, *TINY) == 0
    assert goalcut("evaluate", run, "--levels", "20") == 0
    assert goalcut("analyze", run) == 0
    assert goalcut("ablate", run, *ABLATE) == 0
    assert goalcut("report", run) == 0
    assert read_json(run / "config.json")["versions"]["stable-baselines3"]
    analysis = read_json(run / "analysis" / "analysis.json")
    assert analysis["rows"] == 12
    assert analysis["cross_half"]["term"] == "first_epoch"
    assert set(analysis["terms"]) == {"policy", "value", "entropy"}
    rows = read_json(run / "ablation" / "table.json")["rows"]
    assert {row["selection"] for row in rows} == {"profile", "tuned", "control"}
    summary = read_json(run / "summary.json")
    assert summary["training"]["env_steps"] == 12 * 32 * 8
    assert summary["spectrum"]["signal_directions"] is not None
    page = (run / "report.html").read_text()
    assert "by Stable-Baselines3" in page
    assert "--learner sb3" in page
    assert goalcut("analyze", run, "--replay", "rollout") == 0
    replayed = read_json(run / "analysis" / "analysis.json")
    assert replayed["singular_values"] == pytest.approx(analysis["singular_values"], rel=1e-3)


def test_stable_baselines3_trains_through_a_schedule_of_two_phases(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = "--world stars --world.schedule cheese_first --ppo.rollouts 4 --ppo.num-envs 8".split()
    assert goalcut("train", run, *TINY, *words) == 0
    assert len(Run(run).settings.world.phases) > 1
    records = Run(run).progress()
    assert records[-1]["rollout"] == 4
    assert records[0]["measures"] != records[-1]["measures"]


def test_without_stable_baselines3_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("goalcut.") and ".sb3_" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert goalcut("train", tmp_path / "run", *TINY) == 1
    said = capfd.readouterr().err
    assert "learner is 'sb3'" in said
    assert "pip install 'goalcut[sb3]'" in said
