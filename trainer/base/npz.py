"""What all readers of our npz files need: lists of names, and which errors mean that bytes are damaged."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

# What numpy and zipfile raise where bytes are not what they were.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, MemoryError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


def names_in(arrays: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The list of names under `key` of an npz file.

    Raises:
        ValueError, LookupError: it is none.
    """
    array = arrays[key]  # bytes where it is no array
    if not isinstance(array, np.ndarray) or array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"{key} is no list of names")
    return tuple(array.tolist())
