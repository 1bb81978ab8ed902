"""Files that are either whole or absent, and tensors without pickle."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_CHECKSUM = "sha256"
RESTORE = "restore it, or train in another directory"
"""What to do about a file that only training makes: without it, what follows from it would be lost."""
_REMEDY = "what was there stays: free space or make it writable, and give the same command again"


class RunFileError(ValueError):
    """A file of a run is missing, damaged, or of another run; the message names it and the remedy."""


class RunConflictError(RunFileError):
    """The run directory given belongs to something else."""


class SettingError(ValueError):
    """A setting does not fit the run it is used on; the message begins with its name and says what to give."""


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write beside `path`, then rename over it: a reader sees the old file or the whole new one.

    Raises:
        OSError: it cannot be written; the old file is still there.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror or error} while writing {path}; {_REMEDY}") from error


def write_json(path: Path, content: Any, *, short: bool = False) -> None:
    """Write JSON atomically. NaN and infinity are refused: no other reader takes them.

    Args:
        path: of the file.
        content: what to write.
        short: numbers of a list stand on one line, a third of the size where there are many.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    if short:
        # No string holds a line break of its own, so that this meets lists alone.
        text = re.sub(r"\[\n[-+.\deEnul,\s]*\]", lambda numbers: " ".join(numbers[0].split()), text)
    write_atomically(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunFileError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RunFileError(f"{path} is missing: is {path.parent} a run directory?") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise RunFileError(f"{path} is damaged ({error}); restore it or make the run anew") from None


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write named tensors as safetensors with their checksum, atomically."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_safetensors(path, save(whole, (metadata or {}) | {_CHECKSUM: _checksum(whole)}))


def write_safetensors(path: Path, content: bytes) -> None:
    """Write what safetensors' `save` gave, atomically, the same bytes each time.

    It lists the metadata in an order that differs from process to process; here it is that of their names.
    """
    stop = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:stop])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # as the format has it: tensors begin at a multiple of eight bytes
    write_atomically(path, len(text).to_bytes(8, "little") + text, memoryview(content)[stop:])


def load_tensors(path: Path, remedy: str = RESTORE) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read named tensors and their metadata.

    Args:
        path: of the file.
        remedy: what to do where it is missing or damaged.

    Raises:
        RunFileError: the file is missing, cut off or damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RunFileError(f"{path} is missing: {remedy}") from None
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        if metadata.get(_CHECKSUM) not in (None, _checksum(tensors)):
            raise ValueError("its checksum differs")
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{path} is cut off or damaged ({error}): {remedy}") from None
    return tensors, metadata


def _checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes: tells a flipped bit."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
