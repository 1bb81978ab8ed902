"""Directions: unit vectors in parameter or activation space, with how strong they are, and when, and whence.

Saved as safetensors: four tensors, and JSON metadata with a checksum over everything. No pickle.
"""

import dataclasses
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ..agents.files import write_safetensors
from ..agents.parameters import Layout, module_of

_FORMAT = "goalcut.Directions/1"
_UNIT_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Directions:
    """k unit directions of a d-dimensional space.

    Attributes:
        vectors: unit rows (k, d), float32 or float64.
        singular_values: how strongly each was pushed (k,), as given, not sorted.
        profiles: (T, k), column k says when direction k was pushed; T is 0 where time has no part in it.
        space: "parameters", or the name of the layer whose activations these are.
        layout: name → (start, stop, shape) of the flat parameter vector; may be empty.
        source: where they came from, JSON-able.

    Raises:
        ValueError: shapes do not fit, a vector is not of unit norm, or `source` is not JSON-able.
    """

    vectors: np.ndarray
    singular_values: np.ndarray
    profiles: np.ndarray
    space: str = "parameters"
    layout: Layout = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise ValueError(f"vectors are (k, d), got {self.vectors.shape}")
        k, d = self.vectors.shape
        if self.singular_values.shape != (k,):
            raise ValueError(f"{k} vectors need singular_values ({k},), got {self.singular_values.shape}")
        if self.profiles.ndim != 2 or self.profiles.shape[1] != k:
            raise ValueError(f"{k} vectors need profiles (T, {k}), got {self.profiles.shape}")
        for index, vector in enumerate(self.vectors):
            norm = np.sqrt(np.einsum("d,d->", vector, vector, dtype=np.float64))
            if not abs(norm - 1) <= _UNIT_TOLERANCE:
                raise ValueError(f"vector {index} has norm {norm:.6g}, wanted 1: divide it by its norm")
        if not (np.isfinite(self.singular_values).all() and np.isfinite(self.profiles).all()):
            raise ValueError("singular_values and profiles must be finite")
        last = max((stop for _, stop, _ in self.layout.values()), default=0)
        if last > d:
            raise ValueError(f"the layout reaches to {last}, the vectors have {d} entries: another network?")
        try:
            json.dumps(self.source)
        except (TypeError, ValueError) as error:
            raise ValueError(f"source must be JSON-able (numbers, strings, lists, dicts): {error}") from None

    def __len__(self) -> int:
        return len(self.vectors)

    def subset(self, indices: Sequence[int] | np.ndarray | slice) -> "Directions":
        """The directions of these indices (or of a boolean mask or slice), in this order."""
        chosen = np.arange(len(self))[indices if isinstance(indices, slice | np.ndarray) else list(indices)]
        return self.replaced(
            vectors=self.vectors[chosen],
            singular_values=self.singular_values[chosen],
            profiles=self.profiles[:, chosen],
        )

    def replaced(self, **changes: Any) -> "Directions":
        """A copy with other attributes, validated again."""
        return dataclasses.replace(self, **changes)

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write one safetensors file; it appears whole or not at all, and equal directions are equal bytes.

        Args:
            path: of the file.
            half: vectors in float16, half as large; `load` gives them in float32, of unit norm again.

        Raises:
            OSError: the disk is full; what was there stays.
        """
        tensors = self._tensors()
        if half:
            tensors["vectors"] = tensors["vectors"].astype(np.float16)
        words = {
            "format": _FORMAT,
            "space": self.space,
            "layout": json.dumps(
                {name: [start, stop, list(shape)] for name, (start, stop, shape) in self.layout.items()}
            ),
            "source": json.dumps(self.source),
        }
        words["crc32"] = _checksum(tensors, words)
        write_safetensors(Path(path), safetensors.numpy.save(tensors, words))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Directions":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is cut off, damaged, or not a file of directions.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no directions at {path}; compute them first")
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                words = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        except (safetensors.SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} is cut off or not a safetensors file ({error}); compute it again"
            ) from None
        if words.get("format") != _FORMAT:
            raise ValueError(
                f"{path} holds no directions: its format is {words.get('format')!r}, wanted {_FORMAT!r}"
            )
        if words.pop("crc32", None) != _checksum(tensors, words):
            raise ValueError(f"{path} is damaged: its checksum differs; compute it again")
        layout = json.loads(words["layout"])
        if tensors["vectors"].dtype == np.float16:
            vectors = tensors["vectors"].astype(np.float32)
            tensors["vectors"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(
            **tensors,
            space=words["space"],
            layout={name: (start, stop, tuple(shape)) for name, (start, stop, shape) in layout.items()},
            source=json.loads(words["source"]),
        )

    def _tensors(self) -> dict[str, np.ndarray]:
        names = ("vectors", "singular_values", "profiles")
        return {name: np.ascontiguousarray(getattr(self, name)) for name in names}


def _checksum(tensors: Mapping[str, np.ndarray], words: Mapping[str, str]) -> str:
    described = sorted((name, str(array.dtype), array.shape) for name, array in tensors.items())
    checksum = zlib.crc32(json.dumps([described, sorted(words.items())]).encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(
            np.ascontiguousarray(tensors[name]).data.cast("B") if tensors[name].size else b"", checksum
        )
    return f"{checksum:08x}"


def stored_checksum(path: Path) -> str:
    """The checksum that a file of directions says it has, read from its header alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is cut off, or not a file of directions.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.metadata()["crc32"]
    except (safetensors.SafetensorError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is cut off or no file of directions ({error!r}); compute it again"
        ) from None


def module_shares(directions: Directions) -> dict[str, np.ndarray]:
    """Share of each direction's squared norm that lies in each module, in the order of the layout.

    A module is a parameter's name without its last component ("body.0.weight" → "body.0"); a parameter of the
    network itself keeps its name.

    Returns:
        Module → (k,), summing to 1 over modules.

    Raises:
        ValueError: the layout is empty or does not tile the vectors.
    """
    d, reached = directions.vectors.shape[1], 0
    energies: dict[str, np.ndarray] = {}
    for name, (start, stop, _) in sorted(directions.layout.items(), key=lambda item: item[1][0]):
        if start != reached:
            raise ValueError(f"the layout has a gap or overlap before {name}: {reached} to {start}")
        part = directions.vectors[:, start:stop]
        energy = np.einsum("kd,kd->k", part, part, dtype=np.float64)
        module = module_of(name)
        energies[module] = energies.get(module, 0.0) + energy
        reached = stop
    if reached != d:
        raise ValueError(f"the layout covers {reached} of {d} entries; give the layout of the whole network")
    total = sum(energies.values())
    return {module: energy / total for module, energy in energies.items()}
