"""One attempt at a sweep: what storage has already, what is still to run, and the report at its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NoReturn

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.policy import limit_reached
from sweeps.driver.remaining import is_runnable, source_of
from sweeps.driver.summary import Board
from sweeps.driver.trial_records import read_trials, write_trial
from sweeps.driver.trial_runs import Runs
from sweeps.execution.pool import Pool, fits
from sweeps.execution.task import Task
from sweeps.results.formats import to_markdown
from sweeps.results.report import SweepReport, write_sweep_report
from sweeps.search.candidates import Source
from trainer.base.errors import Cancelled
from trainer.base.tee import tee_output
from trainer.run import launch
from trainer.run.attempt import run_error, utc_now_text
from trainer.storage.layout import Storage, trial_id

_EXIT_CODES = {"completed": 0, "failed": 1, "cancelled": 143}


@dataclass(frozen=True)
class Asked:
    """What to run, and where. `trials` are all of a grid or random search; optuna makes its own."""

    sweep: SweepSpec
    identifier: str
    attempt: int
    storage: Storage
    mlflow_uri: str | None
    trials: Sequence[Trial]
    total: int
    resolve: Callable[[Trial], Trial]


class Engine:
    """This process as the driver of a sweep."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._directory = asked.storage.sweep(asked.identifier)
        self._dir = self._directory.attempt(asked.attempt)
        self._started_at, self._began = utc_now_text(), time.monotonic()
        self._judged = asked.sweep.scheduler.kind != "none"
        self._owns_cluster = False
        self._board: Board | None = None
        self._parent: ParentRun | None = None
        self._pool = Pool(most=asked.sweep.limits.concurrent_trials, held=self._directory.pause.exists)
        self._kinds = {trial.spec.resources for trial in asked.trials} or {asked.sweep.base.resources}
        self._gpu_hours_before = 0.0
        self._source: Source | None = None
        self._limit: str | None = None  # why trials were left that nobody begins

    def run(self) -> int:
        """Runs the sweep with everything printed kept in log.txt; the exit code."""
        with closing(self._dir.log.appending()) as kept, tee_output(kept):
            error: Exception | None = None
            try:
                self._catch_signals()
                self._run()
            except Exception as raised:  # noqa: BLE001 - the outermost frame: it belongs into the report
                error = raised
                print(f"the sweep failed: {type(raised).__name__}: {raised}", flush=True)
            report = self._report(error)
            if self._board is not None:
                self._board.close()
            if self._parent is not None:
                self._parent.close(report.state)
            write_sweep_report(report, self._dir.report)
        return _EXIT_CODES[report.state]

    def _run(self) -> None:
        from sweeps.search import tune

        asked = self._asked
        print(f"sweep {asked.identifier}, attempt {asked.attempt}: {self._directory}", flush=True)
        self._owns_cluster = launch.connect(show_workers=False)
        self._catch_signals()  # Ray has put its own handlers over ours
        self._parent = ParentRun(asked.sweep, asked.identifier, asked.storage, asked.mlflow_uri)
        known = asked.trials or read_trials(self._directory)
        self._board = Board(
            asked.sweep,
            asked.identifier,
            asked.storage,
            attempt=asked.attempt,
            trials=known,
            total=asked.total,
            parent=self._parent,
        )
        self._gpu_hours_before = self._board.gpu_hours() if asked.sweep.limits.gpu_hours else 0.0
        runs = Runs(
            asked.storage,
            asked.identifier,
            pool=self._pool,
            watcher=self._board,
            task=self._task,
            broken=self._end_now,
        )
        self._source = source = source_of(
            asked.sweep,
            known,
            identifier=asked.identifier,
            storage=asked.storage,
            board=self._board,
            resolve=asked.resolve,
        )
        if not source.exhausted:
            # A sweep that is paused at its start has no room now: Tune would never ask for a trial.
            tune.prepare_environment(max(1, self._room()))
            begin = self._beginner(runs, source)
            feed = tune.Feed(asked.sweep, source, begin=begin, room=self._room, over=self._over)
            decisions = tune.Decisions(asked.sweep, feed, stop=runs.stop, go_on=runs.go_on)
            tune.run_tune(asked.sweep, feed, decisions, trials=asked.total, directory=self._dir.path)
        runs.drain()
        self._pool.end_idle()
        self._sum_up()

    def _task(self, trial: Trial, attempt: int) -> Task:
        assert self._parent is not None
        return Task(
            storage=str(self._asked.storage.root),
            experiment=self._id(trial),
            attempt=attempt,
            spec=trial.spec,
            mlflow_uri=self._asked.mlflow_uri,
            mlflow_tags=self._parent.tags_of(trial.row),
            judged=self._judged,
        )

    def _beginner(self, runs: Runs, source: Source) -> Callable[[Trial], Mapping[str, Any]]:
        """Begins a trial, unless it is only told again, and says what Tune's side needs to follow it."""
        asked = self._asked

        def begin(trial: Trial) -> Mapping[str, Any]:
            write_trial(self._directory, trial, self._id(trial))
            if is_runnable(asked.storage, self._id(trial)):
                runs.begin(trial)
            if source.exhausted and asked.sweep.scheduler.kind != "hyperband":  # that one halts and resumes
                self._pool.no_more()
            spec = trial.spec
            return {
                "number": trial.number,
                "experiment": self._id(trial),
                "storage": str(asked.storage.root),
                "metric": asked.sweep.metric,
                "iterations": spec.schedule.iterations,
                "interval": spec.evaluation.interval or spec.schedule.iterations,
                "judged": self._judged,
            }

        return begin

    def _room(self) -> int:
        """How many trials Tune may have at a time: one more than run, so that a place is filled at once."""
        if self._directory.pause.exists():
            self._pool.end_idle()
            return 0
        limits = self._asked.sweep.limits
        most = max(fits(resources) for resources in self._kinds)
        at_once = max(1, min(most, limits.concurrent_trials or most))
        limited = limits.seconds is not None or limits.gpu_hours is not None
        return at_once + (self._asked.sweep.search != "optuna" and not self._judged and not limited)

    def _over(self) -> bool:
        """Whether no further trial is begun; ends this process where a newer driver has taken over."""
        if self._directory.attempt(self._asked.attempt + 1).exists():
            self._end_now("a newer attempt at this sweep has begun")
        assert self._source is not None
        seconds = time.monotonic() - self._began
        hours = self._gpu_hours_before + self._pool.gpu_hours()
        reached = limit_reached(self._asked.sweep.limits, seconds=seconds, gpu_hours=hours)
        if reached and not self._limit and not self._source.exhausted:
            self._limit = f"not all trials were begun: {reached}"
            print(f"no further trial is begun: {reached}", flush=True)
        return reached is not None

    def _sum_up(self) -> None:
        assert self._board is not None
        table = self._board.show_last(self._limit)
        if table is not None:
            print(f"\n{to_markdown(table)}", flush=True)
        counts = {name: count for name, count in self._board.counts().model_dump().items() if count}
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        best = self._board.best()
        if best is not None:
            told += f"; best {self._asked.sweep.metric} {best.value:.2f}: {best.row} ({best.experiment})"
        print(f"{told}\ntable: {self._directory.tables['markdown']}", flush=True)

    def _report(self, error: Exception | None) -> SweepReport:
        state = "completed" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"
        document: dict[str, Any] = {
            "sweep": self._asked.identifier,
            "attempt": self._asked.attempt,
            "state": state,
            "spec": self._asked.sweep,
            "error": run_error(error) if error else None,
            "limit": self._limit,
            "mlflow_run_id": self._parent.run_id if self._parent else None,
            "started_at": self._started_at,
            "ended_at": utc_now_text(),
        }
        if self._board is not None:
            document |= {"trials": self._board.counts(), "best": self._board.best()}
        return SweepReport.model_validate(document)

    def _id(self, trial: Trial) -> str:
        return trial_id(self._asked.identifier, trial.number)

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, signum: int, frame: object) -> NoReturn:
        del frame
        self._end_now(f"stopped by {signal.Signals(signum).name}")

    def _end_now(self, reason: str) -> NoReturn:
        """Ray kills 3 s after SIGTERM: the sweep's report, and no more. Its trials go on from their
        checkpoints when the sweep does; who has cancelled them for good is the service.
        """
        report = self._report(Cancelled(reason))
        write_sweep_report(report, self._dir.report)
        print(reason, flush=True)
        if self._owns_cluster:
            launch.kill_own_cluster()
        os._exit(_EXIT_CODES[report.state])
