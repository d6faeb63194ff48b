"""Pictures and masks are judged by their headers: refused by name and reason, or used as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.bad_pictures import GOOD, REFUSED, encoded, exif, lfs_pointer, picture
from tests.data_factories import png_bytes, write_folder
from trainer.data.containers import png_damage
from trainer.data.headers import Header, Refused, mask_header, picture_header, read_header
from trainer.data.splits import split_facts


def replaced(root: Path, ending: str, content: bytes) -> Path:
    """A folder data set whose first training picture is replaced."""
    write_folder(root)
    (root / "images" / "train" / "p0.png").unlink()
    (root / "images" / "train" / f"p0{ending}").write_bytes(content)
    return root


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_and_reason(tmp_path: Path, name: str) -> None:
    """What no two readers would read alike, or only with a conversion, is refused from its header."""
    ending, make, words = REFUSED[name]
    facts = split_facts(replaced(tmp_path, ending, make()), "train")
    told = [got for got, _ in facts.faults if f"1 picture (p0{ending}" in got]
    assert told, facts.faults
    assert words in told[0]
    assert all(wanted for _, wanted in facts.faults)


@pytest.mark.parametrize("name", GOOD)
def test_used_as_it_is(tmp_path: Path, name: str) -> None:
    """JPEGs, the first picture of an MPO, RGB and greyscale PNGs of 8 bits pass, whatever their ending."""
    ending, make = GOOD[name]
    facts = split_facts(replaced(tmp_path, ending, make()), "train")
    assert facts.faults == ()
    assert facts.picture_size == (32, 48)


def test_greyscale_is_known(tmp_path: Path) -> None:
    """One channel of 8 bits is the one thing that is converted, so it is counted."""
    for mode, grey in (("L", True), ("RGB", False)):
        for kind in ("JPEG", "PNG"):
            path = tmp_path / f"{mode}.{kind}"
            path.write_bytes(encoded(picture(mode), kind))
            assert read_header(path, picture_header) == Header((32, 48), grey)


def test_only_the_head_is_read(tmp_path: Path) -> None:
    """Of a large file no more is read than its chunks' heads: pixels that are missing cost nothing here."""
    path = tmp_path / "large.png"
    path.write_bytes(encoded(picture(size=(2000, 2000)), "PNG", compress_level=0))
    asked = []

    def counted(read):  # type: ignore[no-untyped-def]
        def noted(offset: int, length: int) -> bytes:
            asked.append(length)
            return read(offset, length)

        return picture_header(noted)

    assert read_header(path, counted) == Header((2000, 2000), grey=False)
    assert sum(asked) < 100_000 < path.stat().st_size


def test_unreadable_files_are_told(tmp_path: Path) -> None:
    """A file that is gone, and a directory in the place of one, are refused with the system's words."""
    found = read_header(tmp_path / "gone.png", picture_header)
    assert isinstance(found, Refused)
    assert "No such file" in found.what
    found = read_header(tmp_path, picture_header)
    assert isinstance(found, Refused)
    assert "directory" in found.what


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lfs_pointer(), "Git LFS pointers"),
        (encoded(picture("L"), "JPEG"), "that are JPEG"),
        (encoded(picture("L"), "PNG", exif=exif(6)), "EXIF rotation"),
        (encoded(picture("RGB"), "PNG"), "of 8-bit RGB"),
        (png_bytes(48, 32, depth=16, colour=0), "of 16-bit grey"),
        (encoded(picture("L"), "PNG")[:-8], "cut short"),
    ],
)
def test_masks(tmp_path: Path, content: bytes, words: str) -> None:
    """Masks are looked at as closely as pictures."""
    root = write_folder(tmp_path)
    (root / "annotations" / "val" / "p0.png").write_bytes(content)
    ((got, _),) = split_facts(root, "val").faults
    assert got.startswith("1 mask (p0.png)")
    assert words in got


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (33, 17)])
def test_whole_pngs_are_whole(mode: str, size: tuple[int, int]) -> None:
    """The number of bytes that a PNG must have is right for each depth, and for rows that end in mid-byte."""
    content = encoded(Image.new(mode, size), "PNG")
    assert png_damage(content) is None
    assert png_damage(content[:-12]) == "is cut short"


def test_interlaced_pngs_are_whole() -> None:
    """Adam7's seven passes are added up."""
    import cv2
    import numpy as np

    for side in (1, 2, 5, 8, 19):
        pixels = np.zeros((side, side + 2, 3), np.uint8)
        content = _interlaced(pixels)
        assert png_damage(content) is None
        assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape == pixels.shape


def _interlaced(pixels):  # type: ignore[no-untyped-def]
    """A PNG of zeros in seven passes, each of which is a small picture."""
    import struct
    import zlib

    from tests.bad_pictures import chunk

    height, width = pixels.shape[:2]
    body = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        part = pixels[y::dy, x::dx]
        if part.size:
            body += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_is_closed_to_us(tmp_path: Path) -> None:
    """A picture without permission is told, not passed over."""
    root = write_folder(tmp_path)
    (root / "images" / "val" / "p0.png").chmod(0)
    assert "Permission denied" in str(split_facts(root, "val").faults)


def test_masks_read_alone_need_no_size(tmp_path: Path) -> None:
    """`mask_header` refuses what training cannot take; its reason names the size allowed."""
    path = tmp_path / "m.png"
    path.write_bytes(encoded(picture("L", (900, 1)), "PNG"))
    found = read_header(path, mask_header)
    assert isinstance(found, Refused)
    assert (found.detail, found.allowed) == ("900×1", "at least 2×2 pixels")
