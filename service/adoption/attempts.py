"""The record of attempts, made again from what each left in its directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.retries.record import tried_of
from service.store.attempts.values import AttemptRecord, Tried
from service.store.records import JobRow
from trainer.base.errors import ReportError
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

_UNKNOWN = JobObservation(JobStatus.GONE)
_REASON = "adopted from its run directory"


def attempts_in(
    storage: Storage,
    row: JobRow,
    directory: Callable[[int], AttemptDir],
    read: Callable[[StoredFile], Any],
) -> list[AttemptRecord]:
    """Those of a row that have a directory. The last one ended as its row did, or goes on; others were lost.

    What counted as a failure nobody wrote down: none of them does.
    """
    return list(_found(storage, row, directory, read))


def _found(
    storage: Storage,
    row: JobRow,
    directory: Callable[[int], AttemptDir],
    read: Callable[[StoredFile], Any],
) -> Iterator[AttemptRecord]:
    for number in range(1, row.attempt + 1):
        here = directory(number)
        began = _changed(here.spec) or _changed(here.log)
        if began is None:
            continue
        record: dict[str, Any] = {"job_id": f"{row.id}-{number}", "submitted_at": began, "reason": _REASON}
        report = _report(here, read)
        tried = Tried(error_type=report.error.type if report is not None and report.error else None)
        told = asdict(tried_of(tried, _UNKNOWN, report, here)) | {"log": storage.name_of(here.log)}
        if report is None and number < row.attempt:
            told |= {"error_type": "JobLost", "ended_at": _changed(here.log) or began}
        elif report is None and not row.state.has_job:
            told |= {"error_type": row.error_type, "ended_at": row.updated_at}
        yield AttemptRecord(attempt=number, **record, **told)


def _report(here: AttemptDir, read: Callable[[StoredFile], Any]) -> Any:
    try:
        return read(here.report)
    except ReportError:
        return None


def _changed(file: StoredFile) -> datetime | None:
    at = file.modified_ns()
    return None if at is None else datetime.fromtimestamp(at / 1e9, UTC)
