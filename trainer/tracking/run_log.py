"""What an experiment leaves in MLflow, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.base.ends import RunStatus
from trainer.base.strict_model import StrictModel
from trainer.results.report import AttemptReport, AttemptResult
from trainer.spec.methods import label
from trainer.spec.spec import ExperimentSpec, spec_hash
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.sink import Record, read_records
from trainer.task import Task
from trainer.tracking.checkpoints import FOLDER, send_tracked
from trainer.tracking.content.datasets import datasets_of
from trainer.tracking.content.deltas import deltas_of
from trainer.tracking.content.groups import group_of
from trainer.tracking.content.overlays import overlays_of
from trainer.tracking.content.tables import frequency_columns, measured_of, per_class_columns, prefix_of
from trainer.tracking.content.trained import Scored, trained_model
from trainer.tracking.mlflow_compat import NOTE
from trainer.tracking.mlflow_tracker import MlflowTracker
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.tracker import Point, RunInfo, Tracker, open_noted
from trainer.tracking.trouble import TrackerError, translated, within

_END_SECONDS = 120.0
_NOT_METRICS = frozenset({"kind", "iteration", "time", "message"})


def outcome_of(attempt: Task) -> TrackingOutcome:
    """Where it is kept what MLflow took of this attempt."""
    return TrackingOutcome(
        attempt.layout, attempt.experiment, attempt.attempt, by=f"attempt {attempt.attempt}"
    )


def open_run(attempt: Task) -> Tracker:
    """The experiment's run in MLflow, begun again where it had ended; see `join_run`."""
    return join_run(attempt, as_it_stands=False)[0]


def join_run(attempt: Task, *, as_it_stands: bool) -> tuple[Tracker, bool]:
    """The experiment's run in MLflow, the same for all attempts; its id is remembered in storage.

    One that had to be made anew has from the start what was measured so far. That it was, or that one was
    restored, is noticed.

    Args:
        as_it_stands: whether its status stays what it is.

    Returns:
        The run, and whether it is another than storage knew of: then it may lack what was measured before.

    Raises:
        TrackerError: MLflow did not take it.
    """
    assert attempt.mlflow_uri is not None
    tracker = MlflowTracker(attempt.mlflow_uri)
    info = replace(_run_info(attempt), as_it_stands=as_it_stands)
    note = attempt.layout.mlflow_run(attempt.experiment)
    known = mlflow_ids(note).get("run_id")
    opened = open_noted(tracker, note, info)
    if opened.replaced:
        replay(attempt, tracker)
        outcome_of(attempt).fact(
            f"MLflow no longer had this experiment's run; run {opened.ids.run_id} replaces it"
        )
    elif opened.restored:
        outcome_of(attempt).fact("MLflow had deleted the run or its experiment; what was deleted is restored")
    return tracker, opened.ids.run_id != known


def points_in(attempt: AttemptDir) -> list[Point]:
    """The curves of an attempt, as its metrics.jsonl has them."""
    found = [point_of(record) for record in read_records(attempt.metrics)]
    return [point for point in found if point is not None]


def point_of(record: Record) -> Point | None:
    """The numbers of one record of metrics.jsonl, None where it has none."""
    values = metrics_in(record)
    return Point(int(record["iteration"]), float(record["time"]), values) if values else None


def metrics_in(record: Record) -> dict[str, float]:
    """The numbers of a record, under the names MLflow's UI shows: train/loss, eval/mIoU."""
    if record["kind"] == "event":
        return {}
    return {
        f"{record['kind']}/{name}": float(value)
        for name, value in record.items()
        if name not in _NOT_METRICS and isinstance(value, (int, float))
    }


def tell_end(attempt: Task, report: AttemptReport, *, again: bool, seconds: float = _END_SECONDS) -> None:
    """Sends the end of an attempt and closes the run, within `seconds`, whatever MLflow does.

    What it does not take is noted, and costs the result nothing.
    """
    again = again or outcome_of(attempt).behind
    try:
        with translated():
            within(seconds, lambda: finish_run(attempt, report, open_run(attempt), again=again))
    except TrackerError as error:
        parts = ("curves, " if again else "") + ("tables, checkpoint, " if report.result else "")
        parts += "".join(f"checkpoint {name}, " for name in attempt.spec.checkpoints.track)
        outcome_of(attempt).trouble(error, f"{parts}log and report of attempt {attempt.attempt}")
    else:
        outcome_of(attempt).taken()


def finish_run(
    attempt: Task,
    report: AttemptReport | None,
    tracker: Tracker,
    *,
    again: bool,
    status: RunStatus | None = None,
) -> None:
    """Completes and closes the run.

    Args:
        report: of this attempt, None where its job left none.
        tracker: with the run open.
        again: whether all that was measured is sent once more.
        status: the run's in the end, None for what the report says; without either it stays open.

    Raises:
        TrackerError: MLflow did not take it.
        OSError: the run directory cannot be read.
    """
    if again:
        replay(attempt, tracker)
    if report is not None and report.result is not None:
        _log_result(attempt, report.result, tracker)
    _send_files(attempt.attempt_dir, attempt.attempt, tracker)
    if report is not None:
        log_document(attempt.attempt_dir.report.name, report, tracker)
    send_tracked(attempt, tracker)
    last = status or (report.state.mlflow_status if report is not None else None)
    if last is not None:
        tracker.close(last)


def replay(attempt: Task, tracker: Tracker) -> None:
    """Sends what all attempts have measured so far; MLflow keeps each point once. Raises TrackerError."""
    send_earlier(attempt, tracker)
    tracker.log_points(points_in(attempt.attempt_dir))


def send_earlier(attempt: Task, tracker: Tracker) -> None:
    """Sends again what attempts before this one have measured: of one that was killed, stopped or paused,
    what was under way may not have arrived, whoever wrote its report. Raises TrackerError.
    """
    for number in range(1, attempt.attempt):
        here = attempt.layout.attempt(attempt.experiment, number)
        tracker.log_points(points_in(here))
        _send_files(here, number, tracker)


def _send_files(here: AttemptDir, number: int, tracker: Tracker) -> None:
    for file in (here.plan, here.metrics, here.log):
        if file.exists():
            tracker.log_file(file.local, f"attempts/{number}")


def log_document(name: str, document: StrictModel, tracker: Tracker, folder: str = "") -> None:
    """Sends a document as a file: report.json is not written yet when MLflow is told."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        path.write_text(document.model_dump_json(indent=1) + "\n", encoding="utf-8")
        tracker.log_file(path, folder)


def _log_result(attempt: Task, result: AttemptResult, tracker: Tracker) -> None:
    here, scores = attempt.attempt_dir, result.evaluation
    train, scored_on = datasets_of(attempt.spec, result)
    measured: dict[str, float] = {}
    for mode, each in scores.items():
        measured |= {f"{prefix_of(mode)}{name}": value for name, value in measured_of(each).items()}
    measured |= deltas_of(attempt.layout, attempt.experiment, result)
    seconds = _last_seconds(here)
    model = trained_model(attempt.spec, attempt.experiment, params_of(attempt.spec))
    tracker.log_trained(model, [Scored(result.iterations, seconds, measured, scored_on)], [train])
    tables = {f"per_class_{mode}": per_class_columns(each) for mode, each in scores.items()}
    classes = next(iter(scores.values())).classes
    tracker.log_tables({**tables, "class_frequencies": frequency_columns(classes)})
    tracker.log_images(list(overlays_of(here)), step=result.iterations, unix_seconds=seconds)
    if here.plan.exists():
        plan = json.loads(here.plan.read_text())
        here.config.write(json.dumps(plan["config"], indent=1) + "\n")
    checkpoint = attempt.layout.file(result.checkpoint)
    for file, folder in ((here.config, ""), (here.confusion, ""), (here.shown, ""), (checkpoint, FOLDER)):
        if file.exists():  # somebody may have made room since
            tracker.log_file(file.local, folder)


def delta_point(storage: Storage, report: AttemptReport) -> Point | None:
    """What a trial gains over the one it is compared with; None while that is not known."""
    result = report.result
    found = deltas_of(storage, report.experiment, result) if result is not None else {}
    if result is None or not found:
        return None
    return Point(result.iterations, _last_seconds(storage.attempt(report.experiment, report.attempt)), found)


def _last_seconds(here: AttemptDir) -> float:
    """Unix time of the attempt's last record: equal on every replay, so that MLflow keeps one point."""
    records = read_records(here.metrics)
    return float(records[-1]["time"]) if records else 0.0


def _run_info(attempt: Task) -> RunInfo:
    spec = attempt.spec
    tags = {
        "rebalance.experiment": attempt.experiment,
        "rebalance.spec_hash": spec_hash(spec),
        NOTE: (f"{label(spec.method)} on {spec.dataset.name}, {spec.model.label}, seed {spec.seed}"),
        **{f"tag.{key}": value for key, value in spec.tags.items()},
        **({} if spec.continues is None else {"rebalance.continues": spec.continues.experiment}),
        **attempt.mlflow_tags,
    }
    return RunInfo(group=group_of(spec.dataset), name=spec.name, params=params_of(spec), tags=tags)


def params_of(spec: ExperimentSpec) -> dict[str, str]:
    """Every word of the spec as a parameter: {"method": {"lambda": 0.3}} is method.lambda = 0.3."""
    return _flat(spec.model_dump(mode="json", exclude={"tags", "name"}))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item if isinstance(item, str) else json.dumps(item)
    return flat
