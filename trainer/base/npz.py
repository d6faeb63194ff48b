"""What all readers of our npz files need: nothing is executed, damage is told, and lists of names."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from trainer.base.errors import ReportError

# What numpy and zipfile raise where bytes are not what they were.
_DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, MemoryError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


@contextmanager
def arrays_in(stream: BinaryIO, name: str, otherwise: str) -> Iterator[Any]:
    """The arrays of the npz file `name`; nothing in it is executed.

    Raises:
        ReportError: it is damaged, or `otherwise`, also as far as the block finds out.
    """
    try:
        with np.load(stream, allow_pickle=False) as arrays:
            yield arrays
    except _DAMAGE as error:
        raise ReportError(f"{name}: is damaged, or {otherwise}: {error}") from None


def names_in(arrays: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The list of names under `key` of an npz file.

    Raises:
        ValueError, LookupError: it is none.
    """
    array = arrays[key]  # bytes where it is no array
    if not isinstance(array, np.ndarray) or array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"{key} is no list of names")
    return tuple(array.tolist())
