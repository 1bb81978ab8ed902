"""`goalcut lens`: every lens on a small maze run and a small MNIST run, their comparison, and the report of both."""

import importlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.files import read_json
from goalcut.agents.open_run import open_run
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.analysis.directions import Directions
from goalcut.analysis.lenses import LENSES, look
from goalcut.cli import main
from goalcut.envs.worlds import CheeseInCorner
from goalcut.report import write_report
from goalcut.report.kinds import inputs_of
from goalcut.report.lens_sections import lens_sections
from goalcut.report.lens_tables import best_rows

TINY = {
    "ansatz": "--ansatz.directions 3 --ansatz.draws 2",
    "curvature": "--curvature.inputs 20 --curvature.eigenpairs 3 --curvature.bottom 0 --curvature.probes 2 "
    "--curvature.steps 4 --curvature.trace-probes 2 --curvature.rank-inputs 4 --curvature.measured 2 "
    "--curvature.chains 0 --curvature.tolerance 0.1",
    "features": "--features.directions 4 --features.draws 1 --features.restarts 1 --features.interaction-inputs 10",
    "rotation": "--rotation.inputs 10 --rotation.blocks 10 --rotation.steps 3 --rotation.starts identity "
    "--rotation.control-updates 0 --rotation.no-toy --rotation.directions 4",
    "channels": "--channels.inputs 10 --channels.directions 4 --channels.late-cells 1",
}
INPUTS = ["--inputs", "60"]
THROUGH = {
    "ansatz": "--through-training 4",
    "curvature": "--through-training 4 --coefficient.levels 4 --coefficient.burn-in 1 --coefficient.draws 10",
    "features": "--through-training 4",
}
COMPARE = (
    "--counts 1 3 --doses 1 --lengths 0.1 --draws 1 --levels 8 --choosing-levels 8 --images 40 --choosing-images 40 "
    "--inputs 40"
).split()
RUNS = ("maze", "digits")
UNITS = ("single units by effect", "single units at random")


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def trained(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    directory, threads = tmp_path_factory.mktemp("lenses"), torch.get_num_threads()
    maze = TrainSettings(
        world=CheeseInCorner(size=5, corner_size=2),
        ppo=PPOSettings(rollouts=4, num_envs=16, num_steps=8, minibatches=2, precision="float32"),
        num_levels=64,
        measure_every=0,
        threads=1,
    )
    run = Run.create(directory / "maze", maze)
    train(run)
    digits = DigitSettings(
        hidden=(12, 8),
        epochs=4,
        batch_size=16,
        learning_rate=0.05,
        record="none",
        measure_every=0,
        data_dir=few_digits,
        threads=1,
    )
    classifier = DigitRun.create(directory / "digits", digits)
    train_digits(classifier)
    yield {"maze": run.directory, "digits": classifier.directory}
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def looked(trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both runs, looked at through every lens and compared."""
    found = {}
    for kind, directory in trained.items():
        found[kind] = Path(shutil.copytree(directory, tmp_path_factory.mktemp("looked") / kind))
        for name in LENSES:
            assert goalcut("lens", name, found[kind], *INPUTS, *TINY[name].split()) == 0, name
        assert goalcut("lens", "compare", found[kind], *COMPARE) == 0
    return found


def strict(path: Path) -> dict[str, Any]:
    """JSON that holds neither NaN nor infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path} holds {word}")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("name", LENSES)
def test_a_lens_leaves_figures_settings_and_directions(looked: dict[str, Path], kind: str, name: str) -> None:
    saved = strict(looked[kind] / "lenses" / f"{name}.json")
    assert saved["figures"]
    assert saved["settings"]["inputs"] == 60
    assert saved["settings"][name]["seed"] == 0
    assert saved["directions"]
    for space, of in saved["directions"].items():
        found = Directions.load(looked[kind] / "lenses" / f"{name}-{space}.safetensors")
        assert found.space == space
        assert found.vectors.shape == (of["count"], of["entries"])


@pytest.mark.parametrize("name", LENSES)
def test_every_lens_teaches_its_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("lens", name, "--help") == 0
    said = capsys.readouterr().out
    for option in ("--inputs", "--input-seed", "--time", "--device", f"--{name}.seed"):
        assert option in said, option


def test_a_lens_is_not_run_again_unless_a_setting_is_another(
    looked: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(looked["maze"], tmp_path / "again"))
    path, words = run / "lenses" / "channels.json", [*INPUTS, *TINY["channels"].split()]
    before = path.stat().st_mtime_ns
    assert goalcut("lens", "channels", run, *words) == 0
    assert path.stat().st_mtime_ns == before
    assert goalcut("lens", "channels", run, *words, "--time", "0") == 0
    assert path.stat().st_mtime_ns > before
    assert strict(path)["settings"]["time"] == 0
    # Cuts are of the trained network, so directions of another time are refused.
    capfd.readouterr()
    assert goalcut("lens", "compare", run, *COMPARE) == 1
    assert "without --time" in capfd.readouterr().err


@pytest.mark.parametrize("kind", RUNS)
def test_a_comparison_cuts_every_lens_beside_random_subspaces_and_single_units(
    looked: dict[str, Path], kind: str
) -> None:
    saved = strict(looked[kind] / "lenses" / "compare.json")
    methods, goals = saved["methods"], set(saved["goals"])
    assert {of["lens"] for of in methods.values()} == {*LENSES, "random", *UNITS}
    assert len(goals) == (2 if kind == "maze" else 10)
    for name, of in methods.items():
        rows = [row for row in saved["rows"] if row["method"] == name]
        assert {row["removes"] for row in rows} == goals
        assert {row["k"] for row in rows} <= {1, 3}
        controls = [
            other["lens"]
            for other in methods.values()
            if other["control"] and (other["space"], other["entries"]) == (of["space"], of["entries"])
        ]
        assert controls == ["random", *(() if of["space"] == "parameters" else UNITS)], name
    assert all(row["kl"] >= -1e-12 for row in saved["rows"])
    assert any(row["relative_norm"] > 0 for row in saved["rows"])


@pytest.mark.parametrize("kind", RUNS)
def test_the_temporal_svd_stands_beside_the_lenses_where_a_run_was_analyzed(
    trained: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    directory = Path(shutil.copytree(trained[kind], tmp_path / kind))
    assert goalcut("lens", "features", directory, *INPUTS, *TINY["features"].split()) == 0
    parameters = len(open_run(directory).parameters_after())
    (directory / "analysis").mkdir()
    vectors, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((parameters, 3)))
    found = Directions(np.ascontiguousarray(vectors.T), np.ones(3), np.zeros((4, 3)))
    found.save(directory / "analysis" / "directions.safetensors")
    assert goalcut("lens", "compare", directory, *COMPARE, "--counts", "1") == 0
    saved = strict(directory / "lenses" / "compare.json")
    assert saved["methods"]["temporal SVD at parameters"]["entries"] == parameters
    assert {row["removes"] for row in saved["rows"] if row["method"].startswith("temporal")} == set(
        saved["goals"]
    )


@pytest.mark.parametrize("kind", RUNS)
def test_angles_stand_beside_chance_in_the_spaces_that_lenses_share(
    looked: dict[str, Path], kind: str
) -> None:
    angles = strict(looked[kind] / "lenses" / "compare.json")["angles"]
    assert {("features", "rotation")} <= {
        (row["a"].split(" at ")[0], row["b"].split(" at ")[0]) for row in angles
    }
    for row in angles:
        assert len(row["angles"]) == row["k"]
        assert row["overlap"] == pytest.approx(float((np.cos(np.radians(row["angles"])) ** 2).mean()))
        assert row["chance"] == row["k"] / row["dimensions"]


def test_a_killed_comparison_goes_on_where_it_stopped(
    looked: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(looked["maze"], tmp_path / "killed"))
    path = run / "lenses" / "compare.json"
    whole = path.read_bytes()
    path.unlink()
    from goalcut.ablate.compare import Comparison

    judged, judge_one = [], Comparison._judged

    def stopping(self: Comparison, *about: Any) -> Any:
        judged.append(about)
        if len(judged) == 4:
            raise OSError("stopped here")
        return judge_one(self, *about)

    monkeypatch.setattr(Comparison, "_judged", stopping)
    assert goalcut("lens", "compare", run, *COMPARE) == 1
    assert not path.exists()
    assert goalcut("lens", "compare", run, *COMPARE) == 0
    rows = len({(row["method"], row["k"], row["dose"]) for row in read_json(path)["rows"]})
    assert len(judged) == rows + 1
    assert path.read_bytes() == whole
    assert not (run / "lenses" / "compare-rows.jsonl").exists()


@pytest.mark.parametrize("kind", RUNS)
def test_the_report_has_a_section_per_lens_and_one_of_the_comparison(
    looked: dict[str, Path], kind: str
) -> None:
    text = write_report(looked[kind]).read_text()
    for name in (*LENSES, "compare"):
        assert f'<section id="{name}">' in text
    assert "random subspaces" in text
    assert ("Accuracy on each digit" in text) == (kind == "digits")


@pytest.mark.parametrize("kind", RUNS)
def test_the_report_draws_what_each_lens_found_beside_its_control(looked: dict[str, Path], kind: str) -> None:
    sections = {one.anchor: one for one in lens_sections(inputs_of(looked[kind]))}
    titles = {
        name: [plot.figure.layout.title.text for one in section.exhibits for plot in one.plots]
        for name, section in sections.items()
    }
    layers, last = (
        (("trunk.0", "trunk.2", "trunk.5"), "trunk.5") if kind == "maze" else (("1", "3", "5"), "3")
    )
    for layer in layers:
        drawn = [title for title in titles["features"] if title and title.startswith(f"{layer}, ")]
        assert [title.split(", ")[1] for title in drawn] == ["neurons", "features", "shuffled"]
    assert f"{last} to logits, random bases" in titles["rotation"]
    assert {"trained", "untrained", "permuted"} <= set(titles["channels"])
    spectrum = next(
        one for one in sections["curvature"].exhibits if one.caption.startswith("The whole spectrum")
    )
    assert "Gauss–Newton, untrained" in [trace.name for trace in spectrum.plots[1].figure.data]
    (pictures,) = [one for one in sections["curvature"].exhibits if one.block]
    # Three most active inputs, three least active, and the gradient: of a maze one per plane.
    assert str(pictures.block).count("<img") == 3 * (3 + 3 + (3 if kind == "maze" else 1))
    assert str(pictures.block).count("random direction") >= 1
    tables = [table.caption for section in sections.values() for table in section.tables]
    for said in (
        "The mirror image",
        "Of the whole spectrum",
        "Eigenpairs",
        "graph of all layers",
        "Restarts",
    ):
        assert any(said in caption for caption in tables), said


@pytest.mark.parametrize("kind", RUNS)
def test_every_plot_and_picture_of_the_lenses_is_drawn_in_a_browser(
    looked: dict[str, Path], kind: str, browser: Any
) -> None:
    page, complaints = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.set_default_timeout(180_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(write_report(looked[kind]).as_uri())
    plots = sum(len(one.plots) for s in lens_sections(inputs_of(looked[kind])) for one in s.exhibits)
    page.locator(".plot.js-plotly-plot").nth(plots - 1).wait_for(state="attached")
    drawn = "plots => plots.every(plot => plot.querySelector('.main-svg') && plot.clientWidth > 100)"
    assert page.eval_on_selector_all(".plot", drawn)
    shown = (
        "images => images.every(image => image.complete && image.naturalWidth > 0 && image.clientWidth > 50)"
    )
    assert page.eval_on_selector_all(".measured img", shown)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert complaints == []
    page.close()


@pytest.mark.parametrize("kind", RUNS)
def test_the_report_shows_angles_in_every_shared_space_beside_chance(
    looked: dict[str, Path], kind: str
) -> None:
    saved = strict(looked[kind] / "lenses" / "compare.json")
    (section,) = [one for one in lens_sections(inputs_of(looked[kind])) if one.anchor == "compare"]
    shown = [one for one in section.exhibits if one.caption.startswith("How far lenses name the same")]
    spaces = list(dict.fromkeys((row["space"], row["dimensions"]) for row in saved["angles"]))
    assert len(shown) == len(spaces) > 0
    for (space, d), exhibit in zip(spaces, shown, strict=True):
        of = [row for row in saved["angles"] if (row["space"], row["dimensions"]) == (space, d)]
        largest = max(row["k"] for row in of)
        assert f"directions of {space}:" in exhibit.caption
        assert f"chance is k/d = {largest}/{d} = " in exhibit.caption
        (heat,) = exhibit.plots[0].figure.data
        columns = [int(k) for k in heat.x]
        assert list(heat.z[-1]) == [k / d for k in columns]
        for row in of:
            names = " and ".join(row[side].removesuffix(f" at {space}") for side in ("a", "b"))
            cell = heat.z[list(heat.y).index(names)][columns.index(row["k"])]
            assert cell == pytest.approx(row["overlap"])


@pytest.mark.parametrize("kind", RUNS)
def test_tables_over_seeds_tell_of_every_lens(
    looked: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "results"))
    text = importlib.import_module("lens_tables").tables([open_run(looked[kind])], k=3)
    assert "Not run" not in text
    for name in (*LENSES, "compare"):
        (of,) = [part for part in text.split("## ") if part.startswith(name)]
        figures = [
            cell for line in of.splitlines() if line.startswith("| ") for cell in line.split("|")[2:-1]
        ]
        assert sum(cell.strip()[:1].isdigit() for cell in figures) >= 3, of


@pytest.mark.parametrize("kind", RUNS)
def test_a_lens_tells_of_training_where_it_is_asked_to(
    looked: dict[str, Path],
    kind: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Path(shutil.copytree(looked[kind], tmp_path / kind))
    without = write_report(run).read_text()
    for name, words in THROUGH.items():
        path = run / "lenses" / f"{name}.json"
        before = strict(path)
        command = ("lens", name, run, *INPUTS, *TINY[name].split(), *words.split())
        assert goalcut(*command) == 0, name
        found = strict(path)
        # What the lens found at the end of training is not looked for again.
        assert {key: found[key] for key in before} == before
        course = found["through_training"]
        assert len(course["times"]) == 4
        assert (course["times"][0], course["times"][-1]) == (0, before["settings"]["time"])
        assert ("env_steps" in course) == (kind == "maze")
        assert "hrough training" in capfd.readouterr().out
        whole = path.read_bytes()
        assert goalcut(*command) == 0
        assert path.read_bytes() == whole
        assert "through training already there" in capfd.readouterr().err.replace("\n", " ")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "results"))
    tables = importlib.import_module("lens_tables").tables([open_run(run)], k=3)
    for name in THROUGH:
        assert f"### {name} through training" in tables
    text = write_report(run).read_text()
    for said in (
        "The ansatz through training",
        "Opposing staircases?",
        "rank correlation with it over these times",
    ):
        assert said in text
        assert said not in without


def test_the_curves_through_training_are_those_of_the_file(looked: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(looked["maze"], tmp_path / "maze"))
    command = ("lens", "curvature", run, *INPUTS, *TINY["curvature"].split(), *THROUGH["curvature"].split())
    assert goalcut(*command) == 0
    course = strict(run / "lenses" / "curvature.json")["through_training"]
    (section,) = [one for one in lens_sections(inputs_of(run)) if one.anchor == "curvature"]
    rising, falling = (plot.figure.data[0] for plot in section.exhibits[-1].plots)
    assert list(rising.x) == [steps / 1e6 for steps in course["env_steps"]]
    assert list(rising.y) == [row["value"] for row in course["rows"]]
    assert list(falling.y) == [row["loss"] for row in course["rows"]]
    assert len(section.tables[-1].rows) == 4


@pytest.mark.parametrize("kind", RUNS)
def test_the_best_cuts_keep_to_their_budget_and_controls_come_last(
    looked: dict[str, Path], kind: str
) -> None:
    saved = strict(looked[kind] / "lenses" / "compare.json")
    rows = best_rows(saved)
    assert rows
    assert all(row["relative_norm"] <= 0.5 for _, row in rows if "k" in row)
    assert {name for name, _ in rows} >= {name for name, of in saved["methods"].items() if not of["control"]}
    controls = [name.startswith(("random at ", *UNITS)) for name, _ in rows]
    assert controls == sorted(controls)
    if kind == "digits":
        names = [name for name, _ in rows]
        assert len(names) == len(set(names))


def test_a_report_has_no_section_of_a_lens_that_was_not_run(trained: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained["maze"], tmp_path / "plain"))
    text = write_report(run).read_text()
    assert not any(f'<section id="{name}">' in text for name in (*LENSES, "compare"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 2, "lens is 'nothing'"),
        (["features", "RUN", "--features.draws", "0"], 2, "draws is 0"),
        (["features", "RUN", "--inputs", "1"], 2, "inputs is 1"),
        (["features", "RUN", "--device", "tpu"], 2, "device is 'tpu'"),
        (["features", "RUN", "--through-training", "3"], 2, "--through-training is 3: give at least 4"),
        (["curvature", "RUN", "--coefficient.levels", "2"], 2, "levels is 2"),
        (["ansatz", "RUN", "--inputs", "20", "--through-training", "9"], 1, "give 4 to 5"),
        (["compare", "RUN", "--counts", "0"], 2, "counts is (0,)"),
        (["compare", "RUN"], 1, "has no lens to compare"),
        (["features", "RUN", "--features.layers", "head"], 1, "head"),
        (["ansatz", "RUN", "--ansatz.of", "reward"], 1, "reward"),
        (["channels", "RUN", "--time", "9"], 2, "rollout is 9, but the run is of 4"),
        (["rotation", "RUN", "--inputs", "20"], 1, "inputs is 256"),
        (["features", "/nowhere"], 1, "is missing"),
    ],
)
def test_bad_input_is_one_clear_line(
    trained: dict[str, Path], capfd: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert goalcut("lens", *(trained["maze"] if word == "RUN" else word for word in words)) == code
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("goalcut: ")
    assert said in line


def test_no_lens_is_a_list_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert goalcut("lens") == 2
    said = capsys.readouterr().out
    assert all(name in said for name in (*LENSES, "compare"))


def test_settings_of_another_lens_are_refused(trained: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="give FeaturesSettings"):
        look(Run(trained["maze"]), "features", LENSES["channels"].settings())
