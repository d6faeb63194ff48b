"""Makes the cluster do what the database wants, and the database say what the cluster did.

One pass is `run_once`: observe, `decide`, act. It can be cut off anywhere and repeated: submission
ids are computed, and every change of state is a compare-and-set.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service import rundirs
from service.backend import (
    AlreadySubmitted,
    Backend,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    RunCloser,
    SubmitRefused,
)
from service.decide import Decision, Observation, Rules, decide, never_started, refused
from service.records import Conflict, Experiment
from service.settings import Settings
from service.states import State
from service.store import Store
from trainer.errors import ReportError

log = logging.getLogger(__name__)

_MLFLOW_PAUSE = timedelta(seconds=30)
_MLFLOW_AT_ONCE = 10
_WITH_JOB = tuple(state for state in State if state.has_job)


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def job_command(settings: Settings, row: Experiment) -> list[str]:
    """The line that starts this attempt; the same one works by hand."""
    storage = settings.layout
    command = [settings.job_python, "-m", "trainer.job"]
    command += ["--spec", str(storage.attempt(row.id, row.attempt).spec), "--storage", str(storage.root)]
    command += ["--experiment", row.id, "--attempt", str(row.attempt)]
    if settings.mlflow_uri is not None:
        command += ["--mlflow-uri", settings.mlflow_uri]
    for root in settings.data_roots:
        command += ["--data-root", str(root)]
    return command


class Reconciler:
    """One pass over what is not yet as it should be. Only one may work on a database at a time."""

    def __init__(
        self, store: Store, backend: Backend, settings: Settings, *, runs: RunCloser | None = None
    ) -> None:
        self._store = store
        self._backend = backend
        self._settings = settings
        self._storage = settings.layout
        self._runs = runs
        self._rules = Rules(settings.max_attempts, timedelta(seconds=settings.report_grace_seconds))
        self._mlflow_next: datetime | None = None
        self._reachable = self._was_reachable = True

    def run_once(self, now: datetime) -> None:
        """Follows every job, drops what was cancelled in the queue, submits, and closes MLflow runs.

        Raises:
            StoreUnavailable: the database does not answer; the next pass goes on from there.
        """
        self._was_reachable, self._reachable = self._reachable, True
        for row in self._store.in_states(*_WITH_JOB):
            self._each(row, self._follow, now)
        for row in self._store.in_states(State.QUEUED, cancel_requested=True):
            self._each(row, self._drop, now)
        free = self._settings.max_running - len(self._store.in_states(*_WITH_JOB))
        if free > 0:
            for row in self._store.in_states(State.QUEUED, cancel_requested=False, limit=free):
                self._each(row, self._submit, now)
        self._close_runs(now)

    def _each(self, row: Experiment, step: Callable[[Experiment, datetime], None], now: datetime) -> None:
        """One row's trouble with storage or cluster must not keep the others waiting."""
        try:
            step(row, now)
        except Conflict as conflict:
            log.info("overtaken", extra={"experiment": row.id, "reason": str(conflict)})
        except BackendUnreachable as error:
            self._note_unreachable(error)
        except OSError as error:
            log.warning("storage trouble", extra={"experiment": row.id, "reason": str(error)})

    def _follow(self, row: Experiment, now: datetime) -> None:
        job = self._look(row)
        if job.status is not JobStatus.UNREACHABLE:
            run_id = rundirs.mlflow_run_of(self._storage, row.id).get("run_id")
            row = self._store.observe(row, job_status=job.status, mlflow_run_id=run_id, now=now)
        seen = self._with_report(row, job, now)
        decision = decide(row, seen, now, self._rules)
        if decision is not None:
            self._act(row, seen, decision, now)
        elif row.cancel_requested_at is not None and job.status in (JobStatus.PENDING, JobStatus.RUNNING):
            # Asked again each pass: a job that is still starting cannot be stopped yet.
            self._backend.stop(row.job_id)

    def _look(self, row: Experiment) -> JobObservation:
        if not self._reachable:
            return JobObservation(JobStatus.UNREACHABLE)  # one timeout a pass is enough
        job = self._backend.status(row.job_id)
        if job.status is JobStatus.UNREACHABLE:
            self._note_unreachable(BackendUnreachable(job.message))
        return job

    def _note_unreachable(self, error: BackendUnreachable) -> None:
        if self._reachable and self._was_reachable:  # once, not in every pass
            log.warning("cluster unreachable", extra={"reason": str(error)})
        self._reachable = False

    def _with_report(self, row: Experiment, job: JobObservation, now: datetime) -> Observation:
        seen = Observation(job=job, since=row.job_since or now)
        try:
            return replace(seen, report=rundirs.report_of(self._storage, row.id, row.attempt))
        except ReportError as error:
            return replace(seen, report_problem=str(error))

    def _act(self, row: Experiment, seen: Observation, decision: Decision, now: datetime) -> None:
        outcome = decision.outcome
        if decision.to is not State.RUNNING and not rundirs.has_log(self._storage, row.id, row.attempt):
            with suppress(BackendUnreachable):
                printed = self._backend.logs(row.job_id)  # the cluster forgets it
                if printed:
                    rundirs.keep_log(self._storage, row.id, row.attempt, printed)
        if decision.to.ended:
            iterations = json.loads(row.spec)["schedule"]["iterations"]
            progress = rundirs.progress_of(self._storage, row.id, row.attempt, iterations)
            if decision.to is State.COMPLETED:
                progress = {
                    "loss": None,
                    **(progress or {}),
                    "iteration": iterations,
                    "iterations": iterations,
                }
            report_run = seen.report.mlflow_run_id if seen.report else None
            run_id = report_run or rundirs.mlflow_run_of(self._storage, row.id).get("run_id")
            outcome = replace(outcome, progress=progress, mlflow_run_id=run_id, started_at=_started(seen))
        self._move(row, replace(decision, outcome=outcome), now)

    def _move(self, row: Experiment, decision: Decision, now: datetime) -> Experiment:
        moved = self._store.transition(
            row, to=decision.to, reason=decision.reason, now=now, outcome=decision.outcome
        )
        log.info(
            "transition",
            extra={"experiment": row.id, "from": row.state, "to": decision.to, "reason": decision.reason},
        )
        return moved

    def _drop(self, row: Experiment, now: datetime) -> None:
        """Cancels a queued experiment; if its submit was cut off, it may have a job to be stopped first."""
        if not rundirs.was_prepared(self._storage, row.id, row.attempt):
            self._move(row, never_started(row), now)
            return
        job = self._look(row)
        if job.status is JobStatus.GONE:
            self._move(row, never_started(row), now)
        elif job.status is not JobStatus.UNREACHABLE:
            self._move(row, Decision(State.SUBMITTED, "found at the cluster"), now)

    def _submit(self, row: Experiment, now: datetime) -> None:
        if not self._reachable:
            return
        self._backend.ping()  # spec.json says that a submit was tried: not while nobody is there to take it
        rundirs.write_spec(self._storage, row.id, row.attempt, row.spec)
        metadata = {"experiment": row.id, "attempt": str(row.attempt), "name": row.name}
        reason = f"job {row.job_id} submitted"
        try:
            self._backend.submit(row.job_id, job_command(self._settings, row), metadata)
        except AlreadySubmitted:
            reason = f"job {row.job_id} was already submitted"
        except SubmitRefused as refusal:
            self._move(row, refused(row, str(refusal)), now)
            return
        self._move(row, Decision(State.SUBMITTED, reason), now)

    def _close_runs(self, now: datetime) -> None:
        """Gives MLflow runs the status that their jobs could not; MLflow's absence delays only this."""
        if self._mlflow_next is not None and now < self._mlflow_next:
            return
        self._mlflow_next = None
        for row in self._store.with_mlflow_due(limit=_MLFLOW_AT_ONCE):
            if self._runs is not None and row.mlflow_run_id is not None and row.mlflow_status_due is not None:
                try:
                    self._runs.close_run(row.mlflow_run_id, row.mlflow_status_due)
                except BackendUnreachable as error:
                    log.warning("mlflow unreachable", extra={"experiment": row.id, "reason": str(error)})
                    self._mlflow_next = now + _MLFLOW_PAUSE
                    return
            self._store.mlflow_settled(row.id)


def _started(seen: Observation) -> datetime | None:
    """When the job says it began, for one too short to be seen running."""
    try:
        started = datetime.fromisoformat(seen.report.started_at) if seen.report else None
    except ValueError:
        return None
    return started if started is not None and started.tzinfo is not None else None
