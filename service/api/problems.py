"""From errors to application/problem+json."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from service.api.answers import ANSWERS, CHALLENGES
from service.api.requests import (
    BadParameter,
    BadPicture,
    BodyTooLarge,
    BodyTooSlow,
    NotJson,
    NotPicture,
    TooOften,
)
from service.shared.log_lines import REQUEST_ID
from service.shared.schemas import ProblemDetail
from service.store.records import BadCursor, Unknown
from service.store.tokens import UnknownToken
from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import pointer_to
from trainer.base.text import printable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

LOCATION = {
    "Location": {"description": "Where it is from now on.", "schema": {"type": "string"}, "required": True}
}

_LATER = {"Retry-After": "10"}  # seconds: what is away comes back by itself, or somebody sees to it


def install(app: FastAPI) -> None:
    """Makes every error of `app`, also those of the framework, a problem document."""
    for kind in ANSWERS:
        app.add_exception_handler(kind, problem_of)
    app.add_exception_handler(RequestValidationError, _framework_validation)
    app.add_exception_handler(HTTPException, _framework_http)
    app.add_exception_handler(ClientDisconnect, _broken_off)
    app.add_exception_handler(OSError, _storage)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: HTTPStatus, title: str, detail: str, *, kind: str | None = None, errors: Iterable[Problem] = ()
) -> Response:
    """One answer of type application/problem+json (RFC 9457), whatever is in its texts."""
    request = REQUEST_ID.get()
    document = {
        "type": f"urn:region-rebalance:problem:{kind}" if kind else "about:blank",
        "title": title,
        "status": int(status),
        "detail": printable(detail),
        "instance": f"urn:region-rebalance:request:{request}" if request else None,
        "errors": [{name: printable(text) for name, text in asdict(each).items()} for each in errors],
    }
    headers = _LATER if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(document, status_code=int(status), media_type=MEDIA_TYPE, headers=headers)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems that a route may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetail.__name__}"}}}
    return {int(s): {"description": s.phrase, "content": content} for s in statuses}


# Of routes that ask for a change of what is stored already: accepted, unless it is unknown or cannot be.
CHANGE: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "responses": documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
}


def problem_of(_request: Request, error: Exception) -> Response:
    """The problem document for an error of ours; its class is among those of `ANSWERS`."""
    known = next(kind for kind in type(error).__mro__ if kind in ANSWERS)
    errors: tuple[Problem, ...] = ()
    if isinstance(error, SpecError | BadParameter):
        errors = error.problems
    elif isinstance(error, BadPicture):
        errors = (error.problem,)
    name = "".join(f"-{c.lower()}" if c.isupper() else c for c in known.__name__).lstrip("-")
    told = problem(*ANSWERS[known], _detail(error), kind=name, errors=errors)
    if known in CHALLENGES:
        told.headers["WWW-Authenticate"] = CHALLENGES[known]
    if isinstance(error, TooOften):
        told.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, BodyTooSlow):
        told.headers["Connection"] = "close"  # what may still come of it is nobody's request
    return told


def _detail(error: Exception) -> str:
    match error:
        case Unknown():
            return f"there is no {error.word} {str(error)[:100]!r}{'; ' if error.gone else ''}{error.gone}"
        case UnknownToken():
            return f"there is no token {str(error)[:100]!r}"
        case BadCursor():
            return f"cursor {str(error)[:100]!r} is not from this list; omit it for the first page"
        case BodyTooLarge():
            return f"the body must be smaller than {error.limit:,} bytes"
        case NotJson():
            got = str(error)[:100] or "no Content-Type"
            return f"the body came with {got!r}; send Content-Type: application/json"
        case NotPicture():
            got = str(error)[:100] or "no Content-Type"
            return f"the body came with {got!r}; send Content-Type: image/png or image/jpeg"
        case SpecError():
            return f"{len(error.problems)} {'problem' if len(error.problems) == 1 else 'problems'}: {error}"
        case _:
            return str(error)


def _framework_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(
            pointer_to(detail["loc"]),
            "is missing" if detail["type"] == "missing" else f"{str(detail.get('input'))[:80]!r} is refused",
            "one value; see /docs"
            if detail["type"] == "missing"
            else str(detail["msg"]).removeprefix("Input should be "),
        )
        for detail in error.errors()
    ]
    told = "; ".join(str(each) for each in problems)
    status = HTTPStatus(422)
    return problem(status, "Invalid parameter", told, kind="invalid-parameter", errors=problems)


def _framework_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail, headers = error.detail, dict(error.headers or {})
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path[:200]}; see /docs"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _methods_at(request)
        detail = f"{request.method} is not possible here; allowed: {headers['Allow']}"
    answer = problem(status, status.phrase, detail)
    answer.headers.update(headers)
    return answer


def _methods_at(request: Request) -> str:
    """Every method of this path: the framework names only those of the first route that has it."""
    routes = request.app.router.routes
    found = [
        m
        for m in HTTPMethod
        if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in routes)
    ]
    return ", ".join(sorted(found))


def _storage(request: Request, error: Exception) -> Response:
    """Routes open files below the storage only: it is away, closed to us, or full."""
    assert isinstance(error, OSError)
    log.error("storage failed", extra={"path": request.url.path, "reason": repr(error)})
    told = f"{error.strerror or type(error).__name__}: {error.filename or 'no file was named'}"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Storage unavailable", told, kind="storage-unavailable")


def _broken_off(_request: Request, _error: Exception) -> Response:
    """Nobody reads it: the client went away before its body had come."""
    return problem(HTTPStatus.BAD_REQUEST, "Broken off", "the body ended before the request did")


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", extra={"path": request.url.path, "reason": repr(error)})
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, status.phrase, "this is our mistake; the service's log has the details")
