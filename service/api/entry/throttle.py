"""How often one caller may ask: a bucket of tokens for reads and one for writes, refilled steadily."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.entry.guard import ALIVE, READS, READY
from service.api.requests import TooOften

_BURST_SECONDS = 10.0  # so long a caller may be silent and then ask at once
_MOST_CALLERS = 10_000  # who was silent longest is forgotten: its bucket is full by then, or nearly


@dataclass
class _Bucket:
    left: float
    at: float


class Rate:
    """At most `per_second` of each caller on average, `_BURST_SECONDS` of them at once."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._full = max(1.0, per_second * _BURST_SECONDS)
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_seconds(self, caller: str) -> float:
        """0 where the caller may ask now, which is counted; else how long to wait, and nothing is counted."""
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._full, now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        bucket.left = min(self._full, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / self._per_second
        bucket.left -= 1
        return 0.0


class Throttle:
    """Answers 429 to who asks too often: by token behind the guard, by address where there are none.

    Each replica counts for itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        reads: float | None,
        writes: float | None,
        told: Callable[[Request, Exception], Response] = problems.problem_of,
    ) -> None:
        """`told`: how a refusal is answered."""
        self._app = app
        self._told = told
        self._rates = {
            "reads": Rate(reads) if reads else None,
            "writes": Rate(writes) if writes else None,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        kind = "reads" if request.method in READS else "writes"
        rate = self._rates[kind]
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        wait = rate.wait_seconds(_who(request)) if rate is not None and path not in (ALIVE, READY) else 0.0
        if wait > 0:
            await self._told(request, TooOften(kind, math.ceil(wait)))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _who(request: Request) -> str:
    caller = getattr(request.state, "caller", None)
    if caller is not None:
        return str(caller.id)
    return request.client.host if request.client else "-"
