"""Everything that an experiment's run directory has, sent to MLflow once more; nothing is there twice."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.base.documents import parse_document
from trainer.base.ends import RunStatus
from trainer.base.errors import ReportError
from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.task import Task
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.run_log import finish_run, open_run
from trainer.tracking.trouble import TrackerError, translated, within

_MISSING = "what an earlier notice or event names; all of it is still in storage"


def newest(storage: Storage, experiment: str, uri: str, tags: Mapping[str, str]) -> Task:
    """The experiment's newest attempt.

    Raises:
        ReportError: storage has none of it.
        SpecError, MalformedDocument, OSError: its spec cannot be read.
    """
    attempt = storage.newest_attempt(experiment)
    if attempt == 0:
        raise ReportError(f"{storage.experiment(experiment)}: no attempt is there")
    report = _report_of(storage, experiment, attempt)
    kept = storage.attempt(experiment, attempt).spec
    spec = report.spec if report is not None else parse_spec(parse_document(kept.read_bytes()))
    return Task(
        experiment=experiment,
        attempt=attempt,
        spec=spec,
        storage=str(storage.root),
        mlflow_uri=uri,
        mlflow_tags=dict(tags),
    )


def catch_up(attempt: Task, *, by: str, status: RunStatus | None, seconds: float) -> TrackerError | None:
    """What went wrong, None where MLflow has now parameters, tags, curves, tables, files and checkpoint.

    Either is noted in storage, as `by`: see `TrackingRecord`.

    Args:
        status: the run's in the end; None: what the report says, and where there is none it stays open.
    """
    outcome = TrackingOutcome(attempt.layout, attempt.experiment, attempt.attempt, by=by)
    report = _report_of(attempt.layout, attempt.experiment, attempt.attempt)
    try:
        with translated():
            within(seconds, lambda: finish_run(attempt, report, open_run(attempt), again=True, status=status))
    except TrackerError as error:
        outcome.trouble(error, _MISSING)
        return error
    outcome.taken()
    return None


def _report_of(storage: Storage, experiment: str, attempt: int) -> AttemptReport | None:
    return read_report(storage.attempt(experiment, attempt).report)
