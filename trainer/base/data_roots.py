"""Where data may lie: directories, some with a name that a spec says instead of the path.

A spec's root `data:ade20k/sub` is mapped by each deployment, so that the spec runs unchanged on all of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.base.errors import DataError, Problem

_SCHEME = "data:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES = "a name of 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
_WANTED = f"{_SCHEME}NAME or {_SCHEME}NAME/SUB/DIRECTORY, without '.' and '..'"
_POINTER = "/dataset/root"


@dataclass(frozen=True)
class NamedRoot(os.PathLike[str]):
    """A directory that specs call by a name."""

    name: str
    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        """As `parse_root` reads it."""
        return f"{self.name}={self.path}"


DataRoot = Path | NamedRoot


def parse_root(text: str) -> DataRoot:
    """What DIRECTORY or NAME=DIRECTORY stands for; `=` in a directory's own name comes after a slash.

    Raises:
        ValueError: neither; with what is allowed.
    """
    name, equals, directory = text.partition("=")
    if not equals or "/" in name:
        return Path(text)
    return _named(name, directory)


def _named(name: str, directory: str) -> NamedRoot:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a data root; allowed: {_NAMES}")
    if not directory:
        raise ValueError(f"{name!r} has no directory; allowed: NAME=DIRECTORY")
    return NamedRoot(name, Path(directory))


def parse_roots(text: str) -> tuple[DataRoot, ...]:
    """The roots that a variable names: separated as in PATH, a JSON list of them, or an object by name.

    Raises:
        ValueError: as `parse_root`, or it begins as JSON and is none of those.
    """
    found = json.loads(text) if text.lstrip().startswith(("[", "{")) else text.split(os.pathsep)
    parts = found.values() if isinstance(found, dict) else found
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("allowed in JSON: a list of texts, or an object of names and their directories")
    if isinstance(found, dict):
        return tuple(_named(name, directory) for name, directory in found.items())
    return tuple(parse_root(part) for part in found if part)


def absolute_root(root: DataRoot) -> DataRoot:
    """The same from wherever it is looked at; ~ is the home directory. Raises RuntimeError: nobody's home."""
    path = Path(root).expanduser().absolute()
    return NamedRoot(root.name, path) if isinstance(root, NamedRoot) else path


def refuse_twins(roots: Iterable[DataRoot]) -> None:
    """Raises ValueError where one name stands for two directories."""
    seen: set[str] = set()
    for root in roots:
        if isinstance(root, NamedRoot):
            if root.name in seen:
                raise ValueError(f"{root.name!r} is there twice; allowed: each name once")
            seen.add(root.name)


def names_in(roots: Iterable[DataRoot]) -> dict[str, str]:
    """The absolute directory of each name."""
    return {root.name: str(root.path.absolute()) for root in roots if isinstance(root, NamedRoot)}


def is_named(root: str) -> bool:
    """Whether a spec's root is one by name."""
    return root.startswith(_SCHEME)


def without_scheme(root: str) -> str:
    """A spec's root as a path: of one by name, the name and what follows it."""
    return root.removeprefix(_SCHEME)


def place_of(root: str, named: Mapping[str, str]) -> Path | Problem:
    """The directory of a spec's root, by name or not; a problem where its name or what follows is refused."""
    if not is_named(root):
        return Path(root)
    name, *parts = without_scheme(root).split("/")
    if not all(part not in ("", ".", "..") for part in (name, *parts)):
        return Problem(_POINTER, f"{root!r} is refused", _WANTED)
    if name not in named:
        known = ", ".join(f"{_SCHEME}{each}" for each in sorted(named))
        none = "a path: no data root has a name here (--data-root NAME=DIR)"
        return Problem(_POINTER, f"{root!r}: no data root has that name", known or none)
    return Path(named[name], *parts)


def root_by_name(place: Path, named: Mapping[str, str]) -> str | None:
    """`data:NAME/SUB` for a real path in a root that has a name, the innermost; None where there is none."""
    real = {name: Path(directory).resolve() for name, directory in named.items()}
    inside = [name for name in real if place.is_relative_to(real[name])]
    if not inside:
        return None
    name = max(inside, key=lambda each: len(real[each].parts))
    return "/".join((f"{_SCHEME}{name}", *place.relative_to(real[name]).parts))


def told_place(root: Path | None, flags: Sequence[str] | None, variable: str) -> Path | None:
    """The directory that a command's --root is, by name or not.

    Args:
        flags: what --data-root was given; where it was not, REBALANCE_DATA_ROOTS counts: `variable`.

    Raises:
        DataError: one of the three is refused.
    """
    if root is None or not is_named(str(root)):
        return root
    try:
        roots = parse_roots(variable) if flags is None else tuple(map(parse_root, flags))
        refuse_twins(roots)
        named = names_in(map(absolute_root, roots))
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{'REBALANCE_DATA_ROOTS' if flags is None else '--data-root'}: {error}") from None
    place = place_of(str(root), named)
    if isinstance(place, Problem):
        raise DataError(f"--root: {place.got}; allowed: {place.allowed}")
    return place
