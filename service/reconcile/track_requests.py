"""Requests to send an experiment's run directory to MLflow again, as storage keeps them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

from service.reconcile.decide_tracking import Try, answered
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.records import Conflict, Experiment, Followup
from trainer.base.ends import End
from trainer.storage.checkpoints import list_checkpoints
from trainer.storage.layout import Storage
from trainer.storage.tracking import (
    TrackingRecord,
    TrackRequest,
    read_record,
    read_requests,
    write_request,
)


def tries_of(storage: Storage, row: Experiment) -> list[Try]:
    """Every try since the row's newest attempt began, newest first."""
    found = read_requests(storage, row.id)
    return [
        Try(number, each.asked_at, each.by_person) for number, each in found if each.attempt == row.attempt
    ]


def pending_try(storage: Storage, row: Experiment) -> Try | None:
    """The try that has not said yet how it went, while something is still to be done about the run."""
    if row.mlflow_status_due is None:
        return None
    tries = tries_of(storage, row)
    return tries[0] if tries and not answered(read_record(storage.tracking(row.id)), tries[0]) else None


def note_try(storage: Storage, row: Experiment, *, by_person: bool, now: datetime) -> Try:
    """Notes one more, before anything is done about it. Raises OSError."""
    request = TrackRequest(asked_at=now, by_person=by_person, attempt=row.attempt)
    return Try(write_request(storage, row.id, request), now, by_person)


def checkpoints_unsent(storage: Storage, row: Experiment, record: TrackingRecord | None) -> bool:
    """Whether MLflow is to get checkpoints of a run whose last job told it nothing of its end.

    That job was told to end, and wrote its report and nothing else, or was killed.
    """
    if not json.loads(row.spec).get("checkpoints", {}).get("track"):
        return False
    told = record is not None and record.by == f"attempt {storage.newest_attempt(row.id)}"
    return not told and bool(list_checkpoints(storage, row.id))


def ask_to_track(store: Store, settings: Settings, row: Experiment, now: datetime) -> Experiment:
    """The experiment, all of which is to be sent to MLflow again; asked while it is, nothing is added.

    Raises:
        Conflict: nobody tracks experiments here; or it has not ended, or was begun again just now,
            and its own job will send everything.
        OSError: storage does not answer; nothing has changed.
    """
    if settings.mlflow_uri is None:
        raise Conflict(f"experiment {row.id} is tracked nowhere: this service has no MLflow")
    if not row.state.ended:
        raise Conflict(f"experiment {row.id} is {row.state}; its job sends what is missing when it ends")
    if settings.layout.newest_attempt(row.id) == 0:
        raise Conflict(f"experiment {row.id} has left nothing that could be sent: no attempt ever ran")
    if pending_try(settings.layout, row) is None:
        note_try(settings.layout, row, by_person=True, now=now)
    return store.mlflow_due(row, End(row.state).mlflow_status, now=now)


def note_followup_unsent(store: Store, storage: Storage, row: Followup, now: datetime) -> None:
    """Has what MLflow did not take of a follow-up sent as what it did not take of a training.

    Nothing is noted where the experiment's own job is under way: it sees to all of it.
    """
    record = read_record(storage.tracking(row.experiment_id))
    if record is None or not record.behind or record.by != f"followup {row.id}":
        return
    experiment = store.get(row.experiment_id)
    if experiment.state.ended:
        with suppress(Conflict):  # begun again just now
            store.mlflow_due(experiment, End(experiment.state).mlflow_status, now=now)
