"""Fields that vary: where they are in a document, which of their values are equal, how those are written."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

# No axis can vary these: what is to be done instead.
UNVARIED = {
    "/seed": "use /seeds: a row of the table has a trial for each",
    "/name": "use /name of the sweep: trials are named after their rows",
    "/scheduling": "use /scheduling of the sweep: its trials run inside it",
    "/tags": "use /tags of the sweep: they change nothing in training",
}
# Nor these: the other fields of the base's object are not those of another kind.
KINDS = {
    "/method/kind": 'use /method, whose values are names or whole methods: "dice", or /variants',
    "/dataset/name": "use /dataset, whose values are names or whole data sets",
}
_LONGEST_TEXT = 60
_DIGITS = 6
# Written without quotes: what cannot be taken for another value, nor for the rest of a row's name.
_WORD = re.compile(r'(?!(?:true|false|null)$)(?:[^\W\d]|[/.])[^",=]*')
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901: no other digits, no leading zeros


def identity(value: JsonValue) -> Hashable:
    """Equal for values that JSON does not tell apart: 0 and 0.0 are one number, true is none."""
    if isinstance(value, dict):
        return frozenset((key, identity(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(identity(inner) for inner in value)
    return (isinstance(value, bool), value)


def texts(values: Sequence[JsonValue]) -> list[str]:
    """How each of `values`, all different, is written: short, or in full where two would read the same."""
    short = [_short(value) for value in values]
    shared = Counter(short)
    return [
        text if shared[text] == 1 else json.dumps(value, separators=(",", ":"))
        for value, text in zip(values, short, strict=True)
    ]


def _short(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    bare = isinstance(value, str) and value.isprintable() and _WORD.fullmatch(value)
    text = str(value) if bare else json.dumps(value, separators=(",", ":"))
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def number_text(value: float) -> str:
    """A number of a range, so that no other reads the same."""
    short = _short(value)
    return short if float(short) == value else repr(value)


def rounded(value: float, low: float, high: float) -> float:
    """`value` to six significant digits, more where [low, high] is narrow: the table shows what ran."""
    digits = _DIGITS + math.ceil(math.log10(max(abs(low), abs(high)) / (high - low)))
    return min(high, max(low, float(f"{value:.{digits}g}")))


def is_range(low: float, high: float) -> bool:
    """Whether [low, high] has enough numbers, at least a million, and few enough to be drawn from."""
    steps = (high - low) / math.ulp(max(abs(low), abs(high)))
    return 2**20 <= steps < math.inf


def overlap(one: str, other: str) -> bool:
    """Whether two pointers name one field, or one of them a field inside the other's."""
    return within(one, other) or within(other, one)


def within(pointer: str, field: str) -> bool:
    """Whether `pointer` names the field, or one inside it."""
    return f"{pointer}/".startswith(f"{field}/")


def list_of(pointer: str) -> str | None:
    """The list that `pointer` names an item of; None where it names none."""
    parent, _, last = pointer.rpartition("/")
    return parent if _INDEX.fullmatch(last) else None


def label(pointer: str, others: Sequence[str]) -> str:
    """The last name of `pointer`; all of it where that is an index, or the last of `others` as well."""
    last = _last(pointer)
    alone = all(_last(other) != last for other in others if other != pointer)
    return last if alone and not _INDEX.fullmatch(last) else pointer.removeprefix("/")


def _last(pointer: str) -> str:
    return pointer.rpartition("/")[2]


def put(document: dict[str, Any], pointer: str, value: JsonValue) -> bool:
    """Sets an existing field; False where there is none."""
    parent, last = _parent(document, pointer), _tokens(pointer)[-1]
    if isinstance(parent, dict) and last in parent:
        parent[last] = value
        return True
    if isinstance(parent, list) and _is_index(last, parent):
        parent[int(last)] = value
        return True
    return False


def neighbours(document: Mapping[str, Any], pointer: str) -> str:
    """What might have been meant."""
    parent = _parent(document, pointer)
    if isinstance(parent, dict) and parent:
        prefix = pointer.rpartition("/")[0]
        found = [f"{prefix}/{name}" for name in parent]
        return "one of " + ", ".join(one for one in found if one not in UNVARIED and one not in KINDS)
    if pointer.startswith("/base/"):
        return f"{pointer.removeprefix('/base')}, without /base: pointers begin in the base"
    return "a field of the base, its defaults filled in"


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _parent(document: Any, pointer: str) -> Any:
    """What holds the pointer's last token, or None."""
    here = document
    for token in _tokens(pointer)[:-1]:
        if isinstance(here, list):
            here = here[int(token)] if _is_index(token, here) else None
        else:
            here = here.get(token) if isinstance(here, dict) else None
    return here


def _is_index(token: str, items: Sequence[Any]) -> bool:
    return _INDEX.fullmatch(token) is not None and int(token) < len(items)
