"""Settings dataclasses as JSON has them, and back; by dotted names."""

import dataclasses
import json
import math
from typing import Any


def settings_to_json(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON has it: paths as strings, tuples as lists."""
    return json.loads(json.dumps(_nested(settings), default=str))


def _nested(value: Any) -> Any:
    """Dataclasses as dictionaries; one of several kinds says which it is, by its own `to_json`."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _nested(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def settings_from_json(kind: type, values: dict[str, Any]) -> Any:
    """A settings dataclass from what `settings_to_json` gave; unknown or missing names raise TypeError."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = set(values) - set(fields)
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]}")
    return kind(**{name: _of_json(fields[name].type, value) for name, value in values.items()})


def _of_json(wanted: Any, value: Any) -> Any:
    if hasattr(wanted, "of_json"):
        return wanted.of_json(value)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type) and isinstance(value, dict):
        return settings_from_json(wanted, value)
    return tuple(value) if isinstance(value, list) else value


def flat_settings(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings, a dataclass or a dictionary, by dotted names."""
    values = settings if isinstance(settings, dict) else _nested(settings)
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= (
            flat_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return flat


def check_finite(settings: Any) -> None:
    """Refuse infinity and NaN among settings, which no file of a run can hold.

    Raises:
        ValueError: which setting it is.
    """
    for name, value in flat_settings(settings).items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{name} is {number}: give a finite number")
