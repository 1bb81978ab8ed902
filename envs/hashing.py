"""Levels as 64-bit hashes, to count repeats within and between sets of levels.

Zobrist hashes (Zobrist 1970): the sum, modulo 2^64, of a random word per wall, mouse and thing in its cell, mixed.
Of N levels about N²/2^65 pairs share a hash by chance: none of a million, in practice.
"""

import zlib
from typing import Literal

import numpy as np

from .counter_random import mix, random_words, stream_keys
from .levels import ABSENT, Levels

Of = Literal["level", "layout"]
_STREAM = 21


def layout_hashes(levels: Levels) -> np.ndarray:
    """A hash of every level's walls, (L,) uint64; the same in every world and batch."""
    words = _words("walls", levels.size)
    flat = levels.walls.reshape(len(levels), -1)
    return mix(flat.astype(np.uint64) @ words + np.uint64(levels.size))


def level_hashes(levels: Levels) -> np.ndarray:
    """A hash of every level's walls, mouse and things by name, (L,) uint64; the same in every batch.

    The order of a thing's cells does not matter, unless they are a way that it walks, and a thing that is in no cell
    changes nothing.
    """
    total = layout_hashes(levels) + _words("mouse", levels.size)[levels.mouse]
    for thing in levels.world.things:
        cells = levels.places[thing.name]
        for column in range(cells.shape[1]):
            # Of a way the order counts.
            what = f"thing {thing.name} {column}" if thing.walks else f"thing {thing.name}"
            words = np.append(_words(what, levels.size), np.uint64(0))
            # No thing adds nothing.
            total += words[np.where(cells[:, column] == ABSENT, levels.size**2, cells[:, column])]
    return mix(total)


def duplicates(levels: Levels, of: Of = "level") -> int:
    """How many levels repeat an earlier one of the batch; `of` layouts: the walls alone."""
    return len(levels) - len(np.unique(_hashes(levels, of)))


def shared(first: Levels, second: Levels, of: Of = "level") -> int:
    """How many levels of `second` are in `first` too; `of` layouts: the walls alone."""
    return int(np.isin(_hashes(second, of), _hashes(first, of)).sum())


def _hashes(levels: Levels, of: Of) -> np.ndarray:
    if of not in ("level", "layout"):
        raise ValueError(f"of is {of!r}: give 'level' or 'layout'")
    return level_hashes(levels) if of == "level" else layout_hashes(levels)


def _words(what: str, size: int) -> np.ndarray:
    """A random word per cell, (n²,) uint64."""
    return random_words(stream_keys(_STREAM, zlib.crc32(what.encode()), np.arange(1)), size * size)[0]
