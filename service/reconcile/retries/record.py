"""What is on record of an attempt, from what was seen of it at its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from service.reconcile.cluster import JobObservation
from service.store.attempts.values import Tried
from trainer.storage.directories import AttemptDir

_LONGEST_NAME = 255


class Report(Protocol):
    """What every report says of its attempt."""

    @property
    def started_at(self) -> str: ...
    @property
    def ended_at(self) -> str: ...


def tried_of(tried: Tried, job: JobObservation, report: Report | None, attempt: AttemptDir) -> Tried:
    """`tried` with where and when: the machine that trained, else the driver's; the report's times."""
    host = _host(attempt) or job.host
    tried = replace(tried, host=host, exit_code=job.exit_code)
    if report is None:
        return tried
    return replace(tried, started_at=moment_of(report.started_at), ended_at=moment_of(report.ended_at))


def moment_of(text: str) -> datetime | None:
    """The aware time that a report writes; None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _host(attempt: AttemptDir) -> str | None:
    try:
        return attempt.host.read_bytes(0, _LONGEST_NAME).decode(errors="replace").strip() or None
    except FileNotFoundError:
        return None
