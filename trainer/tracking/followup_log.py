"""What follow-ups of a trained model leave in its experiment's run: as if they had belonged to the training.

Of an evaluation metrics are `again/DATA/CHECKPOINT/MODE/SCORE`, at the iteration of the checkpoint: equal
names stand beside each other where runs are compared. Tables, counts and the report lie below
`evaluations/ID/`. Of an export MLflow's own form is a model of the run, by the checkpoint's name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from trainer.base.documents import MalformedDocument
from trainer.base.errors import RegionRebalanceError, ReportError
from trainer.results.followup import (
    EvaluationResult,
    ExportResult,
    FollowupReport,
    read_followup_report,
)
from trainer.results.report import read_report
from trainer.storage.layout import Storage
from trainer.storage.notices import Notice
from trainer.storage.tracking import CODE
from trainer.task import Task
from trainer.tracking.content.datasets import scored_dataset, source_of
from trainer.tracking.content.tables import measured_of, per_class_columns
from trainer.tracking.content.trained import Scored, trained_model
from trainer.tracking.newest import newest
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.run_log import finish_run, join_run, log_document, params_of
from trainer.tracking.tracker import Tracker
from trainer.tracking.trouble import TrackerError, translated, within

log = logging.getLogger(__name__)
_SECONDS = 120.0
_MODEL = "mlflow"  # the format that is one of its models


def is_tracked(report: FollowupReport) -> bool:
    """Whether something of it belongs into MLflow."""
    result = report.result
    if isinstance(result, ExportResult):
        return any(made.format == _MODEL for made in result.files)
    return isinstance(result, EvaluationResult)


def tell_followup(
    storage: Storage,
    report: FollowupReport,
    *,
    uri: str,
    tags: Mapping[str, str],
    seconds: float = _SECONDS,
) -> Notice | None:
    """Sends what belongs there within `seconds`, whatever MLflow does; the run's status stays what it is.

    Args:
        tags: of the run, should it have to be made.

    Returns:
        What is missing there; None where MLflow took it all. It is noted with the experiment, too.
    """
    what = "the model" if isinstance(report.result, ExportResult) else "scores"
    missing = f"{what} of {report.request.kind} {report.followup}"
    try:
        attempt = newest(storage, report.experiment, uri, tags)
    except (RegionRebalanceError, MalformedDocument, OSError) as error:
        return Notice(code=CODE, text=f"MLflow was not told: {error}. Missing there: {missing}")
    by = f"followup {report.followup}"
    outcome = TrackingOutcome(attempt.layout, attempt.experiment, attempt.attempt, by=by)
    try:
        with translated():
            within(seconds, lambda: _join_and_send(attempt, report))
    except TrackerError as error:
        outcome.trouble(error, missing)
        hint = f"`rebalance track {attempt.experiment}` sends them"
        return Notice(code=CODE, text=f"{error.told}. Missing there: {missing}", hint=hint)
    return None


def _join_and_send(attempt: Task, report: FollowupReport) -> None:
    tracker, another = join_run(attempt, as_it_stands=True)
    _send(attempt, report, tracker)
    if another:  # and one that was made just now runs, by MLflow's lights
        ended = read_report(attempt.attempt_dir.report)
        finish_run(attempt, ended, tracker, again=True)


def send_followups(attempt: Task, tracker: Tracker) -> None:
    """Sends all of its experiment's that were completed; nothing is there twice. One that cannot be read is
    logged: the others do not wait for it.

    Raises:
        TrackerError: from the tracker.
    """
    storage = attempt.layout
    for name in storage.followups(attempt.experiment).names():
        here = storage.followup(attempt.experiment, name)
        try:
            report = read_followup_report(here.attempt(here.newest_attempt()).report)
        except ReportError as error:
            log.warning("follow-up %s is not sent to MLflow: %s", name, error)
            continue
        if report is not None:
            _send(attempt, report, tracker)


def _send(attempt: Task, report: FollowupReport, tracker: Tracker) -> None:
    if isinstance(report.result, EvaluationResult):
        _send_scores(attempt, report, report.result, tracker)
    elif is_tracked(report):
        here = attempt.layout.followup(report.experiment, report.followup).export.folder(_MODEL)
        if here.exists():  # it may have been cleared away since
            tracker.log_model(here.local, str(report.request.checkpoint))


def _send_scores(attempt: Task, report: FollowupReport, result: EvaluationResult, tracker: Tracker) -> None:
    checkpoint, folder = report.request.checkpoint, f"evaluations/{report.followup}"
    values: dict[str, float] = {}
    for mode, scores in result.evaluation.items():
        prefix = f"again/{result.dataset}/{checkpoint}/{mode}"
        values |= {f"{prefix}/{name}": value for name, value in measured_of(scores).items()}
    first = next(iter(result.evaluation.values()))
    used = getattr(report.request, "dataset", None) or attempt.spec.dataset
    dataset = scored_dataset(result.dataset, first, source_of(used))
    seconds = datetime.fromisoformat(report.ended_at).timestamp()  # equal each time it is sent
    model = trained_model(attempt.spec, attempt.experiment, params_of(attempt.spec), checkpoint)
    tracker.log_trained(model, [Scored(result.iteration, seconds, values, dataset)])
    modes = result.evaluation.items()
    tracker.log_tables({f"{folder}/per_class_{mode}": per_class_columns(scores) for mode, scores in modes})
    counts = attempt.layout.followup(report.experiment, report.followup).confusion
    if counts.exists():
        tracker.log_file(counts.local, folder)
    log_document("report.json", report, tracker, folder)
