"""A sweep's own run in MLflow, sent again from what storage has; its trials' runs are theirs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from sweeps.document.expand import count_trials
from sweeps.document.spec import SweepSpec
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.report_page import write_page
from sweeps.driver.summary import Board
from sweeps.driver.trial_records import read_trials
from sweeps.results.report import read_sweep_report
from trainer.base.ends import RunStatus
from trainer.storage.layout import Storage
from trainer.tracking.trouble import TrackerError


def send_sweep_again(
    sweep: SweepSpec,
    identifier: str,
    storage: Storage,
    open_run: Callable[[], ParentRun],
    *,
    status: RunStatus | None,
    by: str,
) -> TrackerError | None:
    """Table, numbers, gains and report, as the sweep's job sends them at its end; what MLflow did not take.

    Either is noted in storage, as `by`: see `TrackingRecord`. The table is made of the reports anew.

    Args:
        open_run: called once all is read: a run that is opened counts as running until it is closed.
        status: the run's in the end; None: what the newest report says; without one it stays open.

    Raises:
        ReportError, OSError: what the sweep left cannot be read.
    """
    directory = storage.sweep(identifier)
    newest = directory.newest_attempt()
    report = read_sweep_report(directory.attempt(newest).report)
    trials = read_trials(directory)
    parent = open_run()
    board = Board(
        sweep,
        identifier,
        storage,
        attempt=newest,
        trials=trials,
        total=count_trials(sweep),
        parent=parent,
    )
    with closing(board):
        table = board.show_last(report.limit if report is not None else None)
        if table is not None and write_page(sweep, identifier, storage, table, board.ended_trials()):
            parent.show_page()
    parent.close(status or (report.state.mlflow_status if report is not None else None), by=by)
    return parent.trouble
