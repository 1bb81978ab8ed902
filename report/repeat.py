"""How to repeat a run: its command, settings, versions and commit."""

import dataclasses
import shlex
from typing import Any

from ..agents.run import TrainSettings
from .inputs import Inputs, dig

# Which command makes each part of a run.
COMMANDS = {
    "run": "goalcut run {run}",
    "train": "goalcut train {run}",
    "evaluate": "goalcut evaluate {run}",
    "analyze": "goalcut analyze {run}",
    "ablate": "goalcut ablate {run}",
    "report": "goalcut report {run}",
}


def command(inputs: Inputs, stage: str) -> str:
    """The command that makes one part of this run."""
    return COMMANDS[stage].format(run=shlex.quote(str(inputs.run.directory)))


def whole_command(inputs: Inputs) -> str:
    """The command that makes this run again: the recorded one, or every training setting that is not the default."""
    recorded = inputs.config.get("command")
    if isinstance(recorded, str) and recorded:
        return recorded
    here, default = flat(dataclasses.asdict(inputs.run.settings)), flat(dataclasses.asdict(TrainSettings()))
    options = [_option(name, value) for name, value in here.items() if value != default[name]]
    return " ".join([command(inputs, "run"), *options])


def settings_rows(inputs: Inputs) -> list[tuple[str, str]]:
    """Every resolved setting by its dotted name: training, then what the later commands wrote of theirs."""
    values = flat(dataclasses.asdict(inputs.run.settings))
    stages = {"evaluate": inputs.evaluation, "analyze": inputs.analysis, "ablate": inputs.ablation}
    for stage, file in stages.items():
        settings = dig(file, "settings")
        values |= flat(settings, f"{stage}.") if isinstance(settings, dict) else {}
    return [(name, "default" if value is None else str(value)) for name, value in values.items()]


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """Seed, commit and versions."""
    versions = dig(inputs.config, "versions") or {}
    rows = [
        ("seed", str(inputs.run.settings.seed)),
        ("commit", str(inputs.config.get("commit") or "not known")),
    ]
    return rows + [(name, str(value or "not known")) for name, value in versions.items()]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return result


def _option(name: str, value: Any) -> str:
    spelled = name.replace("_", "-")
    if isinstance(value, bool):
        head, _, last = spelled.rpartition(".")
        return f"--{spelled}" if value else f"--{head + '.' if head else ''}no-{last}"
    return f"--{spelled} {shlex.quote(str(value))}"
