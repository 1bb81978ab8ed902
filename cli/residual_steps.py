"""The step of `goalcut lens residual-stream`: a model from a folder, tokens from a file; not done again where done."""

import sys
import zlib
from pathlib import Path
from typing import Any

from torch import Tensor, tensor

from ..agents.files import read_json, write_json
from ..agents.settings_json import settings_to_json
from ..analysis.causal_models import (
    import_transformers,
    load_causal,
    tokens_of_text,
    untrained_causal,
    windows,
)
from ..analysis.residual_stream import check_tokens, residual_channels
from ..report.residual_page import residual_table, write_residual_report
from .lens_steps import is_there, phases, print_table, save_findings
from .residual_settings import NAME, ResidualStreamCommand
from .steps import console

_CLAIM = "a residual stream carries information from its first block to its last through few channels"


def residual_step(command: ResidualStreamCommand) -> None:
    """Look at a model; residual-stream.json, its directions and residual-stream.html; and print the table."""
    path = command.directory / f"{NAME}.json"
    try:
        _ready()
        model = load_causal(command.model)
        tokens = windows(_tokens(command), command.context, command.sequences)
    except ImportError as error:
        raise ValueError(str(error)) from None
    check_tokens(model, tokens)
    about: dict[str, Any] = {
        "model": str(command.model),
        "context": command.context,
        "sequences": len(tokens),
        "tokens": zlib.crc32(tokens.numpy().tobytes()),
        "residual": settings_to_json(command.residual),
    }
    if is_there(path, about):
        console.print(f"{path}: already there", soft_wrap=True)
    else:
        model = model.to(command.device)
        with phases(NAME) as on_step:
            found = residual_channels(
                model,
                tokens,
                command.residual,
                controls={"untrained": untrained_causal(model, seed=command.residual.seed)},
                on_step=on_step,
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = save_findings(path, found)
        write_json(path, {"lens": NAME, "claim": _CLAIM, "settings": about, **saved}, short=True)
    print_table(residual_table(read_json(path)))
    print(write_residual_report(path))


def _tokens(command: ResidualStreamCommand) -> Tensor:
    """What the file holds, (tokens,).

    Raises:
        ValueError: it is empty, no text, or holds something else than whole numbers.
    """
    path = command.text or command.tokens
    assert path is not None
    words = _read(path)
    if command.text is not None:
        return tokens_of_text(command.model, words)
    wrong = next((word for word in words.split() if not word.lstrip("-").isdecimal()), None)
    if wrong is not None:
        raise ValueError(f"{path} holds {wrong!r}: give whole numbers with white space between them")
    return tensor([int(word) for word in words.split()])


def _read(path: Path) -> str:
    try:
        words = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: give a file of text or of token numbers") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8: save it as such") from None
    if not words.strip():
        raise ValueError(f"{path} is empty: give a text of at least one context")
    return words


def _ready() -> None:
    """No bars and warnings of transformers between ours, and nothing of pictures.

    No model of text needs torchvision, and one of another build of torch keeps transformers from importing any model.
    """
    sys.modules.setdefault("torchvision", None)  # pyright: ignore[reportArgumentType]
    logging = import_transformers().utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
