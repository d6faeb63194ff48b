"""The one door: which scope a request needs, and whether the token that it shows has it."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.entry.sessions import HOME, LOGIN, LOGOUT, STATIC, TOKEN_COOKIE, is_page
from service.api.prefix import path_below
from service.api.requests import InvalidToken, NoToken, ScopeTooSmall
from service.reconcile.reconciler import utc_now
from service.shared import tokens
from service.shared.access.acting import ACTOR
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from trainer.base.text import printable

ALIVE = "/healthz"  # asked often, and when the database is away: no token is looked at
READY = "/readyz"  # answers everybody, but with its details only those who may read
# They answer everybody too: with the form to log in, and with what that looks like.
_DOORS = frozenset({"", HOME, LOGIN, LOGOUT})
READS = frozenset({"GET", "HEAD"})  # they change nothing
_LONGEST_PATH = 200  # characters, in the log

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    id: str
    name: str
    scope: tokens.Scope

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


class Guard:
    """Lets those in whose token may do what they ask for: reading needs a viewer's, all else a user's.

    Every path is behind it, also one that is nothing, but for `ALIVE` and `READY` and the form to log in: a
    new route cannot be forgotten. What only administrators may do says so itself: `needs(Scope.ADMIN)`. A
    token is shown in the header Authorization; one in the cookie of a log-in counts for all that is read, and
    for the pages' own forms, which prove by themselves that they are ours (`sessions.py`). The `probe` is one
    more viewer's token, for the process that serves to look at itself; it is kept nowhere.
    """

    def __init__(
        self, app: ASGIApp, probe: str | None, told: Callable[[Request, Exception], Response]
    ) -> None:
        """`told`: how a refusal is answered."""
        self._app = app
        self._probe = probe
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_below(scope) if scope["type"] == "http" else ALIVE
        if path == ALIVE or path.startswith(STATIC):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        needed = tokens.Scope.VIEWER if request.method in READS else tokens.Scope.USER
        try:
            caller = await run_in_threadpool(self._caller, request)
            request.state.caller = caller
            ACTOR.set(caller.name)
            if path not in _DOORS:
                _check(caller, needed)
        except (NoToken, ScopeTooSmall, StoreUnavailable) as error:
            if not _answers_anyway(path, error):
                await self._told(request, error)(scope, receive, send)
                return
        else:
            if needed is not tokens.Scope.VIEWER:
                send = _noting(request, caller, send)
        await self._app(scope, receive, send)

    def _caller(self, request: Request) -> Caller:
        """Whose token the request shows.

        Raises:
            NoToken, InvalidToken: it shows none, or one that does not count.
            StoreUnavailable: the database cannot be asked.
        """
        secret = _checked(_shown(request))
        if self._probe is not None and hmac.compare_digest(secret, self._probe):
            return Caller("-", "this service itself", tokens.Scope.VIEWER)
        return caller_of(secret, _store(request), utc_now())


def caller_of(secret: str, store: Store, now: datetime) -> Caller:
    """Whose token it is.

    Raises:
        InvalidToken: nobody's, or one that does not count any more.
        StoreUnavailable: the database cannot be asked.
    """
    found = store.tokens.find(_checked(secret))
    if found is None or not hmac.compare_digest(found.digest, tokens.digest(secret)):
        raise InvalidToken("nobody has made this token here; allowed: one of `rebalance token create`")
    if (state := found.state(now)) != "valid":
        since = found.revoked_at or found.expires_at
        raise InvalidToken(f"the token {found.id} has {_ENDED[state]} {since:%Y-%m-%d %H:%M} UTC")
    with suppress(StoreUnavailable):  # a full disk keeps nobody from reading
        store.tokens.used(found, now=now)
    return Caller(found.id, found.name, found.scope)


_ENDED = {"expired": "expired at", "revoked": "been revoked at"}


def needs(scope: tokens.Scope) -> Callable[[Request], Awaitable[None]]:
    """A dependency of routes that need more than their method says; only where the guard stands."""

    async def check(request: Request) -> None:
        _check(request.state.caller, scope)

    return check


async def administrators(request: Request) -> None:
    """A dependency of routes that are theirs where tokens are asked for, and everybody's where none are."""
    if request.app.state.settings.closed:
        _check(request.state.caller, tokens.Scope.ADMIN)


def may_see_details(request: Request, *, closed: bool) -> bool:
    """Whether `READY` says why: to everybody where no token is needed, else to who has shown one."""
    return not closed or getattr(request.state, "caller", None) is not None


def _check(caller: Caller, needed: tokens.Scope) -> None:
    if not caller.scope.includes(needed):
        raise ScopeTooSmall(f"the token {caller.id} has scope {caller.scope}; this needs scope {needed}")


def _answers_anyway(path: str, error: Exception) -> bool:
    """Whether a path that answers everybody does so in spite of this error."""
    if path == READY:
        return not isinstance(error, InvalidToken)
    return path in _DOORS and isinstance(error, NoToken)


def _checked(secret: str) -> str:
    """`secret`, if it has a token's form. Raises InvalidToken."""
    if not tokens.well_formed(secret):
        raise InvalidToken(
            "the token is mistyped or cut off: its checksum does not fit; nothing was looked up"
        )
    return secret


def _shown(request: Request) -> str:
    """The token that came with the request. What else came with it is not repeated: it may be a secret."""
    given = request.headers.getlist("authorization")
    if not given:
        return _in_cookie(request)
    kind, _, secret = given[0].strip().partition(" ")
    if len(given) > 1 or kind.lower() != "bearer":
        raise NoToken("the header Authorization is not `Bearer TOKEN`, once")
    return secret.strip()


def _in_cookie(request: Request) -> str:
    """The token of a browser's log-in, where one counts. Other programs show a header."""
    secret = request.cookies.get(TOKEN_COOKIE)
    if secret and (request.method in READS or is_page(request)):
        return secret
    raise NoToken("send Authorization: Bearer TOKEN; the command line takes it from REBALANCE_TOKEN")


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _noting(request: Request, caller: Caller, send: Send) -> Send:
    """`send`, which also logs who asked for a change, and what came of it."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = {
                "actor": str(caller),
                "method": request.method,
                "path": printable(request.scope["path"][:_LONGEST_PATH]),
                "status": message["status"],
                "location": Headers(raw=message["headers"]).get("location", ""),
            }
            log.info("change asked", extra=extra)
        await send(message)

    return noting
