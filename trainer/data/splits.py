"""The two directories of one split: pictures and masks paired by stem, and what their headers say."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from trainer.base.content_key import content_key
from trainer.base.errors import DataError
from trainer.data.containers import Size
from trainer.data.headers import Refused, mask_header, picture_header, read_header
from trainer.data.listing import (
    MASK_SUFFIX,
    PICTURE_SUFFIXES,
    Fault,
    Listing,
    list_files,
    named,
    pairing_faults,
)


class Pair(NamedTuple):
    """A picture and its mask."""

    picture: Path
    mask: Path


@dataclass(frozen=True)
class SplitFacts:
    """What the headers of one split say. `picture_size` is (height, width) where all pictures have one."""

    pairs: int
    picture_size: Size | None
    faults: tuple[Fault, ...]


def real_path(path: str | os.PathLike[str]) -> Path:
    """Absolute, all symbolic links followed; need not exist."""
    return Path(os.path.realpath(path))


def is_inside(path: Path, allowed: tuple[Path, ...] | None) -> bool:
    """Whether a real path lies in one of `allowed`, also real; None allows any."""
    return allowed is None or any(path.is_relative_to(root) for root in allowed)


def list_pairs(root: Path, split: str, *, mask_ending: str = MASK_SUFFIX) -> list[Pair]:
    """Pictures of a split and their masks, ordered by file name.

    Args:
        mask_ending: what a mask's name has after its picture's stem; other files are no masks.

    Raises:
        DataError: a directory is missing, a picture has no mask or a mask no picture, or something there is
            no file: a link to nothing, say.
    """
    images, annotations = root / "images" / split, root / "annotations" / split
    try:
        pictures, masks = list_files(images, PICTURE_SUFFIXES), list_files(annotations, (mask_ending,))
        faults = _faults_between(pictures, masks, annotations, mask_ending)
    except OSError as error:
        raise DataError(f"split {split!r}: {error.strerror}: {error.filename}") from None
    if faults:
        raise DataError(f"split {split!r}: " + "; ".join(got for got, _ in faults))
    return _pairs(pictures, masks)


def _faults_between(pictures: Listing, masks: Listing, annotations: Path, mask_ending: str) -> list[Fault]:
    """`pairing_faults`; where masks have an ending of their own, those that lack it are told apart."""
    lonely = pictures.files.keys() - masks.files.keys()
    if mask_ending == MASK_SUFFIX or not lonely:
        return pairing_faults(pictures, masks)
    raw = list_files(annotations, (MASK_SUFFIX,)).files
    unconverted = {stem: raw[stem] for stem in sorted(lonely & raw.keys())}
    return pairing_faults(pictures, masks, mask_ending=mask_ending, unconverted=unconverted)


def _pairs(pictures: Listing, masks: Listing) -> list[Pair]:
    return [Pair(Path(picture), Path(mask)) for picture, mask in _partners(pictures, masks)]


def _partners(pictures: Listing, masks: Listing) -> list[tuple[str, str]]:
    stems = sorted(pictures.files.keys() & masks.files.keys())
    return [(pictures.files[stem][0], masks.files[stem][0]) for stem in stems]


_known: OrderedDict[str, SplitFacts] = OrderedDict()
_known_lock = Lock()
_KEPT = 64


def split_facts(
    root: Path, split: str, allowed: tuple[Path, ...] | None = None, *, mask_ending: str = MASK_SUFFIX
) -> SplitFacts:
    """Facts of images/SPLIT and annotations/SPLIT, both of which exist; `mask_ending` as for `list_pairs`.

    Good news is kept until a file changes (`content_key`): then no header is read again. Where links lead,
    and what has no pair, is looked at each time.
    """
    images, annotations = root / "images" / split, root / "annotations" / split
    try:
        pictures = list_files(images, PICTURE_SUFFIXES)
        masks = list_files(annotations, (mask_ending,))
        faults = _faults_between(pictures, masks, annotations, mask_ending)
    except OSError as error:
        return SplitFacts(0, None, ((f"cannot be read: {error.strerror}", "readable directories"),))
    outside = _outside((images, annotations), (pictures, masks), allowed)
    if outside:
        got = f"{named(outside, 'file')} link to outside the allowed data roots"
        return SplitFacts(0, None, ((got, "files inside an allowed data root"),))
    partners = _partners(pictures, masks)
    if not partners and not faults:
        faults = [("has no pictures", "at least one JPG or PNG in images/SPLIT, with its PNG mask")]
    if faults:
        return SplitFacts(len(partners), None, (*faults, *_read_split(partners).faults))
    return _facts_of_sound(partners)


def _outside(
    directories: tuple[Path, Path], listings: tuple[Listing, Listing], allowed: tuple[Path, ...] | None
) -> list[str]:
    """What lies outside the allowed roots, told before anything else: whether it exists is told to nobody."""
    links = [path for found in listings for path in found.links]
    return [path for path in (*links, *map(str, directories)) if not is_inside(real_path(path), allowed)]


def _facts_of_sound(partners: Sequence[tuple[str, str]]) -> SplitFacts:
    """Of files in pairs: from the memory of this process, or read and kept there if all is well."""
    try:
        key = content_key([path for pair in partners for path in pair], read=False)
    except OSError:  # gone meanwhile, or closed to us: the headers tell
        return _read_split(partners)
    with _known_lock:
        if key.certain and key.digest in _known:
            _known.move_to_end(key.digest)
            return _known[key.digest]
    key.settle()
    facts = _read_split(partners)
    if key.certain and not facts.faults:
        with _known_lock:
            _known[key.digest] = facts
            while len(_known) > _KEPT:
                _known.popitem(last=False)
    return facts


def _read_split(partners: Sequence[tuple[str, str]]) -> SplitFacts:
    """Sizes of the pictures, and what is wrong with the headers, one entry for each kind of fault."""
    sizes: set[Size] = set()
    offenders: dict[tuple[str, str, str], list[tuple[Path, str]]] = {}
    for pair in (Pair(Path(picture), Path(mask)) for picture, mask in partners):
        picture = read_header(pair.picture, picture_header)
        mask = read_header(pair.mask, mask_header)
        for noun, path, found in (("picture", pair.picture, picture), ("mask", pair.mask, mask)):
            if isinstance(found, Refused):
                offenders.setdefault((noun, found.what, found.allowed), []).append((path, found.detail))
        if isinstance(picture, Refused):
            continue
        sizes.add(picture.size)
        if not isinstance(mask, Refused) and mask.size != picture.size:
            detail = f"{mask.size[1]}×{mask.size[0]}, not {picture.size[1]}×{picture.size[0]}"
            fault = ("mask", "not of their picture's size", "masks as large as the picture")
            offenders.setdefault(fault, []).append((pair.mask, detail))
    faults = []
    for (noun, what, wanted), there in offenders.items():
        paths, details = zip(*there, strict=True)
        faults.append((f"{named(paths, noun, details)} {what}", wanted))
    common = sizes.pop() if len(sizes) == 1 else None
    return SplitFacts(len(partners), common, tuple(faults))
