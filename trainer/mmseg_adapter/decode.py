"""A picture decoded as training will read it, and strictly: what is damaged is told, not filled with grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.containers import JPEG_SIGNATURE, png_damage
from trainer.data.headers import Header, Refused, picture_header

Picture = NDArray[np.uint8]  # (H, W, 3), blue first
_SAME = 2.0  # mean difference of two decoders' values, 0 to 255, that rounding may make


class Decoded(NamedTuple):
    """A picture that may be used, and what its header says."""

    header: Header
    picture: Picture


def decode_strictly(path: str) -> Header | str:
    """The header of a picture that decodes wholly, and to what its header says; else what is wrong."""
    found = decoded(Path(path))
    return found if isinstance(found, str) else found.header


def decoded(path: Path) -> Decoded | str:
    """A picture that decodes wholly, and to what its header says; else what is wrong.

    OpenCV decodes, as `LoadImageFromFile` does. In a JPEG it fills in what is missing or damaged and prints a
    warning at most; so JPEGs are decoded a second time, by a reader that raises where libjpeg warns, and
    turns nothing: both must see the same picture.
    """
    import cv2

    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    header = picture_header(lambda offset, length: content[offset : offset + length])
    if isinstance(header, Refused):
        return f"is one {header.of_one}; allowed: {header.allowed}"
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        return f"cannot be decoded: {error}"
    if content.startswith(JPEG_SIGNATURE):
        reason = _jpeg_fault(content, picture)
    else:
        reason = None if picture is not None else png_damage(content)
    if reason is not None:
        return reason
    if picture is None:
        return "cannot be decoded"
    height, width = header.size
    if picture.shape == (height, width, 3):
        return Decoded(header, np.asarray(picture, np.uint8))
    return f"is decoded to {picture.shape[1]}×{picture.shape[0]}, where its header says {width}×{height}"


def _jpeg_fault(content: bytes, picture: Any) -> str | None:
    """What libjpeg says against a JPEG; None if it reads the same `picture`, (H, W, 3) uint8 BGR."""
    import cv2
    import simplejpeg

    try:
        upright = simplejpeg.decode_jpeg(content, colorspace="BGR", strict=True)
    except ValueError as error:
        return f"is damaged: {error}"
    if picture is None or picture.shape != upright.shape:
        return None  # told by the caller
    difference = cv2.norm(picture, upright, cv2.NORM_L1) / upright.size
    return None if difference <= _SAME else "is read differently by OpenCV and libjpeg: perhaps rotated"
