"""What follows from what was seen: pure functions, no clock, no database, no cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.retries.classes import RETRIES, Cause, cause_of, most_of, next_try_at
from service.reconcile.retries.record import moment_of
from service.shared.states import State
from service.store.attempts.values import NOTHING_SAID, Tried
from service.store.queue.pauses import resting
from service.store.records import NOTHING, JobRow, Outcome
from sweeps.results.report import SweepReport
from trainer.base.ends import End
from trainer.base.errors import Paused
from trainer.results.followup import EvaluationResult, FollowupReport
from trainer.results.report import AttemptError, AttemptReport

JobReport = AttemptReport | SweepReport | FollowupReport
_LONGEST_MESSAGE = 20_000
_RESTS = "paused; it goes on from its last checkpoint, if it has one"
_UNLIKELY = (Cause.EXCEPTION, Cause.MISTAKE)  # to go better the next time


@dataclass(frozen=True)
class Rules:
    """The settings that decisions depend on."""

    max_attempts: int
    report_grace: timedelta  # shared storage may show a report later than the cluster shows the job's end
    exception_attempts: int = 1
    stop_grace: timedelta = timedelta(minutes=2)  # for a job that was told to end

    @property
    def limits(self) -> Mapping[str, int]:
        """By the names that the table of retries has for them."""
        return {"max_attempts": self.max_attempts, "exception_attempts": self.exception_attempts}


@dataclass(frozen=True)
class Observation:
    """One look at an attempt: its job since when it stands so, and its report if there is one.

    `report_problem` says why the file that should be a report is none; `failures`: how many earlier attempts
    failed since somebody asked for one, of each class; `told_at`: since when the job is told to end.
    """

    job: JobObservation
    since: datetime
    report: JobReport | None = None
    report_problem: str | None = None
    failures: Mapping[Cause, int] = field(default_factory=dict)
    told_at: datetime | None = None
    put_off: bool = False  # stopped by us for a pause


@dataclass(frozen=True)
class Decision:
    """The next state, why, and what is written with it; `forced`: though its job has not ended."""

    to: State
    reason: str
    outcome: Outcome = field(default=NOTHING)
    forced: bool = False


_TAKEN_BACK = Decision(State.QUEUED, "stopped for a pause that was taken back; it begins again")


def decide(row: JobRow, observation: Observation, now: datetime, rules: Rules) -> Decision | None:
    """Next state of a row that has a job, and why; None while nothing new is known."""
    if observation.report is not None and observation.report.state != End.CANCELLED:
        return _after_report(row, observation, observation.report, now, rules)
    if observation.job.status is JobStatus.RUNNING and row.state is State.SUBMITTED:
        return Decision(State.RUNNING, "job seen running")
    if not observation.job.status.over:
        return _by_force(row, observation, now, rules)
    if observation.report is not None:
        return _after_stop(row, observation, now, rules)
    if now - observation.since >= rules.report_grace:
        return _after_silence(row, observation, now, rules)
    return None


def _after_report(
    row: JobRow, observation: Observation, report: JobReport, now: datetime, rules: Rules
) -> Decision:
    completed = _completed(report) if report.state == End.COMPLETED else None
    if completed is not None:
        return completed
    error = report.error or AttemptError(
        type="ReportError", message="the report names neither a result nor an error"
    )
    if row.stop_asked_at is not None and not _was_before(report.ended_at, row.stop_asked_at):
        # Processes that are being stopped fail in every way; what was asked for is what happened.
        return _as_asked(row, f", the job ending with {error.type}")
    cause = cause_of(error.type, error.message)
    if error.retryable and cause in _UNLIKELY:
        # The job knows better; on record such attempts have the names of their errors.
        earlier = sum(observation.failures.get(each, 0) for each in (*_UNLIKELY, Cause.WORKER))
        cause, observation = Cause.WORKER, replace(observation, failures={Cause.WORKER: earlier})
    return _after_failure(row, error, cause, observation, now, rules)


def _completed(report: JobReport) -> Decision | None:
    """What follows from a report that says so; None where it has no result to show for it."""
    if isinstance(report, SweepReport):
        limit = f"; {report.limit}" if report.limit else ""
        return _ended(State.COMPLETED, f"report: the sweep came to its end{limit}")
    if report.result is None:
        return None
    headline = headline_of(report) if isinstance(report, AttemptReport) else headlines_of(report)
    return _ended(State.COMPLETED, "report with a result", headline=headline)


def _after_stop(row: JobRow, observation: Observation, now: datetime, rules: Rules) -> Decision:
    """The job says it was told to end. By us, by somebody else, or with its cluster?"""
    if row.stop_asked_at is not None:
        return _as_asked(row)
    if row.pause_requested_at is not None:
        return Decision(State.PAUSED, _words(observation, _RESTS))
    if _has_paused(observation.report):
        return Decision(State.QUEUED, "it had paused already when that was taken back; it goes on from there")
    if observation.put_off:
        return _TAKEN_BACK
    if observation.job.status is JobStatus.STOPPED:
        return _failed(_STOPPED_ELSEWHERE, "job stopped from outside")
    error = AttemptError(type="JobLost", message="the job was told to end with its cluster")
    return _after_failure(row, error, Cause.CLUSTER, observation, now, rules)


def _after_silence(row: JobRow, observation: Observation, now: datetime, rules: Rules) -> Decision:
    """The job is over and left no report."""
    status = observation.job.status
    if row.stop_asked_at is not None:
        return _as_asked(row, f", job {status}")
    if row.pause_requested_at is not None and status is JobStatus.STOPPED:
        return Decision(State.PAUSED, _RESTS)
    if observation.put_off and status is JobStatus.STOPPED:
        return _TAKEN_BACK
    if observation.report_problem is not None:
        return _failed(
            AttemptError(type="ReportError", message=observation.report_problem), "report cannot be read"
        )
    if status is JobStatus.STOPPED:
        return _failed(_STOPPED_ELSEWHERE, "job stopped from outside")
    what = (
        "the cluster no longer knows the job"
        if status is JobStatus.GONE
        else f"job {status} without a report"
    )
    said = f"{what}: {observation.job.message}" if observation.job.message else what
    error = AttemptError(type="JobLost", message=said)
    cause = Cause.CLUSTER if status is JobStatus.GONE else Cause.WORKER
    return _after_failure(row, error, cause, observation, now, rules)


def _by_force(row: JobRow, observation: Observation, now: datetime, rules: Rules) -> Decision | None:
    """What follows where a job that is to end does not; None where it is waited for.

    Of a cluster that does not answer nothing is known, and who only makes room for another is waited for.
    """
    told_at, wished = observation.told_at, row.cancel_requested_at or row.timeout_requested_at
    if observation.job.status is JobStatus.UNREACHABLE or told_at is None or wished is None:
        return None
    if now - told_at < rules.stop_grace:
        return None
    waited = int((now - told_at).total_seconds())
    how = f", by force: its job was told to end {waited} s ago and is {observation.job.status}"
    return replace(_as_asked(row, how), forced=True)


def _as_asked(row: JobRow, how: str = "") -> Decision:
    """What follows where the job was told to end by us: a person's wish goes before the queue's."""
    if row.cancel_requested_at is not None:
        return _ended(State.CANCELLED, f"cancelled on request{how}")
    if row.timeout_requested_at is not None:
        told = f"the attempt has lasted its max_duration of {row.max_duration} s"
        return _failed(AttemptError(type="DurationExceeded", message=told), f"stopped by the queue{how}")
    reason = f"stopped for one of higher priority{how}; it goes on from its last checkpoint"
    return Decision(State.QUEUED, reason, Outcome(preemptions=row.preemptions + 1))


_STOPPED_ELSEWHERE = AttemptError(
    type="JobStopped", message="the job was stopped on the cluster, not through this service"
)


def _after_failure(
    row: JobRow, error: AttemptError, cause: Cause, observation: Observation, now: datetime, rules: Rules
) -> Decision:
    """Back to the queue while tries of this class are left, after its pause: see `RETRIES`.

    A cluster that went away, as with every restart of an embedded one, or a node of it, is not the
    experiment's failure and does not count; a limit far above holds for a job that takes its cluster
    down each time.
    """
    most, counted = most_of(cause, rules.limits), RETRIES[cause].counted
    if most == 1 and observation.report is not None:
        return _failed(error, "report with an error", counted=counted)
    if row.stop_asked_at is not None:
        return _as_asked(row, f", after {error.type}")
    failures = observation.failures.get(cause, 0) + 1
    if failures >= most:
        told = f"{error.type} in attempt {row.attempt}, failure {failures} of {most}"
        return _failed(error, told, counted=counted)
    first_line = error.message.splitlines()[0] if error.message else ""
    told = f"{error.type}: {first_line}; trying again, {failures} of {most} failures so far"
    at = next_try_at(cause, failures, row.job_id, started=row.admitted_at, ended=now)
    outcome = Outcome(
        failures=row.failures + counted,
        wait_reason=None if at is None else resting(error.type, at),
        tried=Tried(error_type=error.type, counted=counted),
    )
    return Decision(State.QUEUED if row.pause_requested_at is None else State.PAUSED, told, outcome)


def _failed(error: AttemptError, reason: str, *, counted: bool = True) -> Decision:
    return _ended(State.FAILED, reason, error=error, counted=counted)


def _ended(
    to: State,
    reason: str,
    *,
    error: AttemptError | None = None,
    counted: bool = False,
    headline: Mapping[str, Any] | None = None,
) -> Decision:
    outcome = Outcome(
        error_type=error.type if error else None,
        error_message=error.message[:_LONGEST_MESSAGE] if error else None,
        headline=headline,
        mlflow_status_due=End(to).mlflow_status,
        tried=Tried(error_type=error.type, counted=counted) if error else NOTHING_SAID,
    )
    return Decision(to, reason, outcome)


def refused(why: str) -> Decision:
    """What follows when the cluster will not take the job."""
    return _failed(AttemptError(type="SubmitRefused", message=why), "submit refused")


def gave_up(waited: timedelta, why: str) -> Decision:
    """What follows when one has waited for longer than its `max_wait`, and for what."""
    told = f"it has waited for {waited} without having begun, longer than its max_wait: {why}"
    return _failed(AttemptError(type="WaitExceeded", message=told), "waited longer than its max_wait")


def never_started(row: JobRow) -> Decision:
    """What follows when a row without a job is to be cancelled, or one that waits is to be paused."""
    if row.state is State.PAUSED:
        return _ended(State.CANCELLED, "cancelled while it was paused")
    if row.cancel_requested_at is not None:
        return _ended(State.CANCELLED, "cancelled before its job started")
    return Decision(State.PAUSED, "paused before its job started")


def _has_paused(report: JobReport | None) -> bool:
    return report is not None and report.error is not None and report.error.type == Paused.__name__


def _words(observation: Observation, otherwise: str) -> str:
    """Where it paused, in the job's own words, if it did."""
    report = observation.report
    return report.error.message if report and report.error and _has_paused(report) else otherwise


def headline_of(report: AttemptReport) -> dict[str, float | None] | None:
    """The scores of the first evaluation mode, in percent."""
    scores = report.result.scores if report.result else None
    return scores.headline if scores else None


def headlines_of(report: FollowupReport) -> dict[str, dict[str, float | None]] | None:
    """The scores of each mode, in percent; None where nothing was scored."""
    result = report.result
    if not isinstance(result, EvaluationResult):
        return None
    return {mode: scores.headline for mode, scores in result.evaluation.items()}


def when_started(report: JobReport | None) -> datetime | None:
    """When the job says it began, for one too short to be seen running."""
    return moment_of(report.started_at) if report else None


def _was_before(ended_at: str, moment: datetime) -> bool:
    ended = moment_of(ended_at)
    return ended is not None and ended < moment
