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
from trainer.base.errors import NodeLost, Paused, StoppedEarly, WorkerLost
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
        self._trials: dict[int, Trial] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._lock = threading.Lock()
        self._halted: set[int] = set()

    def begin(self, trial: Trial) -> None:
        """Makes the trial's next attempt, and runs it as soon as there is room."""
        stop = self._storage.stop(self._id(trial))
        if isinstance(stop_asked(stop), Paused):
            stop.delete()
        attempt = self._make_attempt(trial)
        thread = threading.Thread(target=self._live, args=(trial, attempt), daemon=True)
        self._trials[trial.number] = trial
        self._threads[trial.number] = thread
        thread.start()

    def go_on(self, number: int) -> None:
        """Begins another attempt at a trial that was halted."""
        if number not in self._threads:
            return
        self._threads[number].join()
        with self._lock:
            halted = number in self._halted
            self._halted.discard(number)
        if halted:
            self.begin(self._trials[number])

    def stop(self, number: int, order: StoppedEarly) -> None:
        """Ends a trial that its scheduler gave up; nothing happens to one that has ended."""
        if number not in self._threads:
            return
        trial = self._trials[number]
        path = self._storage.stop(self._id(trial))
        with self._lock:
            if number in self._halted:
                self._halted.discard(number)
                self._refuse(trial, self._storage.newest_attempt(self._id(trial)), order)
            elif self._threads[number].is_alive():
                if isinstance(stop_asked(path), Paused):
                    path.delete()
                ask_to_stop(path, order)

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
        if end is None or end.end == "paused":
            self._halt(trial, attempt)
        elif end.end == "lost":
            return self._after_loss(trial, attempt, end)
        else:
            report = read_report(self._storage.attempt(experiment, attempt).report)
            assert report is not None
            if report.error and self._worth_another_try(trial, report):  # a full disk
                self._watcher.lost(trial, attempt, report.error.message)
                self._make_attempt(trial)
                return True
            self._watcher.ended(trial, report)
        return False

    def _worth_another_try(self, trial: Trial, report: RunReport, *, written: bool = True) -> bool:
        assert report.error is not None
        losses = lost_attempts(self._storage, self._id(trial), None if written else report)
        return worth_another_try(report.error, losses)

    def _require(self, resources: Resources) -> None:
        """Refuses what the cluster never had. What it had once is waited for: a lost node is replaced."""
        if resources not in self._possible:
            require_resources(resources)
            self._possible.add(resources)

    def _halt(self, trial: Trial, attempt: int) -> None:
        """What was asked of the trial decides whether it is over."""
        with self._lock:
            asked = stop_asked(self._storage.stop(self._id(trial)))
            if asked is None or isinstance(asked, Paused):
                self._halted.add(trial.number)
            else:
                self._refuse(trial, attempt, asked)

    def _after_loss(self, trial: Trial, attempt: int, end: TaskEnd) -> bool:
        """Notes the loss; the next attempt is made before this one's report: the trial never seems over."""
        written = read_report(self._storage.attempt(self._id(trial), attempt).report)
        if written is not None:  # it was lost after its work
            self._watcher.ended(trial, written)
            return False
        error = NodeLost(end.message) if end.node else WorkerLost(end.message)
        self._watcher.lost(trial, attempt, end.message)
        report = self._task(trial, attempt).make().report(error=error)
        if not self._worth_another_try(trial, report, written=False):
            self._refuse(trial, attempt, error)
            return False
        self._make_attempt(trial)
        write_report(report, self._storage.attempt(self._id(trial), attempt).report)
        return True

    def _refuse(self, trial: Trial, attempt: int, error: Exception) -> None:
        self._watcher.ended(trial, self._task(trial, attempt).make().refuse(error))

    def _make_attempt(self, trial: Trial) -> int:
        attempt = self._storage.newest_attempt(self._id(trial)) + 1
        file = self._storage.attempt(self._id(trial), attempt).spec
        file.write(canonical_json(trial.spec) + "\n")
        return attempt

    def _id(self, trial: Trial) -> str:
        return trial_id(self._sweep, trial.number)
