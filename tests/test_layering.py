"""The pipeline is the layout: a folder imports only from folders above it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each folder may import from those before it; cli and report from all.
LAYERS = ("envs", "agents", "analysis", "ablate", "studies")
ON_TOP = ("cli", "report")


def imported_folders(source: str, folder: str, depth: int = 1) -> set[str]:
    """The goalcut folders that a module imports, itself `depth` packages below goalcut, in `folder`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # One dot is the module's own package; from `depth` + 1 dots on it is goalcut itself.
            package = ["goalcut", folder, *["?"] * (depth - 1)]
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("goalcut.")}
    return found


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("folder", [*LAYERS, *ON_TOP])
def test_a_folder_imports_only_from_the_folders_above_it(folder: str) -> None:
    allowed = {*LAYERS, *ON_TOP} if folder in ON_TOP else set(LAYERS[: LAYERS.index(folder) + 1])
    for path in modules(folder):
        depth = len(path.relative_to(ROOT).parts) - 1
        forbidden = imported_folders(path.read_text(encoding="utf-8"), folder, depth) - allowed
        assert not forbidden, f"{path.relative_to(ROOT)} imports {', '.join(sorted(forbidden))}"


def test_the_folders_of_worlds_and_learners_are_there_to_be_checked() -> None:
    assert all(modules(folder) for folder in LAYERS[:2])
    assert "envs" in set().union(
        *(imported_folders(path.read_text(encoding="utf-8"), "agents") for path in modules("agents"))
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from ..ablate.cuts import cut", {"ablate"}),
        ("from .. import ablate, envs", {"ablate", "envs"}),
        ("from ..agents import files", {"agents"}),
        ("from .levels import Level", {"envs"}),
        ("from . import levels", {"envs"}),
        ("import goalcut.cli.main as cli", {"cli"}),
        ("from goalcut import report", {"report"}),
        ("def late():\n    from ..analysis.svd import svd", {"analysis"}),
        ("import numpy, torch", set()),
        ("from dataclasses import dataclass", set()),
    ],
)
def test_every_way_to_import_a_folder_is_seen(line: str, expected: set[str]) -> None:
    assert imported_folders(line, "envs") == expected
