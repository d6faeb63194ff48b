"""What a sweep has to show while it runs: a line for each event, its table, the counts and the best."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from sweeps.driver.decide import gpu_hours
from sweeps.driver.gains import Gains
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.results.formats import FORMATS
from sweeps.results.report import BestTrial, EndCounts
from sweeps.results.table import Table
from sweeps.results.table_of_sweep import entry_of, sweep_table
from sweeps.results.trial_progress import attempt_reports, trial_progress
from trainer.base.ends import End
from trainer.results.report import AttemptReport
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage

log = logging.getLogger(__name__)

_TIMES_AS_LONG = 10  # a table of thousands of trials takes seconds: not after each of them


class Board:
    """Told of trials by any thread. `trials` are those known at the start; optuna's come as they begin.

    `make_table` and `clock` (seconds) are arguments for the sake of tests.
    """

    def __init__(
        self,
        sweep: SweepSpec,
        identifier: str,
        storage: Storage,
        *,
        attempt: int,
        trials: Sequence[Trial],
        total: int,
        parent: ParentRun,
        make_table: Callable[..., Table] = sweep_table,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep = sweep
        self._id = identifier
        self._storage = storage
        self._directory = storage.sweep(identifier)
        self._parent = parent
        self._make_table = make_table
        self._clock = clock
        self._total = total
        self._lock = threading.Lock()
        self._next_table = 0.0
        self._trials = {trial.number: trial for trial in trials}
        self._reports = {number: self._stored(number) for number in self._trials}
        self._gains = Gains(sweep, identifier, storage, trials)
        self._events = self._directory.attempt(attempt).metrics.appending()

    def started(self, trial: Trial, attempt: int) -> None:
        with self._lock:
            self._trials[trial.number] = trial
            self._reports[trial.number] = None
            self._gains.begun(trial)
            again = f", attempt {attempt}" if attempt > 1 else ""
            self._tell(trial, "started", f"started{again}", attempt=attempt)

    def lost(self, trial: Trial, attempt: int, message: str) -> None:
        with self._lock:
            self._tell(trial, "lost", f"attempt {attempt} lost its worker: {message}", attempt=attempt)

    def ended(self, trial: Trial, report: AttemptReport) -> None:
        with self._lock:
            self._trials[trial.number] = trial
            self._reports[trial.number] = report
            self._tell(trial, "ended", self._end_line(report), state=report.end, value=self.value_of(report))
            if self._clock() < self._next_table:
                return
            table, numbers = self._write_table()
        self._show(table, numbers)

    def value_of(self, report: AttemptReport) -> float | None:
        """The sweep's metric in a report."""
        scores = report.result.scores if report.result else None
        return scores.headline[self._sweep.metric] if scores else None

    def report_of(self, number: int) -> AttemptReport | None:
        """The trial's report, None until it has ended."""
        return self._reports.get(number)

    def ended_trials(self) -> list[tuple[Trial, AttemptReport]]:
        """Each trial that has ended, with its report, by number."""
        trials = sorted(self._trials.items())
        return [(trial, report) for number, trial in trials if (report := self._reports[number])]

    def counts(self) -> EndCounts:
        """How many trials stand how. Takes no lock: a signal's handler asks."""
        reports = [report for report in list(self._reports.values()) if report is not None]
        ends = Counter(report.end for report in reports)
        return EndCounts(**{end.value: ends[end] for end in End}, waiting=max(0, self._total - len(reports)))

    def best(self) -> BestTrial | None:
        """The trial with the best value so far."""
        sign = 1 if self._sweep.direction == "max" else -1
        found = [
            (sign * value, number)
            for number, report in list(self._reports.items())
            if report is not None and (value := self.value_of(report)) is not None
        ]
        if not found:
            return None
        value, number = max(found, key=lambda pair: (pair[0], -pair[1]))
        return BestTrial(
            experiment=trial_id(self._id, number), row=self._trials[number].row, value=sign * value
        )

    def gpu_hours(self) -> float:
        """GPU hours of all attempts that have left a report."""
        trials = [trial_id(self._id, number) for number in self._trials]
        return gpu_hours(report for trial in trials for report in attempt_reports(self._storage, trial))

    def show_last(self, limit: str | None = None) -> Table | None:
        """Rewrites the table with everything in storage, trials that somebody else ran included.

        `limit` is `SweepReport.limit`, said in its notes.
        """
        with self._lock:
            for number, report in self._reports.items():
                taken_over = self._storage.detached(trial_id(self._id, number)).exists()
                self._reports[number] = self._stored(number) if taken_over or report is None else report
            if not self._trials:
                return None
            table, numbers = self._write_table(limit)
        self._show(table, numbers, last=True)
        return table

    def close(self) -> None:
        """No event is written any more."""
        self._events.close()

    def _stored(self, number: int) -> AttemptReport | None:
        return trial_progress(self._storage, trial_id(self._id, number)).report

    def _write_table(self, limit: str | None = None) -> tuple[Table, dict[str, float]]:
        """The table, in storage as well, and the numbers beside it."""
        begun = self._clock()
        entries = [
            entry_of(trial.row, trial.spec.seed, self._reports.get(number))
            for number, trial in sorted(self._trials.items())
        ]
        table = self._make_table(self._sweep, entries, limit=limit)
        try:
            for name, file in self._directory.tables.items():
                file.write(FORMATS[name](table))
        except OSError as error:  # the reports are what counts: the table is made of them again
            log.warning("the table is not written: %s", error)
        counts, best = self.counts(), self.best()
        numbers = {f"trials/{name}": float(count) for name, count in counts.model_dump().items()}
        if best is not None:
            numbers[f"best/{self._sweep.metric}"] = best.value
        now = self._clock()
        self._next_table = now + _TIMES_AS_LONG * (now - begun)
        return table, numbers

    def _show(self, table: Table, numbers: Mapping[str, float], *, last: bool = False) -> None:
        with self._lock:
            due = list(self._gains.due(self._reports))
        ended = self._total - int(numbers["trials/waiting"])
        self._parent.show(table, numbers, ended, due, last=last)

    def _end_line(self, report: AttemptReport) -> str:
        if report.error is not None:
            return f"{report.state}: {report.error.type}: {report.error.message.splitlines()[0]}"
        value = self.value_of(report)
        if value is None:
            return f"completed, but its {self._sweep.metric} is undefined: no class of the split has one"
        return f"completed: {self._sweep.metric} {value:.2f}"

    def _tell(self, trial: Trial, event: str, text: str, **facts: Any) -> None:
        ended = self._total - self.counts().waiting
        print(f"[{ended}/{self._total}] trial {trial.number} ({trial.name}) {text}", flush=True)
        record = {
            "time": time.time(),
            "kind": "event",
            "event": event,
            "trial": trial.number,
            "experiment": trial_id(self._id, trial.number),
            "row": trial.row,
            "message": text,
            **facts,
        }
        self._events.write(f"{json.dumps(record)}\n".encode())
