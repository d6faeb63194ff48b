"""From pydantic's errors to problems: JSON pointers into the document that was sent, in words of JSON.

What is allowed is read from the model's JSON schema (`trainer.base.schema_words`), so it cannot differ from
what the API documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trainer.base.errors import Problem
from trainer.base.schema_words import allowed_at, fields_at, keys_allowed_at
from trainer.base.text import printable

Model = TypeVar("Model", bound=BaseModel)

_LONGEST_SHOWN = 80
_LONGEST_TOKEN = 200  # else an answer would be twice as long as the request
_MOST_TOLD = 50  # a small document can hold very many mistakes
_SIZE_ERRORS = {"too_short", "too_long"}
_BOUNDS = {
    "greater_than": "is not above the minimum",
    "greater_than_equal": "is below the minimum",
    "less_than": "is not below the maximum",
    "less_than_equal": "is above the maximum",
    "multiple_of": "is not a multiple of the step",
    "finite_number": "is not a finite number",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has characters that are not allowed, or not in this order",
    "string_unicode": "is not valid Unicode",
    "literal_error": "is not known",
    "enum": "is not known",
    "int_from_float": "is not an integer",
}


def escape(token: object) -> str:
    """One reference token of a JSON pointer (RFC 6901); of a name longer than any of ours, its beginning."""
    text = str(token)
    text = text if len(text) <= _LONGEST_TOKEN else text[: _LONGEST_TOKEN - 1] + "…"
    return printable(text).replace("~", "~0").replace("/", "~1")


def validated(
    model: type[Model], document: object, refusal: Callable[[tuple[Problem, ...]], Exception]
) -> Model:
    """What a decoded JSON document says, as a `model`.

    Raises:
        Exception: the one that `refusal` makes of every problem found.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise refusal(problems_of(error, document, model.model_json_schema())) from None


def problems_of(error: ValidationError, document: object, schema: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Every problem of `error` (of very many the first ones), ordered as found, each mistake once.

    Args:
        document: what was validated, as decoded from JSON.
        schema: JSON schema (by alias, validation mode) of the model that refused it.
    """
    found: dict[str, Problem] = {}
    echoes: list[str] = []
    for detail in error.errors(include_url=False):
        problem = _problem(detail, document, schema)
        found.setdefault(problem.pointer, problem)
        if detail["type"] in _SIZE_ERRORS or _is_no_word(detail):
            echoes.append(problem.pointer)
    # A list is also too short once its bad item is left out; an object is no word of a choice either.
    for pointer in echoes:
        if any(other.startswith(f"{pointer}/") for other in found):
            found.pop(pointer, None)
    problems = tuple(found.values())
    if len(problems) > _MOST_TOLD:
        rest = Problem("", f"{len(problems) - _MOST_TOLD} more problems", "a document with none")
        problems = (*problems[:_MOST_TOLD], rest)
    return problems


def _is_no_word(detail: Any) -> bool:
    return detail["type"] == "literal_error" and isinstance(detail["input"], dict)


def _problem(detail: Any, document: object, schema: Mapping[str, Any]) -> Problem:
    kind = detail["type"]
    place, value, rest = _walk(detail["loc"], document)
    if kind == "missing":
        return _missing(place, value, rest, document, schema)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(detail["ctx"]["discriminator"]).strip("'")
        if not isinstance(value, dict):
            got = f"{excerpt(value)} is not known"
        else:
            place = [*place, tag]
            got = f"{excerpt(value[tag])} is not known" if tag in value else "is missing"
        return Problem(pointer_to(place), got, allowed_at(schema, place, document))
    if kind == "alternatives":
        return Problem(pointer_to(place), detail["msg"], detail["ctx"]["allowed"])
    if kind == "extra_forbidden":
        names = ", ".join(fields_at(schema, place[:-1], document))
        return Problem(pointer_to(place), "is not a field of this object", f"the fields {names}")
    if "[key]" in rest:
        words = keys_allowed_at(schema, place[:-1], document)
        got = _got(detail, value) if kind == "value_error" else "is not a key that may be used"
        return Problem(pointer_to(place), got, words)
    allowed = allowed_at(schema, place, document)
    if kind == "finite_number" and allowed in ("a value", "a number"):
        allowed = "a finite number"  # 1e999 looks like one
    return Problem(pointer_to(place), _got(detail, value), allowed)


def _walk(loc: Sequence[int | str], document: object) -> tuple[list[str | int], Any, list[int | str]]:
    """(place, its value, what follows it in `loc`): the way along `loc` as far as the document has it.

    What is not in the document is left out of the place: a union's tag, "[key]", the name of a missing field.
    """
    here: Any = document
    known: Container[object]
    place: list[str | int] = []
    rest: list[int | str] = []
    for token in loc:
        known = range(len(here)) if isinstance(here, list) else here if isinstance(here, dict) else ()
        if token in known:
            place.append(token)
            here = here[token]
            rest = []
        else:
            rest.append(token)
    return place, here, rest


def _missing(
    place: list[str | int], value: object, rest: list[int | str], document: object, schema: Mapping[str, Any]
) -> Problem:
    name = rest[-1]
    if isinstance(value, dict):
        place = [*place, name]
        return Problem(pointer_to(place), "is missing", allowed_at(schema, place, document))
    if isinstance(value, list):  # of a fixed length
        return Problem(pointer_to(place), _sized(value), allowed_at(schema, place, document))
    # A catalogue name alone, where something has no default.
    return Problem(pointer_to(place), f"{excerpt(value)} needs {name} too", f"an object with {name}")


def _got(detail: Any, value: object) -> str:
    kind = detail["type"]
    if kind in _SIZE_ERRORS:
        return _sized(value)
    if kind in _BOUNDS:
        return f"{excerpt(value)} {_BOUNDS[kind]}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if value is None:
        return "is null"
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return f"{excerpt(value)} is too large"
    return f"{excerpt(value)} is {json_type(value)}"


def _sized(value: object) -> str:
    count = len(value) if isinstance(value, (dict, list)) else 0
    return f"has {count} item{'s' if count != 1 else ''}"


def json_type(value: object) -> str:
    """What JSON calls a value, with its article."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        ((list, tuple), "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def pointer_to(place: Sequence[str | int]) -> str:
    """The JSON pointer of a place."""
    return "".join(f"/{escape(token)}" for token in place)


def excerpt(value: object) -> str:
    """A value as JSON, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "a deeply nested value"
    return printable(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")
