"""How often one address may show wrong tokens."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

MOST_WRONG = 10
WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 1000


class WrongTokens:
    """Counts wrong tokens by address, over the last minute. Any thread may ask.

    A token cannot be guessed; this keeps somebody who tries from costing the database more than that.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_seconds(self, address: str) -> int:
        """After how many seconds the address may try again; 0 for now."""
        with self._lock:
            times = self._recent(address)
            if len(times) < MOST_WRONG:
                return 0
            return max(1, math.ceil(times[0] + WINDOW_SECONDS - self._clock()))

    def add(self, address: str) -> None:
        """One more wrong token. Of very many addresses the one that was seen first is forgotten."""
        with self._lock:
            times = self._recent(address)
            times.append(self._clock())
            self._seen[address] = times
            if len(self._seen) > _MOST_ADDRESSES:
                del self._seen[next(iter(self._seen))]

    def _recent(self, address: str) -> deque[float]:
        times = self._seen.get(address, deque(maxlen=MOST_WRONG))
        while times and times[0] <= self._clock() - WINDOW_SECONDS:
            times.popleft()
        return times
