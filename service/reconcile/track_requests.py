"""Requests to send what an experiment or a sweep left to MLflow again, as storage keeps them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from service.reconcile.decide_tracking import Try, answered
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.jobs import Ledger
from service.store.records import Conflict, Experiment, Followup, Sweep
from trainer.base.ends import End
from trainer.storage.checkpoints import list_checkpoints
from trainer.storage.directories import TrackedDir, newest_number
from trainer.storage.layout import Storage
from trainer.storage.tracking import (
    TrackingRecord,
    TrackRequest,
    read_record,
    read_requests,
    write_request,
)

Row = TypeVar("Row", Experiment, Sweep)


def tracked_of(storage: Storage, row: Experiment | Sweep) -> TrackedDir:
    """Where it is kept what MLflow has of it."""
    return storage.sweep(row.id).tracked if isinstance(row, Sweep) else storage.tracked(row.id)


def word_of(row: Experiment | Sweep) -> str:
    """What it is called."""
    return "sweep" if isinstance(row, Sweep) else "experiment"


def tries_of(storage: Storage, row: Experiment | Sweep) -> list[Try]:
    """Every try since the row's newest attempt began, newest first."""
    found = read_requests(tracked_of(storage, row))
    return [
        Try(number, each.asked_at, each.by_person) for number, each in found if each.attempt == row.attempt
    ]


def pending_try(storage: Storage, row: Experiment | Sweep) -> Try | None:
    """The try that has not said yet how it went, while something is still to be done about the run."""
    if row.mlflow_status_due is None:
        return None
    tries = tries_of(storage, row)
    record = read_record(tracked_of(storage, row).record)
    return tries[0] if tries and not answered(record, tries[0]) else None


def note_try(storage: Storage, row: Experiment | Sweep, *, by_person: bool, now: datetime) -> Try:
    """Notes one more, before anything is done about it. Raises OSError."""
    request = TrackRequest(asked_at=now, by_person=by_person, attempt=row.attempt)
    return Try(write_request(tracked_of(storage, row), request), now, by_person)


def checkpoints_unsent(storage: Storage, row: Experiment | Sweep, record: TrackingRecord | None) -> bool:
    """Whether MLflow is to get checkpoints of a run whose last job told it nothing of its end.

    That job was told to end, and wrote its report and nothing else, or was killed. A sweep has none.
    """
    if isinstance(row, Sweep) or not json.loads(row.spec).get("checkpoints", {}).get("track"):
        return False
    told = record is not None and record.by == f"attempt {storage.newest_attempt(row.id)}"
    return not told and bool(list_checkpoints(storage, row.id))


def ask_to_track(ledger: Ledger[Row], settings: Settings, row: Row, now: datetime) -> Row:
    """The experiment that is to be sent to MLflow again, or the sweep whose own run is; asked while it is,
    nothing is added.

    Raises:
        Conflict: nobody tracks experiments here; or it has not ended, or was begun again just now,
            and its own job will send everything.
        OSError: storage does not answer; nothing has changed.
    """
    what = f"{word_of(row)} {row.id}"
    if settings.mlflow_uri is None:
        raise Conflict(f"{what} is tracked nowhere: this service has no MLflow")
    if not row.state.ended:
        raise Conflict(f"{what} is {row.state}; its job sends what is missing when it ends")
    if newest_number(tracked_of(settings.layout, row).folder) == 0:
        raise Conflict(f"{what} has left nothing that could be sent: no attempt ever ran")
    if pending_try(settings.layout, row) is None:
        note_try(settings.layout, row, by_person=True, now=now)
    return ledger.mlflow_due(row, End(row.state).mlflow_status, now=now)


def note_followup_unsent(store: Store, storage: Storage, row: Followup, now: datetime) -> None:
    """Has what MLflow did not take of a follow-up sent as what it did not take of a training.

    Nothing is noted where the experiment's own job is under way: it sees to all of it.
    """
    record = read_record(storage.tracked(row.experiment_id).record)
    if record is None or not record.behind or record.by != f"followup {row.id}":
        return
    experiment = store.get(row.experiment_id)
    if experiment.state.ended:
        with suppress(Conflict):  # begun again just now
            store.mlflow_due(experiment, End(experiment.state).mlflow_status, now=now)
