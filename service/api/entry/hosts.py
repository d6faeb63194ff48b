"""Requests for other hosts, and web pages of other origins."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.shared.network.hosts import fits, is_address, is_loopback
from service.shared.settings import Settings
from trainer.base.errors import Problem

_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key")
_ANSWERED = ("Location", "X-Next-Offset", "WWW-Authenticate")
_DAY_SECONDS = 86_400


class OwnHosts:
    """Refuses requests for other hosts: a web page may give this machine's address a name of its own
    (DNS rebinding), and would then be let in as the same origin.

    An address is no name that somebody could lead elsewhere: a service that others reach, whose token they
    need, takes every address as its own, for probes and balancers ask by it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = (settings.host.lower(), *settings.allowed_hosts)
        self._any_address = not settings.on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_own(host := Request(scope).url.hostname or ""):
            own = ", ".join(dict.fromkeys(("127.0.0.1", "localhost", "::1", *self._names)))
            wrong = Problem(
                "/headers/host", f"{host!r} is not this service", f"{own}, and each --allowed-host"
            )
            told = problems.problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "Unknown host",
                str(wrong),
                kind="unknown-host",
                errors=[wrong],
            )
            await told(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        return is_loopback(host) or fits(host, self._names) or (self._any_address and is_address(host))


def let_pages_in(app: FastAPI, settings: Settings) -> None:
    """Lets web pages of the origins that the settings name read the answers; none where they name none."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=_HEADERS,
            expose_headers=_ANSWERED,
            allow_credentials=False,  # a token is shown by the page's own code; there are no cookies
            max_age=_DAY_SECONDS,
        )
