"""Pictures as files: PNG, and GIF of episodes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .episodes import Film, Policy, film
from .frames import tiled
from .levels import Level, Levels

_MOST_COLOURS = 256


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write a picture (h, w, 3) uint8."""
    from PIL import Image  # not needed to import the worlds

    Image.fromarray(picture).save(path, format="PNG")


def write_gif(
    path: Path | str, frames: np.ndarray, *, seconds: float = 0.12, last_seconds: float = 1.5
) -> None:
    """Write frames (T, h, w, 3) uint8 as an endless GIF; all share one palette, so that colours do not flicker.

    Args:
        path: the file.
        frames: at least one.
        seconds: how long a frame is shown.
        last_seconds: how long the last one is.

    Raises:
        ValueError: no frames.
    """
    from PIL import Image

    if not len(frames):
        raise ValueError("there are no frames: give at least one")
    words = frames.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    found, number = np.unique(words, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1).astype(np.uint8)
    if len(colours) <= _MOST_COLOURS:
        images = [Image.fromarray(one) for one in number.reshape(words.shape).astype(np.uint8)]
        for image in images:
            image.putpalette(colours.tobytes())
    else:
        # Each colour once, so that rare ones count as much as the floor.
        palette = Image.fromarray(colours[None]).quantize(_MOST_COLOURS, dither=Image.Dither.NONE)
        images = [Image.fromarray(one).quantize(palette=palette, dither=Image.Dither.NONE) for one in frames]
    # Frames that show the same, as after a bump into a wall, are stored once, for the sum of their times.
    durations = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * last_seconds)]
    images[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        optimize=False,
    )


def episode_gif(
    path: Path | str,
    levels: Levels | Level,
    moves: Policy | Sequence[int],
    *,
    seconds: float = 0.12,
    last_seconds: float = 1.5,
    **settings: Any,
) -> Film:
    """Walk levels, as `film` does with the same settings, and write the GIF; the true last state is shown longer."""
    walked = film(levels, moves, **settings)
    write_gif(path, walked.frames, seconds=seconds, last_seconds=last_seconds)
    return walked


def walks_gif(
    path: Path | str,
    levels: Levels,
    walks: Sequence[Sequence[int]],
    *,
    cell: int = 16,
    corner_size: int | None = None,
) -> None:
    """Write every level walked by actions of its own, side by side; those that are through stay.

    Raises:
        ValueError: not one walk per level.
    """
    if len(walks) != len(levels):
        raise ValueError(f"{len(walks)} walks are given for {len(levels)} levels: give one each")
    films = [
        film(levels.take(slice(n, n + 1)), walk, cell=cell, corner_size=corner_size).frames
        for n, walk in enumerate(walks)
    ]
    longest = max(len(frames) for frames in films)
    padded = [np.concatenate([frames, frames[-1:].repeat(longest - len(frames), 0)]) for frames in films]
    write_gif(path, np.stack([tiled(np.stack(together)) for together in zip(*padded, strict=True)]))
