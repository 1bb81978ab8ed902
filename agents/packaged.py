"""Trained agents that come with the package: looked at, measured and cut at once, with no training.

A packaged agent is a run directory with a few checkpoints, its exact measures and its strongest directions, but without
its gradient log, which is a hundred times as large. `unpack_agent` makes an ordinary run directory of it.
"""

import shutil
from pathlib import Path

from .files import RunConflictError
from .run import Run

FOLDER = Path(__file__).parent / "trained"


def packaged_agents() -> list[str]:
    """Their names."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def check_agent(name: str) -> None:
    """Refuse an agent that does not come with the package.

    Raises:
        ValueError: with those that do.
    """
    if name not in packaged_agents():
        raise ValueError(f"agent is {name!r}: give one of {', '.join(packaged_agents())}")


def unpack_agent(name: str, directory: Path | None = None) -> Run:
    """The run of a packaged agent, in a directory of its own; one that was unpacked there before is left as it is.

    Args:
        name: one of `packaged_agents()`.
        directory: where to; default runs/NAME.

    Raises:
        ValueError: there is no such agent.
        RunConflictError: the directory holds another run, or other files.
    """
    check_agent(name)
    source, directory = FOLDER / name, Path("runs") / name if directory is None else Path(directory)
    if (directory / "config.json").exists():
        run = Run(directory)
        if run.config != Run(source).config:
            raise RunConflictError(
                f"{directory} holds another run than agent {name!r}: give another directory"
            )
        return run
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunConflictError(
            f"{directory} is not an empty directory: give another directory for agent {name!r}"
        )
    for path in sorted(
        source.rglob("*"), key=lambda path: path.name == "config.json"
    ):  # what makes it a run, last
        if path.is_file():
            target = directory / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return Run(directory)
