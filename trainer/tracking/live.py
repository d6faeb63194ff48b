"""The curves of a training, in MLflow while it goes on: what the worker of rank 0 uses."""

from __future__ import annotations

from trainer.plan import Plan
from trainer.storage.layout import mlflow_ids
from trainer.storage.sink import Record
from trainer.task import Task
from trainer.tracking.background import BackgroundTracker
from trainer.tracking.gpu_metrics import GpuMetrics
from trainer.tracking.run_log import open_run, outcome_of, point_of, replay, send_earlier
from trainer.tracking.tracker import Tracker
from trainer.tracking.trouble import TrackerError

_MISSING = "curves from here on, until MLflow takes them; the training goes on"


class LiveCurves:
    """Hands records to a thread; nothing is done where nobody tracks the plan."""

    def __init__(self, plan: Plan) -> None:
        self._gpus = GpuMetrics()
        self._tracker = BackgroundTracker(AttemptSource(plan, self._gpus)) if plan.mlflow_uri else None

    def send(self, record: Record) -> None:
        """Takes a record along; returns at once."""
        if self._tracker is not None and (point := point_of(record)) is not None:
            self._tracker.log(point)

    def flush(self) -> bool:
        """Waits some seconds at most; whether something is missing in MLflow."""
        if self._tracker is None:
            return False
        self._tracker.flush()
        self._gpus.end()
        return self._tracker.lost


class AttemptSource:
    """The `background.TrackerSource` of an attempt. Where it trains on GPUs, these are measured."""

    def __init__(self, attempt: Task, gpus: GpuMetrics) -> None:
        self._attempt = attempt
        self._gpus = gpus
        self._opened = False

    def open(self) -> Tracker:
        tracker = open_run(self._attempt)
        if not self._opened:
            send_earlier(self._attempt, tracker)
            self._opened = True
        run_id = mlflow_ids(self._attempt.layout.mlflow_run(self._attempt.experiment)).get("run_id")
        if self._attempt.spec.resources.gpus_per_worker and self._attempt.mlflow_uri and run_id:
            self._gpus.begin(self._attempt.mlflow_uri, run_id)
        return tracker

    def replay(self, tracker: Tracker) -> None:
        replay(self._attempt, tracker)

    def trouble(self, error: TrackerError) -> None:
        outcome_of(self._attempt).trouble(error, _MISSING)

    def caught_up(self) -> None:
        outcome_of(self._attempt).taken()
