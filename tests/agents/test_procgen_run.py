import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.agents.files import RunConflictError
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.procgen_run import ProcgenRun, ProcgenSettings, train_procgen
from goalcut.agents.run import Run
from goalcut.cli import main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("procgen") is None and (sys.version_info >= (3, 13) or sys.platform != "linux"),
    reason="Procgen has no wheel for this Python or system",
)
TINY = ProcgenSettings(
    mode="easy",
    corner_size=3,
    ppo=PPOSettings(rollouts=2, num_envs=4, num_steps=4, epochs=1, minibatches=2, precision="float32"),
    checkpoint_every=1,
    save_every=1,
    threads=1,
    game_threads=0,
)


class Stopped(Exception):
    pass


def test_a_training_that_was_killed_goes_on_to_the_very_same_parameters(tmp_path: Path) -> None:
    whole, killed = (ProcgenRun.create(tmp_path / name, TINY) for name in ("whole", "killed"))
    train_procgen(whole)

    def stop(record) -> None:
        if record["rollout"] == 1:
            raise Stopped

    with pytest.raises(Stopped):
        train_procgen(killed, on_rollout=stop)
    assert not killed.trained
    train_procgen(ProcgenRun(tmp_path / "killed"))
    assert killed.trained
    assert whole.checkpoints == killed.checkpoints == [0, 1, 2]
    for time in whole.checkpoints:
        assert torch.equal(whole.parameters_after(time), killed.parameters_after(time))
    assert not torch.equal(whole.parameters_after(0), whole.parameters_after(2))
    assert whole.gradient_log().rows().shape == (2, 626_256)
    assert [record["env_steps"] for record in whole.progress()] == [0, 16, 32]


def test_the_defaults_are_those_of_the_published_agents() -> None:
    settings = ProcgenSettings()
    assert settings.ppo.rollouts * settings.ppo.env_steps_per_rollout == pytest.approx(200e6, rel=1e-3)
    assert len(flat_parameters(settings.new_network())) == 626_256
    assert len(flat_parameters(replace(settings, scale=4).new_network())) == 3_653_136


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "extreme"}, "mode is 'extreme'"),
        ({"cheese": "middle"}, "cheese is 'middle'"),
        ({"corner_size": 25}, "corner_size is 25: in mode 'hard' give 1 to 24"),
        ({"scale": 0}, "scale is 0"),
        ({"reward": 0.0}, "reward is 0.0"),
        ({"record": "all"}, "record is 'all'"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        ProcgenSettings(**wrong)


def test_without_procgen_no_run_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(ValueError, match=r"pip install 'goalcut\[procgen\]'"):
        ProcgenRun.create(tmp_path / "run", TINY)
    assert not (tmp_path / "run").exists()


def test_the_command_trains_and_measures_and_does_not_do_it_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["procgen", str(tmp_path / "run"), "--mode", "easy", "--corner-size", "3", "--threads", "1"]
    words += ["--ppo.rollouts", "1", "--ppo.num-envs", "4", "--ppo.num-steps", "4", "--ppo.epochs", "1"]
    words += ["--ppo.minibatches", "2", "--evaluate.levels", "2", "--record", "none", "--game-threads", "0"]
    for time in range(2):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert ("cheese_return" in capsys.readouterr().out) == (time == 0)
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert set(result["agents"]) == {"untrained", "trained", "uniform", "best"}
    assert result["agents"]["best"]["cheese_return"]["mean"] == 1.0
    with pytest.raises(RunConflictError, match="holds a run of procgen, wanted one of maze"):
        Run(tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["procgen", str(tmp_path / "other"), "--corner-size", "25"])
    assert ended.value.code == 2
    assert "corner_size is 25" in capsys.readouterr().err
