"""The trained agents that come with the package."""

from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.files import RunConflictError, read_json
from goalcut.agents.packaged import FOLDER, packaged_agents, unpack_agent
from goalcut.agents.run import Run, TrainSettings
from goalcut.cli import main
from goalcut.studies.stages import evaluated, saved_analysis


@pytest.mark.parametrize("name", packaged_agents())
def test_a_packaged_agent_is_the_one_that_its_settings_train(name: str, tmp_path: Path) -> None:
    run = unpack_agent(name, tmp_path / name)
    assert run.trained
    theta_0 = torch.cat([p.detach().reshape(-1) for p in run.settings.new_network().parameters()])
    assert torch.equal(run.parameters_after(0), theta_0)
    told = read_json(run.directory / "evaluation.json")
    again = evaluated(run, told["levels"])
    for agent in ("untrained", "trained"):
        for measure, held in told["agents"][agent].items():
            assert again["agents"][agent][measure]["mean"] == pytest.approx(held["mean"], abs=2e-3)


@pytest.mark.parametrize("name", packaged_agents())
def test_its_directions_are_unit_vectors_of_its_parameters_and_hold_some_of_its_training(
    name: str, tmp_path: Path
) -> None:
    run = unpack_agent(name, tmp_path / name)
    analysis, found = saved_analysis(run)
    moved = (run.parameters_after() - run.parameters_after(0)).numpy()
    assert found.vectors.dtype == np.float32
    assert found.vectors.shape == (len(found), len(moved))
    assert len(analysis["directions"]["centre_of_mass"]) == len(found)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(len(found)), atol=2e-3)
    share = np.linalg.norm(found.vectors @ moved) / np.linalg.norm(moved)
    assert share > 3 * np.sqrt(len(found) / len(moved))  # of random directions


def test_unpacking_again_leaves_what_was_done_with_the_agent(tmp_path: Path) -> None:
    name = packaged_agents()[0]
    run = unpack_agent(name, tmp_path / "run")
    run.path("mine.json").write_text("{}")
    assert unpack_agent(name, tmp_path / "run").directory == run.directory
    assert (run.directory / "mine.json").exists()


def test_nothing_is_unpacked_over_another_run_or_other_files(tmp_path: Path) -> None:
    name = packaged_agents()[0]
    Run.create(tmp_path / "run", TrainSettings(seed=999))
    with pytest.raises(RunConflictError, match=f"another run than agent '{name}'"):
        unpack_agent(name, tmp_path / "run")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.txt").write_text("mine")
    with pytest.raises(RunConflictError, match="not an empty directory"):
        unpack_agent(name, tmp_path / "files")
    with pytest.raises(ValueError, match="agent is 'nobody': give one of"):
        unpack_agent("nobody")


def test_the_package_holds_no_gradient_log_and_no_path_of_a_machine() -> None:
    for path in FOLDER.rglob("*.json*"):
        assert "/tmp" not in path.read_text()
    assert not list(FOLDER.rglob("rows.bin"))


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def test_a_packaged_agent_is_cut_with_no_training_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = (
        "--levels",
        "30",
        "--tuning-levels",
        "40",
        "--curve-levels",
        "4",
        "--draws",
        "1",
        "--tune.steps",
        "30",
    )
    assert goalcut("ablate", "--agent", "corner-9x9", *small, "--doses", "0", "1") == 0
    table = read_json(tmp_path / "runs" / "corner-9x9" / "ablation" / "table.json")
    tuned = next(row for row in table["rows"] if row["name"] == "tuned: remove cheese")
    assert tuned["selectivity"] > 0.4
    assert "tuned: remove cheese: selectivity " in capsys.readouterr().err
    assert goalcut("analyze", "runs/corner-9x9") == 1
    assert "gradients is missing" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "ablate", "report", "lens features"])
def test_neither_a_run_nor_an_agent_is_a_usage_error(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert goalcut(*command.split()) == 2
    assert "directory is missing: give a run directory, or --agent" in capsys.readouterr().err
