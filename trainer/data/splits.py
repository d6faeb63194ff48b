"""The two directories of one split: pictures and masks paired by stem, and what their headers say."""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from trainer.base.errors import DataError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIXES = (".png",)
MASK_KINDS = ("8-bit grey", "8-bit palette")
PNG_HEADER_BYTES = 26

_EXIF_ORIENTATION = 274
_SHOWN = 3  # offenders named in a message

Size = tuple[int, int]  # (height, width)


class Pair(NamedTuple):
    """A picture and its mask."""

    picture: Path
    mask: Path


@dataclass(frozen=True)
class SplitFacts:
    """What the headers of one split say. `picture_size` is (height, width) where all pictures have one."""

    pairs: int
    picture_size: Size | None
    faults: tuple[tuple[str, str], ...]  # (what was wrong, what is allowed)


def real_path(path: str | Path) -> Path:
    """Absolute, all symbolic links followed; need not exist."""
    return Path(os.path.realpath(path))


def is_inside(path: Path, allowed: tuple[Path, ...] | None) -> bool:
    """Whether a real path lies in one of `allowed`, also real; None allows any."""
    return allowed is None or any(path.is_relative_to(root) for root in allowed)


def list_pairs(root: Path, split: str, *, mask_ending: str = ".png") -> list[Pair]:
    """Pictures of a split and their masks, ordered by file name.

    Args:
        mask_ending: what a mask's name has after its picture's stem; other files are no masks.

    Raises:
        DataError: a directory is missing, or a picture has no mask or a mask no picture.
    """
    try:
        pictures = _by_stem(root / "images" / split, PICTURE_SUFFIXES)
        masks = _by_stem(root / "annotations" / split, (mask_ending,))
    except OSError as error:
        raise DataError(f"split {split!r}: {error.strerror}: {error.filename}") from None
    faults = _pairing_faults(pictures, masks)
    if faults:
        raise DataError(f"split {split!r}: " + "; ".join(got for got, _ in faults))
    return [Pair(Path(pictures[stem][0]), Path(masks[stem][0])) for stem in sorted(pictures)]


_Key = tuple[str, str, tuple[Path, ...] | None, int, int]
_known: OrderedDict[_Key, SplitFacts] = OrderedDict()
_known_lock = Lock()
_KEPT = 64


def split_facts(root: Path, split: str, allowed: tuple[Path, ...] | None = None) -> SplitFacts:
    """Facts of images/SPLIT and annotations/SPLIT, both of which exist.

    Good news is kept until a file is added or removed (directory mtimes); bad news is read anew each
    time, because a mask can be put right in place.
    """
    images, annotations = root / "images" / split, root / "annotations" / split
    key = (str(root), split, allowed, images.stat().st_mtime_ns, annotations.stat().st_mtime_ns)
    with _known_lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    facts = _read_split(images, annotations, allowed)
    if not facts.faults:
        with _known_lock:
            _known[key] = facts
            while len(_known) > _KEPT:
                _known.popitem(last=False)
    return facts


def _read_split(images: Path, annotations: Path, allowed: tuple[Path, ...] | None) -> SplitFacts:
    try:
        pictures = _by_stem(images, PICTURE_SUFFIXES)
        masks = _by_stem(annotations, MASK_SUFFIXES)
    except OSError as error:
        return SplitFacts(0, None, ((f"cannot be read: {error.strerror}", "readable directories"),))
    files = [path for found in (pictures, masks) for paths in found.values() for path in paths]
    outside = [path for path in files if Path(path).is_symlink() and not is_inside(real_path(path), allowed)]
    outside += [str(path) for path in (images, annotations) if not is_inside(real_path(path), allowed)]
    if outside:
        got = f"{_some(outside, 'file')} link to outside the allowed data roots"
        return SplitFacts(0, None, ((got, "files inside an allowed data root"),))
    faults = _pairing_faults(pictures, masks)
    stems = sorted(pictures.keys() & masks.keys())
    if not stems and not faults:
        faults = [("has no pictures", "at least one JPG or PNG in images/SPLIT, with its PNG mask")]
    sizes, header_faults = _header_faults([Pair(Path(pictures[s][0]), Path(masks[s][0])) for s in stems])
    common = sizes.pop() if len(sizes) == 1 else None
    return SplitFacts(len(stems), common, (*faults, *header_faults))


def _by_stem(directory: Path, suffixes: tuple[str, ...]) -> dict[str, list[str]]:
    """Files of these kinds by stem, hidden ones left out."""
    found: dict[str, list[str]] = {}
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            ending = next((one for one in suffixes if entry.name.lower().endswith(one.lower())), None)
            if ending is not None and not entry.name.startswith(".") and entry.is_file():
                found.setdefault(entry.name[: -len(ending)], []).append(entry.path)
    return found


def _some(paths: Sequence[str | Path], noun: str) -> str:
    """For example `4 files (a, b, c, …)`."""
    names = ", ".join(Path(path).name for path in paths[:_SHOWN])
    more = ", …" if len(paths) > _SHOWN else ""
    return f"{len(paths)} {noun}{'s' if len(paths) != 1 else ''} ({names}{more})"


def _pairing_faults(pictures: dict[str, list[str]], masks: dict[str, list[str]]) -> list[tuple[str, str]]:
    allowed = "exactly one PNG mask in annotations/SPLIT for each JPG or PNG in images/SPLIT, by file name"
    lonely = [pictures[stem][0] for stem in sorted(pictures.keys() - masks.keys())]
    widowed = [masks[stem][0] for stem in sorted(masks.keys() - pictures.keys())]
    several = [path for found in (pictures, masks) for paths in found.values() for path in paths[1:]]
    found = ((lonely, "picture", "without a mask"), (widowed, "mask", "without a picture"))
    faults = [(f"{_some(paths, noun)} {what}", allowed) for paths, noun, what in found if paths]
    if several:
        faults.append((f"{_some(several, 'file')} beside another of the same stem", allowed))
    return faults


def _header_faults(pairs: Sequence[Pair]) -> tuple[set[Size], list[tuple[str, str]]]:
    """Sizes of the pictures, and what is wrong with the headers, one entry for each kind of fault."""
    sizes: set[Size] = set()
    offenders: dict[tuple[str, str], list[Path]] = {}
    for pair in pairs:
        picture, mask = _picture_header(pair.picture), _mask_header(pair.mask)
        if isinstance(picture, str):
            offenders.setdefault((picture, "JPG or PNG pictures, stored upright"), []).append(pair.picture)
        else:
            sizes.add(picture)
        if isinstance(mask, str):
            wanted = "PNG with one channel of 8 bits, grey or palette"
            offenders.setdefault((mask, wanted), []).append(pair.mask)
        elif not isinstance(picture, str) and mask != picture:
            offenders.setdefault(("not of their picture's size", "masks as large as the picture"), []).append(
                pair.mask
            )
    return sizes, [(f"{_some(paths, 'file')} {what}", wanted) for (what, wanted), paths in offenders.items()]


def _picture_header(path: Path) -> Size | str:
    """(height, width), or what is wrong."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.format not in ("JPEG", "PNG"):
                return f"of format {picture.format}"
            if picture.format == "JPEG" and picture.getexif().get(_EXIF_ORIENTATION, 1) != 1:
                return "with an EXIF rotation, which would part them from their masks"
            return picture.height, picture.width
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return "that cannot be opened"


def _mask_header(path: Path) -> Size | str:
    """(height, width), or what is wrong."""
    try:
        with path.open("rb") as stream:
            header = png_header(stream.read(PNG_HEADER_BYTES))
    except OSError:
        return "that cannot be opened"
    if header is None:
        return "that are not PNG"
    size, kind = header
    return size if kind in MASK_KINDS else f"of {kind}"


def png_header(head: bytes) -> tuple[Size, str] | None:
    """((height, width), kind such as "8-bit grey") from a file's first bytes; None if it is no PNG.

    Read from PNG's first chunk, for PIL hides bit depths below 8.
    """
    if len(head) < PNG_HEADER_BYTES or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", head[16:PNG_HEADER_BYTES])
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
    return (height, width), f"{depth}-bit {names.get(colour, 'unknown')}"
