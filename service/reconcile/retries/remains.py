"""What each attempt left in its directory, as far as it tells of the attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.retries.record import tried_of
from service.store.attempts.values import Tried
from trainer.base.errors import ReportError
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile

_UNKNOWN = JobObservation(JobStatus.GONE)


@dataclass(frozen=True)
class Remains:
    """One attempt that has a directory. `report` is None where there is none, or none that can be read."""

    number: int
    here: AttemptDir
    began: datetime
    report: Any

    @property
    def last_sign(self) -> datetime:
        """When it last wrote something."""
        signs = map(changed_at, (self.here.log, self.here.metrics))
        return max((at for at in signs if at is not None), default=self.began)

    @property
    def tried(self) -> Tried:
        """Error, host and times, as far as host file and report tell them."""
        error = self.report.error if self.report is not None else None
        return tried_of(Tried(error_type=error.type if error else None), _UNKNOWN, self.report, self.here)


def remains_of(
    newest: int, directory: Callable[[int], AttemptDir], read: Callable[[StoredFile], Any]
) -> Iterator[Remains]:
    """Those of the attempts 1 to `newest` that have a directory, by number. Raises OSError.

    Args:
        read: a report from its file.
    """
    for number in range(1, newest + 1):
        here = directory(number)
        began = changed_at(here.spec) or changed_at(here.log)
        if began is not None:
            yield Remains(number, here, began, _report(here, read))


def changed_at(file: StoredFile) -> datetime | None:
    """When it was last written, aware UTC; None where it is not there."""
    at = file.modified_ns()
    return None if at is None else datetime.fromtimestamp(at / 1e9, UTC)


def _report(here: AttemptDir, read: Callable[[StoredFile], Any]) -> Any:
    try:
        return read(here.report)
    except ReportError:
        return None
