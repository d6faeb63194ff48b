"""How a row ended, or that it rests, as a file beside its attempts: `rebalance adopt` goes by it.

A report tells how a job ended, but a job that was killed leaves none, and one that was told to end does not
know for whom. Without this file a row that is made again from its directory would begin once more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field, ValidationError

from service.reconcile.decide import Decision
from service.shared.states import State
from service.store.records import JobRow
from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.results.report import AttemptError
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile


class EndNote(StrictModel):
    """What became of the row in `attempt`, which may never have begun. It goes once another is begun."""

    attempt: int = Field(ge=1)
    state: Literal[State.FAILED, State.CANCELLED, State.PAUSED]
    reason: AnyText
    error: AttemptError | None = None
    at: AwareDatetime = Field(strict=False)


def note_end(file: StoredFile | None, here: AttemptDir, row: JobRow, to: Decision, now: datetime) -> None:
    """Writes the file where `to` is an end that no report may tell, or a pause.

    Nothing waits for it: without the storage, or on a full disk, there is none.

    Args:
        file: of the row; None of a kind that is not adopted.
        here: of the row's attempt. What never had a directory gets none.
    """
    if file is None or to.to not in (State.FAILED, State.CANCELLED, State.PAUSED):
        return
    kind, message = to.outcome.error_type, to.outcome.error_message
    error = None if kind is None else AttemptError(type=kind, message=message or "")
    note = EndNote(attempt=row.attempt, state=to.to, reason=to.reason, error=error, at=now)
    with suppress(OSError):
        if row.attempt > 1 or here.spec.exists():
            file.write(note.model_dump_json(indent=1) + "\n")


def forget_end(file: StoredFile | None) -> None:
    """Another attempt is begun. Raises OSError: as long as it says something else, none is."""
    if file is not None:
        file.delete()


def read_end(file: StoredFile) -> EndNote | None:
    """What it says; None where there is none, or nothing that can be read."""
    try:
        return EndNote.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
