"""What is kept for the first that does not fit, so that smaller ones behind it do not starve it.

EASY backfilling (Mu'alem and Feitelson, IEEE TPDS 12(6), 2001): those behind it may begin where that does
not put off its start, which is known from how long the others may last at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.scheduling.amounts import Amount
from service.scheduling.snapshot import Snapshot, Waiting


@dataclass(frozen=True, slots=True)
class Release:
    """What is given back, and when at the latest."""

    at: datetime
    amount: Amount


@dataclass(slots=True)
class Reservation:
    """The right of `holder` to begin at `at`, None where nobody knows when; `extra` is what it leaves."""

    holder: Waiting
    at: datetime | None
    extra: Amount

    def allows(self, one: Waiting, now: datetime) -> bool:
        """Whether `one`, for which there is room now, may use it."""
        return self._over_by_then(one, now) or one.request.within(self.extra)

    def note(self, one: Waiting, now: datetime) -> None:
        """`one` has been let in."""
        if not self._over_by_then(one, now):
            self.extra = self.extra.minus(one.request)

    def _over_by_then(self, one: Waiting, now: datetime) -> bool:
        return self.at is not None and one.max_duration is not None and now + one.max_duration <= self.at


def reserve(
    holder: Waiting, there: Amount, releases: Iterable[Release], snapshot: Snapshot
) -> Reservation | None:
    """The reservation of one that does not fit into what is `there`.

    Where what runs says how long it may last, `holder` begins once enough is given back. Where it does not,
    nobody knows when that is: for `patience` others may pass, and after it nothing that the holder waits for
    is given to anybody behind it. None in the meantime.
    """
    free = there
    for each in sorted(releases, key=lambda one: one.at):
        free = free.plus(each.amount)
        if holder.request.within(free):
            return Reservation(holder, max(each.at, snapshot.now), free.minus(holder.request))
    if snapshot.now - holder.queued_at < snapshot.rules.patience:
        return None
    return Reservation(holder, None, there.minus(holder.request))
