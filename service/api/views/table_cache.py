"""Tables of sweeps, made from the trials' reports, and kept until a trial has moved."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from service.reconcile import run_directories
from service.shared.states import State
from service.store.records import Experiment, Sweep
from sweeps.document.spec import SweepSpec
from sweeps.results.report import read_sweep_report
from sweeps.results.table import Entry, Table
from sweeps.results.table_of_sweep import sweep_table
from trainer.base.errors import ReportError
from trainer.results.report import AttemptReport
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage

_MOST_TABLES = 8


class _TrialBasis(NamedTuple):
    """All of a trial that its line of the table depends on: the report of an attempt that completed stays."""

    experiment: str
    attempt: int
    row: str
    seed: int
    completed: bool
    stopped: bool


class _Basis(NamedTuple):
    """All that a table depends on. `ended`: the sweep's attempt that came to its end, None before that."""

    ended: int | None
    trials: tuple[_TrialBasis, ...]


class TableCache:
    """The last tables made, each good until a trial of its sweep has moved. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[_Basis, Table]] = {}

    def table(self, sweep: Sweep, trials: Sequence[Experiment], storage: Storage) -> Table:
        """The sweep's table. Reports are read again only where the row of one of its `trials` has changed."""
        ended = sweep.attempt if sweep.state is State.COMPLETED else None
        basis = _Basis(ended, tuple(map(_basis_of, trials)))
        return self._get(sweep.id, basis, lambda: _make(sweep, basis, storage))

    def _get(self, sweep_id: str, basis: _Basis, make: Callable[[], tuple[Table, bool]]) -> Table:
        """The sweep's table; `make` gives a new one, and whether it is as good as `basis` says.

        One is made at a time: a large one needs much memory.
        """
        with self._lock:
            known, table = self._made.pop(sweep_id, (None, None))
            whole = True
            if table is None or known != basis:
                table, whole = make()
            if whole:
                self._made[sweep_id] = basis, table
                if len(self._made) > _MOST_TABLES:
                    del self._made[next(iter(self._made))]
            return table


def _basis_of(trial: Experiment) -> _TrialBasis:
    return _TrialBasis(
        trial.id,
        trial.attempt,
        trial.trial_row or "",
        json.loads(trial.spec)["seed"],
        completed=trial.state is State.COMPLETED,
        stopped=trial.stopped,
    )


def _make(sweep: Sweep, basis: _Basis, storage: Storage) -> tuple[Table, bool]:
    """The table, and whether every trial that completed has its report. Only those have numbers."""
    trials = basis.trials
    reports = [_report(trial, storage) if trial.completed else None for trial in trials]
    entries = [
        Entry(trial.row, trial.seed, report, stopped=trial.stopped)
        for trial, report in zip(trials, reports, strict=True)
    ]
    whole = all(report is not None for trial, report in zip(trials, reports, strict=True) if trial.completed)
    limit = _limit(storage.sweep(sweep.id).attempt(basis.ended)) if basis.ended else None
    return sweep_table(SweepSpec.model_validate_json(sweep.spec), entries, limit=limit), whole


def _limit(attempt: AttemptDir) -> str | None:
    """As the sweep's report says; the table stands where that is lost."""
    with suppress(ReportError):
        report = read_sweep_report(attempt.report)
        return report.limit if report is not None else None
    return None


def _report(trial: _TrialBasis, storage: Storage) -> AttemptReport | None:
    """None where it cannot be read: the sweep's job counts such a trial as one without a result, too."""
    with suppress(ReportError):
        return run_directories.report_of(storage, trial.experiment, trial.attempt)
    return None
