from dataclasses import replace

import numpy as np
import pytest

from goalcut.report import digit_cut_prose, digit_prose
from goalcut.report.digit_inputs import DigitInputs


@pytest.fixture(scope="module")
def inputs(digits_full) -> DigitInputs:
    return DigitInputs.of(digits_full)


def counted(inputs: DigitInputs, means: list[float], nulls: list[float]) -> DigitInputs:
    shares = [0.05, 0.1, 0.15, 0.3, 0.4]
    raw = {"mean": means, "sd": [5.0] * 5, "null_mean": nulls, "null_sd": [1.0] * 5}
    counts = {"sampled": 400, "draws": 10, "thresholds": shares, "raw": raw}
    return replace(inputs, analysis=(inputs.analysis or {}) | {"counts": counts})


def test_a_count_is_held_against_the_post_the_null_and_its_threshold(inputs):
    alike = counted(inputs, [285, 95.9, 41.8, 9, 9], [400, 400, 393, 355, 271])
    text = digit_prose.counts(alike)
    assert "95.9 ± 5.0 singular values exceed a tenth of the largest, as in the post (92.5 ± 11.6)" in text
    assert "fewer than the 400 of white noise" in text
    assert "no fewer" not in text
    assert "the threshold's doing: 285 at 0.05 and 42 at 0.15" in text


def test_a_count_that_equals_its_null_is_called_so(inputs):
    text = digit_prose.counts(counted(inputs, [400, 390, 380, 300, 200], [400, 400, 393, 355, 271]))
    assert "unlike in the post" in text
    assert "no fewer than the 400 of white noise" in text
    assert "hardly moves it" in text


def test_a_count_that_stands_still_is_seen(inputs):
    nulls = [400.0, 400, 393, 355, 271]
    assert "Between 0.3 and 0.4 of the largest the count stands still, at 9.0" in digit_prose.plateau(
        counted(inputs, [285, 95.9, 41.8, 9, 9], nulls)
    )
    assert digit_prose.plateau(counted(inputs, [285, 95.9, 41.8, 20, 9], nulls)) == ""
    assert digit_prose.plateau(counted(inputs, [400, 400, 400, 400, 400], nulls)) == ""


@pytest.mark.parametrize(
    ("signal", "says"), [(0.03, "most of what is left is noise"), (0.2, "and it leaves 0.20")]
)
def test_a_residual_names_what_a_random_span_leaves(inputs, signal, says):
    samples = {"sampled": [50, 300], "mean": [0.4, 0.23], "noise": [1, 0.999], "signal_mean": [0.3, signal]}
    text = digit_prose.residual(replace(inputs, analysis={"residual": {"samples": samples}}))
    assert "300 sampled updates leaves 0.23" in text
    assert "a random span would leave 1.00" in text
    assert says in text


@pytest.mark.parametrize(
    ("first", "says"), [(0.5, "goes over the directions"), (0.9, "has directions of its own")]
)
def test_epochs_are_compared(first, says):
    residuals = {"ranks": [1, 10], "epoch_1": [0.9, first], "same_epoch": [0.88, 0.45]}
    assert says in digit_prose.epochs(residuals)


@pytest.mark.parametrize(("small", "says"), [(1, "cannot be told from"), (5, "more than")])
def test_turning_is_held_against_chance(inputs, small, says):
    tested = {"p_value": [0.01] * small + [0.5] * (20 - small), "found_null": 1.1, "found_p": 0.5 / small**2}
    text = digit_prose.turning(replace(inputs, analysis={"turning": tested}))
    assert f"{says} the 1.1 of permuted profiles" in text


@pytest.mark.parametrize(
    ("p", "says"), [(0.001, "more than the 38.3"), (0.4, "no more than can come of the 38.3")]
)
def test_turns_are_held_against_the_same_ones_moved(p, says):
    tested = {"turns": 84, "coinciding": 65, "coinciding_null": 38.3, "coinciding_p": p}
    assert says in digit_prose.turns(tested)


def test_the_largest_confusions_are_named():
    tables = np.full((2, 10, 10), 0.001)
    tables[0, 1, 2], tables[1, 9, 4], tables[1, 5, 3] = 0.9, 0.043, 0.02
    text = digit_prose.confusions(tables)
    assert "9 called 4 (4\u00a0%), 5 called 3 (2\u00a0%)" in text
    assert "1 called 2" not in text


def test_digits_are_ordered_by_when_they_were_learned(inputs):
    measured = [
        {
            "update": update,
            "measures": {f"digit_{d}": 0.95 if update >= 10 * (d + 1) else 0.2 for d in range(9)},
        }
        for update in range(0, 100, 10)
    ]
    text = digit_prose.learning(replace(inputs, measured=measured))
    assert "Digit 0 is the first to reach an accuracy of 0.9, at update 10, and 8 the last, at 90" in text
    assert "9 never does" in text


def test_accuracy_is_of_all_images_where_it_is_known(inputs):
    assert "a digit's test images on average" in digit_prose.learned_what(inputs)
    agents = inputs.evaluation["agents"]
    known = {
        name: of | {"accuracy": {"mean": 0.957, "low": 0.95, "high": 0.96}} for name, of in agents.items()
    }
    text = digit_prose.learned_what(replace(inputs, evaluation={"agents": known}))
    assert "It recognises 0.957 of the test images" in text


def test_a_cut_that_its_control_matches_is_not_told_from_it(inputs):
    rows = [dict(row, selectivity=0.2, selectivity_interval=[0.1, 0.3]) for row in inputs.rows]
    assert "cannot be told apart" in digit_cut_prose.all_cuts(replace(inputs, ablation={"rows": rows}))
    assert "No one of the 3 single directions is" in digit_cut_prose.singles(
        replace(inputs, ablation={"rows": rows})
    )
    for row in rows:
        if row["selection"] != "control":
            row |= {"selectivity": 0.9, "selectivity_interval": [0.8, 1.0]}
    apart = replace(inputs, ablation={"rows": rows})
    assert "cannot be told" not in digit_cut_prose.all_cuts(apart)
    assert "3 of the 3 single directions are more selective than every control" in digit_cut_prose.singles(
        apart
    )


def test_forgetting_names_the_best_kind_of_control(inputs):
    rows = [dict(row) for row in inputs.rows]
    for row in rows:
        if row["name"].startswith("shrink"):
            row["selectivity"] = 2.0
    assert "kind of control, shrink" in digit_cut_prose.forgetting(replace(inputs, ablation={"rows": rows}))
