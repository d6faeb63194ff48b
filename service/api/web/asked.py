"""Forms of documents: from fields to what POST /experiments or /sweeps takes, from problems to fields."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.api.requests import BadParameter
from trainer.base.documents import MalformedDocument, parse_document
from trainer.base.errors import Problem, SpecError
from trainer.spec.models import CATALOGUE

DOCUMENT = "document"  # the field with JSON, for all that has no field of its own
CHECK = "check"  # the button that only looks
REFUSALS = (SpecError, BadParameter, MalformedDocument)  # of a document that came from fields
POINTERS = {
    "name": "/name",
    "recipe": "/recipe",
    "dataset": "/dataset/name",
    "root": "/dataset/root",
    "model": "/model",
    "method": "/method/kind",
    "lambda": "/method/lambda",
    "iterations": "/schedule/iterations",
    "seed": "/seed",
}
_NUMBERS = frozenset({"lambda", "iterations", "seed"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


class Asked(NamedTuple):
    """What the fields say, as the document to send, and why they cannot be put together, if so."""

    document: dict[str, Any]
    problems: tuple[Problem, ...]


def asked_for(fields: Mapping[str, str], pointers: Mapping[str, str] = POINTERS) -> Asked:
    """The document; a field that is empty says nothing, and the JSON says whatever has no field.

    Args:
        pointers: where each field stands in the document, by its name.
    """
    try:
        sent = parse_document(fields[DOCUMENT].encode()) if fields.get(DOCUMENT, "").strip() else {}
    except (MalformedDocument, UnicodeEncodeError) as error:
        return Asked({}, (Problem("", str(error), "a JSON object, or nothing"),))
    if not isinstance(sent, dict):
        return Asked({}, (Problem("", "the JSON is no object", "an object, such as {}"),))
    problems: list[Problem] = []
    for name, pointer in pointers.items():
        text = fields.get(name, "").strip()
        if text and not put(sent, pointer, _value(name, text)):
            problems.append(twice(pointer))
    return Asked(sent, tuple(problems))


def told_of(refusal: SpecError | BadParameter | MalformedDocument) -> tuple[Problem, ...]:
    """What the form shows of one of `REFUSALS`."""
    if isinstance(refusal, MalformedDocument):
        return (Problem("", str(refusal), "a JSON object"),)
    return refusal.problems


def twice(pointer: str) -> Problem:
    """What a field says that the JSON says, too."""
    return Problem(pointer, "is in the JSON below as well", "one of the two places")


def field_of(pointer: str, pointers: Mapping[str, str] = POINTERS) -> str:
    """Which field a problem is shown at: the one whose part of the document it is in, else the first of those
    that it is about, else the JSON.
    """
    for name, own in pointers.items():
        if f"{pointer}/".startswith(f"{own}/"):
            return name
    about = (name for name, own in pointers.items() if pointer and own.startswith(f"{pointer}/"))
    return next(about, DOCUMENT)


def by_field(problems: Sequence[Problem], pointers: Mapping[str, str] = POINTERS) -> dict[str, list[str]]:
    """What is said at each field, in the words of the API."""
    told: dict[str, list[str]] = {}
    for each in problems:
        name = field_of(each.pointer, pointers)
        where = f"{each.pointer}: " if name == DOCUMENT and each.pointer else ""
        told.setdefault(name, []).append(f"{where}{each.got}; allowed: {each.allowed}")
    return told


def _value(name: str, text: str) -> Any:
    """A number where it looks like one: what does not is refused by the spec, which says what is allowed."""
    if name == "model":
        return text if text in CATALOGUE else {"mmseg": text}
    return number_of(text) if name in _NUMBERS else text


def number_of(text: str) -> Any:
    """A number where the text looks like one, else the text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def put(document: dict[str, Any], pointer: str, value: Any) -> bool:
    """Puts a value where nothing is yet; False, and nothing is changed, where something is."""
    *parents, last = pointer.split("/")[1:]
    for each in parents:
        inner = document.setdefault(each, {})
        if not isinstance(inner, dict):
            return False
        document = inner
    if last in document:
        return False
    document[last] = value
    return True
