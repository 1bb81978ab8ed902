"""How to repeat a run: its command, settings, versions and commit."""

import shlex
from typing import Any

from ..agents.settings_json import flat_settings
from .inputs import Inputs, dig


def command(inputs: Inputs[Any], stage: str) -> str:
    """The command that makes one part of this run: that of its stage, or that of the whole run."""
    if stage in inputs.stages or stage == "report":
        return f"goalcut {stage} {_directory(inputs)}"
    return whole_command(inputs)


def whole_command(inputs: Inputs[Any]) -> str:
    """The command that makes this run again, with every training setting that is not the default."""
    here, default = flat_settings(inputs.run.settings), flat_settings(inputs.default_settings)
    options = [_option(name, value) for name, value in here.items() if value != default[name]]
    return " ".join([f"goalcut {inputs.whole} {_directory(inputs)}", *inputs.named_defaults, *options])


def settings_rows(inputs: Inputs[Any]) -> list[tuple[str, str]]:
    """Every resolved setting by its dotted name: training, then what the later commands wrote of theirs."""
    values = flat_settings(inputs.run.settings)
    stages = {"evaluate": inputs.evaluation, "analyze": inputs.analysis, "ablate": inputs.ablation}
    for stage, file in stages.items():
        settings = dig(file, "settings")
        values |= flat_settings(settings, f"{stage}.") if isinstance(settings, dict) else {}
    return [(name, "default" if value is None else str(value)) for name, value in values.items()]


def facts(inputs: Inputs[Any]) -> list[tuple[str, str]]:
    """Seed, commit and versions."""
    versions = dig(inputs.config, "versions") or {}
    rows = [
        ("seed", str(inputs.run.settings.seed)),
        ("commit", str(inputs.config.get("commit") or "not known")),
    ]
    return rows + [(name, str(value or "not known")) for name, value in versions.items()]


def _directory(inputs: Inputs[Any]) -> str:
    return shlex.quote(str(inputs.run.directory))


def _option(name: str, value: Any) -> str:
    spelled = name.replace("_", "-")
    if isinstance(value, bool):
        head, _, last = spelled.rpartition(".")
        return f"--{spelled}" if value else f"--{head + '.' if head else ''}no-{last}"
    words = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{spelled}", *(shlex.quote(str(word)) for word in words)])
