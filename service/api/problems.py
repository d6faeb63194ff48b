"""From errors to application/problem+json: the only file that knows status codes."""

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

from service.api.requests import (
    BadParameter,
    BadPicture,
    BodyTooLarge,
    Busy,
    ForeignForm,
    InvalidToken,
    NoPicture,
    NotAcceptable,
    NotForm,
    NothingThere,
    NotJson,
    NoToken,
    NotPicture,
    NotYours,
    QueueFull,
    ScopeTooSmall,
    TooOften,
    UnknownRecipe,
)
from service.reconcile.cluster import BackendUnreachable
from service.shared.log_lines import REQUEST_ID
from service.shared.schemas import ProblemDetail
from service.store.records import (
    BadCursor,
    BadKey,
    Conflict,
    KeyReused,
    NoReport,
    NothingSent,
    StoreUnavailable,
    Unknown,
    UnknownExperiment,
    UnknownFollowup,
    UnknownSweep,
)
from service.store.tokens import UnknownToken
from trainer.base.documents import MalformedDocument
from trainer.base.errors import (
    CheckpointError,
    ComparisonError,
    DataError,
    Problem,
    RegionRebalanceError,
    ReportError,
    SpecError,
)
from trainer.base.pointers import pointer_to
from trainer.base.text import printable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

LOCATION = {
    "Location": {"description": "Where it is from now on.", "schema": {"type": "string"}, "required": True}
}

_STATUS: dict[type[RegionRebalanceError], HTTPStatus] = {
    BadCursor: HTTPStatus.BAD_REQUEST,
    BadKey: HTTPStatus.BAD_REQUEST,
    MalformedDocument: HTTPStatus.BAD_REQUEST,
    NoToken: HTTPStatus.UNAUTHORIZED,
    InvalidToken: HTTPStatus.UNAUTHORIZED,
    ScopeTooSmall: HTTPStatus.FORBIDDEN,
    NotYours: HTTPStatus.FORBIDDEN,
    ForeignForm: HTTPStatus.FORBIDDEN,
    UnknownExperiment: HTTPStatus.NOT_FOUND,
    UnknownSweep: HTTPStatus.NOT_FOUND,
    UnknownFollowup: HTTPStatus.NOT_FOUND,
    UnknownToken: HTTPStatus.NOT_FOUND,
    UnknownRecipe: HTTPStatus.NOT_FOUND,
    NoReport: HTTPStatus.NOT_FOUND,
    NothingSent: HTTPStatus.NOT_FOUND,
    NothingThere: HTTPStatus.NOT_FOUND,
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    Conflict: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.CONFLICT,
    CheckpointError: HTTPStatus.CONFLICT,
    NoPicture: HTTPStatus.CONFLICT,
    ComparisonError: HTTPStatus.CONFLICT,
    ReportError: HTTPStatus.CONFLICT,
    BodyTooLarge: HTTPStatus(413),  # its name changed in Python 3.13
    NotJson: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotPicture: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotForm: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    SpecError: HTTPStatus(422),
    DataError: HTTPStatus(422),
    BadParameter: HTTPStatus(422),
    BadPicture: HTTPStatus(422),
    TooOften: HTTPStatus.TOO_MANY_REQUESTS,
    QueueFull: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    BackendUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
}
_TITLES: dict[type[RegionRebalanceError], str] = {
    BadCursor: "Unknown cursor",
    BadKey: "Invalid Idempotency-Key",
    MalformedDocument: "Malformed JSON",
    NoToken: "A token is needed",
    InvalidToken: "Not a token that counts",
    ScopeTooSmall: "Not with this token",
    NotYours: "Somebody else's",
    ForeignForm: "Not a form of this page",
    UnknownExperiment: "No such experiment",
    UnknownSweep: "No such sweep",
    UnknownFollowup: "No such follow-up",
    UnknownToken: "No such token",
    UnknownRecipe: "No such recipe",
    NoReport: "No report yet",
    NothingSent: "Nothing was sent",
    NothingThere: "Nothing there",
    NotAcceptable: "Not in this form",
    Conflict: "Too late",
    KeyReused: "Idempotency-Key used before with another body",
    CheckpointError: "No such checkpoint",
    NoPicture: "No picture",
    ComparisonError: "These experiments cannot be compared",
    ReportError: "Unreadable report",
    BodyTooLarge: "Body too large",
    NotJson: "Not JSON",
    NotPicture: "Not a picture",
    NotForm: "Not a form",
    SpecError: "Invalid spec",
    DataError: "Unusable data",
    BadParameter: "Invalid parameter",
    BadPicture: "Unusable picture",
    TooOften: "Too many requests",
    QueueFull: "The queue is full",
    StoreUnavailable: "Database unavailable",
    BackendUnreachable: "Cluster unreachable",
    Busy: "Busy",
}
# RFC 6750, section 3: how a client is told that it must show a token, or another one.
_CHALLENGES: dict[type[RegionRebalanceError], str] = {
    NoToken: 'Bearer realm="region-rebalance"',
    InvalidToken: 'Bearer realm="region-rebalance", error="invalid_token"',
    ScopeTooSmall: 'Bearer realm="region-rebalance", error="insufficient_scope"',
}


_LATER = {"Retry-After": "10"}  # seconds: what is away comes back by itself, or somebody sees to it


def install(app: FastAPI) -> None:
    """Makes every error of `app`, also those of the framework, a problem document."""
    for kind in _STATUS:
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
    """The problem document for an error of ours; its class is among those of `_STATUS`."""
    known = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    errors: tuple[Problem, ...] = ()
    if isinstance(error, SpecError | BadParameter):
        errors = error.problems
    elif isinstance(error, BadPicture):
        errors = (error.problem,)
    name = "".join(f"-{c.lower()}" if c.isupper() else c for c in known.__name__).lstrip("-")
    told = problem(_STATUS[known], _TITLES[known], _detail(error), kind=name, errors=errors)
    if known in _CHALLENGES:
        told.headers["WWW-Authenticate"] = _CHALLENGES[known]
    if isinstance(error, TooOften):
        told.headers["Retry-After"] = str(error.retry_after_seconds)
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
