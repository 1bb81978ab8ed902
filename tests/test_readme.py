import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_python_tour_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a shorter training and fewer levels; nothing else is changed."""
    tour = python_blocks()[0]
    small = (
        "ppo=PPOSettings(rollouts=45, num_envs=8, num_steps=4, minibatches=2), num_levels=64, measure_every=0"
    )
    for printed, run in (
        ("TrainSettings(world=world,", f"TrainSettings({small}, world=world,"),
        ("400,", "10,"),
    ):
        assert tour.count(printed) == 1
        tour = tour.replace(printed, run)
    monkeypatch.chdir(tmp_path)
    exec("from goalcut.agents import PPOSettings\n" + tour, {})
    said = capsys.readouterr().out
    assert said.count("#") > 10  # a maze
    assert "corner_reach" in said


def test_the_packaged_agent_is_cut_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tour,) = (block for block in python_blocks() if "unpack_agent" in block)
    assert tour.count("400,") == 1
    monkeypatch.chdir(tmp_path)
    exec(tour.replace("400,", "10,"), {})
    assert capsys.readouterr().out.count("'corner'") == 5


def test_the_recipe_for_any_agent_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe,) = (block for block in python_blocks() if "stable_baselines3" in block)
    assert recipe.count("5_000") == 1
    monkeypatch.chdir(tmp_path)
    exec(recipe.replace("5_000", "500"), {})  # two rollouts of 256 steps, 4 minibatches, 10 epochs
    said = capsys.readouterr().out
    assert said.startswith("[1.")
    assert "(80, " in said


def test_commands_and_files_that_the_readme_names_are_there() -> None:
    text, root = README.read_text(), README.parent
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (root / link).exists(), link
    for target in re.findall(r"make (\w+)", text):
        if target not in ("and", "alone"):
            assert re.search(rf"^{target}:", (root / "Makefile").read_text(), re.MULTILINE), target
