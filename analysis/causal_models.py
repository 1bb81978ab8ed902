"""Causal transformers from folders, their untrained controls, windows of tokens; nothing is downloaded or unpickled.

A folder is as `save_pretrained` of `transformers` writes it: configuration, weights as safetensors, and a tokenizer
where text is to be read.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

_SAVED = "give a folder that save_pretrained wrote, weights as safetensors"


def import_transformers() -> Any:
    """The module `transformers`.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        import transformers
    except ImportError:
        raise ImportError("transformers is not installed: pip install 'goalcut[transformers]'") from None
    return transformers


def load_causal(path: str | Path) -> nn.Module:
    """A causal model from a folder.

    Raises:
        ImportError: `transformers` is not installed.
        ValueError: there is no such folder, or it holds no such model, or not all of its weights.
    """
    _check_folder(path)
    transformers = import_transformers()
    try:
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            str(path),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"no causal model at {path} ({_first_line(error)}): {_SAVED}") from None
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"transformers cannot load the model at {path} ({_first_line(error)})") from None
    model, told = loaded
    missing = sorted(told["missing_keys"])
    if missing:
        raise ValueError(
            f"the weights at {path} lack {len(missing)} that a causal model has, such as {missing[0]}: {_SAVED}, of a "
            "model with a causal head"
        )
    assert isinstance(model, nn.Module)
    return model.eval().requires_grad_(False)


def untrained_causal(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """A model of the same configuration with initial weights drawn anew.

    Args:
        model: of `transformers`, with its configuration at `.config`.
        seed: of the draw.
    """
    make: Any = type(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        untrained = make(model.config)
    return untrained.to(next(model.parameters()).device).eval().requires_grad_(False)


def tokens_of_text(path: str | Path, text: str) -> Tensor:
    """A text through the folder's own tokenizer, (tokens,) int64.

    Raises:
        ImportError: `transformers` is not installed.
        ValueError: the folder has no tokenizer that can be read, or it knows nothing of the text.
    """
    _check_folder(path)
    transformers = import_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False
        )
        found = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.int64)
    except Exception as error:  # libraries of tokenizers raise what they like
        raise ValueError(
            f"no tokenizer can be read at {path} ({_first_line(error)}): give token numbers in place of text"
        ) from None
    if not len(found):
        # What transformers makes of a folder that lacks the tokenizer's files.
        raise ValueError(
            f"the tokenizer at {path} makes no token of the text: give its files, or token numbers in place of text"
        )
    return found


def windows(tokens: Tensor, context: int, sequences: int) -> Tensor:
    """Windows of so many tokens, evenly spread over all of them, (sequences, context); fewer where they would overlap.

    Args:
        tokens: (tokens,).
        context: tokens of a window.
        sequences: windows wanted.

    Raises:
        ValueError: there are fewer tokens than one window has.
    """
    if len(tokens) < context:
        raise ValueError(
            f"context is {context} and there are {len(tokens)} tokens: give a longer text or a shorter context"
        )
    count = min(sequences, len(tokens) // context)
    starts = torch.linspace(0, len(tokens) - context, count).long() if count > 1 else torch.zeros(1).long()
    return torch.stack([tokens[start : start + context] for start in starts.tolist()])


def _check_folder(path: str | Path) -> None:
    if not Path(path).is_dir():
        raise ValueError(f"{path} is no folder: {_SAVED}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
