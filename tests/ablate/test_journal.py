import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goalcut.ablate.journal import Journal

ENTRIES = [(f"row {n} θ", {"value": n / 7, "many": [n, "é\n"]}) for n in range(4)]


def entries(
    path: Path, fingerprint: int = 1, wanted: list[tuple[str, Any]] = ENTRIES
) -> tuple[list, list[str]]:
    """What a journal gives for the entries wanted, and the names of those that had to be made."""
    made: list[str] = []

    def making(name: str, entry: Any) -> Callable[[], Any]:
        return lambda: (made.append(name), entry)[1]

    journal = Journal(path, fingerprint)
    given = [journal.entry(name, making(name, entry)) for name, entry in wanted]
    journal.close()
    return given, made


def test_a_journal_cut_off_anywhere_keeps_its_whole_lines_and_makes_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    given, made = entries(path)
    assert given == [entry for _, entry in ENTRIES]
    assert made == [name for name, _ in ENTRIES]
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = max(0, whole[:length].count(b"\n") - 1)
        assert entries(path) == (given, [name for name, _ in ENTRIES[kept:]]), length
        assert path.read_bytes() == whole, length


def test_entries_of_other_premises_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    entries(path, 1)
    assert len(entries(path, 2)[1]) == len(ENTRIES)
    assert len(entries(path, 1)[1]) == len(ENTRIES)
    assert entries(path, 1)[1] == []


def test_from_an_entry_of_another_name_on_all_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    entries(path)
    wanted = [ENTRIES[0], ("another", {"value": 1}), *ENTRIES[2:]]
    given, made = entries(path, wanted=wanted)
    assert given == [entry for _, entry in wanted]
    assert made == ["another", *(name for name, _ in ENTRIES[2:])]
    assert entries(path, wanted=wanted)[1] == []


@pytest.mark.parametrize("damage", [b"{}", b"[1, 2]", b"not JSON", b"\xff\xfe"])
def test_from_a_damaged_line_on_all_are_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    given, _ = entries(path)
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    assert entries(path) == (given, [name for name, _ in ENTRIES[1:]])


def test_an_entry_whose_making_fails_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    journal = Journal(path, 1)
    journal.entry(*ENTRIES[0][:1], lambda: ENTRIES[0][1])
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.entry("row of no number", lambda: {"value": float("nan")})
    journal.close()
    assert [json.loads(line) for line in path.read_text().splitlines()][1:] == [
        {"name": ENTRIES[0][0], "entry": ENTRIES[0][1]}
    ]
