"""How the parts are that may be silent: asked at once, each in a thread, and not waited for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

from service.reconcile.cluster import Backend, BackendUnreachable

# Less than what those who look at /readyz and /metrics wait: 6 s in our manifests, 10 s in Prometheus.
_LIMIT_SECONDS = 3.0


class Parts:
    """The parts by name, and what asks each: why it is not well, None where it is. Any thread may look."""

    def __init__(
        self, asks: Mapping[str, Callable[[], str | None]], *, limit_seconds: float = _LIMIT_SECONDS
    ) -> None:
        self._asks = asks
        self._limit = limit_seconds
        self._under_way: dict[str, Future[str | None]] = {}
        self._lock = threading.Lock()

    def troubles(self) -> dict[str, str | None]:
        """Each part's trouble; a part that is still being asked since earlier is not asked once more."""
        answers = {name: self._asked(name) for name in self._asks}
        until = time.monotonic() + self._limit
        return {name: self._answer(each, until) for name, each in answers.items()}

    def _answer(self, asked: Future[str | None], until: float) -> str | None:
        try:
            return asked.result(max(0.0, until - time.monotonic()))
        except NotInTime:
            return f"no answer within {self._limit:.0f} s; what needs it waits"

    def _asked(self, name: str) -> Future[str | None]:
        with self._lock:
            found = self._under_way.get(name)
            if found is None or found.done():
                found = self._under_way[name] = Future()
                thread = threading.Thread(target=self._ask, args=(name, found), name=name, daemon=True)
                thread.start()
            return found

    def _ask(self, name: str, asked: Future[str | None]) -> None:
        try:
            asked.set_result(self._asks[name]())
        except Exception as error:  # noqa: BLE001 - the outermost frame: whoever waits is told
            asked.set_exception(error)


def cluster_trouble(backend: Backend) -> str | None:
    """Why nothing can be submitted, None where something can."""
    try:
        backend.ping()
    except BackendUnreachable as error:
        return str(error)
    return None
