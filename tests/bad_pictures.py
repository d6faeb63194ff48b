"""Pictures with one trouble each, as cameras, archives and broken downloads make them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

SIZE = (48, 32)  # width, height, as `tests.data_factories.write_folder` has them
_TURN = 274


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth picture, no two corners of which are alike."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    colours = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=-1)
    return Image.fromarray(colours.astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    """An EXIF block that says how the camera was held."""
    block = Image.Exif()
    block[_TURN] = orientation
    return block


def mpo(**options: Any) -> bytes:
    """A JPEG with a smaller one behind it, as phones write them."""
    return encoded(picture(), "MPO", save_all=True, append_images=[picture(size=(24, 16))], **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(extra: bytes, *, behind: bool = False) -> bytes:
    """A PNG with a chunk more, before its pixels or behind them."""
    whole = encoded(picture(), "PNG")
    at = len(whole) - 12 if behind else 33
    return whole[:at] + extra + whole[at:]


def exif_chunk(orientation: int, order: str = "<") -> bytes:
    """An eXIf chunk."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHHIHH", 1, _TURN, 3, 1, orientation, 0)
    return chunk(b"eXIf", mark + struct.pack(order + "I", 8) + entry + bytes(4))


def raw_profile_chunk(orientation: int) -> bytes:
    """EXIF as ImageMagick keeps it in a PNG: hexadecimal, compressed."""
    block = exif(orientation).tobytes()
    text = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def xmp(orientation: int) -> bytes:
    """What photo editors write of a turn."""
    return b'<rdf:Description tiff:Orientation="%d"/>' % orientation


def xmp_png(orientation: int) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode(), zip=True)
    return encoded(picture(), "PNG", pnginfo=info)


def rgb16() -> bytes:
    """A PNG of 16 bits a channel, which PIL opens as one of 8."""
    head = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(SIZE[0] * 6)) * SIZE[1])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def header_only(width: int, height: int, colour: int = 2) -> bytes:
    """A PNG that claims a size; it has no pixels to speak of."""
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def lfs_pointer() -> bytes:
    """What Git leaves where a large file was not fetched."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"1" * 64 + b"\nsize 12345\n"


# What is refused by its header, as (ending, content, words of the refusal).
REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "JPEG turned": (".jpg", lambda: encoded(picture(), "JPEG", exif=exif(6)), "with an EXIF rotation"),
    "JPEG mirrored": (".jpg", lambda: encoded(picture(), "JPEG", exif=exif(2)), "with an EXIF rotation"),
    "JPEG turned by XMP": (".jpg", lambda: encoded(picture(), "JPEG", xmp=xmp(8)), "with an XMP rotation"),
    "MPO turned": (".jpg", lambda: mpo(exif=exif(3)), "with an EXIF rotation"),
    "PNG turned by 180": (".png", lambda: encoded(picture(), "PNG", exif=exif(3)), "with an EXIF rotation"),
    "PNG turned by 90": (".png", lambda: encoded(picture(), "PNG", exif=exif(6)), "with an EXIF rotation"),
    "PNG big-endian": (".png", lambda: png_with(exif_chunk(8, ">")), "with an EXIF rotation"),
    "PNG turned behind": (".png", lambda: png_with(exif_chunk(6), behind=True), "with an EXIF rotation"),
    "PNG raw profile": (".png", lambda: png_with(raw_profile_chunk(6)), "with an EXIF rotation"),
    "PNG turned by XMP": (".png", lambda: xmp_png(6), "with an XMP rotation"),
    "PNG with alpha": (".png", lambda: encoded(picture("RGBA"), "PNG"), "of kind RGB with alpha"),
    "PNG grey with alpha": (".png", lambda: encoded(picture("LA"), "PNG"), "of kind grey with alpha"),
    "PNG colour key": (
        ".png", lambda: encoded(picture(), "PNG", transparency=(0, 0, 0)), "with a transparent colour",
    ),
    "PNG palette": (".png", lambda: encoded(picture("P"), "PNG"), "of kind palette"),
    "PNG black and white": (".png", lambda: encoded(picture("1"), "PNG"), "of 1 bits a channel"),
    "PNG 16 bits grey": (
        ".png", lambda: encoded(Image.new("I;16", SIZE), "PNG"), "of 16 bits a channel",
    ),
    "PNG 16 bits RGB": (".png", rgb16, "of 16 bits a channel"),
    "APNG": (
        ".png",
        lambda: encoded(picture(), "PNG", save_all=True, append_images=[picture().rotate(180)]),
        "with several frames",
    ),
    "JPEG CMYK": (".jpg", lambda: encoded(picture("CMYK"), "JPEG"), "of kind CMYK"),
    "WebP": (".png", lambda: encoded(picture(), "WEBP"), "of format WebP"),
    "GIF": (".png", lambda: encoded(picture("P"), "GIF"), "of format GIF"),
    "BMP": (".jpg", lambda: encoded(picture(), "BMP"), "of format BMP"),
    "TIFF": (".jpg", lambda: encoded(picture(), "TIFF"), "of format TIFF"),
    "empty": (".png", bytes, "that are empty"),
    "text": (".png", lambda: b"not a picture", "that cannot be opened as JPG or PNG"),
    "LFS pointer": (".png", lfs_pointer, "that are Git LFS pointers"),
    "junk": (".png", lambda: encoded(picture(), "PNG")[:40] + bytes(4000), "whose content is"),
    "PNG cut": (".png", lambda: encoded(picture(), "PNG")[:-20], "whose content is cut short"),
    "JPEG head only": (".jpg", lambda: encoded(picture(), "JPEG")[:100], "whose content is cut short"),
    "huge": (".png", lambda: header_only(15000, 13000), "p0.png: 15000×13000) too large"),
    "large": (".png", lambda: header_only(11000, 10000), "p0.png: 11000×10000) too large"),
    "long": (".png", lambda: header_only(100_000, 2), "p0.png: 100000×2) too large"),
    "dot": (".png", lambda: encoded(picture(size=(1, 1)), "PNG"), "p0.png: 1×1) too small"),
    "sliver": (".png", lambda: encoded(picture(size=(900, 1)), "PNG"), "p0.png: 900×1) too small"),
}  # fmt: skip

# What only decoding tells, as (ending, content, words of the reason).
DAMAGED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "JPEG cut": (".jpg", lambda: _jpeg()[: len(_jpeg()) * 2 // 3], "Premature end of JPEG file"),
    "JPEG without its end": (".jpg", lambda: _jpeg()[:-2], "Premature end of JPEG file"),
    "JPEG cut and closed": (
        ".jpg", lambda: _jpeg()[: len(_jpeg()) * 2 // 3] + b"\xff\xd9", "premature end of data segment",
    ),
    "progressive JPEG cut": (
        ".jpg", lambda: encoded(picture(), "JPEG", progressive=True)[:-40], "is damaged",
    ),
    "PNG check sum": (".png", lambda: _flipped(encoded(picture(), "PNG"), 50), "the check sum of its IDAT"),
    "PNG with few rows": (".png", lambda: _few_rows(), "its pixels are not whole"),
}  # fmt: skip


def _jpeg() -> bytes:
    return encoded(picture(), "JPEG", quality=95)


def _flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 0x55
    return bytes(changed)


def _few_rows() -> bytes:
    """Each chunk is whole, but they hold half of the picture."""
    head = struct.pack(">IIBBBBB", *SIZE, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(SIZE[0] * 3)) * (SIZE[1] // 2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# What may be used, as (ending, content).
GOOD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "JPEG": (".jpg", _jpeg),
    "progressive JPEG": (".jpeg", lambda: encoded(picture(), "JPEG", progressive=True)),
    "JPEG named PNG": (".png", _jpeg),
    "JPEG stored as RGB": (".jpg", lambda: encoded(picture(), "JPEG", keep_rgb=True)),
    "upright by EXIF": (".jpg", lambda: encoded(picture(), "JPEG", exif=exif(1))),
    "no turn known": (".jpg", lambda: encoded(picture(), "JPEG", exif=exif(0))),
    "MPO": (".jpg", mpo),
    "PNG": (".png", lambda: encoded(picture(), "PNG")),
    "PNG upright by EXIF": (".png", lambda: png_with(exif_chunk(1))),
    "grey JPEG": (".jpg", lambda: encoded(picture("L"), "JPEG")),
    "grey PNG": (".png", lambda: encoded(picture("L"), "PNG")),
    "something behind": (".jpg", lambda: _jpeg() + b"and more"),
}
