"""The one door: which scope a request needs, and whether the token that it shows has it."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.api.requests import InvalidToken, NoToken, ScopeTooSmall
from service.reconcile.reconciler import utc_now
from service.shared import tokens
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from trainer.base.text import printable

ALIVE = "/healthz"  # asked often, and when the database is away: no token is looked at
READY = "/readyz"  # answers everybody, but with its details only those who may read
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

    Every path is behind it, also one that is nothing, but for `ALIVE` and `READY`: a new route cannot be
    forgotten. What only administrators may do says so itself: `needs(Scope.ADMIN)`. The `probe` is one more
    viewer's token, for the process that serves to look at itself; it is kept nowhere.
    """

    def __init__(self, app: ASGIApp, probe: str | None) -> None:
        self._app = app
        self._probe = probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ALIVE
        if path == ALIVE:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        needed = tokens.Scope.VIEWER if request.method in READS else tokens.Scope.USER
        try:
            caller = await run_in_threadpool(self._caller, request)
            _check(caller, needed)
        except (NoToken, ScopeTooSmall, StoreUnavailable) as error:
            if path != READY or isinstance(error, InvalidToken):
                await problems.problem_of(request, error)(scope, receive, send)
                return
        else:
            request.state.caller = caller
            if needed is not tokens.Scope.VIEWER:
                send = _noting(request, caller, send)
        await self._app(scope, receive, send)

    def _caller(self, request: Request) -> Caller:
        """Whose token the request shows.

        Raises:
            NoToken, InvalidToken: it shows none, or one that does not count.
            StoreUnavailable: the database cannot be asked.
        """
        secret = _shown(request.headers)
        if self._probe is not None and hmac.compare_digest(secret, self._probe):
            return Caller("-", "this service itself", tokens.Scope.VIEWER)
        store, now = _store(request), utc_now()
        found = store.tokens.find(secret)
        if found is None or not hmac.compare_digest(found.digest, tokens.digest(secret)):
            raise InvalidToken("nobody has made this token here; allowed: one of `rebalance token create`")
        if (state := found.state(now)) != "valid":
            since = found.revoked_at or found.expires_at
            raise InvalidToken(f"the token {found.id} has {_ENDED[state]} {since:%Y-%m-%d %H:%M} UTC")
        with suppress(StoreUnavailable):  # a full disk keeps nobody from reading
            store.tokens.used(found, now=now)
        return Caller(found.id, found.name, found.scope)


_ENDED = {"expired": "expired at", "revoked": "been revoked at"}


def needs(scope: tokens.Scope) -> Callable[[Request], None]:
    """A dependency of routes that need more than their method says; only where the guard stands."""

    def check(request: Request) -> None:
        _check(request.state.caller, scope)

    return check


def may_see_details(request: Request, *, closed: bool) -> bool:
    """Whether `READY` says why: to everybody where no token is needed, else to who has shown one."""
    return not closed or getattr(request.state, "caller", None) is not None


def _check(caller: Caller, needed: tokens.Scope) -> None:
    if not caller.scope.includes(needed):
        raise ScopeTooSmall(f"the token {caller.id} has scope {caller.scope}; this needs scope {needed}")


def _shown(headers: Headers) -> str:
    """The token in the header Authorization. What else stands there is not repeated: it may be a secret."""
    given = headers.getlist("authorization")
    if not given:
        raise NoToken("send Authorization: Bearer TOKEN; the command line takes it from REBALANCE_TOKEN")
    kind, _, secret = given[0].strip().partition(" ")
    if len(given) > 1 or kind.lower() != "bearer":
        raise NoToken("the header Authorization is not `Bearer TOKEN`, once")
    secret = secret.strip()
    if not tokens.well_formed(secret):
        raise InvalidToken(
            "the token is mistyped or cut off: its checksum does not fit; nothing was looked up"
        )
    return secret


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
