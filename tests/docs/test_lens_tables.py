"""docs/results/lens_tables.py: what lenses found, over seeds."""

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def lens_tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RESULTS))
    return importlib.import_module("lens_tables")


def channels(cosine: float) -> dict[str, Any]:
    agreement = {"cosine": cosine, "cosine_chance": 0.2}
    return {
        "settings": {"inputs": 2000},
        "figures": {
            "early": "a",
            "late": "b",
            "networks": {"trained": {"covariance": {"agreement": agreement}}},
        },
    }


def comparison(selectivity: float, random: float, *, without: bool = False) -> dict[str, Any]:
    """Two lenses of one layer, the second never within the budget; of each two changes, one better on tuning data."""
    methods = {
        name: {"lens": lens, "space": "b", "entries": 8, "control": lens == "random"}
        for name, lens in (
            ("features at b", "features"),
            ("rotation at b", "rotation"),
            ("random 1", "random"),
            ("random 2", "random"),
        )
    }

    def found(method: str, chosen_by: float, selectivity: float) -> dict[str, Any]:
        return {
            "method": method,
            "removes": "corner",
            "selectivity": selectivity,
            "tuning_selectivity": chosen_by,
            "relative_norm": 0.1,
            "navigation": 1.0,
            "kl": 0.01,
        }

    best = {
        "features at b": None if without else found("features at b", 0.5, selectivity),
        "rotation at b": None,
        # The second is chosen on tuning data, though the first is more selective on held-out levels.
        "random 1": found("random 1", 0.1, 0.9),
        "random 2": found("random 2", 0.2, random),
    }
    rows = [*(row for row in best.values() if row), found("rotation at b", 0.7, 0.6)]
    angles = [
        {"a": "features at b", "b": "rotation at b", "k": k, "overlap": 0.9, "chance": k / 8} for k in (1, 2)
    ]
    return {
        "kind": "maze",
        "settings": {"relative_norm": 0.5, "navigation": 0.9},
        "goals": {"corner": "corner_reach"},
        "methods": methods,
        "best": {"corner": best},
        "rows": rows,
        "angles": angles,
    }


def run_with(directory: Path, seed: int, kind: str = "maze", **lenses: Any) -> Any:
    folder = directory / f"{kind}-{seed}"
    (folder / "lenses").mkdir(parents=True)
    for name, saved in lenses.items():
        (folder / "lenses" / f"{name}.json").write_text(json.dumps(saved))
    return SimpleNamespace(directory=folder, kind=kind, settings=SimpleNamespace(seed=seed))


def cells(text: str, begins: str) -> list[str]:
    """The cells of the first row that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {begins} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_cell_is_the_median_over_seeds_with_the_lowest_and_highest(
    lens_tables: ModuleType, tmp_path: Path
) -> None:
    runs = [run_with(tmp_path, seed, channels=channels(c)) for seed, c in enumerate((0.1, 0.9, 0.5))]
    text = lens_tables.tables(runs)
    said = text[text.index("E[JJᵀ]") :]
    assert cells(said, "trained")[:2] == ["0.50 (0.10 to 0.90)", "0.20 (0.20 to 0.20)"]
    assert cells(said, "trained")[-1] == "2 of 3"
    assert text.index("seeds 0, 1, 2") < text.index("## channels")
    assert "## features\n\nNot run." in text


def test_figures_that_do_not_follow_the_seed_are_told_once(lens_tables: ModuleType, tmp_path: Path) -> None:
    toy = {
        "features": 8,
        "hidden": 4,
        "sparsity": 0.95,
        "kept": 8.0,
        "found": 8.0,
        "matched": 1.0,
        "chance": 0.79,
    }
    start = {"loss": 2.0, "matched_with_best": {"fc": 1.0}, "start": "identity"}
    figures = {
        "bases": {},
        "controls": {},
        "apart": {},
        "last_layer": {"output": "logits", "matched_with_identity": 0.5},
        "toy": [toy],
        "chance": {"fc": {"mean": 0.5}},
        "joint": [start, start | {"loss": 2.5, "matched_with_best": {"fc": 0.6}, "start": "random"}],
        "matched_with_joint": {"neurons": {"fc": 0.9}},
    }
    saved = {"settings": {"inputs": 2000}, "figures": figures}
    text = lens_tables.tables([run_with(tmp_path, seed, rotation=saved) for seed in range(3)])
    assert cells(text, "8 features, 4 dimensions, 0.95 of them zero") == ["8.00", "8.00", "1.00", "0.79"]
    # The best start agrees with itself: that is left out.
    assert cells(text, "fc, started from identity")[0] == "–"
    assert cells(text, "fc, started from random") == ["0.60 (0.60 to 0.60)", "0.50 (0.50 to 0.50)", "3 of 3"]
    assert cells(text, "fc, neurons")[0] == "0.90 (0.90 to 0.90)"


def test_what_a_seed_lacks_is_left_out_and_counted(lens_tables: ModuleType, tmp_path: Path) -> None:
    runs = [
        run_with(tmp_path, 0, compare=comparison(0.4, 0.1)),
        run_with(tmp_path, 1, compare=comparison(0.2, 0.3)),
        run_with(tmp_path, 2, compare=comparison(0.8, 0.3, without=True)),
        run_with(tmp_path, 3),
    ]
    text = lens_tables.tables(runs, k=2)
    assert "Without seeds 3." in text
    features = cells(text, "remove corner: features")
    assert features[0] == "0.30 (0.20 to 0.40), 2 of 3"
    # Held against the random subspaces of the same space in the seeds that have such a cut.
    assert features[-2:] == ["0.20 (0.10 to 0.30), 2 of 3", "1 of 2"]
    assert set(cells(text, "remove corner: rotation")) == {"–"}
    longer = text[text.index("of any length") :]
    assert cells(longer, "remove corner: rotation at b")[0] == "0.60 (0.60 to 0.60)"
    assert cells(text, "features at b, rotation at b")[:2] == ["0.9 (0.9 to 0.9)", "0.25 (0.25 to 0.25)"]


def test_of_digits_the_best_one_is_chosen_on_tuning_data_and_the_mean_is_over_all(
    lens_tables: ModuleType, tmp_path: Path
) -> None:
    saved = comparison(0.4, 0.1)
    template = saved["best"]["corner"]["features at b"]
    saved["kind"] = "digits"
    saved["goals"] = {f"digit_{d}": f"accuracy_{d}" for d in range(10)}
    saved["best"] = {
        goal: {
            "features at b": {
                **template,
                "removes": goal,
                "selectivity": d / 10,
                "tuning_selectivity": float(d == 4),
                "retention": {f"accuracy_{e}": 0.2 if e == d else 0.6 if e == 9 else 1.0 for e in range(10)},
            }
        }
        for d, goal in enumerate(saved["goals"])
    }
    saved["rows"] = [row for of in saved["best"].values() for row in of.values()]
    text = lens_tables.tables([run_with(tmp_path, 0, "digits", compare=saved)])
    found = cells(text, "remove any digit: features")
    assert found[0] == "0.40"
    assert "mean over digits" in text
    assert found[3] == "0.45"
    # Of the digit, of the nine others on average, of the worst of them.
    assert cells(text, "remove digit_4: features") == ["0.20", "0.96", "0.60"]


TIMES = [0, 10, 20, 30]


def course(**found: Any) -> dict[str, Any]:
    return {"settings": {"times": TIMES}, "times": TIMES, "time_unit": "rollout", **found}


def through_training(rise: float, *, met: bool = True) -> dict[str, dict[str, Any]]:
    """Three lenses of one run whose cosine, features and coefficient go up by so much at each time."""
    up = [rise * place for place in range(4)]
    cosines = [
        {
            "time": time,
            "layer": layer,
            "of": of,
            "cosine_1": 0.2 + value,
            "same_spectrum_1": 0.25,
            "initial_1": 0.1,
            "movement_1": 0.3 + value,
            "movement_same_spectrum_1": 0.3,
            "identity_by_construction": layer == "last",
        }
        for time, value in zip(TIMES, up, strict=True)
        for layer in ("fc", "last")
        for of in ("logits", "loss")
    ]
    turns = {"turns": 8, "coinciding": 4, "coinciding_null": 2.0, "coinciding_p": 0.1}
    steps = {
        **{
            "opposing": 0.75,
            "opposing_null": 0.5,
            "opposing_p": 0.2,
            "correlation": -0.4,
            "correlation_p": 0.3,
        },
        **{"steps": [10, 20], "loss_steps": [20]},
        **({"met": turns} if met else {}),
    }
    rows = [
        {"time": time, "value": 5 + value, "standard_error": 0.5, "loss": 2 - value}
        for time, value in zip(TIMES, up, strict=True)
    ]
    numbers = {"given": {"participation": [2 + value for value in up]}}
    reached = {"generalization": [0.1, 0.2, 0.4, 0.3], "measured": "paid"}
    return {
        "ansatz": {"figures": {"summary": []}, "through_training": course(rows=cosines)},
        "features": {
            "figures": {"layers": {}},
            "through_training": course(layers={"fc": numbers}, **reached),
        },
        "curvature": {
            "figures": {"forms": {}, "rank": {}},
            "through_training": course(rows=rows, landscape="regret", staircases=steps),
        },
    }


def seeds_through_training(tmp_path: Path, **met: bool) -> list[Any]:
    found = [through_training(0.1), through_training(0.2), through_training(-0.05, met=met.get("met", True))]
    for saved in found:
        for lens in saved.values():
            lens["settings"] = {"inputs": 2000}
    return [run_with(tmp_path, seed, **saved) for seed, saved in enumerate(found)]


def test_figures_through_training_are_told_over_seeds_at_each_time(
    lens_tables: ModuleType, tmp_path: Path
) -> None:
    text = lens_tables.tables(seeds_through_training(tmp_path))
    ansatz, features, curvature = (
        text[text.index(f"### {name} through training") :].split("\n## ")[0]
        for name in ("ansatz", "features", "curvature")
    )
    assert cells(ansatz, "rollout 30")[0] == "0.50 (0.05 to 0.80)"
    assert cells(ansatz, "rollout 30")[-1] == "2 of 3"
    # At each time of the first function alone, and never of a layer in which it holds by construction.
    assert "in last" not in ansatz
    assert "of loss" not in ansatz
    for function in ("logits", "loss"):
        first, last, beside, rank = cells(ansatz, f"fc, {function}")
        assert [first, last] == ["0.20 (0.20 to 0.20)", "0.50 (0.05 to 0.80)"]
        assert [beside, rank] == ["0.25 (0.25 to 0.25)", "1.00 (−1.00 to 1.00)"]
    more = ansatz[ansatz.index("More of it in fc") :]
    assert cells(more, "rollout 30")[4:6] == ["0.60 (0.15 to 0.90)", "0.30 (0.30 to 0.30)"]
    assert cells(features, "rollout 30") == ["0.30 (0.30 to 0.30)", "2.30 (1.85 to 2.60)"]
    assert cells(features, "fc")[:2] == ["0.80 (−0.80 to 0.80)", "1.00 (−1.00 to 1.00)"]
    assert cells(curvature, "rollout 30") == ["5.3 (4.85 to 5.6)", "0.5 (0.5 to 0.5)", "1.7 (1.4 to 2.15)"]
    assert cells(curvature, "intervals in which one falls and the other rises") == [
        *("0.750 (0.750 to 0.750)", "0.500 (0.500 to 0.500)", "0.200 (0.200 to 0.200)", "3 of 3")
    ]
    assert cells(curvature, "share of profiles' turns at steps of the coefficient")[:2] == [
        *("0.500 (0.500 to 0.500)", "0.250 (0.250 to 0.250)")
    ]


def test_a_run_without_profiles_or_without_a_course_is_left_out_and_counted(
    lens_tables: ModuleType, tmp_path: Path
) -> None:
    runs = seeds_through_training(tmp_path, met=False)
    plain = through_training(0.1)["ansatz"] | {"settings": {"inputs": 2000}}
    del plain["through_training"]
    text = lens_tables.tables([*runs, run_with(tmp_path, 7, ansatz=plain)])
    said = "share of profiles' turns at steps of the coefficient"
    assert cells(text, said)[0] == "0.500 (0.500 to 0.500), 2 of 3"
    ansatz = text[text.index("### ansatz through training") :]
    assert ansatz.startswith("### ansatz through training\n\nWithout seeds 7.")
    alone = lens_tables.tables([run_with(tmp_path, 8, ansatz=plain)])
    assert "through training" not in alone


def test_courses_of_different_times_are_refused(lens_tables: ModuleType, tmp_path: Path) -> None:
    runs = seeds_through_training(tmp_path)
    path = runs[2].directory / "lenses" / "features.json"
    saved = json.loads(path.read_text())
    saved["through_training"]["settings"] = {"times": [0, 1]}
    path.write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=r"features.json has other settings through training than"):
        lens_tables.tables(runs)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([(0, "maze", 0.5), (0, "other", 0.5)], "give runs of one kind"),
        ([(0, "maze", 0.5), (1, "maze", None)], r"channels.json has other settings"),
    ],
)
def test_runs_that_cannot_be_told_of_together_are_refused(
    lens_tables: ModuleType, tmp_path: Path, runs: list[tuple[int, str, float | None]], said: str
) -> None:
    made = []
    for seed, kind, cosine in runs:
        saved = channels(cosine or 0.5)
        if cosine is None:
            saved["settings"]["inputs"] = 10
        made.append(run_with(tmp_path, seed, kind, channels=saved))
    with pytest.raises(ValueError, match=said):
        lens_tables.tables(made)
    with pytest.raises(ValueError, match="give a run of each seed"):
        lens_tables.tables(made[:1] * 2)


def test_a_folder_that_is_no_run_is_one_line(
    lens_tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["lens_tables.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^lens_tables: .*is missing"):
        lens_tables.main()
