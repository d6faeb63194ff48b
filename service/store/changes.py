"""What a step of a row writes: the columns that it changes, and the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from service.shared.states import State
from service.store.records import JobRow, Outcome

# What another attempt begins without, where the row's kind has it.
_OF_THE_LAST = (
    *("ended_at", "cancel_requested_at", "error_type", "error_message", "headline", "progress"),
    *("mlflow_status_due", "job_status", "job_since"),
    *("wait_reason", "preempt_requested_at", "timeout_requested_at", "pause_requested_at"),
)


def changes_of_another(columns: Collection[str], attempt: int, now: datetime) -> dict[str, Any]:
    """The columns, of those that there are, that somebody's asking for `attempt` changes."""
    emptied = {name: None for name in _OF_THE_LAST if name in columns}
    begun = {"state": State.QUEUED, "attempt": attempt, "failures": 0, "updated_at": now, "queued_at": now}
    return {**emptied, **begun}


def event(
    owner: str, at: datetime, attempt: int, left: State | None, to: State, reason: str
) -> dict[str, Any]:
    """An event row, for `Ledger.record`."""
    return {
        "owner": owner,
        "at": at,
        "attempt": attempt,
        "from_state": left,
        "to_state": to,
        "reason": reason,
    }


def changes_of(row: JobRow, to: State, now: datetime, outcome: Outcome) -> dict[str, Any]:
    """The columns that a step to `to` changes, the attempt aside."""
    changes: dict[str, Any] = {"state": to, "updated_at": now, **outcome.columns()}
    if to in (State.QUEUED, State.SUBMITTED, State.PAUSED):
        changes |= {"job_status": None, "job_since": None, "wait_reason": outcome.wait_reason}
    if to is State.QUEUED:
        changes |= {"queued_at": now, "preempt_requested_at": None, "timeout_requested_at": None}
    if to is State.SUBMITTED:
        changes["admitted_at"] = now
    if to is State.RUNNING:
        changes["started_at"] = now
    if row.started_at is not None:
        changes["started_at"] = row.started_at  # of the first attempt
    if to.ended:
        changes["ended_at"] = now
    return changes
