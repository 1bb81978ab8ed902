"""Every world through every command, small: what is trained on one can be analysed, cut and reported."""

import json
from pathlib import Path

import pytest

from goalcut.cli import main
from goalcut.envs import WORLDS

SMALL = [
    *("--world.size", "5", "--world.corner-size", "2", "--network", "mlp", "--num-levels", "64"),
    *("--ppo.rollouts", "4", "--ppo.num-envs", "16", "--ppo.num-steps", "8", "--ppo.epochs", "1"),
    *("--ppo.minibatches", "2", "--measure-every", "1", "--measure-levels", "4", "--threads", "1"),
    *("--analyze.directions", "4", "--analyze.nulls", "2", "--evaluate.levels", "8"),
    *(
        "--ablate.levels",
        "6",
        "--ablate.tuning-levels",
        "8",
        "--ablate.curve-levels",
        "4",
        "--ablate.count",
        "2",
    ),
    *("--ablate.strongest", "4", "--ablate.draws", "1", "--ablate.tune.steps", "1", "--ablate.doses", "1"),
]
# On 5×5 cells few things fit, and the guide's steps multiply the states.
FEWER = {
    "keys": ["--world.few", "1", "--world.many", "2"],
    "follow-me": ["--world.beacons", "2"],
    "lava": ["--world.size", "7", "--world.lava", "2"],
}


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_goes_through_every_command(name: str, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    assert run("run", str(directory), "--world", name, *SMALL, *FEWER.get(name, [])) == 0
    world = WORLDS[name]()
    summary = json.loads((directory / "summary.json").read_text())
    assert list(summary["measures"]["trained"]) == [measure.name for measure in world.measures]
    assert {cut["removes"] for cut in summary["cuts"]} == {goal.name for goal in world.goals}
    assert {cut["selection"] for cut in summary["cuts"]} == {"profile", "tuned", "control"}
    report = (directory / "report.html").read_text()
    for section in ("When each goal was learned", "What a cut removes", "In the mazes"):
        assert section in report
    assert "Left out: " not in report
    assert json.loads((directory / "config.json").read_text())["settings"]["world"]["name"] == name
