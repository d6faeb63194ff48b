"""What went wrong, as a page: the same problem documents as the API's, for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from inspect import isawaitable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from service.api.entry.sessions import HOME, LOGOUT, TOKEN_COOKIE, is_page
from service.api.prefix import path_below
from service.api.problems import MEDIA_TYPE, problem_of
from service.api.requests import NoToken
from service.api.web.render import page
from service.shared.schemas import ProblemDetail

Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def install(app: FastAPI) -> None:
    """From now on every error that a page comes to is a page, whatever made it."""
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _as_page(handler))


def told(request: Request, error: Exception) -> Response:
    """A refusal at the door: the form to log in for people, a problem document for programs."""
    answer = problem_of(request, error)
    if not is_page(request):
        return answer
    if isinstance(error, NoToken):
        shown = login_page(request, _way_back(request), error if _has_shown(request) else None)
        shown.status_code = answer.status_code
        _keep_headers(answer, shown)
        return shown
    return _page_of(request, answer)


def login_page(request: Request, way_back: str, error: Exception | None = None) -> Response:
    """The form to log in.

    Args:
        way_back: where to after that, below the service's own path.
        error: why what was shown does not count; with its status.
    """
    answer = None if error is None else problem_of(request, error)
    said = None if answer is None else ProblemDetail.model_validate_json(bytes(answer.body)).detail
    status = HTTPStatus.OK if answer is None else answer.status_code
    shown = page(request, "login.html", status, way_back=way_back, said=said)
    if answer is not None:
        _keep_headers(answer, shown)
    return shown


def _has_shown(request: Request) -> bool:
    """Whether there is something to be told of: who has shown nothing has made no mistake."""
    return TOKEN_COOKIE in request.cookies or "authorization" in request.headers


def _way_back(request: Request) -> str:
    """Where a browser wanted to go; home, where that was to change something."""
    path = path_below(request.scope)
    if request.method != "GET" or path == LOGOUT:
        return HOME
    return f"{path}?{request.url.query}" if request.url.query else path


def _as_page(handler: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        made = handler(request, error)
        answer = await made if isawaitable(made) else made
        return _page_of(request, answer) if is_page(request) else answer

    return handle


def _page_of(request: Request, answer: Response) -> Response:
    if answer.media_type != MEDIA_TYPE:
        return answer
    problem = ProblemDetail.model_validate_json(bytes(answer.body))
    shown = page(request, "problem.html", problem.status, problem=problem)
    _keep_headers(answer, shown)
    return shown


def _keep_headers(answer: Response, shown: Response) -> None:
    """What a client must be told beside the text, such as when to try again."""
    for name in ("allow", "connection", "retry-after", "www-authenticate"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
