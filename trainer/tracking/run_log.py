"""What one experiment leaves in MLflow: curves while it runs, tables, figures and files at its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.plan import Plan
from trainer.results.report import RunReport, RunResult, Scores
from trainer.spec.methods import label
from trainer.spec.spec import SINGLE_SCALE, spec_hash
from trainer.storage.sink import Record, read_records
from trainer.task import Task
from trainer.tracking.mlflow_compat import NOTE
from trainer.tracking.tracker import (
    BackgroundTracker,
    MlflowTracker,
    RunInfo,
    Tracker,
    TrackerError,
    open_noted,
)

log = logging.getLogger(__name__)

_NOT_METRICS = frozenset({"kind", "iteration", "time", "message"})


def send(record: Record, tracker: Tracker | BackgroundTracker) -> None:
    """Logs the numbers of one record of metrics.jsonl, if it has any."""
    if values := metrics_in(record):
        tracker.log_metrics(int(record["iteration"]), float(record["time"]), values)


def open_run(attempt: Task) -> Tracker:
    """The experiment's run in MLflow, the same for all attempts; its id is remembered in storage."""
    assert attempt.mlflow_uri is not None
    tracker = MlflowTracker(attempt.mlflow_uri)
    open_noted(tracker, attempt.layout.mlflow_run(attempt.experiment), _run_info(attempt))
    return tracker


def metrics_in(record: Record) -> dict[str, float]:
    """The numbers of a record, under the names MLflow's UI shows: train/loss, eval/mIoU."""
    if record["kind"] == "event":
        return {}
    return {
        f"{record['kind']}/{name}": float(value)
        for name, value in record.items()
        if name not in _NOT_METRICS and isinstance(value, (int, float))
    }


def finish_run(attempt: Task, report: RunReport, *, plan: Plan | None, replay: bool) -> None:
    """Completes and closes the run; `replay` sends the curves again from metrics.jsonl.

    A tracking server that cannot be reached costs a warning, never the result.
    """
    try:
        tracker = open_run(attempt)
        if replay:
            for record in read_records(attempt.attempt_dir.metrics):
                send(record, tracker)
        if plan is not None and report.result is not None:
            _log_result(plan, report.result, tracker)
        for file in (attempt.attempt_dir.plan, attempt.attempt_dir.metrics, attempt.attempt_dir.log):
            if file.exists():
                tracker.log_file(file.local, f"attempts/{attempt.attempt}")
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / attempt.attempt_dir.report.name
            path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
            tracker.log_file(path)
        tracker.close(report.state.mlflow_status)
    except TrackerError as error:
        log.warning("MLflow has not taken the end of this run: %s", error)


def _log_result(plan: Plan, result: RunResult, tracker: Tracker) -> None:
    for mode, scores in result.evaluation.items():
        tracker.log_table(f"per_class_{mode}", per_class_columns(scores))
        prefix = "" if mode == SINGLE_SCALE else f"{mode}/"
        headline = {f"{prefix}{name}": value for name, value in headline_of(scores).items()}
        tracker.log_metrics(result.iterations, _last_seconds(plan), headline)
    tracker.log_table(
        "class_frequencies",
        {
            "id": list(range(len(plan.data.classes))),
            "class": plan.data.classes,
            "pixels": plan.frequencies.pixel,
            "images": plan.frequencies.region,
        },
    )
    plan.attempt_dir.config.write(json.dumps(plan.config, indent=1) + "\n")
    tracker.log_file(plan.attempt_dir.config.local)
    tracker.log_file(plan.layout.file(result.checkpoint).local, "checkpoint")


def _last_seconds(plan: Plan) -> float:
    """Unix time of the attempt's last record: equal on every replay, so that MLflow keeps one point."""
    records = read_records(plan.attempt_dir.metrics)
    return float(records[-1]["time"]) if records else 0.0


def headline_of(scores: Scores) -> dict[str, float]:
    """mIoU, mAcc, aAcc and head/body/tail mIoU in percent, where defined."""
    return {name: value for name, value in scores.headline.items() if value is not None}


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
        NOTE: (f"{label(spec.method)} on {spec.dataset.name}, {spec.model.name}, seed {spec.seed}"),
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
