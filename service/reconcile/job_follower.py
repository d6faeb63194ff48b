"""One row's way: submit its job, look at it, `decide`, act; the same for every kind of job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Generic, TypeVar

from service.reconcile import run_directories
from service.reconcile.cluster import (
    AlreadySubmitted,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    SubmitRefused,
)
from service.reconcile.decide import (
    Decision,
    Observation,
    Rules,
    decide,
    gave_up,
    never_started,
    refused,
    when_started,
)
from service.reconcile.job_kinds import Work
from service.reconcile.passes.cluster_link import BackendLink
from service.reconcile.passes.mishaps import Mishaps
from service.reconcile.retries.classes import failures_by_cause
from service.reconcile.retries.record import tried_of
from service.reconcile.stopping.ended import forget_end, note_end
from service.reconcile.stopping.telling import Telling
from service.shared.states import State
from service.store.attempts.values import Tried
from service.store.jobs import Ledger, StopColumn
from service.store.records import Conflict, JobRow
from trainer.base.errors import ReportError
from trainer.storage.layout import mlflow_ids
from trainer.storage.notices import read_notices

log = logging.getLogger(__name__)

Row = TypeVar("Row", bound=JobRow)


class JobFollower(Generic[Row]):
    """What is done with the rows of one kind. A row's trouble does not keep the others waiting."""

    def __init__(
        self,
        ledger: Ledger[Row],
        work: Work[Row],
        cluster: BackendLink,
        rules: Rules,
        mishaps: Mishaps,
        *,
        before_end: Callable[[Row, State, datetime], None] = lambda row, to, now: None,
    ) -> None:
        """`before_end` is called before a row is moved to a state that ends it."""
        self.ledger = ledger
        self._work = work
        self._cluster = cluster
        self._rules = rules
        self._mishaps = mishaps
        self._before_end = before_end
        self._telling = Telling(rules.stop_grace)

    def look_ahead(self, rows: Sequence[Row]) -> None:
        """Before those are followed that have a job: `rows` are all of them."""
        self._telling.keep({row.job_id for row in rows})
        self._cluster.look_ahead(rows)

    def follow(self, row: Row, now: datetime) -> None:
        """Looks at the row's job and report, and does what follows."""
        self._guarded(row, self._follow, now)

    def drop(self, row: Row, now: datetime) -> None:
        """Cancels or pauses a row without a job; a submit that was cut off may have left one."""
        self._guarded(row, self._drop, now)

    def submit(self, row: Row, now: datetime) -> bool:
        """Hands a queued row to the cluster; False where it met with trouble, and takes no place."""
        return self._guarded(row, self._submit, now)

    def give_up(self, row: Row, why: str, now: datetime) -> bool:
        """Ends a queued row that has waited for too long; `why` it had to."""
        waited = now - (row.queued_at or row.created_at)
        return self._guarded(row, lambda here, at: self._move(here, gave_up(waited, why), at), now)

    def ask_to_stop(self, row: Row, column: StopColumn, reason: str, now: datetime) -> None:
        """Notes that its job is to end; the next look at it tells the cluster."""
        self._guarded(row, lambda here, at: self.ledger.request_stop(here, column, reason, now=at), now)

    def guarded(self, row: Row, step: Callable[[Row, datetime], None], now: datetime) -> None:
        """Any other step with the row, under the same care."""
        self._guarded(row, step, now)

    def _guarded(self, row: Row, step: Callable[[Row, datetime], None], now: datetime) -> bool:
        """Whether the step was taken."""
        try:
            with self._mishaps.confined(row.id):
                step(row, now)
                return True
        except Conflict as conflict:
            log.info("overtaken", extra={self._work.word: row.id, "reason": str(conflict)})
        except BackendUnreachable as error:
            self._cluster.note_unreachable(str(error))
        except OSError as error:
            if self._mishaps.is_news(row.id, told := str(error)):
                log.warning("storage trouble", extra={self._work.word: row.id, "reason": told})
        return False

    def _follow(self, row: Row, now: datetime) -> None:
        job = self._cluster.look(row.job_id)
        if job.status is not JobStatus.UNREACHABLE:
            run_id = mlflow_ids(self._work.mlflow(row)).get("run_id")
            row = self.ledger.observe(row, job_status=job.status, mlflow_run_id=run_id, now=now)
        observation = self._with_report(row, job, now)
        self.ledger.note([(row, read_notices(self._work.attempt(row)))], now=now)  # after a report: all
        decision = decide(row, observation, now, self._rules)
        if decision is not None:
            self._act(row, observation, decision, now)
        elif job.status in (JobStatus.PENDING, JobStatus.RUNNING):
            backend, pause = self._cluster.backend, self._work.pause(row)
            self._telling.tell(row, backend, self._work.attempt(row), pause, now)

    def _with_report(self, row: Row, job: JobObservation, now: datetime) -> Observation:
        observation = Observation(
            job=job, since=row.job_since or now, told_at=self._telling.since(row.job_id)
        )
        try:
            observation = replace(observation, report=self._work.report(row))
        except ReportError as error:
            observation = replace(observation, report_problem=str(error))
        if job.status.over or observation.report is not None:
            failures = failures_by_cause(self.ledger.failed_attempts(row.id))
            put_off = self._work.attempt(row).put_off.exists()
            observation = replace(observation, failures=failures, put_off=put_off)
        return observation

    def _act(self, row: Row, observation: Observation, decision: Decision, now: datetime) -> None:
        outcome, here = decision.outcome, self._work.attempt(row)
        if decision.forced:  # whatever of it still runs ends where it looks for a newer attempt
            self._work.attempt(replace(row, attempt=row.attempt + 1)).folder.make()
        if decision.to is not State.RUNNING and not here.log.exists():
            with suppress(BackendUnreachable):
                printed = self._cluster.backend.logs(row.job_id)  # the cluster forgets it
                if printed:
                    run_directories.keep_log(here, printed)
        if decision.to is State.PAUSED:
            outcome = replace(outcome, progress=self._work.progress(row, completed=False))
        if decision.to.ended:
            progress = self._work.progress(row, completed=decision.to is State.COMPLETED)
            report_run = observation.report.mlflow_run_id if observation.report else None
            run_id = report_run or mlflow_ids(self._work.mlflow(row)).get("run_id")
            started = when_started(observation.report)
            outcome = replace(outcome, progress=progress, mlflow_run_id=run_id, started_at=started)
        if decision.to is not State.RUNNING:
            outcome = replace(
                outcome, tried=tried_of(outcome.tried, observation.job, observation.report, here)
            )
        self._move(row, replace(decision, outcome=outcome), now)

    def _move(self, row: Row, decision: Decision, now: datetime) -> None:
        outcome = decision.outcome
        if decision.to is State.SUBMITTED:
            outcome = replace(outcome, tried=Tried(log=self._work.log(row)))
        note_end(self._work.end(row), self._work.attempt(row), row, decision, now)
        if decision.to.ended:
            self._before_end(row, decision.to, now)
            if not self._work.own_run:
                outcome = replace(outcome, mlflow_status_due=None)
        self.ledger.transition(row, to=decision.to, reason=decision.reason, now=now, outcome=outcome)
        log.info(
            "transition",
            extra={
                self._work.word: row.id,
                "from": row.state,
                "to": decision.to,
                "reason": decision.reason,
            },
        )

    def _drop(self, row: Row, now: datetime) -> None:
        written = self._work.attempt(row).spec.exists()  # before an attempt is handed to the cluster
        if row.state is State.PAUSED or not written:
            self._move(row, never_started(row), now)
            return
        job = self._cluster.look(row.job_id)
        if job.status is JobStatus.GONE:
            self._move(row, never_started(row), now)
        elif job.status is not JobStatus.UNREACHABLE:
            self._move(row, Decision(State.SUBMITTED, "found at the cluster"), now)

    def _submit(self, row: Row, now: datetime) -> None:
        if not self._cluster.reachable:
            return
        backend = self._cluster.backend
        if (pause := self._work.pause(row)) is not None:
            pause.delete()  # of an earlier attempt, should storage have been away when it was resumed
        backend.ping()  # spec.json says that a submit was tried: not while nobody is there to take it
        forget_end(self._work.end(row))
        run_directories.write_spec(self._work.attempt(row), row.spec)
        metadata = {self._work.word: row.id, "attempt": str(row.attempt), "name": row.name}
        reason = f"job {row.job_id} submitted"
        try:
            backend.submit(row.job_id, self._work.command(row), metadata)
        except AlreadySubmitted:
            reason = f"job {row.job_id} was already submitted"
        except SubmitRefused as refusal:
            self._move(row, refused(str(refusal)), now)
            return
        self._move(row, Decision(State.SUBMITTED, reason), now)
