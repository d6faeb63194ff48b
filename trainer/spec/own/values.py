"""Numbers, texts and lists in an own model: what they may be, by the key that they stand under."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from trainer.base.errors import Problem
from trainer.base.pointers import escape, excerpt, json_type

_MOST_DEPTH = 10  # of objects and lists in each other
_MOST_VALUES = 2000
_MOST_ITEMS = 200  # of one list or object
_LARGEST_NUMBER = 1e6  # of those that are no integers
_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")  # no path, no address, no name with a dot
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")  # nothing that Python or mmengine treats as its own


_DROPPED = re.compile(r"(?:.*_)?drop(?:out)?(?:_path)?_(?:rate|ratio|prob)")  # shares of what is left out


class _Bounds(NamedTuple):
    """What an integer may be; `only`: nothing but integers can be meant."""

    least: int
    most: int
    only: bool = True


# By the end of the key, the first that fits.
_BOUNDS: tuple[tuple[re.Pattern[str], _Bounds], ...] = tuple(
    (re.compile(rf"(?:.*_)?(?:{ends})"), bounds)
    for ends, bounds in (
        (r"channels|dims?|planes|codes|bases|groups", _Bounds(1, 8192)),
        (
            r"depths?|layers|blocks|modules|convs|stages|fcs|heads|branches|bottlenecks?|outs|steps",
            _Bounds(0, 200),
        ),
        (r"sizes?|scales", _Bounds(1, 4096, only=False)),
        (r"strides?|dilations?", _Bounds(1, 4096)),
        (r"paddings?", _Bounds(0, 4096, only=False)),
        (r"index|indices|level|frozen_stages", _Bounds(-200, 200)),
    )
)
_FROZEN = _Bounds(-1, 200)
_OTHERS = _Bounds(-1, 8192, only=False)


def size_problems(config: object, where: str) -> list[Problem]:
    """What is wrong with the size of a document, found without going to its end: at most one problem."""
    waiting: list[tuple[str, int, object]] = [(where, 1, config)]
    values = 0
    while waiting:
        pointer, depth, value = waiting.pop()
        if not isinstance(value, (dict, list, tuple)):
            continue
        if depth > _MOST_DEPTH:
            return [Problem(pointer, "is nested too deeply", f"{_MOST_DEPTH} levels of objects and lists")]
        if len(value) > _MOST_ITEMS:
            return [Problem(pointer, f"has {len(value):,} items", f"at most {_MOST_ITEMS}")]
        values += len(value)
        if values > _MOST_VALUES:
            return [Problem(where, f"has more than {_MOST_VALUES:,} values", "fewer")]
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [(f"{pointer}/{_token(key)}", depth + 1, item) for key, item in inner]
    return []


def key_problem(key: str, where: str) -> Problem | None:
    """What is wrong with a key as such, whatever the object that it stands in."""
    if _KEY.fullmatch(key) and not key.endswith("_"):
        return None
    words = "letters, digits and _, a letter first"
    return Problem(under(where, key), "is not a key that may be used", words)


def plain_problems(key: str, value: object, where: str) -> Iterator[Problem]:
    """What is wrong with a value that is no object: a number, a word, or a list of them."""
    if isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from plain_problems(key, item, f"{where}/{number}")
        return
    problem = _scalar_problem(key, value)
    if problem is not None:
        yield Problem(where, *problem)


def _scalar_problem(key: str, value: object) -> tuple[str, str] | None:
    """(what was got, what is allowed) of a value that may not be."""
    bounds = _bounds(key)
    if value is None or isinstance(value, bool):
        return None
    if _DROPPED.fullmatch(key) and not (isinstance(value, (int, float)) and 0 <= value < 1):
        return f"{shown(value)} is no share of what could be dropped", f"0 <= {key} < 1"
    if isinstance(value, int):
        return _integer_problem(value, bounds)
    if bounds.only:
        return f"{shown(value)} is {json_type(value)}", f"an integer from {bounds.least} to {bounds.most}"
    if isinstance(value, float):
        if math.isfinite(value) and abs(value) <= _LARGEST_NUMBER:
            return None
        return f"{shown(value)} is too large", f"numbers from -{_LARGEST_NUMBER:.0f} to {_LARGEST_NUMBER:.0f}"
    if isinstance(value, str):
        if _TEXT.fullmatch(value):
            return None
        return f"{shown(value)} is not a word", "a word of mmsegmentation: letters, digits, _ and -"
    return f"is {json_type(value)}", "a number, a word, true, false, null, or a list of them"


def _integer_problem(value: int, bounds: _Bounds) -> tuple[str, str] | None:
    if bounds.least <= value <= bounds.most:
        return None
    side = "below the minimum" if value < bounds.least else "above the maximum"
    return f"{shown(value)} is {side}", f"{bounds.least} to {bounds.most}"


def _bounds(key: str) -> _Bounds:
    if key == "frozen_stages":
        return _FROZEN
    return next((bounds for pattern, bounds in _BOUNDS if pattern.fullmatch(key)), _OTHERS)


def shown(value: object) -> str:
    """`excerpt`, of any number: what has thousands of digits is not written out."""
    if isinstance(value, int) and not -(10**40) < value < 10**40:
        return "a very long number"
    return excerpt(value)


def under(where: str, key: object) -> str:
    """The pointer of `key` in the object at `where`."""
    return f"{where}/{_token(key)}"


def _token(key: object) -> str:
    text = escape(key)
    return text if len(text) <= 100 else f"{text[:99]}…"
