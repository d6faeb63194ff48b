"""Sees to the MLflow runs of what has ended: a final status, or all that is missing, sent by a small job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from service.reconcile.cluster import (
    AccessRefused,
    AlreadySubmitted,
    BackendUnreachable,
    RunCloser,
    SubmitRefused,
)
from service.reconcile.decide_tracking import Step, Try, answered, next_step
from service.reconcile.job_kinds import track_command
from service.reconcile.passes.cluster_link import BackendLink
from service.reconcile.passes.mishaps import Mishaps
from service.reconcile.track_requests import (
    Row,
    checkpoints_unsent,
    note_try,
    pending_try,
    tracked_of,
    tries_of,
    word_of,
)
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.jobs import Ledger
from service.store.records import Experiment, Sweep
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import mlflow_ids
from trainer.storage.notices import read_notices
from trainer.storage.port import StoredFile
from trainer.storage.tracking import read_record

log = logging.getLogger(__name__)

_PAUSE = timedelta(seconds=30)  # while MLflow does not answer
_LOOK_AGAIN = timedelta(seconds=20)  # at a row that has to wait
_AT_ONCE = 10  # rows a pass
_MOST_JOBS = 2  # that send at a time: each imports MLflow, on a core that trainings want
_GIVEN_UP = "MLflow has not taken what is missing, and it is not tried again by itself: `rebalance track {}`"


class Tracking:
    """A pass over the rows whose MLflow run is still to be seen to; MLflow's absence delays only this."""

    def __init__(
        self, store: Store, settings: Settings, cluster: BackendLink, runs: RunCloser | None, mishaps: Mishaps
    ) -> None:
        self._store = store
        self._settings = settings
        self._storage = settings.layout
        self._cluster = cluster
        self._runs = runs
        self._mishaps = mishaps
        self._silent_until: datetime | None = None
        self._later: dict[tuple[str, datetime], datetime] = {}  # not before; a row that has changed at once
        self._sending: dict[str, str] = {}  # the job, by experiment
        self._counted = False  # those from before this process

    def settle(self, now: datetime, leads: Callable[[], bool] = lambda: True) -> None:
        """Does what is next for each row, as far as MLflow and the cluster answer, while `leads` holds."""
        self._later = {each: at for each, at in self._later.items() if at > now}
        self._settle_all(self._store, now, leads)
        self._settle_all(self._store.sweeps, now, leads)

    def _settle_all(self, ledger: Ledger[Row], now: datetime, leads: Callable[[], bool]) -> None:
        for row in self._due(ledger):
            if not leads():
                return
            with self._mishaps.confined(row.id):
                try:
                    self._settle(ledger, self._noted(ledger, row, now), now)
                    continue
                except BackendUnreachable as error:
                    self._cluster.note_unreachable(str(error))
                except OSError as error:
                    if self._mishaps.is_news(row.id, told := str(error)):
                        log.warning("storage trouble", extra={word_of(row): row.id, "reason": told})
            self._wait(row, now)

    def _due(self, ledger: Ledger[Row]) -> list[Row]:
        """Those that are looked at in this pass: ones that wait keep nobody waiting."""
        rows = ledger.with_mlflow_due(limit=_AT_ONCE + len(self._later))
        return [row for row in rows if (row.id, row.updated_at) not in self._later][:_AT_ONCE]

    def _noted(self, ledger: Ledger[Row], row: Row, now: datetime) -> Row:
        """The row, once it has the notices of a try that is over; what is decided next is decided of it."""
        record, tries = read_record(tracked_of(self._storage, row).record), tries_of(self._storage, row)
        if not tries or not answered(record, tries[0]):
            return row
        self._sending.pop(row.id, None)
        notices = read_notices(self._newest(row))
        if not row.news(notices):
            return row
        ledger.note([(row, notices)], now=now)
        return ledger.get(row.id)

    def _settle(self, ledger: Ledger[Row], row: Row, now: datetime) -> None:
        if row.mlflow_status_due is None:
            return  # begun again just now
        record, tries = read_record(tracked_of(self._storage, row).record), tries_of(self._storage, row)
        job = self._cluster.look(_job_id(row, tries[0])).status if tries else None
        unsent = self._settings.mlflow_uri is not None and checkpoints_unsent(self._storage, row, record)
        step = next_step(record, tries, job, now, unsent=unsent)
        if step is Step.CLOSE and self._reach(now):
            self._close(ledger, row, now)
        elif step is Step.START and self._room() and self._answers(now):
            self._cluster.backend.ping()  # a try is noted when somebody is there to take it
            self._submit(ledger, row, note_try(self._storage, row, by_person=False, now=now), now)
        elif step is Step.SUBMIT and self._room():
            self._submit(ledger, row, tries[0], now)
        elif step is Step.DONE:
            ledger.mlflow_settled(row, run_id=mlflow_ids(self._mlflow(row)).get("run_id"))
        elif step is Step.GIVE_UP:
            self._end_trying(ledger, row, _GIVEN_UP.format(row.id), now)
        elif row.id not in self._sending:
            self._wait(row, now)

    def _end_trying(self, ledger: Ledger[Row], row: Row, why: str, now: datetime) -> None:
        if ledger.mlflow_settled(row):
            ledger.tell(row, why, now=now)

    def _room(self) -> bool:
        """Whether one more job may send; those that an earlier service has started count."""
        if not self._counted:
            self._counted = True
            due: tuple[Experiment | Sweep, ...] = (
                *self._store.with_mlflow_due(limit=None),
                *self._store.sweeps.with_mlflow_due(limit=None),
            )
            for row in due:
                with suppress(OSError):
                    if (each := pending_try(self._storage, row)) is not None:
                        self._sending[row.id] = _job_id(row, each)
        sending = self._sending.items()
        self._sending = {each: job for each, job in sending if not self._cluster.look(job).status.over}
        return len(self._sending) < _MOST_JOBS

    def _wait(self, row: Experiment | Sweep, now: datetime) -> None:
        self._later[row.id, row.updated_at] = now + _LOOK_AGAIN

    def _submit(self, ledger: Ledger[Row], row: Row, each: Try, now: datetime) -> None:
        job_id = _job_id(row, each)
        metadata = {word_of(row): row.id, "track": str(each.number), "name": row.name}
        try:
            self._cluster.backend.submit(job_id, track_command(self._settings, row, each.number), metadata)
        except AlreadySubmitted:
            pass
        except SubmitRefused as refusal:
            self._end_trying(ledger, row, f"nothing is sent to MLflow again: {refusal}", now)
            return
        self._sending[row.id] = job_id
        ledger.tell(row, f"job {job_id} sends everything to MLflow again", now=now)

    def _close(self, ledger: Ledger[Row], row: Row, now: datetime) -> None:
        """Ends the run; after a mishap it counts as ended too, or such rows keep all others waiting."""
        if self._runs is not None and row.mlflow_run_id is not None and row.mlflow_status_due is not None:
            try:
                with self._mishaps.confined(row.id):
                    self._runs.close_run(row.mlflow_run_id, row.mlflow_status_due)
            except AccessRefused as error:  # its job, with credentials of its own, has closed it
                log.warning("mlflow refused", extra={"run": row.mlflow_run_id, "reason": str(error)})
            except BackendUnreachable as error:
                self._note_silence(error, now)
                return
        ledger.mlflow_settled(row)

    def _reach(self, now: datetime) -> bool:
        """False while MLflow is left alone, because it did not answer just now."""
        return self._silent_until is None or now >= self._silent_until

    def _answers(self, now: datetime) -> bool:
        """Whether a job that sends something has a chance."""
        if self._runs is None:
            return True
        if not self._reach(now):
            return False
        try:
            self._runs.ping()
        except AccessRefused:
            return True
        except BackendUnreachable as error:
            self._note_silence(error, now)
            return False
        return True

    def _note_silence(self, error: BackendUnreachable, now: datetime) -> None:
        log.warning("mlflow unreachable", extra={"reason": str(error)})
        self._silent_until = now + _PAUSE

    def _newest(self, row: Experiment | Sweep) -> AttemptDir:
        if isinstance(row, Sweep):
            here = self._storage.sweep(row.id)
            return here.attempt(here.newest_attempt())
        return self._storage.attempt(row.id, self._storage.newest_attempt(row.id))

    def _mlflow(self, row: Experiment | Sweep) -> StoredFile:
        return (
            self._storage.sweep(row.id).mlflow if isinstance(row, Sweep) else self._storage.mlflow_run(row.id)
        )


def _job_id(row: Experiment | Sweep, each: Try) -> str:
    """Computed, so that a submit can be repeated without doubling the job."""
    return f"{row.id}-track-{each.number}"
