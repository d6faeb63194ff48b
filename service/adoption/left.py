"""What a directory of attempts proves: which was the last, and how it stands with it. The first of these:

1. a report with a result: completed;
2. the service's note, of the last attempt or of one after it that never began: what it says;
3. another report: failed, cancelled or paused, as it says;
4. the directory of a newer attempt in which nothing is: failed, `Interrupted`. It is what was left where an
   attempt was ended by force before there were notes, or where the service died before it could fill it:
   nobody knows which, so nothing begins unasked;
5. none of these: submitted. The reconciler follows the job, or begins another that resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from service.reconcile.stopping.ended import EndNote
from service.shared.states import State
from sweeps.results.report import SweepReport
from trainer.base.ends import End
from trainer.base.errors import Paused, RegionRebalanceError, ReportError
from trainer.results.report import AttemptReport
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile

_NEVER = datetime.fromtimestamp(0, UTC)
Report = TypeVar("Report", AttemptReport, SweepReport)


class NotAdopted(RegionRebalanceError):
    """The directory tells too little for a row; the message says what is missing."""


@dataclass(frozen=True)
class Left(Generic[Report]):
    """How it stands.

    Attributes:
        attempt: the row's.
        here: the directory of the last that left anything.
        report: its report, if it can be read.
        columns: those that say how it ended.
    """

    attempt: int
    here: AttemptDir
    report: Report | None
    began: datetime
    columns: dict[str, Any]


def left_in(
    directory: Callable[[int], AttemptDir],
    newest: int,
    note: EndNote | None,
    read: Callable[[StoredFile], Report | None],
) -> Left[Report]:
    """What the attempts up to `newest`, one at least, have left.

    Raises:
        NotAdopted: its report has no times.
        ReportError: there is a report that cannot be read, and no note.
    """
    numbers = range(newest, 0, -1)
    last = next((n for n in numbers if _has_something(directory(n))), newest)
    here = directory(last)
    note = note if note is not None and note.attempt >= last else None
    report = _read(here.report, read, note)
    began = time_of(report.started_at) if report is not None else written_at(here.spec)
    if note is not None and (report is None or report.state != End.COMPLETED):
        return Left(note.attempt, here, report, began, _as_noted(note, began))
    if report is not None:
        return Left(last, here, report, began, _as_reported(report, began))
    if last < newest:
        return Left(last, here, None, began, _interrupted(last, began, written_at(here.log, began)))
    return Left(last, here, None, began, {"state": State.SUBMITTED, "updated_at": began})


def _has_something(here: AttemptDir) -> bool:
    return here.spec.exists() or here.report.exists() or here.log.exists()


def _read(
    file: StoredFile, read: Callable[[StoredFile], Report | None], note: EndNote | None
) -> Report | None:
    try:
        return read(file)
    except ReportError:
        if note is None:
            raise
        return None


def _as_noted(note: EndNote, began: datetime) -> dict[str, Any]:
    if note.state is State.PAUSED:
        return _paused(began, note.at)
    error = note.error
    return _ended(note.state, began, note.at, *((error.type, error.message) if error else (None, None)))


def _as_reported(report: AttemptReport | SweepReport, began: datetime) -> dict[str, Any]:
    ended_at, error = time_of(report.ended_at), report.error
    if error is not None and error.type == Paused.__name__:
        return _paused(began, ended_at)
    if error is None or report.state == End.CANCELLED:  # that it was asked for is no error
        return _ended(State(report.state), began, ended_at)
    return _ended(State(report.state), began, ended_at, error.type, error.message)


def _interrupted(attempt: int, began: datetime, ended_at: datetime) -> dict[str, Any]:
    told = (
        f"attempt {attempt} left no report, and beside it stands the directory of another that never began, "
        "as where an attempt is ended by force; whether it was cancelled is not known. It goes on from its "
        "last checkpoint where it is retried"
    )
    return _ended(State.FAILED, began, ended_at, "Interrupted", told)


def _paused(began: datetime, at: datetime) -> dict[str, Any]:
    return {"state": State.PAUSED, "started_at": began, "updated_at": at, "pause_requested_at": at}


def _ended(
    state: State, began: datetime, at: datetime, error: str | None = None, message: str | None = None
) -> dict[str, Any]:
    times = {"started_at": began, "ended_at": at, "updated_at": at}
    return {"state": state, **times, "error_type": error, "error_message": message}


def time_of(text: str) -> datetime:
    """The time that a report writes. Raises NotAdopted."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAdopted(f"its report says {text[:40]!r} for a time") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def written_at(file: StoredFile, otherwise: datetime = _NEVER) -> datetime:
    """When the file was last written; `otherwise`, where there is none."""
    changed_ns = file.modified_ns()
    return otherwise if changed_ns is None else datetime.fromtimestamp(changed_ns / 1e9, UTC)
