"""What goes is on record before it does: the database may be away when it has gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from service.housekeeping.gc.doing import Outcome
from service.housekeeping.gc.plan import Action, sums
from service.store.trail.audit import AuditTrail


@contextmanager
def on_record(
    trail: AuditTrail, actions: Sequence[Action], outcomes: Sequence[Outcome], now: datetime
) -> Iterator[None]:
    """Notes what is to go; after the block, however it ended, what did, where that is less.

    `outcomes` is filled by the block. Raises StoreUnavailable; where the first note fails, nothing has gone.
    """
    planned = _told(actions)
    trail.note("gc", "storage", None, now=now, detail=planned)
    try:
        yield
    finally:
        went = _told(each.action for each in outcomes if each.done)
        if went != planned:
            trail.note("gc", "storage", None, now=now, detail=f"of that went: {went}")


def _told(actions: Iterable[Action]) -> str:
    found = sums(actions)
    named = ", ".join(f"{number} {kind}" for kind, (number, _) in found.items())
    return f"{named or 'nothing'}; {sum(size for _, size in found.values()):,} bytes"
