"""What an experiment leaves in MLflow, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.plan import Plan
from trainer.results.report import HEADLINE, RunReport, RunResult, Scores
from trainer.spec.methods import label
from trainer.spec.spec import ExperimentSpec, spec_hash
from trainer.storage.layout import AttemptDir, Storage
from trainer.storage.sink import Record, read_records
from trainer.tracking.outcome import Outcome
from trainer.tracking.tracker import MlflowTracker, Point, RunInfo, RunStatus, Tracker, open_noted
from trainer.tracking.trouble import TrackerError, translated, within

_STATUS: dict[str, RunStatus] = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
_END_SECONDS = 120.0
_NOT_METRICS = frozenset({"kind", "iteration", "time", "message"})


@dataclass(frozen=True)
class Tracked:
    """What of an attempt is known before its plan: enough to open its run, or to mark it failed."""

    spec: ExperimentSpec
    storage: Storage
    experiment: str
    attempt: int
    mlflow_uri: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def dir(self) -> AttemptDir:
        return self.storage.attempt(self.experiment, self.attempt)

    @property
    def outcome(self) -> Outcome:
        """Where it is kept what MLflow took of this attempt."""
        return Outcome(self.storage, self.experiment, self.attempt, by=f"attempt {self.attempt}")


def tracked(plan: Plan) -> Tracked | None:
    """The plan's attempt, None where nobody tracks it."""
    if plan.mlflow_uri is None:
        return None
    return Tracked(plan.spec, plan.layout, plan.experiment, plan.attempt, plan.mlflow_uri, plan.mlflow_tags)


def open_run(attempt: Tracked) -> Tracker:
    """The experiment's run in MLflow, the same for all attempts; its id is remembered in storage.

    One that had to be made anew has from the start what was measured so far. That it was, or that one was
    restored, is noticed.

    Raises:
        TrackerError: MLflow did not take it.
    """
    tracker = MlflowTracker(attempt.mlflow_uri)
    opened = open_noted(tracker, attempt.storage.mlflow_run(attempt.experiment), _run_info(attempt))
    if opened.replaced:
        replay(attempt, tracker)
        attempt.outcome.fact(
            f"MLflow no longer had this experiment's run; run {opened.ids.run_id} replaces it"
        )
    elif opened.restored:
        attempt.outcome.fact("MLflow had deleted the run or its experiment; what was deleted is restored")
    return tracker


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


def tell_end(attempt: Tracked, report: RunReport, *, again: bool, seconds: float = _END_SECONDS) -> None:
    """Sends the end of an attempt and closes the run, within `seconds`, whatever MLflow does.

    What it does not take is noted, and costs the result nothing.
    """
    again = again or attempt.outcome.behind
    try:
        with translated():
            within(seconds, lambda: finish_run(attempt, report, open_run(attempt), again=again))
    except TrackerError as error:
        parts = ("curves, " if again else "") + ("tables, checkpoint, " if report.result else "")
        attempt.outcome.trouble(error, f"{parts}log and report of attempt {attempt.attempt}")
    else:
        attempt.outcome.taken()


def finish_run(
    attempt: Tracked,
    report: RunReport | None,
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
    _send_files(attempt.dir, attempt.attempt, tracker)
    if report is not None:
        _log_report(attempt.dir.report.name, report, tracker)
    last = status or (_STATUS[report.state] if report is not None else None)
    if last is not None:
        tracker.close(last)


def replay(attempt: Tracked, tracker: Tracker) -> None:
    """Sends what all attempts have measured so far; MLflow keeps each point once. Raises TrackerError."""
    _send_earlier(attempt, tracker)
    tracker.log_points(points_in(attempt.dir))


def _send_earlier(attempt: Tracked, tracker: Tracker) -> None:
    for number in range(1, attempt.attempt):
        here = attempt.storage.attempt(attempt.experiment, number)
        tracker.log_points(points_in(here))
        _send_files(here, number, tracker)


def _send_files(here: AttemptDir, number: int, tracker: Tracker) -> None:
    for file in (here.plan, here.metrics, here.log):
        if file.exists():
            tracker.log_file(file.local, f"attempts/{number}")


def _log_report(name: str, report: RunReport, tracker: Tracker) -> None:
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        tracker.log_file(path)


def _log_result(attempt: Tracked, result: RunResult, tracker: Tracker) -> None:
    for mode, scores in result.evaluation.items():
        tracker.log_table(f"per_class_{mode}", per_class_columns(scores))
        prefix = "" if mode == "single_scale" else f"{mode}/"
        headline = {f"{prefix}{name}": value for name, value in headline_of(scores).items()}
        tracker.log_points([Point(result.iterations, _last_seconds(attempt.dir), headline)])
    classes = next(iter(result.evaluation.values())).classes
    names = {"id": "id", "class": "name", "pixels": "pixel_frequency", "images": "region_frequency"}
    table = {name: [getattr(row, of) for row in classes] for name, of in names.items()}
    tracker.log_table("class_frequencies", table)
    if attempt.dir.plan.exists():
        plan = json.loads(attempt.dir.plan.read_text())
        attempt.dir.config.write(json.dumps(plan["config"], indent=1) + "\n")
        tracker.log_file(attempt.dir.config.local)
    checkpoint = attempt.storage.file(result.checkpoint)
    if checkpoint.exists():  # somebody may have made room since
        tracker.log_file(checkpoint.local, "checkpoint")


def _last_seconds(here: AttemptDir) -> float:
    """Unix time of the attempt's last record: equal on every replay, so that MLflow keeps one point."""
    records = read_records(here.metrics)
    return float(records[-1]["time"]) if records else 0.0


def headline_of(scores: Scores) -> dict[str, float]:
    """mIoU, mAcc, aAcc and head/body/tail mIoU in percent, where defined."""
    named = scores.model_dump(include=set(HEADLINE))
    return {name: value for name, value in named.items() if value is not None}


def per_class_columns(scores: Scores) -> dict[str, list[Any]]:
    """The per-class table, a column for each score and count."""
    names = ("id", "name", "group", "iou", "acc", "tp", "fp", "fn", "pixel_frequency", "region_frequency")
    heads = {"name": "class", "iou": "IoU", "acc": "Acc", "tp": "TP", "fp": "FP", "fn": "FN"}
    return {heads.get(name, name): [getattr(row, name) for row in scores.classes] for name in names}


def _run_info(attempt: Tracked) -> RunInfo:
    spec = attempt.spec
    tags = {
        "rebalance.experiment": attempt.experiment,
        "rebalance.spec_hash": spec_hash(spec),
        "mlflow.note.content": (
            f"{label(spec.method)} on {spec.dataset.name}, {spec.model.name}, seed {spec.seed}"
        ),
        **{f"tag.{key}": value for key, value in spec.tags.items()},
        **attempt.tags,
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
