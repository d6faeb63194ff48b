"""Which version of this package trains: by its files, so that a change counts that no release has named."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_SUFFIXES = (".py", ".json", ".txt", ".csv")  # code, and the catalogues that it reads


@cache
def code_digest() -> str:
    """SHA-256 of the package's own files, 64 hexadecimal digits: the same wherever it is installed."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in _SUFFIXES):
        name = path.relative_to(package).as_posix().encode()
        digest.update(b"%b\0%b\0" % (name, hashlib.sha256(path.read_bytes()).digest()))
    return digest.hexdigest()
