"""Names for what is made of pictures that come from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path


def distinct_names(pictures: Sequence[Path]) -> dict[Path, str]:
    """A name for each picture, no two alike on any file system, by absolute path; each picture once.

    It is the file's name without its ending, which is added where files of one folder share that name; and
    where files of several folders do, before it as many of these as tell them apart.
    """
    paths = list(dict.fromkeys(path.absolute() for path in pictures))
    own = {path: path.stem for path in paths}
    for path in _alike(own, within_folder=True):
        own[path] += path.suffix.replace(".", "-")
    for path in _alike(own, within_folder=True):  # such as A.png beside a.png
        own[path] += f"-{paths.index(path) + 1}"
    names = dict(own)
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        for path in _alike(names):
            names[path] = "-".join([*path.parts[1:-1][-depth:], own[path]])
    return names


def distinct_words(words: Iterable[str]) -> list[str]:
    """The words in their order, a number behind those that were there before."""
    found: list[str] = []
    for word in words:
        number = 1
        while (f"{word}-{number}" if number > 1 else word).casefold() in {each.casefold() for each in found}:
            number += 1
        found.append(f"{word}-{number}" if number > 1 else word)
    return found


def _alike(names: dict[Path, str], *, within_folder: bool = False) -> list[Path]:
    """The pictures that share their name with another one."""
    keys = {path: (path.parent if within_folder else None, name.casefold()) for path, name in names.items()}
    times = Counter(keys.values())
    return [path for path, key in keys.items() if times[key] > 1]
