"""Which pictures and masks may be used: what is allowed, and what a file's header says against it.

Nothing is converted without a word. The one exception is in the rules: 8-bit greyscale pictures are read
as three equal channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from trainer.data.containers import (
    JPEG_SIGNATURE,
    PNG_SIGNATURE,
    Container,
    CutShort,
    Read,
    Size,
    jpeg_container,
    png_container,
)

MASK_KINDS = ("8-bit grey", "8-bit palette")
MAX_PIXELS = 89_478_485  # above, Pillow warns of a decompression bomb; OpenCV reads up to 2^30
MAX_SIDE = 65_535  # a JPEG's largest, and below PNG's and OpenCV's
MIN_SIDE = 2  # mmsegmentation loses an axis of masks that are one pixel high or wide

_HEAD = 4096  # bytes read at once: most headers are shorter
_PICTURES = "JPG or PNG pictures of 8 bits, RGB or greyscale, stored upright"
_MASKS = "PNG with one channel of 8 bits, grey or palette"
_LARGE = f"at most {MAX_PIXELS:,} pixels, and {MAX_SIDE:,} a side: cut it into tiles"
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS pointers", "git lfs pull"),
    b"/annex/objects/": ("git-annex pointers", "git annex get"),
}
_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\0\0\0\x0cjP  ": "JPEG 2000"}


class Refused(NamedTuple):
    """Why a file cannot be used: `what` is the same for all files of its kind, `detail` for this one only."""

    what: str  # "with alpha": goes on from "2 files (a.png, b.png)"
    allowed: str
    detail: str = ""  # "15000×13000"

    def __str__(self) -> str:
        return f"{self.what} ({self.detail})" if self.detail else self.what

    @property
    def of_one(self) -> str:
        """The same of one file: goes on from "a picture"."""
        return str(self).replace("that are ", "that is ", 1)


class Header(NamedTuple):
    """Of a file that may be used."""

    size: Size
    grey: bool  # one channel


def picture_header(read: Read) -> Header | Refused:
    """What a picture's header says."""
    found = _container(read, {PNG_SIGNATURE: png_container, JPEG_SIGNATURE: jpeg_container}, _PICTURES)
    if isinstance(found, Refused):
        return found
    if found.depth != 8:
        return Refused(f"of {found.depth} bits a channel", _PICTURES)
    if found.channels not in ("grey", "RGB"):
        return Refused(f"of kind {found.channels}", _PICTURES)
    if found.transparent:
        return Refused("with a transparent colour", _PICTURES)
    return Header(found.size, found.channels == "grey")


def mask_header(read: Read) -> Header | Refused:
    """What a mask's header says."""
    found = _container(read, {PNG_SIGNATURE: png_container}, _MASKS)
    if isinstance(found, Refused):
        return found
    kind = f"{found.depth}-bit {found.channels}"
    return Header(found.size, grey=True) if kind in MASK_KINDS else Refused(f"of {kind}", _MASKS)


def mask_fault(content: bytes) -> str | None:
    """Why a mask cannot be counted; None if it can, whatever its shape: it need not be fit for training."""
    if not content.startswith(PNG_SIGNATURE):
        pointer = pointer_in(content)
        return f"is one of the {pointer[0]}, not a content ({pointer[1]})" if pointer else "is not PNG"
    try:
        found = png_container(lambda offset, length: content[offset : offset + length])
    except CutShort as error:
        return str(error)
    kind = f"{found.depth}-bit {found.channels}"
    if kind not in MASK_KINDS:
        return f"is {kind}, wanted {' or '.join(MASK_KINDS)}"
    height, width = found.size
    return f"is {width}×{height}, wanted {_LARGE}" if height * width > MAX_PIXELS else None


def read_header(path: Path, judge: Callable[[Read], Header | Refused]) -> Header | Refused:
    """`judge` of a file, of which only the parts it asks for are read."""
    wanted = _MASKS if judge is mask_header else _PICTURES
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return Refused(f"that cannot be opened ({error.strerror})", wanted)
    try:
        head = os.pread(descriptor, _HEAD, 0)

        def read(offset: int, length: int) -> bytes:
            if offset + length <= len(head):
                return head[offset : offset + length]
            return os.pread(descriptor, length, offset)

        return judge(read)
    except OSError as error:
        return Refused(f"that cannot be read ({error.strerror})", wanted)
    finally:
        os.close(descriptor)


def pointer_in(head: bytes) -> tuple[str, str] | None:
    """(what stands in a file instead of its content, what would fetch that); None where it is a content."""
    return next((words for mark, words in _POINTERS.items() if head.startswith(mark)), None)


def _container(
    read: Read, readers: dict[bytes, Callable[[Read], Container]], wanted: str
) -> Container | Refused:
    head = read(0, 64)
    parse = next((parse for signature, parse in readers.items() if head.startswith(signature)), None)
    if parse is None:
        return _foreign(head, wanted, only_png=len(readers) == 1)
    try:
        found = parse(read)
    except CutShort as error:
        return Refused(f"whose content {error}", wanted)
    return _general_fault(found, wanted) or found


def _general_fault(found: Container, wanted: str) -> Refused | None:
    """What neither a picture nor a mask may be."""
    height, width = found.size
    size = f"{width}×{height}"
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        return Refused("too large", _LARGE, size)
    if min(height, width) < MIN_SIDE:
        return Refused("too small", f"at least {MIN_SIDE}×{MIN_SIDE} pixels", size)
    if found.turned:
        return Refused(f"with an {found.turned} rotation, which would part them from their masks", wanted)
    return Refused("with several frames", wanted) if found.animated else None


def _foreign(head: bytes, wanted: str, *, only_png: bool) -> Refused:
    """Of a file that begins as none that can be read."""
    if not head:
        return Refused("that are empty", wanted)
    pointer = pointer_in(head)
    if pointer is not None:
        return Refused(f"that are {pointer[0]}, not contents", f"the contents themselves: {pointer[1]}")
    if head.startswith(JPEG_SIGNATURE):
        return Refused("that are JPEG", wanted)
    for signature, name in _FORMATS.items():
        if head.startswith(signature):
            return Refused(f"of format {name}", wanted)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Refused("of format WebP", wanted)
    if head[4:8] == b"ftyp":
        return Refused("of format HEIF or AVIF", wanted)
    return Refused("that are not PNG" if only_png else "that cannot be opened as JPG or PNG", wanted)
