"""The files of one split: listed, told apart, paired by stem. What is no file is told, not passed over."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trainer.base.content_key import ContentKey, content_key
from trainer.base.errors import DataError
from trainer.base.text import printable

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIX = ".png"

# Of pictures that are not read. A pair of them would else be missing without a word.
_OTHER_FORMATS = (".tif", ".tiff", ".bmp", ".gif", ".webp", ".avif", ".heic", ".jp2", ".jfif", ".ppm", ".pgm")
_SHOWN = 3  # offenders named in a message
MOST_NAMED = 5  # of a fault that decoding tells
_PAIRS = "exactly one PNG mask in annotations/SPLIT for each JPG or PNG in images/SPLIT, by file name"
# The one ending that masks have beside it, and who writes it.
CONVERTED = (
    "masks NAME_labelTrainIds.png as mmsegmentation's tools/dataset_converters make them: coco_stuff164k.py"
    " with ids 0 to 170 and 255 (void), coco_stuff10k.py with ids 1 to 171 and 0 (void)"
)
_FILES = "files that can be read, directly in the split's directory; links must lead to one"
_NESTED = "that are directories with such files in them, which would not be read"
_UTF8 = "file names in UTF-8 (convmv can rename them)"
_UNREAD = "of a format that is not read"
_READ = "pictures as .jpg, .jpeg or .png, masks as .png"

Fault = tuple[str, str]  # (what was wrong, what is allowed)


class Listing(NamedTuple):
    """What a directory holds: files by stem, what only looks like one by what it is, and all links."""

    files: dict[str, list[str]]
    strange: dict[str, list[str]]
    links: list[str]


def list_files(directory: Path, suffixes: tuple[str, ...]) -> Listing:
    """Files of these kinds by stem, those whose names begin with a dot left out.

    Raises:
        OSError: the directory cannot be read.
    """
    found = Listing({}, {}, [])
    others = []
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            ending = _ending(entry.name, suffixes)
            if ending is None:
                if _ending(entry.name, _OTHER_FORMATS) is not None:
                    others.append(entry.path)
                elif _holds_files(entry, suffixes):
                    found.strange.setdefault(_NESTED, []).append(entry.path)
                continue
            if entry.is_symlink():
                found.links.append(entry.path)
            strange = _strangeness(entry)
            if strange is None:
                found.files.setdefault(entry.name[: -len(ending)], []).append(entry.path)
            else:
                found.strange.setdefault(strange, []).append(entry.path)
    # Beside one that is read it is an original, and nothing is missing.
    if unread := [path for path in others if Path(path).stem not in found.files]:
        found.strange[_UNREAD] = unread
    return found


def _ending(name: str, suffixes: tuple[str, ...]) -> str | None:
    """Which of the suffixes a name has, upper case or not; None if it has none, or begins with a dot."""
    small = "" if name.startswith(".") else name.lower()
    return next((one for one in suffixes if small.endswith(one.lower())), None)


def _holds_files(entry: os.DirEntry[str], suffixes: tuple[str, ...]) -> bool:
    """Whether a directory has files that would be read if they lay one level higher."""
    try:
        if entry.name.startswith(".") or not entry.is_dir():
            return False
        with os.scandir(entry.path) as inside:
            return any(_ending(each.name, suffixes) is not None and each.is_file() for each in inside)
    except OSError:  # links in a circle, or closed to us: it has no name of a picture, so it is none
        return False


def _strangeness(entry: os.DirEntry[str]) -> str | None:
    """What is there in the place of a file, as a message goes on from its name."""
    if not _is_utf8(entry.name):
        return "with a name that is not UTF-8"
    try:
        if entry.is_file():  # of what is no link the directory says so
            return None
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "that link to nothing" if entry.is_symlink() else None  # gone meanwhile: told when opened
    except OSError as error:  # links in a circle, say
        return f"that cannot be read ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "that are directories"
    return None if stat.S_ISREG(mode) else "that are no files"


def _is_utf8(name: str) -> bool:
    """Whether the bytes of a name are text: Python holds others as lone surrogates, which nothing prints."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def pairing_faults(
    pictures: Listing,
    masks: Listing,
    *,
    mask_ending: str = MASK_SUFFIX,
    unconverted: Mapping[str, Sequence[str]] | None = None,
) -> list[Fault]:
    """What keeps the files of two directories from being pairs, one entry for each kind of fault.

    Args:
        unconverted: files by stem that would be masks if their names had `mask_ending`.
    """
    faults = []
    for listing, noun in ((pictures, "picture file"), (masks, "mask file")):
        for what, paths in listing.strange.items():
            faults.append((f"{named(paths, noun)} {what}", _allowed(what)))
    if faults:
        return faults  # or each of them would be told again, as a partner that is missing
    raw = unconverted or {}
    alone = sorted(pictures.files.keys() - masks.files.keys() - raw.keys())
    lonely = [pictures.files[stem][0] for stem in alone]
    widowed = [masks.files[stem][0] for stem in sorted(masks.files.keys() - pictures.files.keys())]
    several = [path for found in (pictures, masks) for paths in found.files.values() for path in paths[1:]]
    found = ((lonely, "picture", "without a mask"), (widowed, "mask", "without a picture"))
    hint = _hint(lonely, widowed)
    if raw:
        firsts = [paths[0] for paths in raw.values()]
        faults.append((f"{named(firsts, 'raw map')} without a mask NAME{mask_ending} made of it", CONVERTED))
    faults += [(f"{named(paths, noun)} {what}{hint}", _PAIRS) for paths, noun, what in found if paths]
    if several:
        faults.append((f"{named(several, 'file')} beside another of the same stem", _PAIRS))
    return faults


def _allowed(strange: str) -> str:
    if strange == _UNREAD:
        return _READ
    return _UTF8 if "UTF-8" in strange else _FILES


def _hint(lonely: Iterable[str], widowed: Iterable[str]) -> str:
    """Says so where names would pair but for what the eye hardly sees."""
    folded = [{_folded(path) for path in paths} for paths in (lonely, widowed)]
    number = len(folded[0] & folded[1])
    return f" ({number} would pair but for upper case or Unicode's normal forms)" if number else ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", Path(path).stem).casefold()


def named(paths: Sequence[str | Path], noun: str, details: Sequence[str] = ()) -> str:
    """For example `4 files (a, b: 1×1, c, …)`.

    Args:
        details: what to say of each path; none where empty.
    """
    words = [
        f"{printable_name(Path(path).name)}: {detail}" if detail else printable_name(Path(path).name)
        for path, detail in zip(paths[:_SHOWN], details or ("",) * _SHOWN, strict=False)
    ]
    more = ", …" if len(paths) > _SHOWN else ""
    return f"{len(paths)} {noun}{'s' if len(paths) != 1 else ''} ({', '.join(words)}{more})"


def say_all(where: str, offenders: Sequence[tuple[str, str]], say: Callable[[str], None]) -> None:
    """A line for each, where a message names only the first.

    Args:
        where: the directory that they lie in.
        offenders: (file name, what is wrong).
    """
    if len(offenders) > MOST_NAMED:
        for name, reason in sorted(offenders):
            say(f"{where}/{name}: {reason}")


def printable_name(name: str) -> str:
    """A file's name as a message can hold it: bytes that are no text, and control characters, escaped."""
    return printable(os.fsencode(name).decode("utf-8", "backslashreplace"))


def key_of(files: Iterable[str | Path], *, also: str) -> ContentKey:
    """The `content_key` of a data set's files.

    Raises:
        DataError: naming the file that is not there any more, or cannot be looked at.
    """
    try:
        return content_key(files, also=also)
    except OSError as error:
        raise DataError(f"{printable_name(str(error.filename))}: {error.strerror}") from None
