"""The driver's side of a search: trials are begun and stopped here, within the sweep's limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sweeps.document.expand import Trial
from sweeps.driver.decide import limit_reached
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.remaining import is_runnable
from sweeps.driver.sweep_task import SweepTask
from sweeps.driver.trial_life import TrialLife, Watcher
from sweeps.driver.trial_records import write_trial
from sweeps.execution.pool import Pool
from sweeps.search.protocol import TrialDriver
from trainer.base.errors import StoppedEarly
from trainer.storage.orders import ask_to_stop


class BegunTrials(TrialDriver):
    """A thread for each trial that was begun and has not ended: it waits for a place, then for the end."""

    def __init__(
        self,
        sweep: SweepTask,
        *,
        pool: Pool,
        watcher: Watcher,
        parent: ParentRun,
        give_up: Callable[[str], object],
        gpu_hours_before: float = 0.0,
        began: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`give_up` ends this process.

        Args:
            gpu_hours_before: those of earlier drivers, which count for the limit.
            began: when the driver began, by `clock` (seconds); None: now.
        """
        self._sweep = sweep
        self._pool = pool
        self._give_up = give_up
        self._gpu_hours_before = gpu_hours_before
        self._clock = clock
        self._began = clock() if began is None else began
        self._life = TrialLife(sweep, pool=pool, watcher=watcher, parent=parent, give_up=give_up)
        self._kinds = {trial.spec.resources for trial in sweep.trials} or {sweep.sweep.base.resources}
        self._threads: dict[int, threading.Thread] = {}
        self.limit: str | None = None  # why trials were left that nobody begins

    def room(self) -> int:
        """One more than run where nothing must be waited for, so that a place is filled at once."""
        if self._sweep.directory.pause.exists():
            self._pool.end_idle()
            return 0
        limits = self._sweep.sweep.limits
        most = max(self._pool.fits(resources) for resources in self._kinds)
        at_once = max(1, min(most, limits.concurrent_trials or most))
        limited = limits.seconds is not None or limits.gpu_hours is not None
        return at_once + (self._sweep.sweep.search != "optuna" and not self._sweep.judged and not limited)

    def may_begin(self) -> bool:
        seconds = self._clock() - self._began
        hours = self._gpu_hours_before + self._pool.gpu_hours()
        reached = limit_reached(self._sweep.sweep.limits, seconds=seconds, gpu_hours=hours)
        if reached and not self.limit:
            self.limit = f"not all trials were begun: {reached}"
            print(f"no further trial is begun: {reached}", flush=True)
        return reached is None

    def begin(self, trial: Trial, *, last: bool) -> None:
        """Notes the trial, makes its next attempt, and leaves both to a thread."""
        experiment = self._sweep.experiment(trial.number)
        write_trial(self._sweep.directory, trial, experiment)
        if is_runnable(self._sweep.storage, experiment):
            attempt = self._life.next_attempt(trial)
            thread = threading.Thread(target=self._life.live, args=(trial, attempt), daemon=True)
            self._threads[trial.number] = thread
            thread.start()
        if last:
            self._pool.no_more()

    def stop(self, number: int, reason: StoppedEarly) -> None:
        """Leaves the order as a file, which the training loop reads, and a thread before it begins one."""
        if number in self._threads and self._threads[number].is_alive():
            ask_to_stop(self._sweep.storage.stop(self._sweep.experiment(number)), reason)

    def check_in(self) -> None:
        if self._sweep.directory.attempt(self._sweep.attempt + 1).exists():
            self._give_up("a newer attempt at this sweep has begun")

    def drain(self) -> None:
        """Waits until all that were begun have ended, and ends their workers."""
        for thread in list(self._threads.values()):
            thread.join()
        self._pool.end_idle()
