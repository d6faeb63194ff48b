"""When everything is sent to MLflow again: a table of what is known to what follows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.decide_tracking import Step, Try, next_step
from tests.unit.service.conftest import START
from trainer.storage.tracking import TrackingRecord

OK = TrackingRecord(state="ok", by="attempt 1")
BEHIND = TrackingRecord(state="behind", by="attempt 1", text="MLflow was not reached")


def tried(number: int, *, by_person: bool = False) -> Try:
    return Try(number, START, by_person)


def said(number: int, state: str) -> TrackingRecord:
    return TrackingRecord.model_validate({"state": state, "by": f"track {number}"})


@pytest.mark.parametrize(
    ("record", "tries", "job", "seconds", "step"),
    [
        (None, [], None, 0, Step.CLOSE),
        (OK, [], None, 0, Step.CLOSE),
        (BEHIND, [], None, 0, Step.START),
        # A try that has not said how it went.
        (BEHIND, [tried(1)], JobStatus.GONE, 0, Step.SUBMIT),
        (BEHIND, [tried(1)], JobStatus.PENDING, 0, Step.WAIT),
        (BEHIND, [tried(1)], JobStatus.RUNNING, 9e9, Step.WAIT),
        (BEHIND, [tried(1)], JobStatus.UNREACHABLE, 9e9, Step.WAIT),
        (BEHIND, [tried(1)], JobStatus.FAILED, 59, Step.WAIT),
        (BEHIND, [tried(1)], JobStatus.FAILED, 61, Step.START),
        (OK, [tried(1, by_person=True)], JobStatus.GONE, 0, Step.SUBMIT),
        # One that has.
        (said(1, "ok"), [tried(1)], JobStatus.SUCCEEDED, 0, Step.DONE),
        (said(1, "ok"), [tried(1)], JobStatus.UNREACHABLE, 0, Step.DONE),
        (said(1, "behind"), [tried(1)], JobStatus.FAILED, 59, Step.WAIT),
        (said(1, "behind"), [tried(1)], JobStatus.FAILED, 61, Step.START),
        (said(2, "behind"), [tried(2), tried(1)], JobStatus.FAILED, 61, Step.WAIT),
        (said(2, "behind"), [tried(2), tried(1)], JobStatus.FAILED, 301, Step.START),
        # In the end nobody tries any more, but for a person.
        (said(7, "behind"), [tried(n) for n in range(7, 0, -1)], JobStatus.FAILED, 9e9, Step.GIVE_UP),
        (
            said(8, "behind"),
            [tried(8, by_person=True), *(tried(n) for n in range(7, 0, -1))],
            JobStatus.FAILED,
            61,
            Step.START,
        ),
    ],
)
def test_what_follows(
    record: TrackingRecord | None, tries: list[Try], job: JobStatus | None, seconds: float, step: Step
) -> None:
    """Each line is a claim; pauses count from when the last try was asked for."""
    assert next_step(record, tries, job, START + timedelta(seconds=min(seconds, 1e8))) is step


@pytest.mark.parametrize(
    ("record", "tries", "job", "step"),
    [
        (None, [], None, Step.START),
        (OK, [], None, Step.START),
        (BEHIND, [], None, Step.START),
        (OK, [tried(1)], JobStatus.RUNNING, Step.WAIT),
        (said(1, "ok"), [tried(1)], JobStatus.SUCCEEDED, Step.DONE),
        (said(1, "behind"), [tried(1)], JobStatus.FAILED, Step.WAIT),
    ],
)
def test_checkpoints_that_were_not_sent(
    record: TrackingRecord | None, tries: list[Try], job: JobStatus | None, step: Step
) -> None:
    """They are sent as all else that is missing, and once: the try's answer says that it was done."""
    assert next_step(record, tries, job, START, unsent=True) is step
