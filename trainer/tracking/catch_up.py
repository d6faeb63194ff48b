"""Everything that an experiment's run directory has, sent to MLflow once more; nothing is there twice."""

from __future__ import annotations

import os

from trainer.base.ends import RunStatus
from trainer.results.report import AttemptReport, read_report
from trainer.task import Task
from trainer.tracking.followup_log import send_followups
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.run_log import finish_run, open_run
from trainer.tracking.trouble import TrackerError, translated, within

# Nobody waits for a job that only sends: it gives a slow server more time than a training does.
SECONDS = 1800.0
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
_MISSING = "what an earlier notice or event names; all of it is still in storage"


def give_time() -> None:
    """From now on this process waits longer for each answer of MLflow, where the environment says nothing."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def catch_up(attempt: Task, *, by: str, status: RunStatus | None, seconds: float) -> TrackerError | None:
    """What went wrong, None where MLflow has now parameters, tags, curves, tables, files and checkpoint.

    Either is noted in storage, as `by`: see `TrackingRecord`.

    Args:
        status: the run's in the end; None: what the report says, and where there is none it stays open.
    """
    outcome = TrackingOutcome(attempt.layout, attempt.experiment, attempt.attempt, by=by)
    report = read_report(attempt.attempt_dir.report)
    try:
        with translated():
            within(seconds, lambda: _send_all(attempt, report, status))
    except TrackerError as error:
        outcome.trouble(error, _MISSING)
        return error
    outcome.taken()
    return None


def _send_all(attempt: Task, report: AttemptReport | None, status: RunStatus | None) -> None:
    tracker = open_run(attempt)
    send_followups(attempt, tracker)
    finish_run(attempt, report, tracker, again=True, status=status)
