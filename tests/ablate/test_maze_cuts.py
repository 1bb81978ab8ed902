"""The engine of cuts on a maze agent."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.ablate import (
    AblateSettings,
    Journal,
    MazeAblation,
    TuneSettings,
    load_table,
    relative_norm,
    remade,
    save_table,
    tune_doses,
)
from goalcut.ablate.maze_cuts import maze_cuts
from goalcut.ablate.maze_goals import maze_goals
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.analysis import Directions, temporal_svd
from goalcut.analysis.temporal_svd import directions
from goalcut.envs import CheeseInCorner

TRAINING = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=10, num_envs=16, num_steps=8, epochs=1, minibatches=2, precision="float32"),
    network="mlp",
    num_levels=64,
    time_limit=12,
    record="none",
    measure_every=0,
    threads=1,
)
SETTINGS = AblateSettings(
    levels=8,
    tuning_levels=8,
    curve_levels=4,
    count=2,
    draws=2,
    doses=(0.0, 1.0),
    applied=100,
    tune=TuneSettings(steps=3),
)


def trained(directory: Path, seed: int) -> tuple[Run, Directions]:
    """A run, and the eight strongest directions of its ten applied changes."""
    threads = torch.get_num_threads()
    run = Run.create(directory, replace(TRAINING, seed=seed))
    train(run)
    torch.set_num_threads(threads)
    rows = run.applied_changes()
    layout = parameter_layout(run.network())
    return run, directions(temporal_svd(rows), rows, range(8), layout=layout)


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> MazeAblation:
    run, found = trained(tmp_path_factory.mktemp("runs") / "maze", 0)
    return MazeAblation(run, found, 4, SETTINGS)


def test_each_goal_of_a_maze_is_cut_by_its_own_time_in_every_way(ablation: MazeAblation) -> None:
    names = [plan.name for plan in ablation.planned()]
    module = "trunk.3"
    assert names == [
        *(f"{how}: remove corner" for how in ("earliest 1", "earliest 2", "earliest window")),
        *(f"{how}: remove corner" for how in ("earliest contrast", f"earliest 2 in {module}")),
        *(f"{how}: remove cheese" for how in ("latest 1", "latest 2", "latest window")),
        *(f"{how}: remove cheese" for how in ("latest contrast", f"latest 2 in {module}")),
        "tuned: remove corner",
        "tuned: remove cheese",
    ]
    headline = [plan.name.split(":")[0] for plan in ablation.planned() if plan.headline]
    assert headline == ["earliest 2", "latest 2", "tuned", "tuned"]


def test_only_cuts_of_the_late_goal_also_rewind_to_before_it_was_learned(ablation: MazeAblation) -> None:
    plans = maze_cuts(ablation.directions, 4, 2, 8, maze_goals(CheeseInCorner()))
    assert {plan.goal.name: plan.rewinds for plan in plans} == {"corner": (), "cheese": (4 / 10,)}
    rows = ablation.rows()[0]
    back = [row for row in rows if row.recipe.get("control") == "rewind"]
    of_cheese = [row for row in back if row.removes == "cheese" and row.recipe["rollout"] == 4]
    assert len(of_cheese) == 6
    assert all(row.name.startswith(f"rewind to rollout {row.recipe['rollout']} |") for row in back)


@pytest.mark.parametrize(
    "last",
    [
        "doses | tuned: remove corner",
        "tuned over random directions | tuned: remove corner",
        "doses | tuned: remove cheese",
    ],
)
def test_an_interrupted_ablation_of_a_maze_ends_in_the_same_table(
    ablation: MazeAblation, tmp_path: Path, last: str
) -> None:
    def interrupted(name: str) -> None:
        if name == last:
            raise KeyboardInterrupt

    for name, on_row in (("whole", None), ("resumed", interrupted)):
        journal = Journal(tmp_path / f"{name}.jsonl", ablation.fingerprint())
        if on_row is not None:
            with pytest.raises(KeyboardInterrupt):
                ablation.rows(journal, on_row)
            journal.close()
            journal = Journal(tmp_path / f"{name}.jsonl", ablation.fingerprint())
        # As in another process: nothing but the journal is left of what was tuned.
        again = MazeAblation(ablation.run, ablation.directions, 4, SETTINGS)  # type: ignore[arg-type]
        rows, curves, headline = again.rows(journal)
        journal.close()
        save_table(tmp_path / name, rows, curves, {"headline": headline})
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "resumed.jsonl").read_bytes()


def test_both_goals_are_tuned_at_once_over_found_and_over_random_directions(
    ablation: MazeAblation, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned: list[list[str]] = []

    def counted(judges, theta, theta_0, vectors, goals, settings):
        tuned.append([goal.name for goal in goals])
        return tune_doses(judges, theta, theta_0, vectors, goals, settings)

    monkeypatch.setattr("goalcut.ablate.ablation.tune_doses", counted)
    ablation.rows()
    assert tuned == 2 * [["corner", "cheese"]]


def test_tuned_cuts_also_reach_what_was_applied_beyond_the_lens(ablation: MazeAblation) -> None:
    among, lens = ablation.tuned_among, ablation.directions
    # Ten changes were applied, and the lens has eight directions of them.
    assert (len(lens), len(among)) == (8, 10)
    assert among.vectors[:8].tobytes() == lens.vectors.tobytes()
    vectors = torch.from_numpy(among.vectors)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(10), atol=1e-4, rtol=0)
    moved = ablation.theta - ablation.theta_0
    torch.testing.assert_close((vectors @ moved) @ vectors, moved, atol=1e-5, rtol=0)
    tuned = [row for row in ablation.rows()[0] if row.selection == "tuned"]
    assert [row.directions for row in tuned] == [10, 10]


def test_with_no_applied_directions_tuned_cuts_have_the_lens_alone(ablation: MazeAblation) -> None:
    settings = replace(SETTINGS, applied=0)
    alone = MazeAblation(ablation.run, ablation.directions, 4, settings)  # type: ignore[arg-type]
    assert alone.tuned_among is ablation.directions


def test_every_row_of_the_table_is_made_again_from_what_it_says(
    ablation: MazeAblation, tmp_path: Path
) -> None:
    other, theirs = trained(tmp_path / "other", 1)
    settings = replace(SETTINGS, other_run=other.directory)
    beside = MazeAblation(ablation.run, ablation.directions, 4, settings, theirs)  # type: ignore[arg-type]
    save_table(tmp_path / "table.json", *beside.rows()[:2], {})
    rows = load_table(tmp_path / "table.json")["rows"]
    controls = {row.recipe.get("control") for row in rows}
    assert controls == {
        None,
        *("random", "span", "neighbouring time", "another seed", "rewind", "shrink", "tuned random"),
    }
    by_name = {row.name: row for row in rows}
    for row in rows:
        theta = remade(beside, row, None if row.control_of is None else by_name[row.control_of])
        assert relative_norm(theta, beside.theta, beside.theta_0) == row.relative_norm, row.name
        assert beside.judge.judge(theta).measures == row.measures, row.name
    of_the_corner = by_name["random inside span(G) | earliest 2: remove corner"]
    with pytest.raises(ValueError, match="is a control of 'earliest 2: remove corner'"):
        remade(beside, of_the_corner)


def test_controls_of_headlines_alone_leave_every_other_row_as_it_was(ablation: MazeAblation) -> None:
    settings, told = replace(SETTINGS, controls_of="headline"), []
    brief = MazeAblation(ablation.run, ablation.directions, 4, settings)  # type: ignore[arg-type]
    rows, _, headline = brief.rows(on_row=told.append)
    kept = [row for row in ablation.rows()[0] if row.control_of is None or row.control_of in headline]
    assert rows == kept
    assert {row.control_of for row in rows} == {None, *headline}
    # Besides the rows, doses of two cuts and three curves of each headline.
    assert len(told) == len(rows) + 2 + 3 * len(headline) == brief.planned_entries()
    assert len(told) < ablation.planned_entries()


def test_a_row_tells_its_own_directions_and_dose(ablation: MazeAblation) -> None:
    by_name = {row.name: row for row in ablation.rows()[0]}
    tuned = by_name["tuned: remove cheese"]
    assert tuned.dose == pytest.approx(float(torch.tensor(tuned.recipe["doses"]).mean()))
    assert (tuned.recipe["among"], tuned.recipe["applied"]) == (10, 2)
    over_random = by_name["tuned over random directions | tuned: remove cheese"]
    assert over_random.dose == pytest.approx(float(torch.tensor(over_random.recipe["doses"]).mean()))
    assert over_random.dose != tuned.dose
    assert by_name["random inside span(G) | tuned: remove cheese"].directions == 5
    shrunk = by_name["shrink θ − θ₀ | tuned: remove cheese"]
    assert (shrunk.directions, shrunk.dose) == (None, None)


def test_where_early_ends_is_part_of_the_fingerprint(ablation: MazeAblation) -> None:
    others = [
        MazeAblation(ablation.run, ablation.directions, split, settings)  # type: ignore[arg-type]
        for split, settings in ((4, SETTINGS), (5, SETTINGS), (4, replace(SETTINGS, keep_navigation=0.4)))
    ]
    assert others[0].fingerprint() == ablation.fingerprint()
    assert len({one.fingerprint() for one in others}) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"levels": 1}, "levels is 1: give at least 2"),
        ({"tuning_levels": 7}, "tuning_levels is 7: give at least 8"),
        ({"draws": 0}, "draws is 0: give at least 1"),
        ({"controls_of": "some"}, "controls_of is 'some': give one of all, headline"),
        ({"applied": -1}, "applied is -1: give at least 0"),
    ],
)
def test_wrong_settings_of_cuts_of_a_maze_are_named(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AblateSettings(**wrong)
