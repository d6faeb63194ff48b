"""Text from outside, such as names of files: it may hold anything, and is made fit to be shown or kept."""

from __future__ import annotations

import io
import sys
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, also of direction; half pairs; ends of lines


def hidden_letter(text: str) -> str | None:
    """The first character that cannot be seen or turns others around; None where there is none."""
    if text.isprintable():
        return None
    return next((letter for letter in text if unicodedata.category(letter) in _HIDDEN), None)


def printable(text: str) -> str:
    """`text` with hidden characters as escapes: they would break lines, or the terminal, or UTF-8."""
    if hidden_letter(text) is None:
        return text
    return "".join(_escape(letter) if unicodedata.category(letter) in _HIDDEN else letter for letter in text)


def printable_lines(text: str) -> str:
    """`printable`, but for the ends of lines."""
    return "\n".join(map(printable, text.splitlines()))


def first_names(names: Sequence[str], noun: str = "", *, most: int = 8) -> str:
    """For example `a, b`; of more than `most` names the first ones, `and 1,992 more`, and the noun."""
    rest = f" and {len(names) - most:,} more {noun}".rstrip() if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def storable(text: str) -> str:
    """`text` as every file, database and answer takes it: U+0000 and lone surrogates as escapes.

    The latter stand in names of files that are not UTF-8.
    """
    return "".join(
        _escape(letter) if letter == "\0" or "\ud800" <= letter <= "\udfff" else letter for letter in text
    )


def _storable(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


# A field of a document that takes any message, `storable` from then on.
AnyText = Annotated[str, BeforeValidator(_storable)]


def make_streams_printable(*, utf8: bool = False) -> None:
    """From now on no print fails: letters that stdout's or stderr's encoding lacks come as escapes.

    Args:
        utf8: in UTF-8 whatever the terminal's encoding: JSON, and logs that are read as UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8" if utf8 else None, errors="backslashreplace")


def _escape(letter: str) -> str:
    number = ord(letter)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def size(number: int) -> str:
    """Bytes for people: `12.3 MiB`."""
    value, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
