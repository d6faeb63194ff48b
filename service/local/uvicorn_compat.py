"""What we use of uvicorn that its documentation does not promise: seen in 0.54, held by a test.

Its protocol has no time for a request's head: whoever sends one byte by byte, or nothing at all, holds a
connection, and an open file of the service, for ever. A body is bounded by who reads it (`api/bodies.py`),
what is left of one after its answer is here. Where uvicorn moves what this builds on,
`tests/unit/service/local/test_uvicorn_compat.py` says so.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class TimedProtocol(H11Protocol):
    """HTTP/1.1 over h11; a connection that is in no request has `head_seconds` to come to one."""

    head_seconds = 20.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._until_head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        served = self.cycle
        super().data_received(data)
        if self.cycle is not served:
            self._stop_waiting()
        elif not _is_under_way(served):
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """From the first byte on: those that follow give no more time."""
        if self._until_head is None:
            self._until_head = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._until_head is not None:
            self._until_head.cancel()
            self._until_head = None


def _is_under_way(cycle: RequestResponseCycle | None) -> bool:
    """Whether a request is under way: its body is read, or its answer is written."""
    return cycle is not None and not cycle.response_complete
