"""One try as it is told and read: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a step of a row says of its attempt, beside the state and the reason.

    `counted`: as a failure of the row's own. `log` is relative to the storage.
    """

    error_type: str | None = None
    counted: bool = False
    host: str | None = None
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    log: str | None = None


NOTHING_SAID = Tried()


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One attempt: `submitted_at` until `ended_at`, which is None while it goes on. Times are aware UTC."""

    attempt: int
    job_id: str
    submitted_at: datetime
    host: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    job_status: str | None = None
    exit_code: int | None = None
    error_type: str | None = None
    reason: str | None = None
    counted: bool = False
    log: str | None = None
