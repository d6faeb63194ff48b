"""What a list is narrowed to, from a page's address: fields of a form that are left empty say nothing."""

from __future__ import annotations

from typing import TypeVar, get_origin
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.requests import BadParameter
from trainer.base.errors import Problem
from trainer.base.pointers import problems_of

Query = TypeVar("Query", bound=BaseModel)


def query_of(request: Request, model: type[Query]) -> Query:
    """The query that a route takes.

    Raises:
        BadParameter: with every parameter that is refused, as the route itself would.
    """
    given: dict[str, list[str] | str] = {}
    for name, about in model.model_fields.items():
        values = [each for each in request.query_params.getlist(name) if each.strip()]
        if values:
            given[name] = values if get_origin(about.annotation) is list else values[-1]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = problems_of(error, given, model.model_json_schema())
        raise BadParameter(
            tuple(Problem(f"/query{each.pointer}", each.got, each.allowed) for each in found)
        ) from None


def following(request: Request, cursor: str | None) -> str | None:
    """The query of the next page of the same list, None on the last."""
    if cursor is None:
        return None
    same = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor" and value]
    return urlencode([*same, ("cursor", cursor)])
