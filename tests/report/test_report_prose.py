from pathlib import Path

import numpy as np
import pytest

from goalcut.report import maze_cut_prose, maze_prose, prose
from goalcut.report.maze_inputs import MazeInputs
from goalcut.report.style import decimal, duration, rounded, steps


def inputs_with(directory: Path, **changes) -> MazeInputs:
    known = MazeInputs.of(directory)
    return MazeInputs(
        **{
            name: changes.get(name, getattr(known, name))
            for name in (
                "run",
                "config",
                "progress",
                "evaluation",
                "analysis",
                "ablation",
                "measured",
                "strengths",
            )
        }
    )


def measured(corner, cheese):
    points = zip(corner, cheese, strict=True)
    return [
        {"env_steps": 1000 * i, "measures": {"corner_reach": a, "cheese_from_corner": b}}
        for i, (a, b) in enumerate(points)
    ]


@pytest.mark.parametrize(
    ("corner", "cheese", "says"),
    [
        ([0.1, 0.9, 0.9], [0.4, 0.4, 0.8], "Corner-seeking came first"),
        ([0.1, 0.9, 0.9], [0.4, 0.7, 0.8], "Corner-seeking came only a little earlier"),
        ([0.1, 0.1, 0.9], [0.4, 0.8, 0.8], "Cheese-seeking came no later"),
        ([0.1, 0.12, 0.13], [0.4, 0.8, 0.8], "hardly changed"),
    ],
)
def test_the_order_of_goals_is_read_off_the_curves(trained_directory, corner, cheese, says):
    inputs = inputs_with(trained_directory, measured=measured(corner, cheese), analysis=None)
    assert says in maze_prose.learning_order(inputs)


def test_the_passing_lies_on_the_curve(trained_directory):
    inputs = inputs_with(trained_directory, measured=measured([0, 0.5, 1.0], [0, 0.0, 1.0]), analysis=None)
    passing = inputs.passing()
    assert passing is not None
    assert passing.env_steps == pytest.approx(1400)
    assert passing.paid_retention == pytest.approx(0.4)


def test_what_counts_as_learned_is_what_the_analysis_took(full_directory):
    inputs = MazeInputs.of(full_directory)
    assert inputs.analysis is not None
    assert inputs.passed == 0.7
    inputs.analysis["settings"] = {"passes": 0.5}
    assert "first passes 0.5 of what training changed" in maze_prose.learning_order(inputs)


@pytest.mark.parametrize(
    ("above", "null", "says"),
    [(10, 100, "far more"), (70, 100, "somewhat more"), (95, 100, "no more concentrated")],
)
def test_a_spectrum_is_judged_by_its_null(above, null, says):
    analysis = {"singular_values": [1.0] * 100, "above_tenth": above, "null_above_tenth": null}
    assert says in prose.spectrum(analysis)


def test_halves_that_agree_on_nothing_read_as_a_null_result():
    halves = {"eigenvalues": [1.0, -0.5], "null_top": [2.0], "signal_directions": 0, "noise_floor": -0.5}
    assert "agree on nothing" in prose.cross_half({"cross_half": halves}, "images")
    assert "push against each other" in prose.cross_half(
        {"cross_half": halves | {"noise_floor": -3.0}}, "images"
    )
    opposed = halves | {"negative_directions": 2}
    assert "2 negative ones lie as clearly below zero" in prose.cross_half({"cross_half": opposed}, "images")


def test_a_cut_that_its_control_matches_is_not_told_from_it(full_directory):
    inputs = MazeInputs.of(full_directory)
    assert "cannot be told" not in maze_cut_prose.best_cuts(inputs)
    for row in inputs.controls:
        row["selectivity"], row["selectivity_interval"] = 0.9, [0.8, 1.0]
    assert maze_cut_prose.best_cuts(inputs).count("cannot be told") == 2


def test_a_loss_that_neither_goal_gains_is_said(full_directory):
    inputs = MazeInputs.of(full_directory)
    cut = next(row for row in inputs.cuts if row["name"] == "tuned: remove corner")
    cut["measures"] |= {"corner_first": 0.1, "cheese_first": 0.44}
    assert "goes to neither goal" in maze_cut_prose.cut_mazes(inputs, [cut["name"]])
    cut["measures"] |= {"cheese_first": 0.8}
    assert "neither" not in maze_cut_prose.cut_mazes(inputs, [cut["name"]])


def test_an_agent_whose_interval_meets_the_untrained_one_did_not_learn(full_directory):
    inputs = MazeInputs.of(full_directory)
    assert "It learned" in maze_prose.learned_what(inputs)
    assert inputs.evaluation is not None
    inputs.evaluation["agents"]["trained"]["cheese_return"] = {"mean": 0.05, "low": 0.01, "high": 0.09}
    assert "did not learn" in maze_prose.learned_what(inputs)


def test_unrelated_time_and_strength_are_called_so(full_directory):
    inputs = MazeInputs.of(full_directory)
    assert inputs.analysis is not None
    inputs.analysis["directions"]["centre_of_mass"] = np.random.default_rng(0).random(12).tolist()
    assert "not clearly related" in prose.time_and_strength(inputs)
    inputs.analysis["directions"]["centre_of_mass"] = np.linspace(0.1, 0.9, 12).tolist()
    assert "Early directions are stronger" in prose.time_and_strength(inputs)


def test_numbers_are_written_one_way():
    assert [decimal(v) for v in (0.834, -0.014, -0.001, None, float("nan"))] == [
        "0.83",
        "−0.01",
        "0.00",
        "–",
        "–",
    ]
    assert [steps(v) for v in (640, 655360, 3932160)] == ["640", "655k", "3.93M"]
    assert [duration(v) for v in (1.23, 59.2, 395, 7500)] == ["1.2 s", "59 s", "6 min 35 s", "2 h 5 min"]
    assert rounded({"a": [0.123456, float("inf"), 3]}) == {"a": [0.1235, None, 3]}
