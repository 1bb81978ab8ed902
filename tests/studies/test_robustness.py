"""The study of robustness, in miniature: on which side of the border a variant lies is what its runs' files say."""

from pathlib import Path

import pytest

from goalcut.agents.files import read_json
from goalcut.agents.run import Run
from goalcut.cli import main
from goalcut.studies.robustness_summary import persistence

VARIANTS = ("default", "then-anywhere", "sb3")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("robustness")
    words = ["--tiny", "--seeds", "0-1", "--variants", *VARIANTS, "--jobs", "2", "--root", str(root)]
    with pytest.raises(SystemExit) as end:
        main(["study", "robustness", *words])
    assert not end.value.code
    return root / "robustness-tiny"


def test_the_gap_is_how_much_more_often_the_proxy_comes_first_in_each_evaluation(directory: Path) -> None:
    variants = read_json(directory / "results.json")["summary"]["variants"]
    assert tuple(variants) == VARIANTS
    for name, variant in variants.items():
        for place, seed in enumerate(variant["seeds"]):
            agents = read_json(directory / name / f"seed-{seed}" / "evaluation.json")["agents"]
            for figure, agent in (("gap", "trained"), ("untrained_gap", "untrained")):
                first, second = (agents[agent][of]["mean"] for of in ("corner_first", "cheese_first"))
                assert variant["border"][figure]["values"][place] == pytest.approx(first - second)


def test_what_is_kept_is_the_end_of_the_course_over_its_highest(directory: Path) -> None:
    border = read_json(directory / "results.json")["summary"]["variants"]["default"]["border"]
    for place, seed in enumerate((0, 1)):
        records = [one for one in Run(directory / "default" / f"seed-{seed}").progress() if "measures" in one]
        curve = [record["measures"]["corner_first"] for record in records]
        assert len(curve) > 2
        assert border["kept"]["values"][place] == persistence(curve)


def test_persistence_is_the_share_of_the_highest_rise_that_is_left() -> None:
    assert persistence([0.1, 0.5, 0.3]) == pytest.approx(0.5)
    assert persistence([0.1, 0.5, 0.05]) == pytest.approx(-0.125)
    assert persistence([0.1, 0.2, 0.6]) == 1
    assert persistence([0.3, 0.32, 0.1]) is None  # it never rose


def test_training_goes_on_with_the_cheese_anywhere(directory: Path) -> None:
    world = Run(directory / "then-anywhere" / "seed-0").settings.world
    assert [phase.distribution for phase in world.phases] == ["training", "shifted"]
    page = (directory / "report.html").read_text()
    assert "Is there anything to cut?" in page
    assert "Which comes first where the goals part" in page
