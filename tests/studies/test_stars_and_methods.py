"""The studies of stars and of methods, in miniature: every figure that their reports tell is of what runs hold."""

import importlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.ablate.cuts import cut_parameters
from goalcut.agents.files import read_json
from goalcut.agents.routing import parameters_of_features
from goalcut.agents.run import Run
from goalcut.analysis.directions import Directions
from goalcut.cli import main
from goalcut.report.study_stars import findings
from goalcut.studies.methods_summary import NORM, family
from goalcut.studies.stars import part_cuts
from goalcut.studies.stars_judging import mean_angles
from goalcut.studies.stars_summary import TREATMENTS


def study(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["study", *map(str, words)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stars")
    words = ("--tiny", "--seeds", "0-1", "--variants", "mixed", "routed", "--jobs", "2", "--root", root)
    assert study("stars", *words) == 0
    return root / "stars-tiny"


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("methods")
    assert (
        study("methods", "--tiny", "--seeds", "0-1", "--variants", "default", "--jobs", "2", "--root", root)
        == 0
    )
    return root / "methods-tiny"


def test_the_study_of_stars_tells_of_every_treatment_and_of_what_the_goals_share(stars: Path) -> None:
    variants = read_json(stars / "results.json")["summary"]["variants"]
    assert list(variants) == ["mixed", "routed"]
    for variant in variants.values():
        for removed, kept in (("star", "cheese"), ("cheese", "star")):
            after = variant["after"][removed]
            assert set(after) == {"nothing", "tuned", "own features", "early stopping", "blind"}
            # Who cannot see stars walks mazes without one as before.
            assert after["blind"][kept] == after["nothing"][kept]
            assert after["blind"][removed] != after["nothing"][removed]
            assert variant["blind"][removed]["selectivity"]["over_seeds"]["seeds"] == 2
            for treated in after.values():
                assert treated["seeds"] == [0, 1]
                pairs = zip(treated[kept]["values"], treated[removed]["values"], strict=True)
                assert treated["gap"]["values"] == pytest.approx([k - r for k, r in pairs])
        angles = variant["common"]["gradients"]["angles"]
        # Random subspaces of so many parameters are next to orthogonal; one measure's on other levels are not.
        assert min(angle["over_seeds"]["least"] for angle in angles["random"]) > 60
        assert angles["one goal, other levels"][0]["over_seeds"]["largest"] < 60
        assert {"star", "cheese"} == set(variant["common"]["transfer"])
    page = (stars / "report.html").read_text()
    assert "One thing or two?" in page
    assert "With the star removed" in page
    assert "With the cheese removed" in page
    assert {f'id="mazes-{name}-{seed}"' in page for name in variants for seed in ("typical", "worst")} == {
        True
    }


def test_schedules_are_compared_on_the_same_seeds_and_with_controls_schedule_by_schedule(stars: Path) -> None:
    summary = read_json(stars / "results.json")["summary"]
    for side, goal in enumerate(("star", "cheese")):
        cuts = [
            next(cut for cut in variant["cuts"] if cut["name"] == f"tuned: remove {goal}")
            for variant in summary["variants"].values()
        ]
        mixed, routed = (np.array(cut["selectivity"]["values"]) for cut in cuts)
        behind = summary["tuned"][side]["behind"]
        assert list(behind) == ["routed"]
        assert behind["routed"]["difference"][0] == pytest.approx(np.median(mixed - routed))
        controls = [{one["name"]: one["selectivity"]["values"] for one in cut["controls"]} for cut in cuts]
        ahead = summary["tuned"][side]["ahead"]
        assert set(ahead) == set(controls[0])
        for name, told in ahead.items():
            differences = np.concatenate([mixed - controls[0][name], routed - controls[1][name]])
            assert told["seeds"] == 4
            # The mean of the middle two of four.
            assert told["iqm"][0] == pytest.approx(np.sort(differences)[1:3].mean())
    page = (stars / "report.html").read_text()
    assert "each a stratum of the bootstrap" in page


def test_the_page_and_the_tables_of_stars_tell_of_the_removal_of_either(
    stars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = read_json(stars / "results.json")
    variants = results["summary"]["variants"]
    found = findings(results)
    assert len(found) == 4
    for said, (name, goal) in zip(found, product(variants, ("star", "cheese")), strict=True):
        assert said.startswith(f"{name}, 2 seeds, {goal} removed: the two part most by ")
        after = variants[name]["after"][goal]
        gaps = {of: after[of]["gap"]["over_seeds"]["iqm"][0] for of in after if of != "nothing"}
        assert f"by {TREATMENTS[max(gaps, key=lambda of: gaps[of])]}; then" in said
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "results"))
    tables = importlib.import_module("study_tables")
    whole = tables.stars(variants)
    star, cheese = whole.split("that is to remove the cheese")[0:2]
    for text, kept, goal in ((star, "cheese", "star"), (cheese, "star", "cheese")):
        assert f"| {kept} − {goal}, tuned |" in text
        for name, variant in variants.items():
            blind = variant["after"][goal]["blind"]
            both = " / ".join(tables.number(blind[of]["over_seeds"]["iqm"][0]) for of in ("star", "cheese"))
            row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
            assert f"| {both} | {tables.told(variant['after'][goal]['tuned']['gap'])} |" in row
            first = next(line for line in whole.splitlines() if line.startswith(f"| {name}, {goal} |"))
            tuned = variant["after"][goal]["tuned"]
            both = (tables.number(tuned[f"{of}_first"]["over_seeds"]["iqm"][0]) for of in ("star", "cheese"))
            assert " / ".join(both) in first
            own = next(cut for cut in variant["cuts"] if cut["name"] == f"own features: remove {goal}")
            beside = {one["name"]: one for one in own["controls"]}
            of_own = whole.split(f"**own features: remove {goal}**")[1]
            row = next(line for line in of_own.splitlines() if line.startswith(f"| {name} |"))
            headings = of_own.strip().splitlines()[0].split(" | ")
            told = dict(zip(headings, row.split(" | "), strict=True))
            assert told["interquartile mean (95 %)"] == tables.told(own["selectivity"])
            other = beside["neighbouring time"]["selectivity"]
            assert told["the other's features"].rstrip(" |") == tables.told(other)


def test_taking_back_own_features_resets_just_their_parameters(stars: Path) -> None:
    run = Run(stars / "routed" / "seed-0")
    found = Directions.load(run.directory / "analysis" / "directions.safetensors")
    theta_0, theta, network = run.parameters_after(0), run.parameters_after(), run.network()
    parts = run.settings.routing.features_of(network.actor.in_features)
    for plan, part in zip(part_cuts(run, found, None), parts, strict=True):
        assert plan.choose is not None
        cut = cut_parameters(theta, theta_0, plan.choose(found).vectors)
        inside = parameters_of_features(network, part)
        torch.testing.assert_close(cut[inside], theta_0[inside], rtol=0, atol=1e-5)
        torch.testing.assert_close(cut[~inside], theta[~inside], rtol=0, atol=1e-6)


def test_a_method_is_told_of_by_the_best_rung_within_the_budget_on_tuning_levels(methods: Path) -> None:
    variant = read_json(methods / "results.json")["summary"]["variants"]["default"]
    judged = read_json(methods / "default" / "seed-0" / "study" / "judged.json")["judged"]
    assert judged["goals"] == ["corner", "cheese"]
    for goal, of_goal in variant["methods"].items():
        rows = [row for row in judged["rows"] if row["removes"] == goal]
        assert set(of_goal) == {family(row["method"]) for row in rows}
        for name, of in of_goal.items():
            allowed = [row for row in rows if family(row["method"]) == name and row["relative_norm"] <= NORM]
            told = of["within"]["norm"]["selectivity"]["values"][0]
            if not allowed:
                assert told == 0
                continue
            best = max(row["tuning_selectivity"] for row in allowed)
            assert told in [row["selectivity"] for row in allowed if row["tuning_selectivity"] == best]
    layers = variant["methods"]["corner"]["top right vector"]["by_layer"]
    assert {where.partition(", ")[2] for where in layers} == {"added", "subtracted"}
    assert all(
        not where.endswith("added")
        for where in variant["methods"]["corner"]["top right subspace"]["by_layer"]
    )
    assert variant["methods"]["corner"]["early stopping"]["by_layer"] == {}
    for of in variant["methods"]["corner"].values():
        shares = [share["values"][0] for share in of["within"]["norm"]["moved_in"].values()]
        assert not shares or sum(shares) == pytest.approx(1)
    assert variant["methods"]["corner"]["sparse doses"]["within"]["norm"]["moved_in"]
    names = set(variant["methods"]["corner"])
    assert {
        "temporal SVD, tuned",
        "temporal SVD of applied, by time",
        "Gauss–Newton, strongest",
        "measure gradients",
        "sparse fine-tuning",
        "early stopping",
        "random directions",
        "top right vector",
    } <= names


def test_the_report_of_methods_has_a_curve_for_each_kind_of_budget(methods: Path) -> None:
    page = (methods / "report.html").read_text()
    titles = (
        "‖Δθ‖ / ‖θ − θ₀‖ (or ‖Δh‖ / ‖h‖) at most",
        "KL of the policy on training levels at most",
        "change of the value on training levels (root mean square) at most",
        "navigation kept, at least",
    )
    for title in (*titles, "Edits of activations by layer", "of the parameters moved"):
        assert title in page
    assert "Cliff&#39;s δ, of the best against it" in page or "Cliff's δ, of the best against it" in page
    assert 'id="mazes-default-worst"' in page


def test_spans_of_fewer_dimensions_are_compared_in_as_many_angles_as_both_goals_have() -> None:
    axes = np.eye(6)
    # On the second draw of levels one gradient of the second goal depends on the others.
    spans = [
        [Directions(axes[:3], np.ones(3), np.zeros((0, 3))) for _ in range(2)],
        [Directions(axes[of], np.ones(len(of)), np.zeros((0, len(of)))) for of in ([0, 1, 3], [0, 4])],
    ]
    found = mean_angles(spans)
    np.testing.assert_allclose(found, [0, np.pi / 4], atol=1e-12)
