"""A line in the log for each request, under a name that its answer carries too."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.watching.metrics import Metrics
from service.shared.log_lines import REQUEST_ID
from trainer.base.text import printable

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 200  # characters, in the log
_CUT_OFF = 499  # nginx's number for a client that went away before its answer began
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds by machines

log = logging.getLogger("service.request")


class RequestLog:
    """Names each request (a client may: X-Request-ID), logs how it went, and counts it.

    The query is not logged: it may hold what somebody takes for a password.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if _SANE.fullmatch(given) else secrets.token_hex(8)
        REQUEST_ID.set(name)  # each request has a context of its own: nothing has to be set back
        status, began = _CUT_OFF, time.monotonic()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            status = 500  # answered outside of us, by the framework's outermost frame
            raise
        finally:
            self._told(scope, status, time.monotonic() - began)

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        route = template_of(scope)
        self._metrics.answered(scope["method"], route, status, seconds)
        extra = {
            "method": scope["method"],
            "path": printable(scope["path"][:_LONGEST_PATH]),
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": (scope.get("client") or ("-",))[0],
        }
        log.log(logging.DEBUG if route in _QUIET and status < 400 else logging.INFO, "request", extra=extra)


def template_of(scope: Scope) -> str:
    """The path of the route that answered, with its parameters' names: few values, whatever is asked."""
    found = getattr(scope.get("route"), "path", None)
    return found if isinstance(found, str) else "(none)"
