"""When an experiment's copy in MLflow is sent again: pure, no clock, no storage, no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from service.reconcile.cluster import JobStatus
from trainer.storage.tracking import TrackingRecord

# After a try of ours that failed; together some two days, in which somebody may notice.
_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720, 1440))


class Step(Enum):
    """What is to be done about it now."""

    CLOSE = auto()  # nothing is missing: give the run its final status
    START = auto()  # note another try
    SUBMIT = auto()  # its job is not with the cluster, though the try is noted
    WAIT = auto()
    DONE = auto()  # the last try has brought everything
    GIVE_UP = auto()  # only somebody's asking starts another


@dataclass(frozen=True)
class Try:
    """Everything was to be sent again: by the service, or because a person asked."""

    number: int
    asked_at: datetime
    by_person: bool

    @property
    def by(self) -> str:
        """How what came of it is signed in storage."""
        return f"track {self.number}"


def answered(record: TrackingRecord | None, last: Try) -> bool:
    """Whether the try has said how it went."""
    return record is not None and record.by == last.by


def next_step(
    record: TrackingRecord | None,
    tries: Sequence[Try],
    job: JobStatus | None,
    now: datetime,
    *,
    unsent: bool = False,
) -> Step:
    """What follows for an experiment that has ended.

    Args:
        record: what its jobs have noted last.
        tries: since its newest attempt began, newest first.
        job: of the newest try, None where there is none.
        unsent: whether its newest attempt has left checkpoints that are to be sent, and did not get to it.
    """
    if tries and not answered(record, tries[0]):
        if job is JobStatus.GONE:
            return Step.SUBMIT
        if job is None or not job.over:
            return Step.WAIT
    elif record is None or not record.behind:
        if tries and answered(record, tries[0]):
            return Step.DONE
        if not unsent:
            return Step.CLOSE
    failed = _failures(tries)
    if failed > len(_PAUSES):
        return Step.GIVE_UP
    if failed and now - tries[0].asked_at < _PAUSES[failed - 1]:
        return Step.WAIT
    return Step.START


def _failures(tries: Sequence[Try]) -> int:
    """How many tries in a row have failed since a person last asked, that one included."""
    number = 0
    for each in tries:
        number += 1
        if each.by_person:
            break
    return number
