"""A picture to be labelled, drawn without any library, and what is asked of the one that comes back."""

from __future__ import annotations

import struct
import zlib

from .api import Failed

SIDE = 64  # pixels, as the built-in scenes
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture() -> bytes:
    """A PNG of 64×64 pixels, RGB: a gradient with a white bar in it, as a 1 on a photograph."""
    rows = b"".join(b"\0" + b"".join(_pixel(x, y) for x in range(SIDE)) for y in range(SIDE))
    header = struct.pack(">2I5B", SIDE, SIDE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*part) for part in parts)


def _pixel(x: int, y: int) -> bytes:
    return b"\xff\xff\xff" if 28 <= x < 36 and 16 <= y < 48 else bytes((x * 3, y * 3, 96))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def refuse_other_size(body: bytes) -> None:
    """Returns for a PNG as large as `picture`.

    Raises:
        Failed: saying what it is instead.
    """
    if len(body) < 24 or not body.startswith(_SIGNATURE):
        raise Failed(f"the labels are no PNG, but {len(body)} bytes of something else")
    width, height = struct.unpack(">2I", body[16:24])
    if (width, height) != (SIDE, SIDE):
        raise Failed(f"the labels are {width}×{height} pixels, those of the picture are {SIDE}×{SIDE}")
