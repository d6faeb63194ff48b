"""Migration before a service starts, as containers need it: the database may come up later than we do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.migrations import migrate
from service.shared.settings import Settings
from service.store.records import SchemaRefused, StoreUnavailable

_PAUSE_SECONDS = 0.5


def migrate_within(
    settings: Settings, seconds: float, *, say: Callable[[str], None], stop: threading.Event
) -> tuple[str, ...]:
    """The revisions that were applied, as `migrate` has it, once the database answers.

    Args:
        seconds: for how long it may be silent; 0: it is asked once.
        say: told why we wait, once for each reason.
        stop: set, it ends the wait; what `migrate` raised last is raised.

    Raises:
        SchemaRefused: at once, for waiting does not help.
        StoreUnavailable: it does not answer in time.
    """
    deadline, told = time.monotonic() + seconds, ""
    while True:
        try:
            return migrate(settings)
        except SchemaRefused:
            raise
        except StoreUnavailable as error:
            left = deadline - time.monotonic()
            if left <= 0 or stop.is_set():
                raise
            if str(error) != told:
                told = str(error)
                say(f"waiting for at most {left:.0f} s: {told}")
        stop.wait(min(_PAUSE_SECONDS, left))
