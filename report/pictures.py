"""Signed images as PNG in a data URI: amber above zero, blue below, white at zero, one scale for both."""

import base64
import struct
import zlib

import numpy as np

from .style import PAID, PROXY


def data_uri(image: np.ndarray) -> str:
    """A signed image (height, width), its largest entry in full colour; NaN is white."""
    return data_uri_of(coloured(image))


def data_uri_of(pixels: np.ndarray) -> str:
    """Pixels (height, width, 3) uint8."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"


def coloured(image: np.ndarray, largest: float | None = None) -> np.ndarray:
    """(height, width, 3) uint8; full colour is an entry of size `largest`, default the image's own."""
    values = np.nan_to_num(np.asarray(image, dtype=float))
    values = values / max(np.abs(values).max() if largest is None else largest, 1e-30)
    ends = np.array([_rgb(PROXY), _rgb(PAID)])
    end = ends[(values > 0).astype(int)]
    return (255 + np.abs(values)[..., None] * (end - 255)).round().astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Pixels (height, width, 3) uint8 as a PNG file (ISO/IEC 15948: 8 bits per channel, no filter)."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))
