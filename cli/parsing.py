"""Words of a command line to its settings; whatever is wrong with them as one line that names the option as typed."""

import contextlib
import difflib
import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from ..agents.settings_json import check_finite

_KINDS = {"INT": "a whole number", "FLOAT": "a number"}


class UsageError(Exception):
    """A setting is wrong: one line that names it, its value and the remedy."""


def parse(kind: type, argv: Sequence[str], prog: str, default: Callable[[], Any] | None = None) -> Any:
    """The command of this kind that the words ask for, checked.

    Args:
        kind: a dataclass of settings; its `check`, where it has one, is called.
        argv: the words after the command's name.
        prog: the command's name, for its help.
        default: makes what is not given; default the dataclass's own defaults.

    Raises:
        UsageError: a word or a setting is wrong.
        SystemExit: help was asked for, and printed.
    """
    import tyro

    said = io.StringIO()
    try:
        about = {} if default is None else {"default": default()}
        with contextlib.redirect_stderr(said):
            command = tyro.cli(kind, args=list(argv), prog=prog, **about)
        if hasattr(command, "check"):
            command.check()
        check_finite(command)
    except ValueError as error:
        raise UsageError(as_typed(str(error), argv)) from None
    except SystemExit as end:
        line = _line(said.getvalue(), kind, argv, prog) if end.code else None
        if line is None:
            print(said.getvalue(), end="", file=sys.stderr)
            raise
        raise UsageError(line) from None
    return command


def as_typed(message: str, argv: Sequence[str], path: Sequence[str] = ()) -> str:
    """A message that begins "size is 8: …" as "--world.size is 8: …".

    Args:
        message: of a settings dataclass.
        argv: the words given; the option is looked for among them.
        path: names of the dataclasses from the command's fields down; an option that was not given is named by it.
    """
    found = re.match(r"([a-z]\w*(?:\.\w+)*)(?= is | has )", message)
    if found is None:
        return message
    setting = found[1].split(".")
    names = {*path, *setting}
    given = [word.partition("=")[0] for word in argv if word.startswith("--")]
    parts = {option: option.removeprefix("--").replace("-", "_").split(".") for option in given}
    fitting = [
        option for option in given if parts[option][-1] == setting[-1] and names.issuperset(parts[option])
    ]
    if fitting:
        option = max(fitting, key=lambda option: len(parts[option]))
    elif path:
        option = "--" + ".".join(dict.fromkeys([*path, *setting])).replace("_", "-")
    else:
        return message
    return option + message[found.end() :]


def _line(box: str, kind: type, argv: Sequence[str], prog: str) -> str | None:
    """What tyro drew a box around, in one line; None where it says something else."""
    text = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    # Where the terminal has no lines to draw with, tyro rules off with hyphens.
    parts = re.split(r"─{3,}|-{3,}", " ".join(line for line in text if line))
    body = next((part.strip() for part in parts[1:] if ":" in part or "'" in part), "")
    help_ = f"{prog} --help tells of all settings"
    if found := re.match(r"Error parsing (--\S+): ", body):
        option, value = found[1], _given(argv, found[1])
        wanted = re.search(rf"(?:^|\s){re.escape(option)} ([^a-z\s]\S*)", " ".join(parts[2:]))
        name = wanted[1].removeprefix("{None}|").strip("[]") if wanted else "another"
        return f"{option} is {value!r}: give {_KINDS.get(name, name)}; {help_}"
    if found := re.match(r"Error parsing (\S+): (.*)", body):
        return as_typed(found[2], argv, _options_path(kind, found[1]))
    if found := re.match(r"invalid choice '(.*)' for argument '(\S+?)'\. Expected one of \((.*?),?\)", body):
        choices = [choice.strip(" '") for choice in found[3].split(",")]
        return f"{found[2]} is {found[1]!r}: give one of {', '.join(c for c in choices if c != 'None')}"
    if found := re.match(r"Missing value for argument '(\S+)'", body):
        return f"{found[1]} is given no value: give one; {help_}"
    if found := re.match(r"Missing from .*?: (\S+) (.*?) \(required\)", body):
        return f"{found[1]} is missing: give {found[2].rstrip('.')}; {help_}"
    if found := re.match(r"Unrecognized options: (.*)", body):
        wrong = found[1].split(", ")[0]
        if not wrong.startswith("-"):
            return f"{wrong!r} is one word too many: leave it out; {help_}"
        listed = re.findall(r"(?:^|\s)(--[\w.-]+)", " ".join(line for line in text if line.startswith("--")))
        near = difflib.get_close_matches(wrong, listed, n=1)
        return f"{wrong} is no setting of {prog}: " + (f"did you mean {near[0]}? " if near else "") + help_
    return None


def _given(argv: Sequence[str], option: str) -> str:
    """The words given to an option, as typed."""
    words: list[str] = []
    for place, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name == option:
            after = argv[place + 1 :]
            count = next((n for n, one in enumerate(after) if one.startswith("--")), len(after))
            words = [value] if equals else list(after[:count])
    return " ".join(words)


def _options_path(kind: type, path: str) -> list[str]:
    """The dataclasses that a setting's option names: those of `path` but the command's own and one without a name."""
    names = [name for name in path.split(".") if name != kind.__name__]
    hint = get_type_hints(kind, include_extras=True).get(names[0]) if names else None
    unnamed = any(getattr(about, "name", None) == "" for about in getattr(hint, "__metadata__", ()))
    return names[1:] if unnamed else names
