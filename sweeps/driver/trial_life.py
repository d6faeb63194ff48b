"""The life of one trial in a driver: its attempts one after another, each in a place of the pool."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from sweeps.document.expand import Trial
from sweeps.driver.decide import worth_another_try
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.sweep_task import SweepTask
from sweeps.execution.pool import Pool
from sweeps.execution.task import TaskEnd, end_of
from sweeps.results.trial_progress import lost_attempts
from trainer.base.errors import NodeLost, StorageAway, WorkerLost
from trainer.results.report import AttemptReport, read_report, write_report
from trainer.run.attempt import Attempt
from trainer.spec.spec import canonical_json
from trainer.storage.directories import AttemptDir
from trainer.storage.orders import stop_asked

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Who is told how trials go, from any thread."""

    def started(self, trial: Trial, attempt: int) -> None: ...

    def lost(self, trial: Trial, attempt: int, message: str) -> None: ...

    def ended(self, trial: Trial, report: AttemptReport) -> None: ...


class TrialLife:
    """What is the same for all trials of a sweep while they live."""

    def __init__(
        self,
        sweep: SweepTask,
        *,
        pool: Pool,
        watcher: Watcher,
        parent: ParentRun,
        give_up: Callable[[str], object],
    ) -> None:
        """`give_up` ends this process: a trial can neither run nor be reported on."""
        self._sweep = sweep
        self._pool = pool
        self._watcher = watcher
        self._parent = parent
        self._give_up = give_up

    def next_attempt(self, trial: Trial) -> int:
        """Makes the trial's next attempt, which does not run yet; its number."""
        attempt = self._newest(trial) + 1
        self._dir(trial, attempt).spec.write(canonical_json(trial.spec) + "\n")
        return attempt

    def live(self, trial: Trial, attempt: int) -> None:
        """Runs this attempt, and others where it is lost, until the trial has a report that stands."""
        try:
            while self._try(trial, attempt):
                attempt += 1
        except Exception as error:  # the thread's outermost frame: the trial must not vanish without a word
            log.exception("trial %s", trial.number)
            try:
                self._require_storage(trial, attempt)
                self._end_badly(trial, error)
            except Exception as worse:
                log.exception("trial %s has no report", trial.number)
                self._give_up(f"trial {trial.number} cannot be reported on: {worse}")

    def _try(self, trial: Trial, attempt: int) -> bool:
        """Runs one attempt; True where another, already made, follows."""
        self._pool.require(trial.spec.resources)
        if self._was_stopped(trial, attempt):
            return False
        with self._pool.place(trial.spec.resources) as run:
            if self._was_stopped(trial, attempt):  # while it waited
                return False
            self._watcher.started(trial, attempt)
            try:
                end = run(self._sweep.task(trial, attempt, self._parent.tags_of(trial.row)))
            except StorageAway as error:  # where it ran: no report could be left there
                end = end_of(error)
        if end.end == "lost":
            return self._after_loss(trial, attempt, end)
        report = read_report(self._dir(trial, attempt).report)
        assert report is not None
        if report.error and self._worth_another_try(trial, report):  # a full disk
            self._watcher.lost(trial, attempt, report.error.message)
            self.next_attempt(trial)
            return True
        self._watcher.ended(trial, report)
        return False

    def _worth_another_try(self, trial: Trial, report: AttemptReport, *, written: bool = True) -> bool:
        assert report.error is not None
        experiment = self._sweep.experiment(trial.number)
        losses = lost_attempts(self._sweep.storage, experiment, None if written else report)
        return worth_another_try(report.error, losses)

    def _was_stopped(self, trial: Trial, attempt: int) -> bool:
        """Reports on a trial that somebody has stopped before it could begin."""
        asked = stop_asked(self._sweep.storage.stop(self._sweep.experiment(trial.number)))
        if asked is not None:
            self._refuse(trial, attempt, asked)
        return asked is not None

    def _after_loss(self, trial: Trial, attempt: int, end: TaskEnd) -> bool:
        """Notes the loss; the next attempt is made before this one's report: the trial never seems over."""
        self._require_storage(trial, attempt)
        path = self._dir(trial, attempt).report
        written = read_report(path)
        if written is not None:  # it was lost after its work
            self._watcher.ended(trial, written)
            return False
        error = NodeLost(end.message) if end.node else WorkerLost(end.message)
        self._watcher.lost(trial, attempt, end.message)
        report = self._attempt(trial, attempt).report(error=error)
        if not self._worth_another_try(trial, report, written=False):
            self._refuse(trial, attempt, error)
            return False
        self.next_attempt(trial)
        write_report(report, path)
        return True

    def _require_storage(self, trial: Trial, attempt: int) -> None:
        """Raises StorageAway: the attempt's directory is gone, and a report would be lost."""
        here = self._dir(trial, attempt)
        if not here.spec.exists():
            raise StorageAway(str(here), "what the attempt began with is gone, and no report can be left")

    def _end_badly(self, trial: Trial, error: Exception) -> None:
        """What has been reported stands: then it was only the telling that failed."""
        attempt = self._newest(trial)
        if not self._dir(trial, attempt).report.exists():
            self._refuse(trial, attempt, error)

    def _refuse(self, trial: Trial, attempt: int, error: Exception) -> None:
        self._watcher.ended(trial, self._attempt(trial, attempt).refuse(error))

    def _attempt(self, trial: Trial, attempt: int) -> Attempt:
        return Attempt(self._sweep.task(trial, attempt, self._parent.tags_of(trial.row)))

    def _dir(self, trial: Trial, attempt: int) -> AttemptDir:
        return self._sweep.storage.attempt(self._sweep.experiment(trial.number), attempt)

    def _newest(self, trial: Trial) -> int:
        return self._sweep.storage.newest_attempt(self._sweep.experiment(trial.number))
