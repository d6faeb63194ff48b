"""From the bytes of a document, in a request or a file, to JSON that is safe to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.base.errors import RegionRebalanceError
from trainer.base.pointers import escape

MAX_DEPTH = 32


class MalformedDocument(RegionRebalanceError):
    """The bytes are not one plain JSON document; the message says where and why."""


def read_document(path: Path) -> object:
    """`parse_document` of a file. Raises OSError, too."""
    return parse_document(path.read_bytes())


def text_of(body: bytes) -> str:
    """The text of a document, without a byte order mark.

    Raises:
        MalformedDocument: it is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"not UTF-8: byte {error.start} is {body[error.start]:#04x}") from None


def parse_document(body: bytes) -> object:
    """The decoded JSON.

    Refused beyond what JSON itself refuses: a key given twice, NaN and infinities, nesting deeper
    than `MAX_DEPTH`, and text that no database takes (U+0000, halves of surrogate pairs).

    Raises:
        MalformedDocument: saying where and why.
    """
    text = text_of(body)
    if not text.strip():
        raise MalformedDocument("the document is empty; a JSON object is expected")
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedDocument(f"not JSON: {error.msg[0].lower()}{error.msg[1:]} at {where}") from None
    except RecursionError:
        raise MalformedDocument(f"nested too deeply; allowed: {MAX_DEPTH} levels") from None
    except ValueError as error:  # an integer of more than 4,300 digits
        raise MalformedDocument(f"a number is too long: {error}") from None
    _check(document)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise MalformedDocument(f"the key {json.dumps(key)[:100]} is given twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> object:
    raise MalformedDocument(f"{name} is not JSON; allowed: finite numbers")


def _check(document: object) -> None:
    """Walks without recursion, for the depth is what is being checked."""
    waiting: list[tuple[str, int, object]] = [("", 1, document)]
    while waiting:
        pointer, depth, value = waiting.pop()
        if isinstance(value, str):
            _check_text(value, pointer)
        elif isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                raise MalformedDocument(f"nested too deeply; allowed: {MAX_DEPTH} levels")
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(key, str):
                    _check_text(key, pointer)
                waiting.append((f"{pointer}/{escape(key)}", depth + 1, inner))


def _check_text(text: str, pointer: str) -> None:
    for letter in text:
        if letter == "\0" or "\ud800" <= letter <= "\udfff":
            raise MalformedDocument(f"U+{ord(letter):04X} in text at {pointer or 'the top'} cannot be stored")
