"""decide(): what follows from what was seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.decide import Decision, Observation, Rules, decide
from service.reconcile.retries.classes import Cause
from service.shared.states import TRANSITIONS, State
from service.store.records import Experiment
from tests.data_factories import make_report
from tests.unit.service.conftest import START, failed_report, new_row
from trainer.results.report import AttemptReport

RULES = Rules(max_attempts=3, report_grace=timedelta(seconds=5))
SOON, LATE = START + timedelta(seconds=1), START + timedelta(minutes=1)
OVER = [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.GONE]


def judge(
    status: JobStatus,
    *,
    report: AttemptReport | None = None,
    problem: str | None = None,
    now: datetime = LATE,
    message: str = "",
    failed: dict[Cause, int] | None = None,
    **changes: Any,
) -> Decision | None:
    """decide() on an experiment that is running, or what `changes` make of it, its job so since START."""
    row: Experiment = new_row("e1", **{"state": State.RUNNING, **changes})
    observation = Observation(JobObservation(status, message), START, report, problem, failed or {})
    return decide(row, observation, now, RULES)


def cancelled_report() -> AttemptReport:
    return make_report().model_copy(update={"state": "cancelled", "result": None})


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_result_completes_whatever_the_job_status(status: JobStatus) -> None:
    """A report beats the job status, also of a cluster that does not answer."""
    decision = judge(status, report=make_report())
    assert decision is not None
    assert decision.to is State.COMPLETED
    assert decision.outcome.headline is not None
    assert set(decision.outcome.headline) == {"mIoU", "mAcc", "aAcc", "head_mIoU", "body_mIoU", "tail_mIoU"}
    assert decision.outcome.mlflow_status_due == "FINISHED"


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_bad_run_fails_and_is_not_retried(status: JobStatus) -> None:
    """An error that is not retryable ends the experiment in its first attempt, with class and message."""
    decision = judge(status, report=failed_report("e1"))
    assert decision is not None
    assert decision.to is State.FAILED
    assert (decision.outcome.error_type, decision.outcome.error_message) == (
        "DataError",
        "label 77 in 3 pictures",
    )


def test_silence_of_the_only_attempt_is_told_as_such() -> None:
    """Where one attempt is all there is, no report is claimed that nobody has seen."""
    observation = Observation(JobObservation(JobStatus.FAILED), START)
    rules = Rules(max_attempts=1, report_grace=timedelta(0))
    decision = decide(new_row("e1", state=State.RUNNING), observation, LATE, rules)
    assert decision is not None
    assert (decision.to, decision.reason) == (State.FAILED, "JobLost in attempt 1, failure 1 of 1")


@pytest.mark.parametrize(("failures", "to"), [(0, State.QUEUED), (1, State.QUEUED), (2, State.FAILED)])
def test_a_retryable_error_is_tried_max_attempts_times(failures: int, to: State) -> None:
    """Lost workers lead back to the queue until the attempts are used up."""
    report = failed_report("e1", attempt=7, retryable=True, kind="WorkerLost")
    decision = judge(JobStatus.FAILED, report=report, attempt=7, failed={Cause.WORKER: failures})
    assert decision is not None
    assert decision.to is to
    assert decision.outcome.failures == (1 if to is State.QUEUED else None)
    assert "WorkerLost" in decision.reason


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
@pytest.mark.parametrize(("failures", "to"), [(0, State.QUEUED), (2, State.FAILED)])
def test_a_job_without_report_is_lost_after_the_grace(status: JobStatus, failures: int, to: State) -> None:
    """Storage may show a report late: nothing before the grace, then a retry or, at last, JobLost."""
    assert judge(status, now=SOON) is None
    decision = judge(status, failed={Cause.WORKER: failures}, message="exit code 1")
    assert decision is not None
    assert decision.to is to
    if to is State.FAILED:
        assert decision.outcome.error_type == "JobLost"
        assert "exit code 1" in (decision.outcome.error_message or "")


@pytest.mark.parametrize(("attempt", "to"), [(1, State.QUEUED), (29, State.QUEUED), (30, State.FAILED)])
def test_a_cluster_that_went_away_does_not_count(attempt: int, to: State) -> None:
    """However often the service's cluster is restarted, an experiment goes on; only not for ever."""
    assert judge(JobStatus.GONE, now=SOON, attempt=attempt, failures=2) is None
    lost = {Cause.CLUSTER: attempt - 1}
    decision = judge(JobStatus.GONE, attempt=attempt, failures=2, failed=lost)
    assert decision is not None
    assert decision.to is to
    if to is State.QUEUED:
        assert decision.outcome.failures == 2
    else:
        assert decision.outcome.error_type == "JobLost"


@pytest.mark.parametrize("state", [State.SUBMITTED, State.RUNNING])
@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.UNREACHABLE])
def test_no_news_is_no_decision(state: State, status: JobStatus) -> None:
    """A cluster that does not answer, or a job still waiting, changes nothing, however long it takes."""
    assert judge(status, state=state, now=START + timedelta(days=9)) is None


def test_a_running_job_makes_the_experiment_running_once() -> None:
    """submitted becomes running; running stays without a second event."""
    decision = judge(JobStatus.RUNNING, state=State.SUBMITTED)
    assert decision is not None
    assert decision.to is State.RUNNING
    assert judge(JobStatus.RUNNING, state=State.RUNNING) is None


@pytest.mark.parametrize("status", OVER)
def test_cancel_asked_and_the_job_over(status: JobStatus) -> None:
    """The state follows what is seen: cancelled, whatever way the job ended, with no retry."""
    decision = judge(status, cancel_requested_at=START)
    assert decision is not None
    assert decision.to is State.CANCELLED
    assert decision.outcome.mlflow_status_due == "KILLED"


def test_cancel_asked_but_the_result_was_faster() -> None:
    """A result is never thrown away."""
    decision = judge(JobStatus.STOPPED, report=make_report(), cancel_requested_at=START)
    assert decision is not None
    assert decision.to is State.COMPLETED


def test_cancel_asked_before_the_error() -> None:
    """Processes being stopped fail in every way: that is cancelled, not failed."""
    late = failed_report("e1").model_copy(update={"ended_at": LATE.isoformat()})
    decision = judge(JobStatus.FAILED, report=late, cancel_requested_at=START)
    assert decision is not None
    assert decision.to is State.CANCELLED


def test_cancel_asked_after_the_error() -> None:
    """An error that was there before the wish is what happened."""
    early = failed_report("e1").model_copy(update={"ended_at": START.isoformat()})
    decision = judge(JobStatus.FAILED, report=early, cancel_requested_at=LATE)
    assert decision is not None
    assert decision.to is State.FAILED


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING, JobStatus.UNREACHABLE])
def test_a_job_that_says_it_was_stopped_is_waited_for(status: JobStatus) -> None:
    """The report comes before the job's end; freeing its place early would start two at once."""
    assert judge(status, report=cancelled_report(), cancel_requested_at=START) is None


def test_a_job_stopped_at_the_cluster_fails_without_retry() -> None:
    """Somebody stopped it on purpose, past us: it is neither retried nor called cancelled."""
    for report in (None, cancelled_report()):
        decision = judge(JobStatus.STOPPED, report=report)
        assert decision is not None
        assert (decision.to, decision.outcome.error_type) == (State.FAILED, "JobStopped")


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.GONE])
def test_a_job_that_ended_with_its_cluster_is_tried_again(status: JobStatus) -> None:
    """A cluster going down tells its jobs to end; nobody asked for that experiment's end."""
    decision = judge(status, report=cancelled_report())
    assert decision is not None
    assert decision.to is State.QUEUED


def test_a_file_that_is_no_report_fails() -> None:
    """A report of another schema is a mistake that trying again repeats."""
    decision = judge(JobStatus.SUCCEEDED, problem="report.json: 3 fields do not fit")
    assert decision is not None
    assert (decision.to, decision.outcome.error_type) == (State.FAILED, "ReportError")


@pytest.mark.parametrize("state", [State.SUBMITTED, State.RUNNING])
@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("report", [None, make_report(), failed_report("e1"), cancelled_report()])
@pytest.mark.parametrize("cancel", [None, START])
@pytest.mark.parametrize("attempt", [1, 30])
def test_every_decision_is_a_step_of_the_table(
    state: State, status: JobStatus, report: AttemptReport | None, cancel: datetime | None, attempt: int
) -> None:
    """No combination asks for a transition that the store would refuse."""
    decision = judge(status, report=report, state=state, cancel_requested_at=cancel, attempt=attempt)
    assert decision is None or decision.to in TRANSITIONS[state]
