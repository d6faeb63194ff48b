"""In which fields two documents differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from trainer.base.pointers import escape


class Difference(NamedTuple):
    """One field; `first` and `second` are what each document has there, None where it has nothing."""

    pointer: str
    first: Any
    second: Any


def differences(first: Any, second: Any, pointer: str = "") -> Iterator[Difference]:
    """Field by field in the order of the first document; lists are compared whole.

    1 and 1.0 are one number; true and 1 are not the same.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for name in dict.fromkeys((*first, *second)):
            yield from differences(first.get(name), second.get(name), f"{pointer}/{escape(name)}")
    elif first != second or isinstance(first, bool) is not isinstance(second, bool):
        yield Difference(pointer, first, second)
