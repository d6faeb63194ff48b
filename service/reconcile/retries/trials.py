"""What is on record of a trial's attempts: its sweep's job runs them, and its run directory tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial

from service.reconcile.retries.classes import RETRIES, cause_of
from service.reconcile.retries.remains import Remains, changed_at, remains_of
from service.shared.states import State
from service.store.attempts.values import AttemptRecord
from service.store.records import Sweep
from trainer.base.ends import End
from trainer.results.report import AttemptError, read_report
from trainer.storage.layout import Storage

_REASONS = {
    End.COMPLETED: "report with a result",
    End.FAILED: "report with an error",
    End.STOPPED: "stopped early by its sweep's scheduler",
    End.CANCELLED: "cancelled on request",
}


def attempts_of_trial(
    storage: Storage, trial: str, sweep: Sweep, jobs: Sequence[AttemptRecord], last: tuple[State, str]
) -> tuple[AttemptRecord, ...]:
    """All that have a directory, each under the job of the sweep that began it. Raises OSError.

    Args:
        jobs: the sweep's own attempts, the first one first.
        last: the state that the trial comes to, and why: the reason of its newest attempt.
    """
    newest = storage.newest_attempt(trial)
    found = remains_of(newest, partial(storage.attempt, trial), read_report)
    return tuple(_records(storage, found, newest, sweep, jobs, last))


def _records(
    storage: Storage,
    found: Iterator[Remains],
    newest: int,
    sweep: Sweep,
    jobs: Sequence[AttemptRecord],
    last: tuple[State, str],
) -> Iterator[AttemptRecord]:
    to, reason = last
    for left in found:
        tried, job = left.tried, _job_of(left, jobs)
        is_newest = left.number == newest
        over = left.report is not None or not is_newest or not to.has_job
        lost = over and left.report is None and job is not None
        yield AttemptRecord(
            attempt=left.number,
            job_id=job.job_id if job is not None else sweep.job_id,
            submitted_at=left.began,
            **asdict(tried)
            | {
                "started_at": tried.started_at or changed_at(left.here.host),
                "ended_at": tried.ended_at or (left.last_sign if over else None),
                "error_type": job.error_type if lost and job is not None else tried.error_type,
                "counted": _is_counted(left),
                "log": storage.name_of(left.here.log),
            },
            job_status=job.job_status if lost and job is not None else None,
            reason=reason if is_newest else _reason(left),
        )


def _job_of(left: Remains, jobs: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The newest job that was there when the attempt began; None where none is on record."""
    before = [each for each in jobs if each.submitted_at <= left.began]
    return before[-1] if before else next(iter(jobs), None)


def _is_counted(left: Remains) -> bool:
    """Whether it is the trial's own failure, by the rule of experiments: a lost node is none."""
    if left.report is None or left.report.end is not End.FAILED:
        return False
    error: AttemptError = left.report.error
    return RETRIES[cause_of(error.type, error.message)].counted


def _reason(left: Remains) -> str:
    """Why an earlier attempt was followed by another."""
    if left.report is None:
        return "its sweep's job ended while it ran"
    if left.report.end is End.FAILED and left.report.error.retryable:
        first_line = next(iter(left.report.error.message.splitlines()), "")
        return f"{left.report.error.type}: {first_line}; tried again by its sweep"
    return _REASONS[left.report.end]
