"""What a PNG's or JPEG's bytes say without decoding them: sizes, channels, rotations.

Read here and not by PIL, which hides bit depths, decodes the whole of a PNG to find its EXIF, warns of large
pictures, and takes the second picture of an MPO for another format. Counting processes import this file
first, so it loads neither numpy nor PIL.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]  # (offset, length): fewer bytes at a file's end
Size = tuple[int, int]  # (height, width)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}  # of a PNG
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

_LONGEST_TEXT = 4 << 20  # of the metadata that may hold a rotation
_RAW_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
_XMP_NAMES = (b"XML:com.adobe.xmp", b"Raw profile type xmp", b"xmp")
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_JPEG = b"Exif\0\0"
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([0-9])""")
_ORIENTATION = 274
_TURNED = range(2, 9)  # 1 is upright; what is neither is taken for it by all readers
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's SOFn
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1


class CutShort(Exception):
    """The bytes end, or make no sense, before what must be there."""


class Container(NamedTuple):
    """Of a still picture: its `size` as stored, and what readers would make of it."""

    size: Size
    depth: int  # bits a channel
    channels: str  # "grey", "RGB", "palette", "grey with alpha", "RGB with alpha", "CMYK"
    turned: str | None = None  # "EXIF" or "XMP" where that says: turn or mirror when showing
    animated: bool = False
    transparent: bool = False  # a PNG's colour that stands for transparency


def png_container(read: Read) -> Container:
    """What all chunks of a PNG say, also those behind the picture.

    Raises:
        CutShort: a chunk is missing or not whole.
    """
    head: tuple[int, ...] | None = None
    kinds, exif, xmp = set(), [], []
    for kind, offset, length in png_chunks(read):
        kinds.add(kind)
        if kind == b"IHDR" and length == 13:
            head = struct.unpack(">IIBB", read(offset, 10))
        elif kind == b"eXIf":
            exif.append(read(offset, min(length, _LONGEST_TEXT)))
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, text = _text_chunk(kind, read(offset, min(length, _LONGEST_TEXT)))
            if name in _RAW_PROFILES:
                exif.append(_raw_profile(text))
            elif name in _XMP_NAMES:
                xmp.append(text)
    if head is None or head[3] not in COLOURS or b"IDAT" not in kinds:
        raise CutShort("has no picture in it")
    width, height, depth, colour = head
    return Container(
        size=(height, width),
        depth=depth,
        channels=COLOURS[colour],
        turned=_turned(exif, xmp),
        animated=b"acTL" in kinds,
        transparent=b"tRNS" in kinds,
    )


def png_chunks(read: Read) -> Iterator[tuple[bytes, int, int]]:
    """(kind, offset of its content, length) of each chunk up to IEND.

    Raises:
        CutShort: the file ends before that, or what stands there is no chunk.
    """
    offset = len(PNG_SIGNATURE)
    while True:
        head = read(offset, 8)
        if len(head) < 8:
            raise CutShort("is cut short")
        length, kind = struct.unpack(">I4s", head)
        if not (kind.isascii() and kind.isalpha()):
            raise CutShort("is damaged")
        end = offset + 8 + length + 4
        if len(read(end - 1, 1)) < 1:
            raise CutShort("is cut short")
        yield kind, offset + 8, length
        if kind == b"IEND":
            return
        offset = end


def jpeg_container(read: Read) -> Container:
    """What the segments before the first scan say: of an MPO, those of its first picture.

    Raises:
        CutShort: there is no frame, or no scan.
    """
    frame: tuple[int, ...] | None = None
    exif, xmp = [], []
    for marker, offset, length in _segments(read):
        if marker in _FRAMES:
            frame = struct.unpack(">BHHB", read(offset, 6)) if length >= 6 else None
        elif marker == _APP1:
            content = read(offset, length)
            if content.startswith(_EXIF_JPEG):
                exif.append(content)
            elif content.startswith(_XMP_JPEG):
                xmp.append(content)
    if frame is None:
        raise CutShort("has no picture in it")
    depth, height, width, components = frame
    channels = {1: "grey", 3: "RGB", 4: "CMYK"}.get(components, f"{components} channels")
    return Container((height, width), depth, channels, turned=_turned(exif, xmp))


def _segments(read: Read) -> Iterator[tuple[int, int, int]]:
    """(marker, offset of its content, length) of each segment before the first scan."""
    offset = 2
    while True:
        head = read(offset, 4)
        if len(head) < 4:
            raise CutShort("is cut short")
        if head[0] != 0xFF or head[1] == _END:
            raise CutShort("is damaged")
        if head[1] == 0xFF or head[1] in _ALONE:  # a filling byte; a marker without content
            offset += 1 if head[1] == 0xFF else 2
            continue
        if head[1] == _SCAN:
            return
        length = struct.unpack(">H", head[2:])[0]
        if length < 2:
            raise CutShort("is damaged")
        yield head[1], offset + 4, length - 2
        offset += 2 + length


def _turned(exif: list[bytes], xmp: list[bytes]) -> str | None:
    """Which metadata turn the picture; XMP is asked where EXIF is silent, as PIL does."""
    found = [each for each in map(_exif_orientation, exif) if each is not None]
    if found:
        return "EXIF" if any(each in _TURNED for each in found) else None
    said = [int(match[1]) for match in map(_XMP_ORIENTATION.search, xmp) if match]
    return "XMP" if any(each in _TURNED for each in said) else None


def _exif_orientation(exif: bytes) -> int | None:
    """The orientation in the first directory of an EXIF block; None where it has none that can be read."""
    tiff = exif.removeprefix(_EXIF_JPEG)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == _ORIENTATION:
                value: int = struct.unpack_from(order + ("I" if kind == 4 else "H"), tiff, entry + 8)[0]
                return value
    except struct.error:
        pass
    return None


def _text_chunk(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """(keyword, text) of a tEXt, zTXt or iTXt chunk; a text that cannot be unpacked is empty."""
    name, _, rest = content.partition(b"\0")
    packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        rest = rest[2:].split(b"\0", 2)[-1]  # behind language and translated keyword
    if not packed:
        return name, rest
    try:
        return name, zlib.decompressobj().decompress(rest, _LONGEST_TEXT)
    except zlib.error:
        return name, b""


def _raw_profile(text: bytes) -> bytes:
    """ImageMagick's form of a block: its name, its length, then hexadecimal digits in lines."""
    try:
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except ValueError:
        return b""


def png_damage(content: bytes, *, pixels_seen: bool = False) -> str | None:
    """Why a whole PNG in memory is not whole: a missing chunk, a wrong check sum, too few or bad pixels.

    PIL reads such files without a word: the pixels that are missing are 0.

    Args:
        pixels_seen: the last pixel was read and is not 0, so none is missing; they are not unpacked again.
    """
    unpack, pixels = zlib.decompressobj(), 0
    head = b""
    try:
        for kind, offset, length in png_chunks(lambda at, size: content[at : at + size]):
            body = content[offset : offset + length]
            (sum_there,) = struct.unpack_from(">I", content, offset + length)
            if zlib.crc32(body, zlib.crc32(kind)) != sum_there:
                return f"is damaged: the check sum of its {kind.decode()} is wrong"
            if kind == b"IHDR":
                head = body
            elif kind == b"IDAT" and not pixels_seen:
                pixels += len(unpack.decompress(body, max(1, _expected(head) + 1 - pixels)))
    except CutShort as error:
        return str(error)
    except zlib.error as error:
        return f"is damaged: {error}"
    whole = pixels_seen or (unpack.eof and pixels == _expected(head))
    return None if whole else "is damaged: its pixels are not whole"


def _expected(head: bytes) -> int:
    """Bytes of all rows with their filters, before compression."""
    if len(head) != 13:
        return -1
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    bits = depth * CHANNELS.get(colour, 0)
    passes = (
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        if interlaced
        else [(0, 0, 1, 1)]
    )
    total = 0
    for x, y, dx, dy in passes:
        columns, rows = max(0, -(-(width - x) // dx)), max(0, -(-(height - y) // dy))
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total
