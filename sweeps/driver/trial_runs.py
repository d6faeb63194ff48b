"""The life of each trial in a driver: its attempts one after another, each in the pool."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from sweeps.document.expand import Trial
from sweeps.driver.policy import worth_another_try
from sweeps.execution.pool import Pool
from sweeps.execution.task import Task, TaskEnd
from sweeps.results.trial_progress import lost_attempts
from trainer.base.errors import Cancelled, NodeLost, StoppedEarly, WorkerLost
from trainer.base.files import write_atomically
from trainer.results.report import RunReport, read_report, write_report
from trainer.run.cluster import require_resources
from trainer.spec.spec import Resources, canonical_json
from trainer.storage.layout import Storage, trial_id
from trainer.storage.orders import ask_to_stop, stop_asked

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Who is told how trials go, from any thread."""

    def started(self, trial: Trial, attempt: int) -> None: ...

    def lost(self, trial: Trial, attempt: int, message: str) -> None: ...

    def ended(self, trial: Trial, report: RunReport) -> None: ...


class Runs:
    """A thread for each trial that was begun and has not ended."""

    def __init__(
        self,
        storage: Storage,
        sweep: str,
        *,
        pool: Pool,
        watcher: Watcher,
        task: Callable[[Trial, int], Task],
        broken: Callable[[str], None],
    ) -> None:
        """`broken` ends this process: a trial can neither run nor be reported on."""
        self._storage = storage
        self._sweep = sweep
        self._pool = pool
        self._watcher = watcher
        self._task = task
        self._broken = broken
        self._possible: set[Resources] = set()
        self._threads: dict[int, threading.Thread] = {}

    def begin(self, trial: Trial) -> None:
        """Makes the trial's next attempt, and runs it as soon as there is room."""
        attempt = self._make_attempt(trial)
        thread = threading.Thread(target=self._live, args=(trial, attempt), daemon=True)
        self._threads[trial.number] = thread
        thread.start()

    def stop(self, number: int, order: StoppedEarly) -> None:
        """Ends a trial that its scheduler gave up; nothing happens to one that has ended."""
        if number in self._threads and self._threads[number].is_alive():
            ask_to_stop(self._storage.stop(trial_id(self._sweep, number)), order)

    def drain(self) -> None:
        """Waits until all have ended."""
        for thread in list(self._threads.values()):
            thread.join()

    def _live(self, trial: Trial, attempt: int) -> None:
        try:
            while self._try(trial, attempt):
                attempt += 1
        except Exception as error:  # the thread's outermost frame: the trial must not vanish without a word
            log.exception("trial %s", trial.number)
            try:
                self._end_badly(trial, error)
            except Exception as worse:
                log.exception("trial %s has no report", trial.number)
                self._broken(f"trial {trial.number} cannot be reported on: {worse}")

    def _end_badly(self, trial: Trial, error: Exception) -> None:
        """What has been reported stands: then it was only the telling that failed."""
        attempt = self._storage.newest_attempt(self._id(trial))
        if not self._storage.attempt(self._id(trial), attempt).report.exists():
            self._refuse(trial, attempt, error)

    def _try(self, trial: Trial, attempt: int) -> bool:
        """Runs one attempt; True where another, already made, follows."""
        experiment = self._id(trial)
        stop = self._storage.stop(experiment)
        self._require(trial.spec.resources)

        def begins() -> bool:
            if stop.exists():
                return False
            self._watcher.started(trial, attempt)
            return True

        end = None if stop.exists() else self._pool.run(self._task(trial, attempt), begins)
        if end is None:
            self._refuse(trial, attempt, stop_asked(stop) or Cancelled("asked to stop before it began"))
        elif end.end == "lost":
            return self._after_loss(trial, attempt, end)
        else:
            report = read_report(self._storage.attempt(experiment, attempt).report)
            assert report is not None
            self._watcher.ended(trial, report)
        return False

    def _require(self, resources: Resources) -> None:
        """Refuses what the cluster never had. What it had once is waited for: a lost node is replaced."""
        if resources not in self._possible:
            require_resources(resources)
            self._possible.add(resources)

    def _after_loss(self, trial: Trial, attempt: int, end: TaskEnd) -> bool:
        """Notes the loss; the next attempt is made before this one's report: the trial never seems over."""
        written = read_report(self._storage.attempt(self._id(trial), attempt).report)
        if written is not None:  # it was lost after its work
            self._watcher.ended(trial, written)
            return False
        error = NodeLost(end.message) if end.node else WorkerLost(end.message)
        self._watcher.lost(trial, attempt, end.message)
        report = self._task(trial, attempt).make().report(error=error)
        assert report.error is not None
        if not worth_another_try(report.error, lost_attempts(self._storage, self._id(trial), report)):
            self._refuse(trial, attempt, error)
            return False
        self._make_attempt(trial)
        write_report(report, self._storage.attempt(self._id(trial), attempt).report)
        return True

    def _refuse(self, trial: Trial, attempt: int, error: Exception) -> None:
        self._watcher.ended(trial, self._task(trial, attempt).make().refuse(error))

    def _make_attempt(self, trial: Trial) -> int:
        attempt = self._storage.newest_attempt(self._id(trial)) + 1
        path = self._storage.attempt(self._id(trial), attempt).spec
        write_atomically(path, canonical_json(trial.spec) + "\n")
        return attempt

    def _id(self, trial: Trial) -> str:
        return trial_id(self._sweep, trial.number)
