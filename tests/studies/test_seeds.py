import pytest

from goalcut.ablate.maze_cuts import levels_judged_on
from goalcut.studies.seeds import DEVELOPMENT_FROM, seed_set, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-4", (0, 1, 2, 3, 4)), ("7", (7,)), ("0,3,7", (0, 3, 7)), ("5, 0-2", (0, 1, 2, 5))],
)
def test_ranges_and_lists_name_seeds(text: str, expected: tuple[int, ...]) -> None:
    assert seed_set(text).seeds == expected


@pytest.mark.parametrize(
    "text", ["", "a", "3-1", "1,1", "0-2,2", "-1", "1-", "0;1", "999-1000", "0-999", "1.5"]
)
def test_malformed_seeds_are_named_with_what_to_give(text: str) -> None:
    with pytest.raises(ValueError, match=r"^seeds is .*give"):
        seed_set(text)


def test_no_seed_is_both_of_report_and_of_development() -> None:
    report, development = seed_set("0-99"), seed_set("0-99", "development")
    assert not set(report.seeds) & set(development.seeds)
    assert min(development.seeds) == DEVELOPMENT_FROM
    assert "split tune" in development.told
    assert "split test" in report.told


def test_no_level_is_both_of_report_and_of_development() -> None:
    assert levels_judged_on("report")[0] != levels_judged_on("development")[0]
    # Nor are tuning levels, which have level seeds from 0 on.
    assert levels_judged_on("development")[1] >= 1000


def test_seeds_are_written_as_a_person_does() -> None:
    assert written((0, 1, 2, 5, 7, 8)) == "0–2, 5, 7–8"
