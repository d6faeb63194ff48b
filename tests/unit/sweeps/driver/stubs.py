"""What stands in for the cluster, its pool and MLflow while a driver's parts are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sweeps.document.expand import Trial, count_trials, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.driver.sweep_task import SweepTask
from sweeps.execution.task import TaskEnd
from tests.data_factories import make_report, spec_document
from trainer.results.report import AttemptReport, write_report
from trainer.spec.resources import Resources
from trainer.storage.layout import Storage
from trainer.task import Task


class FixedCluster:
    """Has what it is made with, for ever."""

    def __init__(self, **resources: float) -> None:
        self._resources = resources

    def resources(self) -> Mapping[str, float]:
        return self._resources

    def places(self, cpus: float, gpus: float) -> int:
        return int(self._resources.get("CPU", 0.0) / cpus)

    def require(self, resources: Resources) -> None:
        """It has whatever is asked for."""


class StubPool:
    """Answers for the pool and runs nothing: calls `before`, leaves the report of a completed task."""

    def __init__(self, end: TaskEnd, before: Callable[[Task], object] = lambda _: None) -> None:
        self._end = end
        self._before = before
        self.hours = 0.0

    def require(self, resources: Resources) -> None:
        """There is no cluster to ask."""

    def gpu_hours(self) -> float:
        return self.hours

    def end_idle(self) -> None:
        """Nothing idles."""

    def no_more(self) -> None:
        """Nothing idles."""

    @contextmanager
    def place(self, resources: Resources) -> Iterator[Callable[[Task], TaskEnd]]:
        yield self._run

    def _run(self, task: Task) -> TaskEnd:
        self._before(task)
        if self._end.end == "completed":
            write_report(make_report(), task.attempt_dir.report)
        return self._end


class Told:
    """A watcher whose words can fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.lines: list[str] = []
        self._error = error

    def started(self, trial: Trial, attempt: int) -> None:
        self.lines.append(f"started {attempt}")

    def lost(self, trial: Trial, attempt: int, message: str) -> None:
        self.lines.append(f"lost {attempt}")

    def ended(self, trial: Trial, report: AttemptReport) -> None:
        self.lines.append(report.state)
        if self._error is not None:
            raise self._error


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


def task_of(storage: Storage, sweep: SweepSpec) -> SweepTask:
    return SweepTask(
        sweep=sweep,
        identifier="s",
        attempt=1,
        storage=storage,
        mlflow_uri=None,
        trials=() if sweep.search == "optuna" else expand(sweep),
        total=count_trials(sweep),
        data_roots={},
        max_cluster=None,
        resolve=lambda trial: trial,
    )
