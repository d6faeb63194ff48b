"""Trouble with single rows: told once while it lasts, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from service.reconcile.cluster import BackendUnreachable
from service.store.records import Conflict, StoreUnavailable

log = logging.getLogger(__name__)

_OVER = timedelta(minutes=10)  # without the trouble, which is news from then on


class Mishaps:
    """Errors that nobody expected, with the row they came of: told once while they last; others go on."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._told: dict[str, tuple[str, datetime]] = {}  # and when it was so last

    def new_pass(self, now: datetime) -> None:
        self._now = now
        self._told = {each: last for each, last in self._told.items() if now - last[1] < _OVER}

    @contextmanager
    def confined(self, identifier: str) -> Iterator[None]:
        """Lets through what is expected, or concerns all rows: see `JobFollower` and `ReconcilerLoop`."""
        try:
            yield
        except (StoreUnavailable, BackendUnreachable, Conflict, OSError):
            raise
        except Exception as error:  # the row's outermost frame: the next pass comes back to it
            if self.is_news(identifier, told := repr(error)):
                log.exception("mishap", extra={"row": identifier, "reason": told})

    def is_news(self, identifier: str, told: str) -> bool:
        """Whether something else was told of the row last: passes come each second, as long as it lasts."""
        before, _ = self._told.get(identifier, ("", None))
        self._told[identifier] = told, self._now
        return before != told
