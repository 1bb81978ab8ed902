"""The comparison of methods on one small agent."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.ablate.compare import Budget, ComparedRow, best_within, compared_row
from goalcut.ablate.journal import Journal
from goalcut.ablate.maze_compare import CompareSettings, MazeComparison
from goalcut.ablate.method import Change, Method, Rung, step_ladder
from goalcut.ablate.method_settings import MethodSettings
from goalcut.ablate.sparse_masks import SparseSettings, found_change, moved_in
from goalcut.ablate.tuned import TuneSettings
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.run import Run
from goalcut.analysis import Directions, temporal_svd
from goalcut.analysis.temporal_svd import directions

SETTINGS = CompareSettings(
    levels=10,
    tuning_levels=16,
    choosing_levels=10,
    inputs=100,
    methods=MethodSettings(
        counts=(1, 2),
        doses=(1.0,),
        lengths=(0.05, 0.1),
        norm_budgets=(0.09,),
        groups=20,
        times=3,
        entries=(100,),
        layers=("trunk", "trunk.1"),
        vector_doses=(-1.0,),
        pairs=20,
        components=8,
        tune=TuneSettings(steps=2),
        sparse=SparseSettings(steps=2, again=1),
    ),
)


@pytest.fixture(scope="module")
def comparison(small_run: Run) -> MazeComparison:
    theta = [small_run.parameters_after(time).numpy() for time in small_run.checkpoints]
    rows = np.diff(np.stack(theta), axis=0)
    found = directions(temporal_svd(rows), rows, range(4), layout=parameter_layout(small_run.network()))
    return MazeComparison(small_run, {"temporal SVD": found, "axis": axis_of_trunk()}, SETTINGS)


def axis_of_trunk() -> Directions:
    # Not of single units, which may be dead.
    vectors, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 3)))
    return Directions(vectors.T.astype(np.float32), np.ones(3), np.zeros((0, 3)), space="trunk")


@pytest.fixture(scope="module")
def rows(comparison: MazeComparison) -> list[ComparedRow]:
    return comparison.rows(comparison.methods)


def test_every_method_is_judged_on_every_goal(comparison: MazeComparison, rows: list[ComparedRow]) -> None:
    pairs = {(row.method, row.removes) for row in rows}
    assert pairs == {(method.name, goal) for method in comparison.methods for goal in ("corner", "cheese")}
    names = {method.name for method in comparison.methods}
    assert names >= {
        "temporal SVD, by time",
        "temporal SVD, tuned",
        "axis at trunk",
        "measure gradients",
        "step along the measure gradient",
        "random directions",
        "random coordinates, tuned",
        "one module shrunk",
        "parameters that moved most, taken back",
        "random parameters, taken back",
        "early stopping",
        "sparse doses",
        "sparse fine-tuning",
        "cheese vector at trunk",
        "top right vector at trunk.1",
        "activations, tuned at trunk",
    }


def test_rows_hold_what_the_judge_says_of_the_change(
    comparison: MazeComparison, rows: list[ComparedRow]
) -> None:
    judge = comparison.judge
    shrunk = [row for row in rows if row.method == "shrink θ − θ₀" and row.dose == 0.1]
    assert [row.removes for row in shrunk] == ["corner", "cheese"]
    verdict = judge.judge(torch.lerp(judge.theta, judge.theta_0, 0.1))
    for row in shrunk:
        assert row.relative_norm == pytest.approx(0.1, rel=1e-4)
        assert row.retention == pytest.approx(verdict.retention, abs=1e-4)
        assert row.selectivity == pytest.approx(verdict.selectivity[row.removes], abs=1e-4)
        assert row.navigation == row.retention["navigation"]
    assert shrunk[0].kl > 0
    stopped = next(row for row in rows if row.method == "early stopping" and row.k == 0)
    assert stopped.retention == pytest.approx(dict.fromkeys(stopped.retention, 0.0), abs=1e-6)
    assert stopped.relative_norm == pytest.approx(1.0)


def test_lengths_are_those_of_the_space_that_is_changed(rows: list[ComparedRow]) -> None:
    spaces = {row.method: row.space for row in rows}
    assert spaces["cheese vector at trunk.1"] == "trunk.1"
    assert spaces["temporal SVD, tuned"] == "parameters"
    for row in rows:
        # A tuning of two steps may end where it began, at no change.
        assert row.relative_norm > 0 or "tuned" in row.method
        assert row.value_error is not None
        if row.method in ("random directions", "step along the measure gradient"):
            assert row.relative_norm == pytest.approx(row.dose, rel=1e-3)


def test_sparse_changes_tell_which_modules_their_parameters_lie_in(
    comparison: MazeComparison, rows: list[ComparedRow]
) -> None:
    judges, network = [comparison.judge], comparison.judge.network
    whole = found_change(judges, comparison.judge.goals[0], "doses", SparseSettings(steps=2, again=1))
    told, place = moved_in(whole, parameter_layout(network)), 0
    for name, module in network.named_modules():
        size = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if size:
            assert told.pop(name) == int((whole[place : place + size] != 0).sum())
            place += size
    assert not told
    assert place == len(whole)
    for row in rows:
        if row.method == "parameters that moved most, taken back":
            assert sum(row.recipe["moved in"].values()) == row.k
        elif row.method.startswith("sparse") or row.method.endswith("taken back"):
            assert 0 < sum(row.recipe["moved in"].values()) <= row.k
        else:
            assert "moved in" not in row.recipe


def test_the_parameters_that_moved_most_are_the_longest_of_as_many(
    comparison: MazeComparison, rows: list[ComparedRow]
) -> None:
    judge = comparison.judge
    most, drawn = (
        next(row for row in rows if row.method == f"{name}, taken back" and row.k == 100)
        for name in ("parameters that moved most", "random parameters")
    )
    moved = (judge.theta - judge.theta_0).abs().sort(descending=True).values
    assert most.relative_norm == pytest.approx(float(moved[:100].norm() / moved.norm()), rel=1e-4)
    assert 0 < drawn.relative_norm < most.relative_norm
    methods = {method.name: method for method in comparison.methods}
    for name, kept in (("parameters that moved most", moved[99]), ("random parameters", 0)):
        (rung,) = methods[f"{name}, taken back"].ladder(judge.goals[0])
        theta = rung.make().theta
        assert theta is not None
        back = theta != judge.theta
        assert 50 < int(back.sum()) <= 100
        torch.testing.assert_close(theta[back], judge.theta_0[back])
        assert float((judge.theta - judge.theta_0).abs()[back].min()) >= float(kept)


def test_rows_survive_json(rows: list[ComparedRow]) -> None:
    told = json.loads(json.dumps([asdict(row) for row in rows], allow_nan=False))
    assert [compared_row(row) for row in told] == rows


def plain(comparison: MazeComparison, made: list[float]) -> list[Method]:
    """Methods of one rung each, that tell when it is made."""
    judge = comparison.judge

    def ladder(length: float) -> Callable[[object], list[Rung]]:
        def step() -> torch.Tensor:
            made.append(length)
            return judge.theta_0 - judge.theta

        return lambda _: step_ladder(judge, step, [length])

    return [Method(f"shrink by {length}", ladder(length), per_goal=False) for length in (0.1, 0.2, 0.3)]


def test_a_comparison_that_was_killed_goes_on_where_it_was(
    comparison: MazeComparison, tmp_path: Path
) -> None:
    made: list[float] = []

    def kill(name: str) -> None:
        if "0.2" in name:
            raise KeyboardInterrupt

    journal = Journal(tmp_path / "journal", comparison.fingerprint())
    with pytest.raises(KeyboardInterrupt):
        comparison.rows(plain(comparison, made), journal, kill)
    journal.close()
    journal = Journal(tmp_path / "journal", comparison.fingerprint())
    resumed = comparison.rows(plain(comparison, made), journal)
    journal.close()
    assert made == [0.1, 0.2, 0.3]
    assert resumed == comparison.rows(plain(comparison, []))


def test_the_fingerprint_follows_settings_and_directions(comparison: MazeComparison, small_run: Run) -> None:
    others = [
        MazeComparison(small_run, lenses, settings)
        for lenses, settings in (
            (comparison.lenses, SETTINGS),
            ({"axis": axis_of_trunk()}, SETTINGS),
            (comparison.lenses, replace(SETTINGS, level_seed=1)),
        )
    ]
    assert others[0].fingerprint() == comparison.fingerprint()
    assert len({one.fingerprint() for one in others}) == 3


def row(method: str, norm: float, tuned: float, navigation: float | None, reported: float) -> ComparedRow:
    return ComparedRow(
        method=method,
        removes="corner",
        space="parameters",
        k=1,
        dose=1.0,
        relative_norm=norm,
        selectivity=reported,
        selectivity_interval=(reported, reported),
        retention={},
        navigation=navigation,
        kl=0.0,
        value_error=None,
        tuning_selectivity=tuned,
        tuning_navigation=navigation,
        recipe={},
    )


def test_the_best_within_a_budget_is_chosen_on_tuning_units_and_reported_on_others() -> None:
    chosen = row("a", 0.05, 0.8, 0.95, reported=0.6)
    rows = [
        row("a", 0.02, 0.5, 0.95, reported=0.9),  # reported better, tuned worse
        chosen,
        row("a", 0.06, 0.8, 0.95, reported=0.7),  # no better, and longer
        row("a", 0.20, 0.9, 0.95, reported=0.9),  # too long
        row("a", 0.05, 0.9, 0.80, reported=0.9),  # finds no way
        row("b", 0.50, 0.9, 0.95, reported=0.9),
        row("c", 0.10, 0.1, None, reported=0.1),  # a classifier finds no ways at all
    ]
    best = best_within(rows, Budget(relative_norm=0.1, navigation=0.9))
    assert best == {"corner": {"a": chosen, "b": None, "c": rows[-1]}}


def test_a_change_of_both_parameters_and_activations_is_judged_as_one(comparison: MazeComparison) -> None:
    judge, inputs = comparison.judge, comparison.side_effects.subject.inputs
    both = Change(torch.lerp(judge.theta, judge.theta_0, 0.2), {"trunk": lambda h: h * 0})
    assert both.relative_norm(judge, inputs) == pytest.approx(0.2, rel=1e-4)
    logits = both.network(judge)(inputs)[0]
    assert torch.equal(logits, logits[:1].expand_as(logits))
    assert Change().relative_norm(judge, inputs) == 0
    assert torch.equal(Change().network(judge)(inputs)[0], judge.network_at(judge.theta)(inputs)[0])


def test_what_cannot_be_compared_is_refused(comparison: MazeComparison, small_run: Run) -> None:
    method = Method("same", lambda _: [])
    with pytest.raises(ValueError, match="two methods are called 'same': give each its own name"):
        comparison.rows([method, method])
    other = Directions(np.eye(1, 5), np.ones(1), np.zeros((0, 1)))
    with pytest.raises(ValueError, match="directions of 'other' have 5 entries, the network has"):
        MazeComparison(small_run, {"other": other}, SETTINGS)
    with pytest.raises(ValueError, match="level_seed is 0 of split 'tune'"):
        CompareSettings(split="tune")
    with pytest.raises(ValueError, match="levels is 1: give at least 2"):
        CompareSettings(levels=1)
