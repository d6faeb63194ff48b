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
from trainer.results.report import AttemptReport, AttemptResult, Scores
from trainer.spec.evaluation import SINGLE_SCALE
from trainer.spec.methods import label
from trainer.spec.spec import spec_hash
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import mlflow_ids
from trainer.storage.sink import Record, read_records
from trainer.task import Task
from trainer.tracking.checkpoints import FOLDER, send_tracked
from trainer.tracking.mlflow_compat import NOTE
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.tracker import MlflowTracker, Point, RunInfo, Tracker, open_noted
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
    _send_earlier(attempt, tracker)
    tracker.log_points(points_in(attempt.attempt_dir))


def send_cut_off(attempt: Task, tracker: Tracker) -> None:
    """Sends again what attempts before this one have measured that left no report: what was under way when
    they were killed may not have arrived. Raises TrackerError.
    """
    for number in range(1, attempt.attempt):
        if not attempt.layout.attempt(attempt.experiment, number).report.exists():
            _send_one(attempt, number, tracker)


def _send_earlier(attempt: Task, tracker: Tracker) -> None:
    for number in range(1, attempt.attempt):
        _send_one(attempt, number, tracker)


def _send_one(attempt: Task, number: int, tracker: Tracker) -> None:
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
    for mode, scores in result.evaluation.items():
        tracker.log_table(f"per_class_{mode}", per_class_columns(scores))
        prefix = "" if mode == SINGLE_SCALE else f"{mode}/"
        measured = {f"{prefix}{name}": value for name, value in measured_of(scores).items()}
        tracker.log_points([Point(result.iterations, _last_seconds(attempt.attempt_dir), measured)])
    classes = next(iter(result.evaluation.values())).classes
    names = {"id": "id", "class": "name", "pixels": "pixel_frequency", "images": "region_frequency"}
    table = {name: [getattr(row, of) for row in classes] for name, of in names.items()}
    tracker.log_table("class_frequencies", table)
    if attempt.attempt_dir.plan.exists():
        plan = json.loads(attempt.attempt_dir.plan.read_text())
        attempt.attempt_dir.config.write(json.dumps(plan["config"], indent=1) + "\n")
        tracker.log_file(attempt.attempt_dir.config.local)
    if attempt.attempt_dir.confusion.exists():
        tracker.log_file(attempt.attempt_dir.confusion.local)
    checkpoint = attempt.layout.file(result.checkpoint)
    if checkpoint.exists():  # somebody may have made room since
        tracker.log_file(checkpoint.local, FOLDER)


def _last_seconds(here: AttemptDir) -> float:
    """Unix time of the attempt's last record: equal on every replay, so that MLflow keeps one point."""
    records = read_records(here.metrics)
    return float(records[-1]["time"]) if records else 0.0


def measured_of(scores: Scores) -> dict[str, float]:
    """mIoU, mAcc, aAcc, head/body/tail mIoU and those of single pictures in percent, where defined."""
    found = {**scores.headline, **scores.by_picture}
    return {name: value for name, value in found.items() if value is not None}


def per_class_columns(scores: Scores) -> dict[str, list[Any]]:
    """The per-class table, a column for each score and count."""
    names = ("id", "name", "group", "iou", "acc", "tp", "fp", "fn", "pixel_frequency", "region_frequency")
    heads = {"name": "class", "iou": "IoU", "acc": "Acc", "tp": "TP", "fp": "FP", "fn": "FN"}
    return {heads.get(name, name): [getattr(row, name) for row in scores.classes] for name in names}


def _run_info(attempt: Task) -> RunInfo:
    spec = attempt.spec
    tags = {
        "rebalance.experiment": attempt.experiment,
        "rebalance.spec_hash": spec_hash(spec),
        NOTE: (f"{label(spec.method)} on {spec.dataset.name}, {spec.model.label}, seed {spec.seed}"),
        **{f"tag.{key}": value for key, value in spec.tags.items()},
        **attempt.mlflow_tags,
    }
    params = _flat(spec.model_dump(mode="json", exclude={"tags", "name"}))
    return RunInfo(group=spec.dataset.name, name=spec.name, params=params, tags=tags)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested fields as MLflow parameters: {"method": {"lambda": 0.3}} is method.lambda = 0.3."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item if isinstance(item, str) else json.dumps(item)
    return flat
