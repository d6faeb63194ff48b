"""What MLflow says of the runs that are to be shown: asked every few seconds, never waited for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from service.reconcile.cluster import BackendUnreachable, RunCloser, RunFact

_FRESH_SECONDS = 5.0
_QUIET_SECONDS = 15.0  # after it did not answer: the next requests do not wait for it
_SLOW_SECONDS = 0.2  # once somebody has waited so long, nobody else begins to
_MOST_KEPT = 10_000


class RunFacts:
    """Facts by run id; a run of which nothing is known is not among them. Any thread may ask."""

    def __init__(self, runs: RunCloser | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._runs = runs
        self._clock = clock
        self._known: dict[str, tuple[float, RunFact]] = {}
        self._quiet_until = float("-inf")
        self._asked_since: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def known(self) -> bool:
        """Whether there is an MLflow to ask; else nothing needs to be looked up for it."""
        return self._runs is not None

    def of(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
        """What is known of runs, given as run id to the id of the experiment they lie in."""
        now = self._clock()
        with self._lock:
            stale = {each: runs[each] for each in runs if not self._is_fresh(each, now)}
            asks = self._runs is not None and bool(stale) and now >= self._quiet_until
            if asks and now - min(self._asked_since.values(), default=now) < _SLOW_SECONDS:
                self._asked_since[threading.get_ident()] = now
            else:
                asks = False
        if asks:
            try:
                self._ask(stale, now)
            finally:
                with self._lock:
                    del self._asked_since[threading.get_ident()]
        with self._lock:
            return {each: self._known[each][1] for each in runs if each in self._known}

    def trouble(self) -> str | None:
        """Why MLflow is of no use at the moment, None while it answers, or where there is none to ask."""
        if self._runs is None:
            return None
        try:
            self._runs.ping()
        except BackendUnreachable as error:
            return f"{error}; experiments go on, and are sent to it once it answers"
        return None

    def _is_fresh(self, run_id: str, now: float) -> bool:
        return run_id in self._known and now - self._known[run_id][0] < _FRESH_SECONDS

    def _ask(self, runs: Mapping[str, str], now: float) -> None:
        assert self._runs is not None
        try:
            found = self._runs.look(runs)
        except BackendUnreachable:
            with self._lock:
                self._quiet_until = self._clock() + _QUIET_SECONDS
            return
        with self._lock:
            if len(self._known) > _MOST_KEPT:
                self._known.clear()
            self._known |= {run_id: (now, fact) for run_id, fact in found.items()}
