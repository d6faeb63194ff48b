"""Whether what is asked for may still be stored: a queue without end is noticed too late."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from service.api.requests import QueueFull
from service.store.rows import Rows

_FRESH_SECONDS = 1.0  # while there is plenty of room
_PLENTY = 1000  # more than can be stored in that time


class QueueRoom:
    """At most `most` rows wait; counted anew for each request where that is near. Any thread may ask."""

    def __init__(
        self, ledgers: Sequence[Rows[Any]], most: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledgers = ledgers
        self._most = most
        self._clock = clock
        self._counted_at = float("-inf")

    def check(self) -> None:
        """Returns where there is room. Raises QueueFull, StoreUnavailable."""
        now = self._clock()
        if now - self._counted_at < _FRESH_SECONDS:
            return
        waiting = sum(ledger.waiting(most=self._most) for ledger in self._ledgers)
        if waiting >= self._most:
            raise QueueFull(f"{waiting:,} requests wait already (REBALANCE_MAX_QUEUED); nothing was stored")
        if waiting + _PLENTY < self._most:
            self._counted_at = now
