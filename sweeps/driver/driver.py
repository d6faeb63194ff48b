"""One attempt at a sweep, from what storage has already to the report at its end.

A sweep is read in one direction:

1. `sweeps.job`: the document, its trials expanded: a `SweepTask`, which `Driver.run` drives; on a cluster
   `looked_at` resolves their data sets, where the data are.
2. `remaining.source_of`: what is left of it, as a `Source` of trials (`sweeps.search.candidates`).
3. `sweeps.search.tune.run_search` asks the source for the next trial while the driver has room for one …
4. … and the driver to begin it: `BegunTrials.begin`; `sweeps.search.protocol` is all that it can ask.
5. `TrialLife.live`, in a thread for each trial: `Pool.place` waits for room, and runs a `Task` there.
6. The attempt writes its evaluations and its report into its run directory: nothing else comes back from it.
7. The search reads evaluations there; a scheduler's verdict is a permit to go on, or `BegunTrials.stop`.
8. `TrialLife` reads how it ended: another attempt follows a lost worker, else `Board.ended` records the end.
9. `Board` rewrites the table, from reports alone; MLflow gets a copy (`ParentRun`).
10. When the source is exhausted and every trial has ended, the last table, the page of figures
    (`report_page.py`) and `SweepReport` are written.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from functools import partial
from typing import Any, NoReturn

from sweeps.driver.begun_trials import BegunTrials
from sweeps.driver.looked_at import looked_at
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.remaining import source_of
from sweeps.driver.report_page import write_page
from sweeps.driver.summary import Board
from sweeps.driver.sweep_task import SweepTask
from sweeps.driver.trial_records import read_trials
from sweeps.execution.cluster import RayCluster
from sweeps.execution.pool import Pool
from sweeps.results.formats import to_markdown
from sweeps.results.report import SweepReport, write_sweep_report
from sweeps.results.table import Table
from sweeps.search.candidates import Source
from trainer.base.ends import End, ExitCode
from trainer.base.errors import Cancelled, SpecError
from trainer.base.tee import tee_output
from trainer.run import launch
from trainer.run.reported import attempt_error, said_waiting, utc_now_text


class Driver:
    """This process as the driver of a sweep."""

    def __init__(self, task: SweepTask) -> None:
        self._task = task
        self._dir = task.attempt_dir
        self._started_at, self._began = utc_now_text(), time.monotonic()
        self._owns_cluster = False
        self._board: Board | None = None
        self._parent: ParentRun | None = None
        self._begun: BegunTrials | None = None

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
                self._parent.close(report.state.mlflow_status, by=f"attempt {self._task.attempt}")
            write_sweep_report(report, self._dir.report)
        refused = report.error is not None and report.error.type == SpecError.__name__
        return ExitCode.BAD_INPUT if refused else report.state.exit_code

    def _run(self) -> None:
        task = self._task
        print(f"sweep {task.identifier}, attempt {task.attempt}: {task.directory}", flush=True)
        self._owns_cluster = launch.connect(show_workers=False)
        self._catch_signals()  # Ray has put its own handlers over ours
        waits = partial(said_waiting, self._dir)
        task = self._task = looked_at(task, waits)
        self._parent = ParentRun(task.sweep, task.identifier, task.storage, task.mlflow_uri)
        known = task.trials or read_trials(task.directory)
        self._board = Board(
            task.sweep,
            task.identifier,
            task.storage,
            attempt=task.attempt,
            trials=known,
            total=task.total,
            parent=self._parent,
        )
        self._begun = BegunTrials(
            task,
            pool=Pool(
                most=task.sweep.limits.concurrent_trials,
                paused=task.directory.pause.exists,
                cluster=RayCluster(task.max_cluster, waits),
            ),
            watcher=self._board,
            parent=self._parent,
            give_up=self._end_now,
            gpu_hours_before=self._board.gpu_hours() if task.sweep.limits.gpu_hours else 0.0,
            began=self._began,
        )
        source = source_of(task, known, board=self._board)
        if not source.exhausted:
            _search(task, source, self._begun)
        self._begun.drain()
        self._sum_up(self._board, self._begun.limit)

    def _sum_up(self, board: Board, limit: str | None) -> None:
        table = board.show_last(limit)
        if table is not None:
            print(f"\n{to_markdown(table)}", flush=True)
            self._show_page(board, table)
        counts = {name: count for name, count in board.counts().model_dump().items() if count}
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        best = board.best()
        if best is not None:
            told += f"; best {self._task.sweep.metric} {best.value:.2f}: {best.row} ({best.experiment})"
        print(f"{told}\ntable: {self._task.directory.tables['markdown']}", flush=True)

    def _show_page(self, board: Board, table: Table) -> None:
        task = self._task
        if write_page(task.sweep, task.identifier, task.storage, table, board.ended_trials()):
            print(f"report: {task.directory.page}", flush=True)
            if self._parent is not None:
                self._parent.show_page()

    def _report(self, error: Exception | None) -> SweepReport:
        document: dict[str, Any] = {
            "sweep": self._task.identifier,
            "attempt": self._task.attempt,
            "state": End.of(error).reported,
            "spec": self._task.sweep,
            "error": attempt_error(error) if error else None,
            "limit": self._begun.limit if self._begun else None,
            "mlflow_run_id": self._parent.run_id if self._parent else None,
            "started_at": self._started_at,
            "ended_at": utc_now_text(),
        }
        if self._board is not None:
            document |= {"trials": self._board.counts(), "best": self._board.best()}
        return SweepReport.model_validate(document)

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
        os._exit(report.state.exit_code)


def _search(task: SweepTask, source: Source, begun: BegunTrials) -> None:
    from sweeps.search.tune import run_search  # 1.5 s, which a sweep that has ended is spared

    run_search(
        task.sweep,
        source,
        begun,
        identifier=task.identifier,
        storage=task.storage,
        trials=task.total,
        directory=task.attempt_dir.path,
    )
