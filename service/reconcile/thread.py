"""The thread that runs the reconciler: at once when something was asked for, else every so often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.reconcile.reconciler import Reconciler, utc_now
from service.store.database import Lead
from service.store.experiments import Store
from service.store.records import StoreUnavailable

log = logging.getLogger(__name__)

_STALE_SECONDS = 120.0
# Each request that stores something wants a pass at once. With thousands that wait a pass takes a good part
# of a second, in which requests are slower: in between they have the process to themselves for longer.
_REST_PER_PASS = 4.0
_LONGEST_REST_SECONDS = 1.0
Role = Literal["leader", "follower"]


def rest_seconds(took: float) -> float:
    """How long nothing wakes the reconciler after a pass that took so many seconds."""
    return min(_REST_PER_PASS * took, _LONGEST_REST_SECONDS)


@dataclass(frozen=True)
class Pass:
    """The last pass over what is not yet as it should be."""

    seconds: float  # it took
    age_seconds: float  # since it ended
    well: bool  # the reconciler lives, and the pass came to its end


class ReconcilerLoop:
    """Starts, wakes and stops the thread; says whether it is well."""

    def __init__(
        self,
        reconciler: Reconciler,
        store: Store,
        *,
        poll_seconds: float,
        check_storage: Callable[[], None] = lambda: None,
    ) -> None:
        """`check_storage` raises OSError while nothing is to be done: what is there is not the storage."""
        self._check_storage = check_storage
        self._reconciler = reconciler
        self._store = store
        self._poll_seconds = poll_seconds
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._last_pass = time.monotonic()
        self._took = 0.0
        self._trouble: str | None = None
        self._role: Role = "follower"
        self._number: int | None = None

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """A pass is wanted now: something was stored or cancelled."""
        self._wanted.set()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Ends after the pass that is under way; jobs go on without us."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def trouble(self) -> str | None:
        """Why experiments do not move, None while they do."""
        if not self._thread.is_alive():
            return self._trouble or "the reconciler is not running"
        silent = time.monotonic() - self._last_pass
        if silent > _STALE_SECONDS:
            return f"the reconciler's pass has been going on for {silent:.0f} s"
        return self._trouble

    def role(self) -> tuple[Role, int | None]:
        """Whether this service acts or another one; of a leader on Postgres also the number of its lead."""
        return self._role, self._number

    def last_pass(self) -> Pass:
        """How the last pass went, and how long ago that was."""
        return Pass(self._took, time.monotonic() - self._last_pass, self.trouble() is None)

    def _run(self) -> None:
        try:
            with self._store.leadership() as ours:
                while not self._stopping.is_set():
                    self._wanted.clear()
                    self._pass(ours)
                    self._stopping.wait(rest_seconds(self._took))
                    self._wanted.wait(self._poll_seconds)
        except Exception as error:
            self._trouble = f"the reconciler died: {type(error).__name__}: {error}"
            log.exception("reconciler died")

    def _pass(self, ours: Lead) -> None:
        began = time.monotonic()
        try:
            self._store.ask_again()
            leads = ours()
            self._role, self._number = ("leader", ours.number) if leads else ("follower", None)
            if leads:
                self._check_storage()
                self._reconciler.run_once(utc_now(), ours)
            self._trouble = None
        except (StoreUnavailable, OSError) as error:
            # Both come back by themselves; an experiment waits, and nothing is lost.
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble:  # once, not in every pass: it may last, and the log's disk be full
                log.warning("pass given up", extra={"reason": str(error)})
            self._trouble = trouble
        self._last_pass = time.monotonic()
        self._took = self._last_pass - began
