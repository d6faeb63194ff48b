"""The record of attempts, made again from what each left in its directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from service.reconcile.retries.remains import remains_of
from service.store.attempts.values import AttemptRecord
from service.store.records import JobRow
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

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
    for left in remains_of(row.attempt, directory, read):
        record: dict[str, Any] = {"job_id": f"{row.id}-{left.number}", "submitted_at": left.began}
        told = asdict(left.tried) | {"log": storage.name_of(left.here.log), "reason": _REASON}
        if left.report is None and left.number < row.attempt:
            told |= {"error_type": "JobLost", "ended_at": left.last_sign}
        elif left.number == row.attempt and not row.state.has_job:
            # Its report does not know for whom it was told to end.
            told |= {"error_type": row.error_type, "ended_at": told["ended_at"] or row.updated_at}
        yield AttemptRecord(attempt=left.number, **record, **told)
