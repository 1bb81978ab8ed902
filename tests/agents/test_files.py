"""JSON that is whole, and short where it holds many numbers."""

import json
from pathlib import Path

import pytest

from goalcut.agents.files import read_json, write_json


def test_lists_of_numbers_stand_on_a_line_of_their_own_and_read_back_alike(tmp_path: Path) -> None:
    content = {
        "matrix": [[0.25, -1e-07, None], [3, True, False]],
        "empty": [],
        "mixed": [1, "a [ 1, 2 ]\n [3]", [2]],
        "said": "[\n1,\n2]",
    }
    write_json(tmp_path / "short.json", content, short=True)
    write_json(tmp_path / "long.json", content)
    assert read_json(tmp_path / "short.json") == read_json(tmp_path / "long.json") == content
    short, long = ((tmp_path / name).read_text() for name in ("short.json", "long.json"))
    assert len(short.splitlines()) < len(long.splitlines())
    assert "[ 0.25, -1e-07, null ]" in short
    assert long == json.dumps(content, indent=2) + "\n"


def test_infinity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "bad.json", [float("inf")], short=True)
